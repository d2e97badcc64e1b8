//! Replays recorded creates: a create that a real server took must validate, and
//! one of the resources in [`IN_DEPTH`] that it refused must be refused for the same causes.
//!
//! Reads `../shared/golden` beside the checkout; without it it says so. Compared
//! as sets, since the order of causes from maps is random upstream.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use object::FieldErrors;
use serde_json::{Value, json};

/// Refusals that agreed when this was last raised.
const REFUSED_FLOOR: usize = 45;
/// Accepted creates that were replayed when this was last raised.
const ACCEPTED_FLOOR: usize = 207;

/// Faults that the request's decoding finds, not validation.
const QUERY: &[&str] = &["dryRun", "fieldValidation", "fieldManager"];

/// Resources whose refusals are compared.
const IN_DEPTH: &[&str] = &[
    "configmaps",
    "secrets",
    "serviceaccounts",
    "roles",
    "rolebindings",
    "clusterrolebindings",
];

#[test]
fn recorded_creates_are_taken_and_refused_as_a_real_server_does() {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/golden/cases");
    if !cases.exists() {
        println!("skipped: no ../shared");
        return;
    }
    let (mut taken, mut equal, mut wrong) = (0, 0, Vec::new());
    for area in ["errors", "metadata", "defaults"] {
        for (name, step) in creates(&cases.join(area)) {
            let Some(found) = validate(&step) else {
                continue;
            };
            let code = step["answer"]["code"].as_i64().unwrap();
            if code == 201 {
                taken += 1;
                if !found.is_empty() {
                    wrong.push(format!("{name}: taken by a real server, here {found}"));
                }
            } else if code == 422 && in_depth(&step) {
                let want = recorded(&step);
                if want == shown(found) {
                    equal += 1;
                } else {
                    wrong.push(format!("{name}: wanted {want:?}"));
                }
            }
        }
    }
    println!(
        "{taken} taken, {equal} refused alike, {} differ",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        taken >= ACCEPTED_FLOOR && equal >= REFUSED_FLOOR,
        "{taken} taken, {equal} refused alike"
    );
}

/// Every recorded POST, texts filled in, with the name of its case.
fn creates(area: &Path) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(area).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let text = unfold(&text.replace("{ns}", "ns"));
        let file: Value = serde_json::from_str(&text).unwrap();
        for case in file["cases"].as_array().unwrap() {
            for step in case["steps"].as_array().unwrap() {
                if step["method"] == "POST" && step["body"].is_object() {
                    all.push((case["name"].as_str().unwrap().to_owned(), step.clone()));
                }
            }
        }
    }
    all
}

/// Writes repeats and masked repeats out in full.
fn unfold(text: &str) -> String {
    let repeat = regex::Regex::new(r"\{repeat:([^:{}]+):(\d+)\}|<(\w)\*(\d+)>").unwrap();
    repeat
        .replace_all(text, |found: &regex::Captures<'_>| {
            let (part, count) = match found.get(1) {
                Some(part) => (part.as_str(), &found[2]),
                None => (found.get(3).unwrap().as_str(), &found[4]),
            };
            part.repeat(count.parse().unwrap())
        })
        .into_owned()
}

fn in_depth(step: &Value) -> bool {
    let path = step["path"].as_str().unwrap();
    let query = step.get("query").and_then(Value::as_object);
    let asks = query.is_some_and(|query| QUERY.iter().any(|name| query.contains_key(*name)));
    let plural = path.rsplit('/').next().unwrap();
    !asks && IN_DEPTH.contains(&plural)
}

fn validate(step: &Value) -> Option<FieldErrors> {
    let path = step["path"].as_str()?;
    let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let group = match parts.remove(0) {
        "api" => "",
        _ => parts.remove(0),
    };
    let version = parts.remove(0);
    let plural = match parts.as_slice() {
        [plural] | ["namespaces", _, plural] => *plural,
        _ => return None,
    };
    let spec = kinds::find(group, version, plural)?;
    let mut made = step["body"].clone();
    if !made["metadata"].is_object() {
        made["metadata"] = json!({});
    }
    let meta = made["metadata"].as_object_mut()?;
    if let Some(prefix) = meta.get("generateName").and_then(Value::as_str)
        && !meta.contains_key("name")
    {
        let name = format!("{prefix}abcde");
        meta.insert("name".into(), name.into());
    }
    meta.insert("uid".into(), "00000000-0000-0000-0000-000000000001".into());
    meta.insert("creationTimestamp".into(), "2026-01-01T00:00:00Z".into());
    spec.default(&mut made);
    spec.prepare_create(&mut made);
    spec.default(&mut made);
    Some(spec.validate_create(&made))
}

fn shown(errors: FieldErrors) -> BTreeSet<String> {
    let cause = |error: object::FieldError| {
        format!("{} {}: {}", error.fault.reason(), error.path, error.message)
    };
    errors.into_iter().map(cause).collect()
}

fn recorded(step: &Value) -> BTreeSet<String> {
    let causes = step["answer"]["body"]["details"]["causes"].as_array();
    let text = |cause: &Value, name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    causes
        .into_iter()
        .flatten()
        .map(|cause| {
            format!(
                "{} {}: {}",
                text(cause, "reason"),
                text(cause, "field"),
                text(cause, "message")
            )
        })
        .collect()
}
