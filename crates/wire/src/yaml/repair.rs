//! Where Go's YAML parser and ours disagree on what is YAML.
//!
//! Go takes `\\'` in double quotes for an apostrophe, and refuses a tab before the
//! first token.

use std::borrow::Cow;

use serde_saphyr::granit_parser::{ErrorKind, Parser};

use super::YamlError;

/// At most so many quoted texts are repaired; the next one is a syntax error.
const MAX_REPAIRS: usize = 100;

/// Takes the backslash out of `\\'` in double quotes.
pub(super) fn quoted_apostrophes(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if !text.contains("\\'") {
        return text;
    }
    for _ in 0..MAX_REPAIRS {
        let Some(start) = bad_escape(&text) else {
            break;
        };
        match without_escaped_apostrophes(&text, start) {
            Some(repaired) => text = Cow::Owned(repaired),
            None => break,
        }
    }
    text
}

/// The character at which a text in double quotes with an unknown escape starts.
fn bad_escape(text: &str) -> Option<usize> {
    Parser::new_from_str(text).find_map(|event| match event {
        Err(error) if matches!(error.kind(), ErrorKind::UnknownQuotedScalarEscape) => {
            Some(error.marker().index())
        }
        _ => None,
    })
}

/// The text with the quoted scalar at character `start` repaired; `None` if there
/// is nothing to repair in it.
fn without_escaped_apostrophes(text: &str, start: usize) -> Option<String> {
    let (at, _) = text.char_indices().nth(start)?;
    let (before, rest) = text.split_at(at);
    let body = rest.strip_prefix('"')?;
    let mut out = String::with_capacity(text.len());
    out.push_str(before);
    out.push('"');
    let mut changed = false;
    let mut chars = body.char_indices();
    while let Some((place, c)) = chars.next() {
        if c == '"' {
            out.push_str(&body[place..]);
            return changed.then_some(out);
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some((_, '\'')) => {
                changed = true;
                out.push('\'');
            }
            Some((_, escaped)) => out.extend([c, escaped]),
            None => out.push(c),
        }
    }
    changed.then_some(out)
}

/// Refuses a text whose first token stands behind a tab.
pub(super) fn refuse_leading_tab(text: &str) -> Result<(), YamlError> {
    for (place, line) in text.lines().enumerate() {
        let content = line.trim_start_matches(' ');
        if content.starts_with('\t') {
            let words = "found character that cannot start any token";
            return Err(YamlError::Syntax(match place {
                0 => words.to_owned(),
                place => format!("line {}: {words}", place + 1),
            }));
        }
        if !content.is_empty() && !content.starts_with('#') {
            break;
        }
    }
    Ok(())
}
