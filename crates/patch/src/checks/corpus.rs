//! The patch corpus beside the checkout: suites of the RFCs, recorded traffic of
//! `kubectl edit`, field sets of structured-merge-diff, and applies of Argo CD.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::golden::covers;
use super::{builtin, read_json, read_yaml, shared};
use crate::fields::FieldSet;
use crate::managed::{self, OneShape, Write};
use crate::shape::model::Model;
use crate::typed::{compare, field_set};
use crate::{Shape, json_patch, merge_patch, strategic};

/// Patches with which the API server goes its own way, and how.
const SERVERS_OWN: [(&str, &str); 10] = [
    (
        r#"[{"op":"add","path":"","value":[]}]"#,
        "only replace and test take the whole document",
    ),
    (
        r#"[{"op":"add","path":"","value":{}}]"#,
        "only replace and test take the whole document",
    ),
    (
        r#"[{"op":"add","path":"","value":{"baz":"qux"}}]"#,
        "only replace and test take the whole document",
    ),
    (
        r#"[{"op":"add","path":"/bar/-1","value":"5"}]"#,
        "negative indices count from the end",
    ),
    (r#"[{"op":"add","path":"/-"}]"#, "a missing value is null"),
    (
        r#"[{"op":"replace","path":"/0"}]"#,
        "a missing value is null",
    ),
    (r#"[{"op":"test","path":"/0"}]"#, "a missing value is null"),
    (
        r#"[{"op":"copy","from":"/bar","path":"/foo"}]"#,
        "a copy of nothing is null",
    ),
    (
        r#"[{"op":"test","path":"/00","value":"foo"}]"#,
        "indices may have leading zeros",
    ),
    (
        r#"[{"op":"test","path":"/01","value":"bar"}]"#,
        "indices may have leading zeros",
    ),
];

#[test]
fn json_patch_suites_give_what_they_should() {
    let Some(folder) = shared("corpus/patch") else {
        return;
    };
    let mut cases: Vec<(Value, Value, Option<Value>, String)> = Vec::new();
    for file in ["spec_tests.json", "tests.json"] {
        for case in read_json(&folder.join("json-patch-tests").join(file))
            .as_array()
            .unwrap()
        {
            if case["disabled"] == true || case.get("patch").is_none() {
                continue;
            }
            let want = case
                .get("error")
                .is_none()
                .then(|| case.get("expected").unwrap_or(&case["doc"]).clone());
            cases.push((
                case["doc"].clone(),
                case["patch"].clone(),
                want,
                case["comment"].as_str().unwrap_or_default().to_owned(),
            ));
        }
    }
    for group in read_json(&folder.join("jsoncons-json-patch/rfc6902-examples.json"))
        .as_array()
        .unwrap()
    {
        for case in group["cases"].as_array().unwrap() {
            let want = case.get("error").is_none().then(|| case["result"].clone());
            cases.push((
                group["given"].clone(),
                case["patch"].clone(),
                want,
                case["comment"].as_str().unwrap_or_default().to_owned(),
            ));
        }
    }
    let (mut same, mut wrong) = (0, Vec::new());
    for (doc, patch, want, comment) in cases {
        let got = json_patch(doc.clone(), &patch).ok();
        let sent = patch.to_string();
        let own = SERVERS_OWN.iter().any(|(text, _)| text == &sent);
        if got == want {
            same += 1;
        } else if !own {
            wrong.push(format!("{comment}: {doc} {patch}: {got:?} for {want:?}"));
        }
    }
    println!("{same} cases as the suites have them");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(same >= 110, "only {same} cases found");
}

#[test]
fn merge_patch_examples_give_what_they_should() {
    let Some(folder) = shared("corpus/patch/rfc7396") else {
        return;
    };
    for group in read_json(&folder.join("rfc7396-test-cases.json"))
        .as_array()
        .unwrap()
    {
        for case in group["cases"].as_array().unwrap() {
            let patch = &case["patch"];
            let got = merge_patch(group["given"].clone(), patch);
            if patch.is_object() || patch.is_array() {
                assert_eq!(
                    got.as_ref(),
                    Ok(&case["result"]),
                    "{} {patch}",
                    group["given"]
                );
            } else {
                // A scalar replaces the document in the RFC; the server refuses it.
                assert!(got.is_err());
            }
        }
    }
}

/// Without what only the server knows.
fn bare(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "selfLink",
            "generation",
        ] {
            metadata.shift_remove(name);
        }
    }
    value
}

/// Recordings whose answers were edited by hand, and what was.
const EDITED: [(&str, &str); 4] = [
    ("testcase-list-record", "the annotation change-cause"),
    (
        "testcase-apply-edit-last-applied-list",
        "apiVersion inside the annotation",
    ),
    (
        "testcase-unknown-version-known-group-kind",
        "extraField.addedData",
    ),
    ("testcase-not-update-annotation", "the annotation's text"),
];

#[test]
fn edits_of_kubectl_come_out_as_recorded() {
    let Some(folder) = shared("corpus/patch/kubectl-edit") else {
        return;
    };
    let (mut same, mut wrong) = (0, Vec::new());
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        if EDITED.iter().any(|(name, _)| case.ends_with(name)) {
            continue;
        }
        let steps = read_yaml(&case.join("test.yaml"));
        let mut live: Vec<(String, Value)> = Vec::new();
        for step in steps["steps"].as_array().into_iter().flatten() {
            if step["type"] != "request" || step["resultingStatusCode"] != 200 {
                continue;
            }
            let path = step["expectedPath"].as_str().unwrap().to_owned();
            let Ok(answer) = std::fs::read(case.join(step["resultingOutput"].as_str().unwrap()))
            else {
                continue;
            };
            let Ok(answer) = serde_json::from_slice::<Value>(&answer) else {
                continue;
            };
            if step["expectedMethod"] == "GET" {
                live.push((path, answer));
                continue;
            }
            let Ok(patch) = std::fs::read(case.join(step["expectedInput"].as_str().unwrap()))
            else {
                continue;
            };
            let Ok(patch) = serde_json::from_slice::<Value>(&patch) else {
                continue;
            };
            let Some((_, before)) = live.iter().rev().find(|(at, _)| *at == path) else {
                continue;
            };
            let kind = (
                before["apiVersion"].as_str().unwrap_or_default(),
                before["kind"].as_str().unwrap_or_default(),
            );
            let got = match step["expectedContentType"].as_str() {
                Some("application/strategic-merge-patch+json") => {
                    let Some(shape) = builtin(kind.0, kind.1) else {
                        continue;
                    };
                    strategic(shape, before.clone(), &patch)
                }
                Some("application/merge-patch+json") => merge_patch(before.clone(), &patch),
                _ => continue,
            };
            match got {
                Ok(got) if bare(&got) == bare(&answer) => same += 1,
                got => wrong.push(format!(
                    "{}: {patch}\n  {:?}\n  {}",
                    case.display(),
                    got.map(|got| bare(&got).to_string()),
                    bare(&answer)
                )),
            }
        }
    }
    println!("{same} patches as recorded");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(same >= 10, "only {same} patches found");
}

#[test]
fn field_sets_are_those_of_structured_merge_diff() {
    let Some(folder) = shared("corpus/patch/structured-merge-diff") else {
        return;
    };
    let model = Model::from_schema(&read_yaml(&folder.join("k8s-schema.yaml")));
    for (name, type_name) in [
        ("pod", "io.k8s.api.core.v1.Pod"),
        ("node", "io.k8s.api.core.v1.Node"),
        ("endpoints", "io.k8s.api.core.v1.Endpoints"),
        (
            "prometheus-crd",
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1.CustomResourceDefinition",
        ),
    ] {
        let object = read_yaml(&folder.join(format!("{name}.yaml")));
        let want =
            FieldSet::from_fields_v1(&read_json(&folder.join(format!("{name}set.json")))).unwrap();
        let shape = model.named(type_name);
        let got = field_set(shape, &object);
        assert_eq!(
            got.leaves().to_fields_v1(),
            want.leaves().to_fields_v1(),
            "{name}"
        );
        let added = compare(shape, &json!({}), &object).unwrap().added;
        assert_eq!(
            added.leaves().to_fields_v1(),
            want.leaves().to_fields_v1(),
            "{name}"
        );
        assert_eq!(
            want.to_fields_v1().to_string(),
            read_json(&folder.join(format!("{name}set.json"))).to_string(),
            "canonical order"
        );
    }
}

fn any(folder: &Path, name: &str) -> Option<Value> {
    let yaml = folder.join(format!("{name}.yaml"));
    if yaml.is_file() {
        return Some(read_yaml(&yaml));
    }
    let path = folder.join(format!("{name}.json"));
    path.is_file().then(|| read_json(&path))
}

#[test]
fn applies_of_argo_give_the_predicted_objects() {
    let Some(folder) = shared("corpus/patch/argo-diff") else {
        return;
    };
    let mut wrong = Vec::new();
    // smd-deploy2 is no server-side apply: it keeps what the manager gave up.
    for name in [
        "ssd-configmap",
        "ssd-deploy-composite-key",
        "ssd-deploy-nested",
        "ssd-deploy-with-manual-apply",
        "ssd-service",
    ] {
        let (Some(config), Some(live), Some(predicted)) = (
            any(&folder, &format!("{name}-config")),
            any(&folder, &format!("{name}-live")),
            any(&folder, &format!("{name}-predicted-live")),
        ) else {
            panic!("{name} is incomplete");
        };
        let api_version = config["apiVersion"].as_str().unwrap().to_owned();
        let kind = config["kind"].as_str().unwrap().to_owned();
        let shape: Shape<'_> = builtin(&api_version, &kind).unwrap();
        let reset = FieldSet::new();
        let versions = OneShape {
            shape,
            group: api_version.split_once('/').map_or("", |(group, _)| group),
        };
        let write = Write {
            versions: &versions,
            api_version: &api_version,
            kind: &kind,
            manager: "argocd-controller",
            subresource: "",
            reset: &reset,
            now: Timestamp::UNIX_EPOCH,
        };
        match managed::apply(&write, Some(&live), &config, true) {
            // Metadata went through a webhook and controllers there.
            Ok(got)
                if covers(&got["spec"], Some(&predicted["spec"]), "").is_ok()
                    && got.get("data") == predicted.get("data") => {}
            got => wrong.push(format!(
                "{name}:\n  {:?}\n  {}",
                got.map(|got| bare(&got).to_string()),
                bare(&predicted)
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
