//! Field paths and field errors, in the words that Kubernetes clients know.
//!
//! Validation collects every error with its path; the API `Status` lists them
//! as causes and joins them in its message.

use std::fmt;
use std::fmt::Write as _;

use serde_json::Value;

/// A path to a field, such as `spec.containers[0].ports[1].name`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Path(String);

impl Path {
    /// A path of one member.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The empty path, the object itself.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// A member of this field.
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            return Self::new(name);
        }
        Self(format!("{}.{name}", self.0))
    }

    /// An element of this list.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of this map.
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints `<nil>` for the root, as upstream does.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for Path {
    fn from(path: &str) -> Self {
        Self(path.to_owned())
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The value does not fit.
    Invalid,
    /// The value has the wrong JSON type.
    TypeInvalid,
    /// The value is none of those known.
    NotSupported,
    /// There must be a value.
    Required,
    /// There must be no value here.
    Forbidden,
    /// The value stands elsewhere already.
    Duplicate,
    /// What the value names does not exist.
    NotFound,
    /// A text is too long.
    TooLong,
    /// A list or map has too many entries.
    TooMany,
    /// Checking failed.
    Internal,
}

impl Fault {
    /// The cause's `reason` in a `Status`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Required => "FieldValueRequired",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
        }
    }

    fn words(self) -> &'static str {
        match self {
            // Upstream prints both kinds of wrong value alike.
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Required => "Required value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

/// One thing wrong with one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// Where.
    pub path: Path,
    /// What.
    pub fault: Fault,
    /// The message without the path: `Invalid value: "x": must be …`.
    pub message: String,
}

impl FieldError {
    fn with(path: &Path, fault: Fault, value: Option<String>, detail: &str) -> Self {
        let mut message = fault.words().to_owned();
        if let Some(value) = value {
            let _infallible = write!(message, ": {value}");
        }
        if !detail.is_empty() {
            let _infallible = write!(message, ": {detail}");
        }
        Self {
            path: path.clone(),
            fault,
            message,
        }
    }

    /// `Invalid value: <value>: <detail>`.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl AsRef<str>) -> Self {
        Self::with(
            path,
            Fault::Invalid,
            Some(show(&value.into())),
            detail.as_ref(),
        )
    }

    /// `Invalid value: <value>: <detail>` where the JSON type is wrong.
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl AsRef<str>) -> Self {
        Self::with(
            path,
            Fault::TypeInvalid,
            Some(show(&value.into())),
            detail.as_ref(),
        )
    }

    /// `Required value[: <detail>]`.
    pub fn required(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::with(path, Fault::Required, None, detail.as_ref())
    }

    /// `Forbidden: <detail>`.
    pub fn forbidden(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::with(path, Fault::Forbidden, None, detail.as_ref())
    }

    /// `Duplicate value: <value>`.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::with(path, Fault::Duplicate, Some(show(&value.into())), "")
    }

    /// `Not found: <value>`.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::with(path, Fault::NotFound, Some(show(&value.into())), "")
    }

    /// `Unsupported value: <value>: supported values: "a", "b"`. Give `known` in
    /// the order upstream prints (sorted).
    pub fn not_supported(path: &Path, value: impl Into<Value>, known: &[&str]) -> Self {
        let known: Vec<String> = known.iter().map(|k| format!("{k:?}")).collect();
        let detail = match known.len() {
            0 => String::new(),
            _ => format!("supported values: {}", known.join(", ")),
        };
        Self::with(
            path,
            Fault::NotSupported,
            Some(show(&value.into())),
            &detail,
        )
    }

    /// `Too long: may not be more than <limit> bytes`.
    pub fn too_long(path: &Path, limit: usize) -> Self {
        Self::with(
            path,
            Fault::TooLong,
            None,
            &format!("may not be more than {limit} bytes"),
        )
    }

    /// `Too many: <count>: must have at most <limit> items`.
    pub fn too_many(path: &Path, count: usize, limit: usize) -> Self {
        let items = if limit == 1 { "item" } else { "items" };
        Self::with(
            path,
            Fault::TooMany,
            Some(count.to_string()),
            &format!("must have at most {limit} {items}"),
        )
    }

    /// `Internal error: <detail>`.
    pub fn internal(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::with(path, Fault::Internal, None, detail.as_ref())
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A value inside a message: texts quoted, trees as compact JSON.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

/// All errors found in an object, in the order they were found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// No errors so far.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Adds those of a part.
    pub fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.0.extend(errors);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for FieldErrors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<FieldError> for FieldErrors {
    fn from_iter<I: IntoIterator<Item = FieldError>>(errors: I) -> Self {
        Self(errors.into_iter().collect())
    }
}

/// One error stands alone; several are bracketed, each text once.
impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = Vec::with_capacity(self.0.len());
        for error in &self.0 {
            let text = error.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        match texts.as_slice() {
            [one] => f.write_str(one),
            many => write!(f, "[{}]", many.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_upstream_prints_them() {
        let path = Path::new("spec").child("ports").index(0).child("name");
        let rows = [
            (
                FieldError::invalid(&path, "A", "must be lower case"),
                "spec.ports[0].name: Invalid value: \"A\": must be lower case",
            ),
            (
                FieldError::invalid(&path, 7, "too big"),
                "spec.ports[0].name: Invalid value: 7: too big",
            ),
            (
                FieldError::required(&path, ""),
                "spec.ports[0].name: Required value",
            ),
            (
                FieldError::not_supported(&path, "X", &["A", "B"]),
                "spec.ports[0].name: Unsupported value: \"X\": supported values: \"A\", \"B\"",
            ),
            (
                FieldError::duplicate(&path, "x"),
                "spec.ports[0].name: Duplicate value: \"x\"",
            ),
            (
                FieldError::too_many(&path, 3, 1),
                "spec.ports[0].name: Too many: 3: must have at most 1 item",
            ),
        ];
        for (error, want) in rows {
            assert_eq!(error.to_string(), want);
        }
    }

    #[test]
    fn several_errors_are_bracketed_and_told_once() {
        let path = Path::new("a");
        let error = FieldError::required(&path, "");
        let errors: FieldErrors = [error.clone(), error, FieldError::forbidden(&path, "no")]
            .into_iter()
            .collect();
        assert_eq!(errors.to_string(), "[a: Required value, a: Forbidden: no]");
    }
}
