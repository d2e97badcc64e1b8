//! Recorded documents, and what differs between two.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

/// What differs between a recording and ours.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// One line a difference that counts.
    pub(super) differences: Vec<String>,
    /// Descriptions that are equal.
    pub(super) descriptions_equal: usize,
    /// Descriptions that differ or that only one side has.
    pub(super) descriptions_other: usize,
}

/// A file below `../shared/golden/static`, gzipped or not.
pub(super) fn recording(name: &str) -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/static");
    if !root.exists() {
        println!("skipped: no ../shared");
        return None;
    }
    let mut text = Vec::new();
    match std::fs::File::open(root.join(format!("{name}.gz"))) {
        Ok(file) => flate2::read::GzDecoder::new(file).read_to_end(&mut text),
        Err(_) => std::fs::File::open(root.join(name))
            .unwrap()
            .read_to_end(&mut text),
    }
    .unwrap();
    Some(serde_json::from_slice(&text).unwrap())
}

/// Subresources whose machinery we do not have, as group, plural and name.
pub(super) fn unserved() -> Vec<(&'static str, &'static str, &'static str)> {
    let of = |spec: &'static kinds::KindSpec| {
        let subresources = spec.subresources.iter().filter(|sub| !sub.served);
        subresources.map(move |sub| (spec.gvk.group, spec.plural, sub.name))
    };
    kinds::all().iter().flat_map(of).collect()
}

/// Removes from a recorded OpenAPI document what we do not serve.
pub(super) fn forget_unserved_paths(document: &mut Value) {
    let unserved = unserved();
    let keep = |path: &str| {
        let ends = |(group, plural, name): &(&str, &str, &str)| {
            let tail = format!("/{plural}/{{name}}/{name}");
            path.contains(&format!("/{group}/")) && path.ends_with(&tail)
        };
        !unserved.iter().any(ends)
    };
    let paths = document["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| keep(path));
}

/// Compares in full; descriptions are only counted.
pub(super) fn compare(want: &Value, got: &Value) -> Comparison {
    let mut found = Comparison::default();
    walk("", want, got, &mut found);
    found
}

fn walk(path: &str, want: &Value, got: &Value, found: &mut Comparison) {
    match (want, got) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, left) in a {
                match b.get(name) {
                    _ if is_description(path, name, left) => {
                        if b.get(name) == Some(left) {
                            found.descriptions_equal += 1;
                        } else {
                            found.descriptions_other += 1;
                        }
                    }
                    Some(right) => walk(&format!("{path}/{name}"), left, right, found),
                    None => found
                        .differences
                        .push(format!("missing {path}/{name}: {}", cut(left))),
                }
            }
            for (name, right) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                if is_description(path, name, right) {
                    found.descriptions_other += 1;
                } else {
                    found
                        .differences
                        .push(format!("surplus {path}/{name}: {}", cut(right)));
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (left, right)) in a.iter().zip(b).enumerate() {
                walk(&format!("{path}/{at}"), left, right, found);
            }
        }
        _ if want != got => {
            let line = format!("{path}: want {} got {}", cut(want), cut(got));
            found.differences.push(line);
        }
        _ => {}
    }
}

/// A description, and not a property of that name.
fn is_description(path: &str, name: &str, value: &Value) -> bool {
    name == "description" && value.is_string() && !path.ends_with("/properties")
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}
