//! YAML as Kubernetes reads and prints it: YAML 1.1 scalars, then JSON.
//!
//! Pure. Reading gives the value that the JSON of upstream's conversion has: map
//! keys are texts and sorted, the last of equal keys wins (and is noted for strict
//! decoding), aliases are expanded within limits. Printing has upstream's layout:
//! sorted keys, lists not indented below their key, lines folded at 80.

mod build;
mod compose;
mod emit;
mod number;
mod problem;
mod repair;
mod resolve;
mod style;

use std::borrow::Cow;

use serde_json::Value;

pub use emit::to_string;

/// How deep values may nest, aliases expanded.
pub const MAX_DEPTH: usize = schema::MAX_DEPTH;

/// At most so many documents of one text are read.
pub const MAX_DOCUMENTS: usize = 100_000;

/// One document.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Yaml {
    /// What it says; `null` for an empty document.
    pub value: Value,
    /// Keys that stood before: `line 5: key "name" already set in map`.
    pub duplicates: Vec<String>,
}

/// A text that is no YAML, or no YAML that JSON can hold. Messages are upstream's
/// where upstream refuses too.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum YamlError {
    /// The syntax is wrong.
    #[error("yaml: {0}")]
    Syntax(String),
    /// The text is no UTF-8.
    #[error("yaml: invalid UTF-8 at byte {0}")]
    Encoding(usize),
    /// A value that JSON has not.
    #[error("json: unsupported value: {0}")]
    Number(&'static str),
    /// A map key that cannot be a text.
    #[error("unsupported map key of type: {0}")]
    Key(&'static str),
    /// Nested too deep.
    #[error("yaml: exceeded max depth of {MAX_DEPTH}")]
    Depth,
    /// Too many documents.
    #[error("yaml: exceeded max of {MAX_DOCUMENTS} documents")]
    Documents,
    /// Aliases blow the document up.
    #[error("yaml: document contains excessive aliasing")]
    Aliasing,
}

/// Reads the first document of a body; what follows is not looked at, as upstream.
pub fn read(body: &[u8]) -> Result<Yaml, YamlError> {
    let text = text(body)?;
    match compose::Documents::new(&text).next_document()? {
        Some(document) => build::build(&document),
        None => Ok(Yaml::default()),
    }
}

/// Reads all documents. Empty ones are left out.
pub fn documents(body: &[u8]) -> Result<Vec<Yaml>, YamlError> {
    let text = text(body)?;
    let mut source = compose::Documents::new(&text);
    let mut all = Vec::new();
    let mut count = 0;
    while let Some(document) = source.next_document()? {
        count += 1;
        if count > MAX_DOCUMENTS {
            return Err(YamlError::Documents);
        }
        let read = build::build(&document)?;
        if !read.value.is_null() {
            all.push(read);
        }
    }
    Ok(all)
}

/// How strict decoding words duplicate keys, as one error.
pub fn duplicates_error(duplicates: &[String]) -> String {
    format!("yaml: unmarshal errors:\n  {}", duplicates.join("\n  "))
}

fn text(body: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let text = std::str::from_utf8(body).map_err(|e| YamlError::Encoding(e.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    repair::refuse_leading_tab(text)?;
    Ok(repair::quoted_apostrophes(text))
}
