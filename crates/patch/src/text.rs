//! Values as they stand in messages of the API server.
//!
//! The server prints them by Go's formatting verbs, and clients and people match
//! on the result, so the same forms are made here.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// A value in a message, such as `map[image:q name:q]`.
pub fn plain(value: &Value) -> String {
    let mut out = String::new();
    write_plain(&mut out, value);
    out
}

fn write_plain(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_plain(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push_str("map[");
            for (index, (name, member)) in sorted(members).into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(name);
                out.push(':');
                write_plain(out, member);
            }
            out.push(']');
        }
    }
}

/// A value as a literal, such as `map[string]interface {}{"a":1}`.
pub(crate) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(_) | Value::Number(_) => plain(value),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> = sorted(members)
                .into_iter()
                .map(|(name, member)| format!("{}:{}", quote(name), literal(member)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", members.join(", "))
        }
    }
}

/// The name of a value's type, such as `string` or `int64`.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value where the message wanted a text: texts as they are, others marked.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "%!s(<nil>)".to_owned(),
        other => format!("%!s({}={})", type_name(other), plain(other)),
    }
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_text(float),
        _ => number.to_string(),
    }
}

/// Shortest form; an exponent below 1e-4 and from 1e21 on.
fn float_text(float: f64) -> String {
    if float == 0.0 {
        return if float.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let power: i32 = exponent.parse().unwrap_or(0);
    if !(-4..21).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", power.abs());
    }
    format!("{float}")
}

/// A text in double quotes with escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if (0x80..0xa0).contains(&(c as u32)) || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Compact JSON with sorted members and `<`, `>`, `&` escaped: the form in which
/// the API server writes values into annotations and field keys.
pub(crate) fn sorted_json(value: &Value) -> String {
    let mut out = String::new();
    write_sorted(&mut out, value);
    out
}

fn write_sorted(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_sorted(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in sorted(members).into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json_text(out, name);
                out.push(':');
                write_sorted(out, member);
            }
            out.push('}');
        }
        Value::String(text) => write_json_text(out, text),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// A JSON text with the characters escaped that HTML would read.
pub(crate) fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_print_as_the_server_prints_them() {
        let rows = [
            (
                json!({"b": "x", "a": [1, null, true]}),
                "map[a:[1 <nil> true] b:x]",
            ),
            (json!(1.5), "1.5"),
            (json!(1e21), "1e+21"),
            (json!(0.00001), "1e-05"),
            (json!(123456789.0), "123456789"),
            (json!("text"), "text"),
        ];
        for (value, want) in rows {
            assert_eq!(plain(&value), want);
        }
    }

    #[test]
    fn a_value_that_should_be_text_is_marked() {
        assert_eq!(as_text(&json!(1)), "%!s(int64=1)");
        assert_eq!(as_text(&json!(true)), "%!s(bool=true)");
        assert_eq!(as_text(&json!("melt")), "melt");
    }

    #[test]
    fn literals_show_their_types() {
        assert_eq!(
            literal(&json!({"a": [1, "x"], "b": null})),
            r#"map[string]interface {}{"a":[]interface {}{1, "x"}, "b":interface {}(nil)}"#
        );
    }

    #[test]
    fn json_in_annotations_is_sorted_and_escaped() {
        assert_eq!(
            sorted_json(&json!({"b": "<&>", "a": {"d": 1, "c": "\u{1}"}})),
            r#"{"a":{"c":"\u0001","d":1},"b":"\u003c\u0026\u003e"}"#
        );
    }
}
