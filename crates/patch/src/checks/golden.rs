//! Replays the parts of the recordings that this crate decides: patch results,
//! refusals, ownership and conflicts. Decoding, defaulting and validation are the
//! server's; where the recording shows their work, it is laid over our result.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{builtin, read_json, shared};
use crate::fields::FieldSet;
use crate::managed::{self, ApplyError, OneShape, Write};
use crate::shape::model::{Model, structural};
use crate::{PatchError, Shape, json_patch, merge_patch, strategic};

/// Steps in which the recording does not show what the server did before the part
/// that is tested here.
const NOT_SHOWN: [(&str, usize, &str); 3] = [
    ("apply/secret/string-data", 1, "stringData became data"),
    (
        "apply/service/type-change",
        1,
        "the registry gave the node port back",
    ),
    (
        "apply/status/apply",
        1,
        "the pod's create was completed by defaults",
    ),
];

/// What became of the steps.
#[derive(Default)]
struct Tally {
    compared: usize,
    left: usize,
    wrong: Vec<String>,
}

/// One case's objects by path, and its custom type.
#[derive(Default)]
struct Server {
    objects: BTreeMap<String, Value>,
    custom: Option<Model>,
}

fn filled(value: &Value) -> Value {
    let mut text = value.to_string();
    while let Some(at) = text.find("{repeat:") {
        let end = at + text[at..].find('}').unwrap();
        let parts: Vec<_> = text[at + 8..end]
            .rsplitn(2, ':')
            .map(str::to_owned)
            .collect();
        text.replace_range(at..=end, &parts[1].repeat(parts[0].parse().unwrap()));
    }
    serde_json::from_str(&text).unwrap()
}

impl Server {
    fn shape<'s>(&'s self, object: &Value) -> Option<Shape<'s>> {
        let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        if kind == "Widget" {
            return Some(self.custom.as_ref()?.named("Widget"));
        }
        builtin(api_version, kind)
    }

    fn define(&mut self, body: &Value) {
        let mut schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.insert("apiVersion".into(), json!({"type": "string"}));
            properties.insert("kind".into(), json!({"type": "string"}));
            properties.insert("metadata".into(), json!({"is": "ObjectMeta"}));
        }
        let mut model = Model::default();
        model.types.insert("Widget".into(), structural(&schema));
        self.custom = Some(model);
    }
}

fn reset_fields(kind: &str, subresource: &str) -> FieldSet {
    match (kind, subresource) {
        (_, "status") => FieldSet::of(&[&["spec"], &["metadata"]]),
        ("Pod" | "Deployment" | "Widget" | "Service", "") => FieldSet::of(&[&["status"]]),
        _ => FieldSet::new(),
    }
}

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

/// The recorded object with what only the server knows taken out, and only the
/// presence of times kept.
fn mask(value: &Value) -> Value {
    // An allocated port is masked by a text; here it must be a number again.
    let text = value.to_string().replace("\"<nodePort-1>\"", "30001");
    let mut value: Value = serde_json::from_str(&text).unwrap();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in [
            "creationTimestamp",
            "namespace",
            "uid",
            "resourceVersion",
            "generation",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            metadata.shift_remove(name);
        }
        if let Some(entries) = metadata
            .get_mut("managedFields")
            .and_then(Value::as_array_mut)
        {
            for entry in entries {
                if entry.get("time").is_some() {
                    entry["time"] = "<time>".into();
                }
            }
        }
    }
    value
}

/// Whether all of ours is in theirs: lists item by item, free maps exactly. Nulls
/// and empty things of ours may be missing.
pub(super) fn covers(ours: &Value, theirs: Option<&Value>, path: &str) -> Result<(), String> {
    let void = |value: &Value| match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match (ours, theirs) {
        (ours, None) if void(ours) => Ok(()),
        (Value::Null, Some(Value::String(text))) if text.is_empty() => Ok(()),
        (Value::Object(ours), Some(Value::Object(theirs))) => {
            let exact = [
                "labels",
                "annotations",
                "data",
                "nodeSelector",
                "matchLabels",
                "gran",
                "struct",
            ]
            .iter()
            .any(|name| path.rsplit('.').next() == Some(name));
            if exact && ours.len() != theirs.len() {
                return Err(format!("{path}: {ours:?} against {theirs:?}"));
            }
            for (name, member) in ours {
                covers(member, theirs.get(name), &format!("{path}.{name}"))?;
            }
            Ok(())
        }
        (Value::Array(ours), Some(Value::Array(theirs))) => {
            if ours.len() != theirs.len() {
                return Err(format!(
                    "{path}: {} items against {}",
                    ours.len(),
                    theirs.len()
                ));
            }
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                covers(ours, Some(theirs), &format!("{path}[{index}]"))?;
            }
            Ok(())
        }
        (ours, Some(theirs)) if ours == theirs => Ok(()),
        (ours, theirs) => Err(format!("{path}: {ours} against {theirs:?}")),
    }
}

/// Whether we kept what the server kept of the live object.
fn keeps(live: &Value, ours: &Value, theirs: &Value, path: &str) -> Result<(), String> {
    match (live, theirs) {
        (Value::Object(live), Value::Object(theirs)) => {
            for (name, theirs) in theirs {
                let path = format!("{path}.{name}");
                match (live.get(name), ours.get(name)) {
                    (Some(live), Some(ours)) => keeps(live, ours, theirs, &path)?,
                    (Some(live), None)
                        if live == theirs && !["metadata", "status"].contains(&name.as_str()) =>
                    {
                        return Err(format!("{path} is lost"));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        (Value::Array(live), Value::Array(theirs)) if live.len() == theirs.len() => live
            .iter()
            .zip(theirs)
            .enumerate()
            .try_for_each(|(at, (live, theirs))| match ours.get(at) {
                Some(ours) => keeps(live, ours, theirs, &format!("{path}[{at}]")),
                None => Err(format!("{path}[{at}] is lost")),
            }),
        _ => Ok(()),
    }
}

/// Lays what the server added over our object.
fn overlay(ours: &mut Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.retain(|_, member| !member.is_null());
            for (name, theirs) in theirs {
                match ours.get_mut(name) {
                    Some(ours) => overlay(ours, theirs),
                    None => {
                        ours.insert(name.clone(), theirs.clone());
                    }
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                overlay(ours, theirs);
            }
        }
        _ => {}
    }
}

/// The parts of an object that a step compares.
fn only(value: &Value, step: &Value) -> Value {
    let Some(paths) = step["only"].as_array() else {
        return value.clone();
    };
    let mut out = json!({});
    for path in paths.iter().filter_map(Value::as_str) {
        let pointer = format!("/{}", path.replace('.', "/"));
        let Some(found) = value.pointer(&pointer) else {
            continue;
        };
        let mut at = &mut out;
        for name in path.split('.') {
            at = at
                .as_object_mut()
                .unwrap()
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
        }
        *at = found.clone();
    }
    out
}

/// Decoding drops what the type does not know.
fn prune(shape: Shape<'_>, value: &mut Value) {
    let (Some(map), Value::Object(members)) = (shape.as_map(), value) else {
        return;
    };
    members.retain(
        |name, member| match map.field(name).or_else(|| map.element()) {
            Some(shape) => {
                prune(shape, member);
                true
            }
            None => false,
        },
    );
}

struct Request<'a> {
    path: String,
    subresource: &'a str,
    manager: &'a str,
    force: bool,
    content_type: &'a str,
    body: Value,
}

fn request(step: &Value) -> Request<'_> {
    let path = step["path"].as_str().unwrap();
    let (path, subresource) = match path.rsplit_once('/') {
        Some((path, tail @ ("status" | "scale"))) => (path, tail),
        _ => (path, ""),
    };
    let text = |value: &'_ Value| value.as_str().map(str::to_owned);
    let mut path = path.to_owned();
    let body = filled(&step["body"]);
    if step["method"] == "POST"
        && let Some(name) = text(&body["metadata"]["name"])
    {
        path = format!("{path}/{name}");
    }
    Request {
        path,
        subresource,
        manager: step["query"]["fieldManager"]
            .as_str()
            .or_else(|| step["headers"]["User-Agent"].as_str()?.split('/').next())
            .unwrap_or("golden"),
        force: step["query"]["force"] == "true",
        content_type: step["headers"]["Content-Type"].as_str().unwrap_or_default(),
        body,
    }
}

enum Outcome {
    Object(Value),
    Refused {
        code: u64,
        message: String,
        causes: Vec<(String, String)>,
    },
    /// Not decided by this crate.
    Elsewhere,
}

fn refused(error: &PatchError) -> Outcome {
    Outcome::Refused {
        code: error.code().into(),
        message: error.to_string(),
        causes: Vec::new(),
    }
}

fn write<'a>(
    versions: &'a OneShape<'a>,
    object: &'a Value,
    request: &'a Request<'a>,
    reset: &'a FieldSet,
) -> Write<'a> {
    Write {
        versions,
        api_version: object["apiVersion"].as_str().unwrap(),
        kind: object["kind"].as_str().unwrap(),
        manager: request.manager,
        subresource: request.subresource,
        reset,
        now: now(),
    }
}

fn group_of(object: &Value) -> &str {
    object["apiVersion"]
        .as_str()
        .unwrap()
        .split_once('/')
        .map_or("", |(group, _)| group)
}

/// A create or a patch other than apply, with its bookkeeping.
fn patched(server: &Server, step: &Value, request: &Request<'_>) -> Outcome {
    let live = server.objects.get(&request.path);
    let result = match (step["method"].as_str().unwrap(), request.content_type) {
        ("POST", _) => Ok(request.body.clone()),
        ("PUT", _) if live.is_some() => Ok(request.body.clone()),
        (_, kind) => {
            let Some(live) = live.cloned() else {
                return Outcome::Elsewhere;
            };
            let Some(shape) = server.shape(&live) else {
                return Outcome::Elsewhere;
            };
            match kind {
                "application/json-patch+json" => json_patch(live, &request.body),
                "application/merge-patch+json" => merge_patch(live, &request.body),
                "application/strategic-merge-patch+json" if live["kind"] != "Widget" => {
                    strategic(shape, live, &request.body)
                }
                _ => return Outcome::Elsewhere,
            }
        }
    };
    let mut object = match result {
        Ok(object) => object,
        Err(error) => return refused(&error),
    };
    if object["kind"].as_str().is_none() || server.shape(&object).is_none() {
        return Outcome::Elsewhere;
    }
    prune(server.shape(&object).unwrap(), &mut object);
    // The server completes the object before ownership is recorded.
    let answer = only(&step["answer"]["body"], &json!({}));
    let mut theirs = mask(&answer);
    if let Some(metadata) = theirs.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    let recorded = object["metadata"].get("managedFields").cloned();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    if let Err(why) = covers(&mask(&only(&object, step)), Some(&theirs), "")
        && !theirs.is_null()
        && step["answer"]["code"].as_u64().unwrap() < 300
    {
        return Outcome::Refused {
            code: 0,
            message: format!("differs: {why}"),
            causes: Vec::new(),
        };
    }
    if step["method"] == "POST" {
        theirs
            .as_object_mut()
            .map(|theirs| theirs.shift_remove("status"));
    }
    overlay(&mut object, &theirs);
    if let Some(recorded) = recorded {
        object["metadata"]["managedFields"] = recorded;
    }
    let shape = server.shape(&object).unwrap();
    let group = group_of(&object).to_owned();
    let reset = reset_fields(object["kind"].as_str().unwrap(), request.subresource);
    let versions = OneShape {
        shape,
        group: &group,
    };
    let copy = object.clone();
    if managed::update(&write(&versions, &copy, request, &reset), live, &mut object).is_err() {
        return Outcome::Elsewhere;
    }
    if let Some(live) = live {
        managed::keep_times(live, &mut object);
    }
    Outcome::Object(object)
}

fn applied(server: &Server, request: &Request<'_>) -> Outcome {
    let live = server.objects.get(&request.path);
    let named = live.unwrap_or(&request.body);
    if !request.body.is_object()
        || request.manager.len() > 128
        || request.body["metadata"]["name"].is_null()
    {
        return Outcome::Elsewhere;
    }
    let path_kind = |path: &str| {
        if path.contains("/configmaps/") {
            Some(json!({"apiVersion": "v1", "kind": "ConfigMap"}))
        } else {
            None
        }
    };
    let owner = path_kind(&request.path).unwrap_or_else(|| named.clone());
    let Some(shape) = server.shape(&owner) else {
        return Outcome::Elsewhere;
    };
    if live.is_none() && request.subresource == "status" {
        return Outcome::Elsewhere;
    }
    let group = group_of(&owner).to_owned();
    let reset = reset_fields(owner["kind"].as_str().unwrap(), request.subresource);
    let versions = OneShape {
        shape,
        group: &group,
    };
    match managed::apply(
        &write(&versions, &owner, request, &reset),
        live,
        &request.body,
        request.force,
    ) {
        Ok(mut object) => {
            if let Some(live) = live {
                managed::keep_times(live, &mut object);
            }
            Outcome::Object(object)
        }
        Err(error) => Outcome::Refused {
            code: error.code().into(),
            message: error.to_string(),
            causes: match &error {
                ApplyError::Conflicts(conflicts) => conflicts
                    .causes()
                    .into_iter()
                    .map(|cause| (cause.field, cause.message))
                    .collect(),
                _ => Vec::new(),
            },
        },
    }
}

fn scaled(server: &mut Server, request: &Request<'_>) {
    let Some(live) = server.objects.get(&request.path).cloned() else {
        return;
    };
    let version = live["apiVersion"].as_str().unwrap();
    let paths = [managed::ScalePath {
        api_version: version,
        replicas: Some(&["spec", "replicas"]),
    }];
    let parent = live["metadata"]["managedFields"].clone();
    let scale = |object: &Value, managed: Value| {
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": "d", "uid": "u", "managedFields": managed},
            "spec": {"replicas": object["spec"]["replicas"]}})
    };
    let before = scale(&live, managed::to_scale(&parent, &paths).unwrap());
    let mut after = merge_patch(before.clone(), &request.body).unwrap();
    let shape = server.shape(&after).unwrap();
    let versions = OneShape {
        shape,
        group: "autoscaling",
    };
    let (copy, reset) = (after.clone(), FieldSet::new());
    managed::update(
        &Write {
            subresource: "scale",
            ..write(&versions, &copy, request, &reset)
        },
        Some(&before),
        &mut after,
    )
    .unwrap();
    let mut next = live.clone();
    next["spec"]["replicas"] = after["spec"]["replicas"].clone();
    next["metadata"]["managedFields"] = managed::scale_to_parent(
        &parent,
        &after["metadata"]["managedFields"],
        version,
        &paths,
    )
    .unwrap();
    server.objects.insert(request.path.clone(), next);
}

fn judge(step: &Value, outcome: &Outcome) -> Result<(), String> {
    let answer = &step["answer"];
    let (code, body) = (answer["code"].as_u64().unwrap(), &answer["body"]);
    match outcome {
        Outcome::Elsewhere => Ok(()),
        Outcome::Refused {
            code: ours,
            message,
            causes,
        } => {
            if (code, body["message"].as_str().unwrap_or_default()) != (*ours, message.as_str()) {
                return Err(format!(
                    "{ours} {message:?} against {code} {}",
                    body["message"]
                ));
            }
            let set = |causes: Vec<(String, String)>| causes.into_iter().collect::<BTreeSet<_>>();
            let theirs = body["details"]["causes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|cause| {
                    let text = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
                    (text("field"), text("message"))
                })
                .collect();
            if set(theirs) == set(causes.clone()) {
                Ok(())
            } else {
                Err(format!("causes {causes:?}"))
            }
        }
        Outcome::Object(object) => {
            // A refusal by validation, decoding or the registry is not ours.
            if code >= 300 || body.is_null() {
                return Ok(());
            }
            let (ours, theirs) = (mask(&only(object, step)), mask(body));
            if theirs["metadata"].get("managedFields").is_some() || step["managed"] == true {
                let (ours, theirs) = (
                    &ours["metadata"]["managedFields"],
                    &theirs["metadata"]["managedFields"],
                );
                if ours != theirs {
                    return Err(format!("managedFields\n   {ours}\n   against\n   {theirs}"));
                }
            }
            let mut ours = ours;
            if let Some(metadata) = ours.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.shift_remove("managedFields");
            }
            if ours["kind"] == "Secret" {
                ours.as_object_mut().unwrap().shift_remove("stringData");
            }
            ours.as_object_mut().unwrap().shift_remove("status");
            covers(&ours, Some(&theirs), "")
        }
    }
}

fn run(case: &Value, tally: &mut Tally) {
    let mut server = Server::default();
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let Some(method) = step["method"].as_str() else {
            continue;
        };
        if step["path"]
            .as_str()
            .unwrap()
            .ends_with("/customresourcedefinitions")
        {
            server.define(&step["body"]);
            continue;
        }
        if !matches!(method, "POST" | "PUT" | "PATCH") {
            continue;
        }
        let request = request(step);
        if request.subresource == "scale" {
            scaled(&mut server, &request);
            continue;
        }
        let outcome = if request.content_type == "application/apply-patch+yaml" {
            applied(&server, &request)
        } else {
            patched(&server, step, &request)
        };
        let mut step = step.clone();
        step["managed"] = case["managedFields"].clone();
        let verdict = judge(&step, &outcome).and_then(|()| {
            match (&outcome, server.objects.get(&request.path)) {
                (Outcome::Object(ours), Some(live))
                    if method == "PATCH" && step["answer"]["body"].is_object() =>
                {
                    keeps(
                        &only(live, &step),
                        &only(ours, &step),
                        &step["answer"]["body"],
                        "",
                    )
                }
                _ => Ok(()),
            }
        });
        match verdict {
            _ if matches!(outcome, Outcome::Elsewhere)
                || NOT_SHOWN
                    .iter()
                    .any(|(name, at, _)| case["name"] == *name && index == *at) =>
            {
                tally.left += 1;
            }
            Ok(()) => tally.compared += 1,
            Err(why) => tally
                .wrong
                .push(format!("{} step {index}: {why}", case["name"])),
        }
        let accepted =
            step["answer"]["code"].as_u64().unwrap() < 300 && step["query"]["dryRun"].is_null();
        if let (Outcome::Object(mut object), true) = (outcome, accepted) {
            let record = object["metadata"].get("managedFields").cloned();
            let mut theirs = mask(&step["answer"]["body"]);
            if let Some(metadata) = theirs.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.shift_remove("managedFields");
            }
            overlay(&mut object, &theirs);
            if object["kind"] == "Secret" {
                object.as_object_mut().unwrap().shift_remove("stringData");
            }
            if request.subresource == "status" {
                object["spec"] = server.objects[&request.path]["spec"].clone();
            }
            object["metadata"]["uid"] = "u".into();
            if let Some(record) = record {
                object["metadata"]["managedFields"] = record;
            }
            server.objects.insert(request.path.clone(), object);
        }
    }
}

fn replay(files: &[&str], at_least: usize) {
    let Some(folder) = shared("golden/cases") else {
        return;
    };
    let mut tally = Tally::default();
    for file in files {
        for case in read_json(&folder.join(file))["cases"].as_array().unwrap() {
            run(case, &mut tally);
        }
    }
    println!(
        "{} steps as recorded, {} decided elsewhere",
        tally.compared, tally.left
    );
    assert!(
        tally.wrong.is_empty(),
        "{} differ:\n{}",
        tally.wrong.len(),
        tally.wrong.join("\n")
    );
    assert!(
        tally.compared >= at_least,
        "only {} steps compared",
        tally.compared
    );
}

#[test]
fn patches_come_out_as_recorded() {
    replay(
        &[
            "patch/json.json",
            "patch/merge.json",
            "patch/strategic.json",
        ],
        90,
    );
}

#[test]
fn applies_come_out_as_recorded() {
    replay(
        &[
            "apply/basics.json",
            "apply/custom.json",
            "apply/deployment.json",
            "apply/migrate.json",
            "apply/secret.json",
            "apply/service.json",
            "apply/status.json",
        ],
        80,
    );
}

#[test]
fn writes_are_booked_as_recorded() {
    replay(&["metadata/managed-fields.json"], 9);
}
