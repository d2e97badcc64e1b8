//! Decoding against what the real server and the real encoders did: recordings in
//! `../shared`, read when present.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

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

/// Every JSON body that the recordings send to create something.
fn recorded_creates() -> Option<Vec<(String, Value, Value)>> {
    let mut found = Vec::new();
    for area in fs::read_dir(shared("golden/cases")?).unwrap() {
        for file in fs::read_dir(area.unwrap().path()).unwrap() {
            let cases: Value =
                serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
            for case in cases["cases"].as_array().unwrap() {
                let name = case["name"].as_str().unwrap().to_owned();
                for step in case["steps"].as_array().unwrap() {
                    let other = step["headers"]
                        .get("Content-Type")
                        .is_some_and(|media| media != "application/json");
                    let ignores = step["query"]["fieldValidation"] == "Ignore";
                    if step["method"] == "POST" && !ignores && step.get("body").is_some() && !other
                    {
                        found.push((name.clone(), step["body"].clone(), step["answer"].clone()));
                    }
                }
            }
        }
    }
    Some(found)
}

#[test]
fn recorded_bodies_are_taken_or_refused_in_the_recorded_words() {
    let Some(recorded) = recorded_creates() else {
        return;
    };
    let (mut refused, mut taken) = (0, 0);
    for (name, body, answer) in recorded {
        let body = match body {
            // The recordings' own notation for long texts; see the messages' tests.
            Value::String(raw) if raw.contains("{repeat:") => continue,
            Value::String(raw) => raw.into_bytes(),
            body => to_vec(&body),
        };
        let Ok(seen) = schema::type_meta(&body) else {
            continue;
        };
        let Some(node) = types().by_api_version(&seen.api_version, &seen.kind) else {
            continue;
        };
        let message = answer["body"]["message"].as_str().unwrap_or("");
        let start = format!("cannot be handled as a {}: ", seen.kind);
        let reason = message.split_once(&start).map(|(_, reason)| reason);
        match (decode(node, &body), reason) {
            (Ok(decoded), Some(reason)) => {
                let got = schema::strict_error(&decoded.issues);
                assert_eq!(got, reason, "{name}");
                refused += 1;
            }
            (Err(error), Some(reason)) => {
                assert_eq!(error.to_string(), reason, "{name}");
                refused += 1;
            }
            (Err(error), None) => panic!("{name}: refused, recorded {message:?}: {error}"),
            (Ok(decoded), None) => {
                if answer["code"] == 201 {
                    assert_warned(&name, &decoded.issues, &answer["headers"]["Warning"]);
                }
                taken += 1;
            }
        }
    }
    assert!(
        refused >= 10 && taken > 800,
        "{refused} refused, {taken} taken"
    );
}

/// The issues are among the recorded warnings, in order.
fn assert_warned(name: &str, issues: &[schema::Issue], warnings: &Value) {
    let texts: Vec<String> = match warnings {
        Value::Array(texts) => texts.iter().map(ToString::to_string).collect(),
        Value::String(text) => vec![Value::from(text.as_str()).to_string()],
        _ => Vec::new(),
    };
    let mut left = texts.iter();
    for issue in issues {
        let quoted = issue.to_string().replace('"', "\\\\\\\"");
        assert!(
            left.any(|text| text.contains(&quoted)),
            "{name}: {issue} is not in {texts:?}"
        );
    }
}

/// Puts real times where the recordings have marks.
fn unmask(value: &mut Value) {
    match value {
        Value::String(text) if text == "<time>" => *text = "2026-01-02T03:04:05Z".to_owned(),
        Value::String(text) if text == "<time.6>" => {
            *text = "2026-01-02T03:04:05.000006Z".to_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(unmask),
        Value::Object(map) => map.values_mut().for_each(unmask),
        _ => {}
    }
}

#[test]
fn what_the_server_answers_is_canonical() {
    let Some(recorded) = recorded_creates() else {
        return;
    };
    let mut count = 0;
    for (name, _, answer) in recorded {
        let mut body = answer["body"].clone();
        // Marks for allocated numbers, certificates and tokens are no values.
        let masked = [
            "<nodePort",
            "<healthCheckNodePort",
            "<pem-base64",
            "<jwt",
            "<base64",
        ]
        .iter()
        .any(|mark| body.to_string().contains(mark));
        if answer["code"] != 201 || masked {
            continue;
        }
        unmask(&mut body);
        let text = |field: &str| body[field].as_str().unwrap_or("").to_owned();
        let Some(node) = types().by_api_version(&text("apiVersion"), &text("kind")) else {
            continue;
        };
        let mut again = body.clone();
        let issues = canonical(node, &mut again).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(issues, [], "{name}");
        assert_eq!(again, body, "{name}");
        count += 1;
    }
    assert!(count > 150, "only {count} answers");
}
