//! Questions about users and access: the kinds that are answered and not stored.
//!
//! Pure: reads the world. Answers are the body that was sent, with `status`.
//! Refusals carry the texts of the real server, its odd kind-less names included.

mod access;
mod rules;
mod subject;

use jiff::Timestamp;
use kinds::KindSpec;
use object::{Reason, Status};
use serde_json::{Value, json};
use world::World;

use crate::authn::token::Tokens;
use crate::identity::User;
use crate::rbac::Action;

/// What a review is answered with.
#[derive(Clone, Copy)]
pub struct Reviewer<'a> {
    /// Roles, bindings and what tokens are bound to.
    pub world: &'a World,
    /// Verifies tokens.
    pub tokens: &'a Tokens,
    /// Who asks.
    pub user: &'a User,
    /// Now.
    pub now: Timestamp,
}

/// Answers a review. `namespace` is that of the URL; `body` is decoded.
pub fn review(
    cx: &Reviewer<'_>,
    spec: &KindSpec,
    namespace: &str,
    mut body: Value,
) -> Result<Value, Status> {
    for name in ["metadata", "spec"] {
        if !body[name].is_object() {
            body[name] = json!({});
        }
    }
    match spec.gvk.kind {
        "TokenReview" => subject::token(cx, body),
        "SelfSubjectReview" => subject::own(cx, body),
        "SubjectAccessReview" => access::of_subject(cx, body),
        "LocalSubjectAccessReview" => access::local(cx, namespace, body),
        "SelfSubjectAccessReview" => access::own(cx, body),
        "SelfSubjectRulesReview" => rules::own(cx, body),
        kind => Err(Status::internal(format!("{kind} is no review"))),
    }
}

/// The 403 of an action that no rule allows. `why` may be empty.
pub fn forbidden(user: &User, action: &Action<'_>, why: &str) -> Status {
    let because = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    match *action {
        Action::Path { verb, path } => Status::new(
            Reason::Forbidden,
            format!(
                "forbidden: User {:?} cannot {verb} path {path:?}{because}",
                user.name
            ),
        )
        .detail(|_| {}),
        Action::Resource {
            verb,
            group,
            resource,
            name,
            namespace,
        } => {
            let plural = resource.split('/').next().unwrap_or_default();
            let qualified = match group {
                "" => plural.to_owned(),
                group => format!("{plural}.{group}"),
            };
            let which = match name {
                "" => qualified,
                name => format!("{qualified} {name:?}"),
            };
            let place = match namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            Status::new(
                Reason::Forbidden,
                format!(
                    "{which} is forbidden: User {:?} cannot {verb} resource {resource:?} in API group {group:?} {place}{because}",
                    user.name
                ),
            )
            .detail(|details| {
                details.name = name.to_owned();
                details.group = group.to_owned();
                details.kind = plural.to_owned();
            })
        }
    }
}

/// `userInfo` of a user.
pub(crate) fn user_info(user: &User) -> Value {
    let mut info = json!({});
    if !user.name.is_empty() {
        info["username"] = user.name.clone().into();
    }
    if !user.uid.is_empty() {
        info["uid"] = user.uid.clone().into();
    }
    if !user.groups.is_empty() {
        info["groups"] = json!(user.groups);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

/// A text member, empty if absent.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// The texts of a list.
fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
