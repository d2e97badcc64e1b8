//! What is wrong with a body, in the words of the real API server.

use std::fmt;

use crate::input::Syntax;
use crate::quote::quoted;

/// At most so many issues of one body are told, as upstream does.
pub const MAX_ISSUES: usize = 100;

/// How many bytes of a body a message shows.
const SUMMARY_BYTES: usize = 30;

/// A body that cannot be decoded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is no JSON.
    #[error(transparent)]
    Syntax(#[from] Syntax),
    /// A value has the wrong JSON type.
    #[error("{0}")]
    Mistyped(String),
    /// A value has the right JSON type but not the form (a quantity, a time).
    #[error("{0}")]
    Malformed(String),
    /// `apiVersion` has no form.
    #[error("unexpected GroupVersion string: {0}")]
    GroupVersion(String),
}

impl DecodeError {
    /// The message of the `BadRequest` that refuses `body` where an object of
    /// `target` was wanted. `seen` is what the body says it is, if it could be
    /// told.
    pub fn refusal(&self, target: &str, seen: Option<&TypeMeta>, body: &[u8]) -> String {
        match (self, seen) {
            (Self::Syntax(syntax), _) => {
                let reason = format!("couldn't get version/kind; json parse error: {syntax}");
                unrecognized(target, &reason, body)
            }
            (error, Some(seen)) if !seen.kind.is_empty() => cannot_handle(target, seen, error),
            (error, _) => unrecognized(target, error, body),
        }
    }
}

/// `Pod in version "v1" cannot be handled as a Pod: …`.
pub fn cannot_handle(target: &str, seen: &TypeMeta, reason: impl fmt::Display) -> String {
    format!(
        "{} in version {} cannot be handled as a {target}: {reason}",
        seen.kind,
        quoted(seen.version()),
    )
}

/// `the object provided is unrecognized (must be of type …): … (…)`.
pub fn unrecognized(target: &str, reason: impl fmt::Display, body: &[u8]) -> String {
    format!(
        "the object provided is unrecognized (must be of type {target}): {reason} ({})",
        summary(body)
    )
}

/// The start of a body: as text if it looks like JSON, else in hexadecimal.
fn summary(body: &[u8]) -> String {
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let start = &body[..body.len().min(SUMMARY_BYTES)];
    let mut text = if body[0] == b'{' {
        String::from_utf8_lossy(start).into_owned()
    } else {
        start.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    if body.len() > SUMMARY_BYTES {
        text.push_str(" ...");
    }
    text
}

/// What a body says it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeMeta {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
}

impl TypeMeta {
    /// The group, empty for the core.
    pub fn group(&self) -> &str {
        object::names::split_api_version(&self.api_version).0
    }

    /// The version.
    pub fn version(&self) -> &str {
        object::names::split_api_version(&self.api_version).1
    }
}

/// What strict decoding objects to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IssueKind {
    /// The schema has no such field.
    Unknown,
    /// The key stood before.
    Duplicate,
}

/// A field that strict decoding objects to. Prints as upstream words it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// What.
    pub kind: IssueKind,
    /// Where: `spec.containers[0].imagee`.
    pub path: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.kind {
            IssueKind::Unknown => "unknown",
            IssueKind::Duplicate => "duplicate",
        };
        write!(f, "{word} field {}", quoted(&self.path))
    }
}

/// `strict decoding error: …` for all `issues`, in their order.
pub fn strict_error<T: fmt::Display>(issues: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = issues.into_iter().map(|issue| issue.to_string()).collect();
    format!("strict decoding error: {}", texts.join(", "))
}
