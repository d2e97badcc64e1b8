//! Syntax errors in the words of Go's YAML parser, with its way of naming lines.

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

/// Who finds the error decides how Go counts its lines.
enum Finder {
    /// The scanner: the line is right, but not told for the first.
    Scanner,
    /// The parser: the line is one less, and not told for the first.
    Parser,
}

/// The message without `yaml: `.
pub(super) fn words(error: &ScanError, text: &str) -> String {
    let (finder, words) = classify(error, text);
    let line = line(error, text);
    let told = match finder {
        Finder::Scanner if line > 1 => Some(line),
        Finder::Parser if line > 1 => Some(line - 1),
        _ => None,
    };
    match told {
        Some(line) => format!("line {line}: {words}"),
        None => words,
    }
}

/// The line of the error, from 1. Go's end of a text that ends within a line lies
/// on the line after.
fn line(error: &ScanError, text: &str) -> usize {
    let at_end = error.marker().index() >= text.chars().count()
        || matches!(error.kind(), ErrorKind::UnclosedFlowCollection { .. });
    if at_end {
        return text.lines().count() + 1;
    }
    error.marker().line()
}

fn classify(error: &ScanError, text: &str) -> (Finder, String) {
    use Finder::{Parser, Scanner};
    let (finder, words) = match error.kind() {
        ErrorKind::ExpectedNodeContent => (Parser, "did not find expected node content"),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => {
            (Parser, "did not find expected key")
        }
        ErrorKind::ExpectedFlowMappingSeparator => (Parser, "did not find expected ',' or '}'"),
        ErrorKind::ExpectedFlowSequenceSeparator => (Parser, "did not find expected ',' or ']'"),
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => {
            (Parser, "did not find expected '-' indicator")
        }
        ErrorKind::ExpectedDocumentStart => (Parser, "did not find expected <document start>"),
        ErrorKind::UndeclaredTagHandle => (Parser, "found undefined tag handle"),
        ErrorKind::UnclosedFlowCollection { open } => (Parser, unclosed(*open, text)),
        ErrorKind::UnexpectedEofFlowSequence => (Parser, unclosed('[', text)),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            (Parser, unclosed('{', text))
        }
        ErrorKind::MisplacedFlowCollectionEnd => (Parser, "did not find expected node content"),
        ErrorKind::MismatchedFlowCollectionEnd { open, .. } => (
            Parser,
            if *open == '[' {
                "did not find expected ',' or ']'"
            } else {
                "did not find expected ',' or '}'"
            },
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            (Scanner, "could not find expected ':'")
        }
        ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => (Scanner, "found character that cannot start any token"),
        ErrorKind::MappingValueNotAllowed => {
            (Scanner, "mapping values are not allowed in this context")
        }
        ErrorKind::MappingKeyNotAllowed => {
            (Scanner, "mapping keys are not allowed in this context")
        }
        ErrorKind::UnclosedQuotedScalar => (Scanner, "found unexpected end of stream"),
        ErrorKind::DocumentIndicatorInQuotedScalar => {
            (Scanner, "found unexpected document indicator")
        }
        ErrorKind::UnknownQuotedScalarEscape => (Scanner, "found unknown escape character"),
        _ => {
            let words = error.info();
            let words = words.split_once(", ").map_or(words.as_str(), |(_, w)| w);
            return (Scanner, words.to_owned());
        }
    };
    (finder, words.to_owned())
}

/// What Go misses at the end of a text in which a bracket is open.
fn unclosed(open: char, text: &str) -> &'static str {
    match text.trim_end().chars().last() {
        Some('[' | '{' | ',' | ':') => "did not find expected node content",
        _ if open == '[' => "did not find expected ',' or ']'",
        _ => "did not find expected ',' or '}'",
    }
}
