//! Tests over the whole crate: recordings of the real server, the patch corpus,
//! and laws checked against a small model.

mod corpus;
mod golden;
mod laws;

use std::path::PathBuf;

use serde_json::Value;

use crate::Shape;

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
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn read_yaml(path: &std::path::Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A built-in type.
fn builtin(api_version: &str, kind: &str) -> Option<Shape<'static>> {
    schema::types()
        .by_api_version(api_version, kind)
        .map(Shape::new)
}
