//! Tests over the whole crate: recordings of the real server, the patch corpus,
//! and laws checked against a small model.

mod corpus;
mod golden;
mod laws;

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use crate::shape::model::Model;

/// A file or folder of the material beside the checkout; says so if there is none.
fn shared(path: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !root.is_dir() {
        println!("skipped: no ../shared");
        return None;
    }
    Some(root.join(path))
}

fn read_json(path: &std::path::Path) -> Value {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|ext| ext == "gz") {
        return serde_json::from_reader(flate2::read::GzDecoder::new(bytes.as_slice())).unwrap();
    }
    serde_json::from_slice(&bytes).unwrap()
}

fn read_yaml(path: &std::path::Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The built-in types, from the recorded OpenAPI documents.
fn builtin() -> Option<&'static Model> {
    static MODEL: LazyLock<Option<Model>> = LazyLock::new(|| {
        let folder = shared("golden/static/openapi/v3")?;
        let mut model = Model::default();
        for group in ["api__v1", "apis__apps__v1", "apis__autoscaling__v1", "apis__batch__v1", "apis__rbac.authorization.k8s.io__v1", "apis__admissionregistration.k8s.io__v1"] {
            let path = [format!("{group}.json.gz"), format!("{group}.json")]
                .into_iter()
                .map(|name| folder.join(name))
                .find(|path| path.is_file())?;
            model.add_openapi(&read_json(&path));
        }
        Some(model)
    });
    MODEL.as_ref()
}

/// The OpenAPI name of a built-in kind.
fn type_of(api_version: &str, kind: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let group = group.split('.').next().unwrap();
    format!("io.k8s.api.{group}.{version}.{kind}")
}
