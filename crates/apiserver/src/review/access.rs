//! May they? The access reviews.

use std::collections::BTreeMap;

use object::{FieldError, FieldErrors, Path, Reason, Status};
use serde_json::{Value, json};

use super::{Reviewer, text, texts};
use crate::identity::User;
use crate::rbac::{self, Action};

const EITHER: &str = "exactly one of nonResourceAttributes or resourceAttributes must be specified";

pub(super) fn of_subject(cx: &Reviewer<'_>, mut body: Value) -> Result<Value, Status> {
    let mut errors = check(&body["spec"]);
    check_subject(&body["spec"], &mut errors);
    check_meta(&body["metadata"], "", &mut errors);
    refuse(&errors)?;
    let user = subject(&body["spec"]);
    body["status"] = decide(cx, &user, &body["spec"]);
    Ok(body)
}

pub(super) fn local(cx: &Reviewer<'_>, namespace: &str, mut body: Value) -> Result<Value, Status> {
    let spec = &body["spec"];
    let mut errors = check(spec);
    check_subject(spec, &mut errors);
    check_meta(&body["metadata"], namespace, &mut errors);
    let own = &spec["resourceAttributes"];
    let path = Path::new("spec")
        .child("resourceAttributes")
        .child("namespace");
    let meta_namespace = text(&body["metadata"], "namespace");
    if !own.is_null() && !meta_namespace.is_empty() && text(own, "namespace") != meta_namespace {
        errors.push(FieldError::invalid(
            &path,
            text(own, "namespace"),
            "must match metadata.namespace",
        ));
    }
    if !spec["nonResourceAttributes"].is_null() {
        errors.push(FieldError::invalid(
            &Path::new("spec").child("nonResourceAttributes"),
            spec["nonResourceAttributes"].clone(),
            "disallowed on this kind of request",
        ));
    }
    refuse(&errors)?;
    if text(own, "namespace") != namespace {
        return Err(Status::bad_request(format!(
            "spec.resourceAttributes.namespace must match namespace: {namespace}"
        )));
    }
    let user = subject(&body["spec"]);
    body["metadata"]["namespace"] = namespace.into();
    body["status"] = decide(cx, &user, &body["spec"]);
    Ok(body)
}

pub(super) fn own(cx: &Reviewer<'_>, mut body: Value) -> Result<Value, Status> {
    let mut errors = check(&body["spec"]);
    check_meta(&body["metadata"], "", &mut errors);
    refuse(&errors)?;
    body["status"] = decide(cx, cx.user, &body["spec"]);
    Ok(body)
}

fn check(spec: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    let path = Path::new("spec");
    match (
        spec["resourceAttributes"].is_null(),
        spec["nonResourceAttributes"].is_null(),
    ) {
        (true, true) => errors.push(FieldError::invalid(&path, Value::Null, EITHER)),
        (false, false) => errors.push(FieldError::invalid(
            &path,
            spec["nonResourceAttributes"].clone(),
            EITHER,
        )),
        _ => {}
    }
    let attributes = path.child("resourceAttributes");
    for name in ["fieldSelector", "labelSelector"] {
        let selector = &spec["resourceAttributes"][name];
        let at = attributes.child(name);
        let raw = text(selector, "rawSelector");
        let requirements = selector["requirements"].as_array().map_or(0, Vec::len);
        if !raw.is_empty() && requirements > 0 {
            errors.push(FieldError::invalid(
                &at.child("rawSelector"),
                raw,
                "may not specified at the same time as requirements",
            ));
        }
        if selector.is_object() && raw.is_empty() && requirements == 0 {
            errors.push(FieldError::required(
                &at.child("requirements"),
                format!("when {at} is specified, requirements or rawSelector is required"),
            ));
        }
    }
    errors
}

fn check_subject(spec: &Value, errors: &mut FieldErrors) {
    if text(spec, "user").is_empty() && texts(&spec["groups"]).is_empty() {
        errors.push(FieldError::invalid(
            &Path::new("spec").child("user"),
            "",
            "at least one of user or group must be specified",
        ));
    }
}

/// A review is no object: it has no name. `namespace` is the one it may have.
fn check_meta(meta: &Value, namespace: &str, errors: &mut FieldErrors) {
    let extra = meta.as_object().into_iter().flatten().any(|(name, value)| {
        let allowed = match name.as_str() {
            "managedFields" | "creationTimestamp" => true,
            "namespace" => value
                .as_str()
                .is_some_and(|own| own.is_empty() || own == namespace),
            _ => false,
        };
        !allowed && !value.is_null()
    });
    if extra {
        let what = if namespace.is_empty() {
            "must be empty"
        } else {
            "must be empty except for namespace"
        };
        errors.push(FieldError::invalid(
            &Path::new("metadata"),
            meta.clone(),
            what,
        ));
    }
}

/// Refusals name the group alone: the real server knows no kind here.
fn refuse(errors: &FieldErrors) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    let status = Status::invalid("authorization.k8s.io", "", "", errors);
    Err(Status {
        reason: Reason::Invalid,
        ..status
    })
}

fn subject(spec: &Value) -> User {
    let extra = spec["extra"].as_object().into_iter().flatten();
    User {
        name: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: texts(&spec["groups"]),
        extra: extra
            .map(|(key, values)| (key.to_lowercase(), texts(values)))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn decide(cx: &Reviewer<'_>, user: &User, spec: &Value) -> Value {
    let paths = &spec["nonResourceAttributes"];
    let asked = &spec["resourceAttributes"];
    let resource = match text(asked, "subresource") {
        "" => text(asked, "resource").to_owned(),
        subresource => format!("{}/{subresource}", text(asked, "resource")),
    };
    let action = if paths.is_null() {
        Action::Resource {
            verb: text(asked, "verb"),
            group: text(asked, "group"),
            resource: &resource,
            name: text(asked, "name"),
            namespace: text(asked, "namespace"),
        }
    } else {
        Action::Path {
            verb: text(paths, "verb"),
            path: text(paths, "path"),
        }
    };
    let mut status = match rbac::allows(cx.world, user, &action) {
        None => json!({"allowed": false}),
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
    };
    let ignored = unread_selectors(asked);
    if !ignored.is_empty() {
        status["evaluationError"] = ignored.into();
    }
    status
}

/// Names the selectors that do not parse; access is decided without them.
fn unread_selectors(asked: &Value) -> String {
    const OPERATORS: [(&str, &[&str]); 2] = [
        ("fieldSelector", &["In", "NotIn"]),
        ("labelSelector", &["In", "NotIn", "Exists", "DoesNotExist"]),
    ];
    let unread = OPERATORS.iter().filter(|(name, known)| {
        asked[name]["requirements"]
            .as_array()
            .is_some_and(|list| list.iter().any(|r| !known.contains(&text(r, "operator"))))
    });
    let texts: Vec<String> = unread
        .map(|(name, _)| format!("spec.resourceAttributes.{name} ignored due to parse error"))
        .collect();
    texts.join(", ")
}
