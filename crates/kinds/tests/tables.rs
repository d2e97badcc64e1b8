//! Rows and columns against recordings of real Kubernetes.
//!
//! Reads `../shared/golden` beside the checkout; without it each test says so.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

/// Members of what a client sends as a merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            if let Some(map) = target.as_object_mut() {
                map.remove(name);
            }
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

fn golden(path: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/golden")
        .join(path);
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        println!("skipped: no ../shared");
    }
    text.map(|text| serde_json::from_str(&text).expect("a recording is JSON"))
}

#[test]
fn columns_are_those_of_a_real_server() {
    let Some(tables) = golden("static/tables.json") else {
        return;
    };
    let tables = tables.as_object().expect("an object");
    for (name, columns) in tables {
        let (api_version, plural) = name.rsplit_once('/').expect("group version and plural");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let spec = kinds::find(group, version, plural).unwrap_or_else(|| panic!("no {name}"));
        let ours: Vec<Value> = spec
            .columns
            .iter()
            .map(|c| json!([c.name, c.kind, c.format, c.priority]))
            .collect();
        let theirs: Vec<Value> = columns
            .as_array()
            .expect("a list")
            .iter()
            .map(|c| json!([c["name"], c["type"], c["format"], c["priority"]]))
            .collect();
        assert_eq!(ours, theirs, "{name}");
    }
    assert!(tables.len() > 60);
}

#[test]
fn every_row_has_a_cell_for_each_column() {
    let now = Timestamp::UNIX_EPOCH;
    for spec in kinds::all() {
        for object in [
            json!({}),
            json!({"metadata": {"name": "n"}, "spec": 3, "status": []}),
        ] {
            let cells = (spec.cells)(&object, now);
            assert_eq!(cells.len(), spec.columns.len(), "{}", spec.gvk);
        }
    }
}

#[test]
fn rows_read_as_a_real_server_prints_them() {
    let Some(recorded) = golden("cases/list-watch/tables.json") else {
        return;
    };
    // As long after the times in the recordings as when they were made.
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().expect("a time");
    let (mut checked, mut wrong) = (0, Vec::new());
    for case in recorded["cases"].as_array().expect("a list") {
        let mut made = json!({});
        let mut kind = None;
        for step in case["steps"].as_array().expect("a list") {
            let body = &step["body"];
            match step["method"].as_str() {
                Some("POST") => {
                    let spec = kinds::by_api_version(
                        body["apiVersion"].as_str().unwrap_or_default(),
                        body["kind"].as_str().unwrap_or_default(),
                    );
                    let Some(spec) = spec else { continue };
                    made = body.clone();
                    spec.default(&mut made);
                    made["metadata"]["uid"] = json!("<uid-1>");
                    made["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
                    spec.prepare_create(&mut made);
                    kind = Some(spec);
                }
                Some("PATCH") => merge(&mut made, body),
                Some("DELETE") => {
                    made["metadata"]["deletionTimestamp"] = json!("2026-11-25T12:00:00Z");
                }
                _ => {}
            }
            let cells = &step["answer"]["body"]["rows"][0]["cells"];
            if let (Some(spec), Some(wanted)) = (kind, cells.as_array()) {
                let ours = (spec.cells)(&made, now);
                if spec.columns.len() != wanted.len() {
                    continue;
                }
                checked += 1;
                for (column, (want, got)) in spec.columns.iter().zip(wanted.iter().zip(&ours)) {
                    if !alike(want, got) {
                        wrong.push(format!(
                            "{} {}: want {want}, got {got}",
                            case["name"], column.name
                        ));
                    }
                }
            }
        }
    }
    assert!(checked >= 40, "only {checked} rows were compared");
    assert!(
        wrong.is_empty(),
        "{checked} rows, {} cells differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Equal but for what the recordings mask or the registry allocates.
fn alike(want: &Value, got: &Value) -> bool {
    match want.as_str() {
        Some(text) if ["<age>", "<time>", "<clusterIP-1>"].contains(&text) => true,
        // The requestor of a CSR comes from the client's identity.
        Some("admin") => true,
        _ => want == got,
    }
}

#[test]
fn the_list_is_what_discovery_shows() {
    let (Some(core), Some(groups)) = (
        golden("static/discovery/aggregated-api.json"),
        golden("static/discovery/aggregated-apis.json"),
    ) else {
        return;
    };
    let mut seen = 0;
    let items = core["items"]
        .as_array()
        .into_iter()
        .chain(groups["items"].as_array())
        .flatten();
    for group in items {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        for version in group["versions"].as_array().expect("versions") {
            for resource in version["resources"].as_array().into_iter().flatten() {
                let plural = resource["resource"].as_str().unwrap_or_default();
                let version = version["version"].as_str().unwrap_or_default();
                let spec = kinds::find(name, version, plural)
                    .unwrap_or_else(|| panic!("no {plural} in {name}/{version}"));
                check(spec, resource);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, kinds::all().len());
}

fn check(spec: &kinds::KindSpec, resource: &Value) {
    let list = |value: &Value| -> Vec<String> {
        let mut texts: Vec<String> = value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect();
        texts.sort();
        texts
    };
    let sorted = |texts: &[&str]| -> Vec<String> {
        let mut texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        texts.sort();
        texts
    };
    let what = spec.gvk;
    assert_eq!(resource["responseKind"]["kind"], what.kind, "{what}");
    assert_eq!(resource["scope"] == "Namespaced", spec.namespaced, "{what}");
    assert_eq!(resource["singularResource"], spec.singular, "{what}");
    assert_eq!(list(&resource["verbs"]), sorted(spec.verbs), "{what}");
    assert_eq!(
        list(&resource["shortNames"]),
        sorted(spec.short_names),
        "{what}"
    );
    assert_eq!(
        list(&resource["categories"]),
        sorted(spec.categories),
        "{what}"
    );
    let theirs: Vec<(String, Vec<String>)> = resource["subresources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|sub| {
            (
                sub["subresource"].as_str().unwrap_or_default().to_owned(),
                list(&sub["verbs"]),
            )
        })
        .collect();
    let ours: Vec<(String, Vec<String>)> = spec
        .subresources
        .iter()
        .map(|sub| (sub.name.to_owned(), sorted(sub.verbs)))
        .collect();
    assert_eq!(ours, theirs, "{what}");
}

#[test]
fn hashes_of_storage_versions_are_those_of_a_real_server() {
    let mut seen = 0;
    for spec in kinds::all().iter().filter(|spec| spec.is_stored()) {
        let version = spec.gvk.api_version();
        let Some(list) = golden(&legacy(&version)) else {
            return;
        };
        let resource = list["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|resource| resource["name"] == spec.plural)
            .unwrap_or_else(|| panic!("no {} in {version}", spec.plural));
        assert_eq!(
            resource["storageVersionHash"], spec.storage_version_hash,
            "{}",
            spec.gvk
        );
        seen += 1;
    }
    assert!(seen > 60);
}

fn legacy(version: &str) -> String {
    let file = match version.split_once('/') {
        Some((group, version)) => format!("apis__{group}__{version}"),
        None => format!("api__{version}"),
    };
    format!("static/discovery/legacy/{file}.json")
}

#[test]
fn every_type_is_in_the_schema_table() {
    for spec in kinds::all() {
        assert!(
            schema::types().get(spec.type_name).is_some(),
            "{}",
            spec.type_name
        );
    }
}
