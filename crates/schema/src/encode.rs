//! Values as Go's encoder prints them: `<`, `>`, `&` and the line separators are
//! escaped, floats have Go's form.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

/// JSON text of a value, compact, in the value's own order.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, GoFormat);
    // Writing a tree with text keys into memory cannot fail.
    let _infallible = value.serialize(&mut serializer);
    out
}

struct GoFormat;

impl Formatter for GoFormat {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        let mut done = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let (escape, width) = match byte {
                b'<' => ("\\u003c", 1),
                b'>' => ("\\u003e", 1),
                b'&' => ("\\u0026", 1),
                0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => ("\\u2028", 3),
                0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => ("\\u2029", 3),
                _ => continue,
            };
            writer.write_all(&bytes[done..at])?;
            writer.write_all(escape.as_bytes())?;
            done = at + width;
        }
        writer.write_all(&bytes[done..])
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(float_text(value).as_bytes())
    }
}

/// A float as Go's JSON encoder prints it.
pub(crate) fn float_text(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                let mut out = String::new();
                let _infallible = write!(out, "{digits}e+{exponent:0>2}");
                out
            }
            _ => text,
        };
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn html_characters_and_line_separators_are_escaped() {
        let text = to_vec(&json!({"a": "<b>&\u{2028}\n\"é"}));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"a\":\"\\u003cb\\u003e\\u0026\\u2028\\n\\\"é\"}"
        );
    }

    #[test]
    fn floats_have_gos_form() {
        let rows = [
            (1.0, "1"),
            (0.5, "0.5"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (-2.0, "-2"),
            (0.0, "0"),
        ];
        for (value, want) in rows {
            assert_eq!(float_text(value), want);
        }
    }
}
