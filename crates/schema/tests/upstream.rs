//! Decoding against what the real server and the real encoders did: recordings in
//! `../shared`, read when present.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use schema::{canonical, decode, to_vec, types};
use serde_json::Value;

fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(part);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no ../shared");
    None
}

/// A text without what differs between two spellings of one JSON string.
fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
    out
}

#[test]
fn upstream_fixtures_come_back_byte_for_byte() {
    let mut count = 0;
    for folder in ["HEAD", "apiextensions-HEAD"] {
        let Some(folder) = shared(&format!("corpus/api-roundtrip/{folder}")) else {
            return;
        };
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let meta = schema::type_meta(text.as_bytes()).unwrap();
            let Some(node) = types().by_api_version(&meta.api_version, &meta.kind) else {
                // Types that no configuration serves are not in the table.
                continue;
            };
            let decoded = decode(node, text.as_bytes()).unwrap();
            assert_eq!(decoded.issues, [], "{}", path.display());
            let got = String::from_utf8(to_vec(&decoded.value)).unwrap();
            assert_eq!(got, compact(&text), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 100, "only {count} fixtures");
}

#[test]
fn samples_of_the_real_encoder_come_back_byte_for_byte() {
    let Some(path) = shared("facts/protobuf-samples.jsonl.gz") else {
        return;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut count = 0;
    for line in text.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let (version, kind) = (
            sample["apiVersion"].as_str().unwrap(),
            sample["kind"].as_str().unwrap(),
        );
        let Some(node) = types()
            .by_api_version(version, kind)
            .or_else(|| types().get(&format!("meta/v1.{kind}")))
        else {
            panic!("no type for {version} {kind}");
        };
        let body = to_vec(&sample["json"]);
        let mut decoded = decode(node, &body).unwrap();
        assert_eq!(decoded.issues, [], "{version} {kind}");
        let (got, want) = (to_vec(&decoded.value), body);
        assert_eq!(
            String::from_utf8(got).unwrap(),
            String::from_utf8(want).unwrap(),
            "{version} {kind}"
        );
        let before = decoded.value.clone();
        canonical(node, &mut decoded.value).unwrap();
        assert_eq!(decoded.value, before, "canonical changes {version} {kind}");
        count += 1;
    }
    assert!(count > 900, "only {count} samples");
}
