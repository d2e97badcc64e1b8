//! The API error: what a client gets when a request did not succeed.
//!
//! Built at the edge from the errors of lower layers. Messages follow what the
//! real API server answers, since clients and people match on them.

use serde_json::{Map, Value, json};

use crate::field::FieldErrors;
use crate::names::Resource;

/// `reason` of a `Status`, with the HTTP code that belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "the names are the wire values")]
pub enum Reason {
    Unknown,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
    ServerTimeout,
    InsufficientStorage,
}

impl Reason {
    /// The HTTP status code.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::Unknown | Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout | Self::ServerTimeout => 504,
            Self::InsufficientStorage => 507,
        }
    }

    /// The text on the wire, empty for [`Reason::Unknown`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
            Self::ServerTimeout => "ServerTimeout",
            Self::InsufficientStorage => "InsufficientStorage",
        }
    }

    /// The reason a wire text names.
    pub fn parse(text: &str) -> Self {
        const ALL: [Reason; 19] = [
            Reason::BadRequest,
            Reason::Unauthorized,
            Reason::Forbidden,
            Reason::NotFound,
            Reason::MethodNotAllowed,
            Reason::NotAcceptable,
            Reason::AlreadyExists,
            Reason::Conflict,
            Reason::Gone,
            Reason::Expired,
            Reason::RequestEntityTooLarge,
            Reason::UnsupportedMediaType,
            Reason::Invalid,
            Reason::TooManyRequests,
            Reason::InternalError,
            Reason::ServiceUnavailable,
            Reason::Timeout,
            Reason::ServerTimeout,
            Reason::InsufficientStorage,
        ];
        ALL.into_iter()
            .find(|reason| reason.as_str() == text)
            .unwrap_or(Self::Unknown)
    }
}

/// One cause in `details.causes`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cause {
    /// Machine-readable kind of cause.
    pub reason: String,
    /// What is wrong, for people.
    pub message: String,
    /// The field, or empty.
    pub field: String,
}

/// A request that did not succeed, as the client sees it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// HTTP code; usually `reason.code()`.
    pub code: u16,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub message: String,
    /// `details`, absent when empty.
    pub details: Option<Box<Details>>,
}

/// `details` of a [`Status`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details {
    /// Object name.
    pub name: String,
    /// API group.
    pub group: String,
    /// Resource plural or kind.
    pub kind: String,
    /// Identity, where a precondition named one.
    pub uid: String,
    /// Single causes.
    pub causes: Vec<Cause>,
    /// When to try again, in seconds; 0: not told.
    pub retry_after_seconds: u32,
}

impl Status {
    /// A status without details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code(),
            reason,
            message: message.into(),
            details: None,
        }
    }

    /// Adds or changes details.
    #[must_use]
    pub fn detail(mut self, change: impl FnOnce(&mut Details)) -> Self {
        change(self.details.get_or_insert_default());
        self
    }

    fn about(self, resource: Resource, name: &str) -> Self {
        self.detail(|d| {
            d.name = name.to_owned();
            d.group = resource.group.to_owned();
            d.kind = resource.plural.to_owned();
        })
    }

    /// 400 with a text.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 500 with a text; the real cause belongs in the log if it is not for clients.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        let cause = Cause {
            message: message.clone(),
            ..Cause::default()
        };
        Self::new(
            Reason::InternalError,
            format!("Internal error occurred: {message}"),
        )
        .detail(|d| d.causes.push(cause))
    }

    /// 404 for an object.
    pub fn not_found(resource: Resource, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{resource} {name:?} not found")).about(resource, name)
    }

    /// 409 for a name that is taken.
    pub fn already_exists(resource: Resource, name: &str) -> Self {
        Self::new(
            Reason::AlreadyExists,
            format!("{resource} {name:?} already exists"),
        )
        .about(resource, name)
    }

    /// 409 for a write that lost against another, or breaks a precondition.
    pub fn conflict(resource: Resource, name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(
            Reason::Conflict,
            format!("Operation cannot be fulfilled on {resource} {name:?}: {why}"),
        )
        .about(resource, name)
    }

    /// The 409 of a stale resourceVersion.
    pub fn stale(resource: Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 for an object.
    pub fn forbidden(resource: Resource, name: &str, why: impl std::fmt::Display) -> Self {
        let message = match name {
            "" => format!("{resource} is forbidden: {why}"),
            _ => format!("{resource} {name:?} is forbidden: {why}"),
        };
        Self::new(Reason::Forbidden, message).about(resource, name)
    }

    /// 422 with the errors of a validation. `kind` is the object's kind.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &FieldErrors) -> Self {
        let qualified = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let causes = errors
            .0
            .iter()
            .map(|error| Cause {
                reason: error.fault.reason().to_owned(),
                message: error.message.clone(),
                field: error.path.to_string(),
            })
            .collect();
        Self::new(
            Reason::Invalid,
            format!("{qualified} {name:?} is invalid: {errors}"),
        )
        .detail(|d| {
            d.name = name.to_owned();
            d.group = group.to_owned();
            d.kind = kind.to_owned();
            d.causes = causes;
        })
    }

    /// The body on the wire.
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("kind".into(), "Status".into());
        body.insert("apiVersion".into(), "v1".into());
        body.insert("metadata".into(), json!({}));
        body.insert("status".into(), "Failure".into());
        if !self.message.is_empty() {
            body.insert("message".into(), self.message.clone().into());
        }
        if self.reason != Reason::Unknown {
            body.insert("reason".into(), self.reason.as_str().into());
        }
        if let Some(details) = &self.details {
            body.insert("details".into(), details.to_json());
        }
        body.insert("code".into(), self.code.into());
        Value::Object(body)
    }

    /// Reads a `Status` body, as a client does.
    pub fn from_json(body: &Value) -> Self {
        let text = |value: &Value, name: &str| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let reason = Reason::parse(&text(body, "reason"));
        let code = body
            .get("code")
            .and_then(Value::as_u64)
            .and_then(|c| u16::try_from(c).ok());
        let details = body.get("details").map(|d| {
            let causes = d.get("causes").and_then(Value::as_array);
            Box::new(Details {
                name: text(d, "name"),
                group: text(d, "group"),
                kind: text(d, "kind"),
                uid: text(d, "uid"),
                causes: causes.map_or_else(Vec::new, |causes| {
                    causes
                        .iter()
                        .map(|c| Cause {
                            reason: text(c, "reason"),
                            message: text(c, "message"),
                            field: text(c, "field"),
                        })
                        .collect()
                }),
                retry_after_seconds: d
                    .get("retryAfterSeconds")
                    .and_then(Value::as_u64)
                    .and_then(|s| u32::try_from(s).ok())
                    .unwrap_or(0),
            })
        });
        Self {
            code: code.unwrap_or_else(|| reason.code()),
            reason,
            message: text(body, "message"),
            details,
        }
    }
}

impl Details {
    fn to_json(&self) -> Value {
        let mut details = Map::new();
        for (name, value) in [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ] {
            if !value.is_empty() {
                details.insert(name.into(), value.clone().into());
            }
        }
        if !self.causes.is_empty() {
            details.insert(
                "causes".into(),
                self.causes.iter().map(Cause::to_json).collect(),
            );
        }
        if self.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".into(), self.retry_after_seconds.into());
        }
        Value::Object(details)
    }
}

impl Cause {
    fn to_json(&self) -> Value {
        let mut cause = Map::new();
        for (name, value) in [
            ("reason", &self.reason),
            ("message", &self.message),
            ("field", &self.field),
        ] {
            if !value.is_empty() {
                cause.insert(name.into(), value.clone().into());
            }
        }
        Value::Object(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{FieldError, Path};

    #[test]
    fn a_missing_object_reads_as_upstream_says_it() {
        let status = Status::not_found(Resource::new("apps", "deployments"), "web");
        assert_eq!(
            status.to_json(),
            json!({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
                "message":"deployments.apps \"web\" not found","reason":"NotFound",
                "details":{"name":"web","group":"apps","kind":"deployments"},"code":404})
        );
    }

    #[test]
    fn validation_errors_become_causes() {
        let errors = [FieldError::required(&Path::new("spec"), "")]
            .into_iter()
            .collect();
        let status = Status::invalid("", "Pod", "p", &errors);
        assert_eq!(status.message, "Pod \"p\" is invalid: spec: Required value");
        assert_eq!(Status::from_json(&status.to_json()), status);
    }
}
