//! OpenAPI against the recordings: equal as JSON but for descriptions.

use std::collections::BTreeMap;

use apiserver::{discovery, openapi};
use serde_json::Value;

use super::recordings::{compare, forget_unserved_paths, recording};

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Where each document stands in the recordings.
fn file_of(path: &str) -> String {
    let name = path.trim_start_matches('.').replace('/', "__");
    format!("openapi/v3/{name}.json")
}

#[test]
fn v3_documents_are_as_recorded() {
    let mut differing = BTreeMap::new();
    let (mut documents, mut equal, mut other) = (0, 0, 0);
    for path in openapi::v3::paths(&discovery::builtin()) {
        let Some(mut want) = recording(&file_of(&path)) else {
            return;
        };
        forget_unserved_paths(&mut want);
        let got = parse(&openapi::v3(&path).unwrap().bytes);
        let found = compare(&want, &got);
        documents += 1;
        equal += found.descriptions_equal;
        other += found.descriptions_other;
        if !found.differences.is_empty() {
            differing.insert(path, found.differences);
        }
    }
    let total: usize = differing.values().map(Vec::len).sum();
    println!(
        "v3: {documents} documents, {total} differences in {}",
        differing.len()
    );
    println!("v3: descriptions: {equal} equal, {other} of our own");
    for (path, differences) in &differing {
        println!("{path}: {}", differences.len());
        differences
            .iter()
            .take(30)
            .for_each(|line| println!("  {line}"));
    }
    assert_eq!(documents, 49);
    assert_eq!(total, KNOWN_V3);
}

/// `caBundle` of APIService has a list type though it is a text; the table of types
/// has no place for that.
const KNOWN_V3: usize = 1;

#[test]
fn v3_index_names_every_document_with_its_hash() {
    let Some(want) = recording("openapi/v3/index.json") else {
        return;
    };
    let got = parse(&openapi::v3_index().bytes);
    let names = |index: &Value| -> Vec<String> {
        index["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(names(&got), names(&want));
    let apps = openapi::v3("apis/apps/v1").unwrap();
    assert_eq!(
        got["paths"]["apis/apps/v1"]["serverRelativeURL"],
        format!("/openapi/v3/apis/apps/v1?hash={}", apps.hash)
    );
    assert!(openapi::v3("apis/nope/v1").is_none());
}

#[test]
fn the_v2_document_is_as_recorded() {
    let Some(mut want) = recording("openapi/v2.json") else {
        return;
    };
    let mut got = parse(&openapi::v2().bytes);
    forget_unserved_paths(&mut want);
    resolve(&mut want);
    resolve(&mut got);
    for document in [&mut want, &mut got] {
        forget_unserved_versions(document);
    }
    let found = compare(&want, &got);
    println!("v2: {} differences", found.differences.len());
    println!(
        "v2: descriptions: {} equal, {} of our own",
        found.descriptions_equal, found.descriptions_other
    );
    found
        .differences
        .iter()
        .take(60)
        .for_each(|line| println!("  {line}"));
    assert_eq!(found.differences.len(), KNOWN_V2);
}

/// As [`KNOWN_V3`].
const KNOWN_V2: usize = 1;

/// Puts shared parameters where they are referred to: their names end in hashes of
/// their descriptions, which differ.
fn resolve(document: &mut Value) {
    let shared = document
        .as_object_mut()
        .unwrap()
        .remove("parameters")
        .unwrap();
    let paths = document["paths"].as_object_mut().unwrap();
    for item in paths.values_mut() {
        let lists = item.as_object_mut().unwrap().values_mut();
        for value in lists {
            let list = match value {
                Value::Array(list) => Some(list),
                operation => operation
                    .get_mut("parameters")
                    .and_then(Value::as_array_mut),
            };
            for param in list.into_iter().flatten() {
                let name = param.get("$ref").and_then(Value::as_str);
                if let Some(name) = name.and_then(|name| name.strip_prefix("#/parameters/")) {
                    *param = shared[name].clone();
                }
            }
        }
    }
}

/// Upstream registers these with versions that nobody serves any more.
fn forget_unserved_versions(document: &mut Value) {
    let catalog = discovery::builtin();
    for kind in ["DeleteOptions", "WatchEvent"] {
        let name = format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}");
        let model = &mut document["definitions"][name.as_str()];
        let list = model["x-kubernetes-group-version-kind"]
            .as_array_mut()
            .unwrap();
        list.retain(|gvk| {
            let text = |member: &str| gvk[member].as_str().unwrap();
            catalog.version(text("group"), text("version")).is_some()
        });
    }
}
