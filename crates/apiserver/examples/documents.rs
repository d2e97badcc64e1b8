//! Makes every document of discovery and OpenAPI, prints time and size of each kind,
//! and writes them into a folder if one is named:
//! `cargo run -p kogge-apiserver --example documents -- /tmp/documents`

use std::path::{Path, PathBuf};
use std::time::Duration;

use apiserver::{discovery, openapi};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let keep = |name: &str, bytes: &[u8]| match &folder {
        Some(folder) => write(folder, name, bytes),
        None => Ok(()),
    };
    let (aggregated, took) =
        timed(|| [discovery::Root::Api, discovery::Root::Apis].map(discovery::aggregated));
    print(
        "aggregated discovery",
        took,
        aggregated.iter().map(|d| d.bytes.len()).sum(),
    );
    keep("aggregated-api", &aggregated[0].bytes)?;
    keep("aggregated-apis", &aggregated[1].bytes)?;

    let paths = openapi::v3::paths(&discovery::builtin());
    let (apps, took) = timed(|| openapi::v3("apis/apps/v1"));
    print(
        "v3 apps/v1, the first",
        took,
        apps.map_or(0, |d| d.bytes.len()),
    );
    let (core, took) = timed(|| openapi::v3("api/v1"));
    print("v3 core/v1", took, core.map_or(0, |d| d.bytes.len()));
    let (index, took) = timed(openapi::v3_index);
    print("v3 index, with all hashes", took, index.bytes.len());
    keep("openapi-v3", &index.bytes)?;
    let (documents, took) = timed(|| {
        let made = paths
            .iter()
            .filter_map(|path| Some((path, openapi::v3(path)?)));
        made.collect::<Vec<_>>()
    });
    print(
        "v3, the others",
        took,
        documents.iter().map(|(_, d)| d.bytes.len()).sum(),
    );
    let (packed, took) = timed(|| {
        documents
            .iter()
            .filter_map(|(_, d)| d.gzip())
            .map(|b| b.len())
            .sum()
    });
    print("v3, all as gzip", took, packed);
    for (path, document) in &documents {
        keep(
            &format!("openapi-v3-{}", path.replace('/', "__")),
            &document.bytes,
        )?;
    }

    let (v2, took) = timed(openapi::v2);
    print("v2", took, v2.bytes.len());
    keep("openapi-v2", &v2.bytes)?;
    let (packed, took) = timed(|| v2.gzip().map_or(0, |bytes| bytes.len()));
    print("v2 as gzip", took, packed);
    let (protobuf, took) = timed(openapi::v2_protobuf);
    print("v2 as protobuf", took, protobuf.bytes.len());
    keep("openapi-v2.pb", &protobuf.bytes)
}

fn print(what: &str, took: Duration, bytes: usize) {
    println!(
        "{what:<28} {:>8.2} ms {:>9} bytes",
        took.as_secs_f64() * 1e3,
        bytes
    );
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn timed<T>(make: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let made = make();
    (made, start.elapsed())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), bytes)
}
