//! Small pieces of JSON text, written as Go writes them.

use bytes::{BufMut as _, BytesMut};
use serde_json::Value;

/// Appends a JSON string.
pub(crate) fn push_json_string(out: &mut BytesMut, text: &str) {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&'));
    if plain {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
    } else {
        push_json(out, &Value::from(text));
    }
}

/// Appends a value.
pub(crate) fn push_json(out: &mut BytesMut, value: &Value) {
    out.put_slice(&schema::to_vec(value));
}

/// JSON text with two spaces of indentation, as Go indents; texts and numbers are
/// kept as they are. The input must be JSON.
pub fn pretty(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'"' => {
                out.push(byte);
                let mut escaped = false;
                for byte in bytes.by_ref() {
                    out.push(byte);
                    if byte == b'"' && !escaped {
                        break;
                    }
                    escaped = byte == b'\\' && !escaped;
                }
            }
            b'{' | b'[' => {
                out.push(byte);
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                if let Some(close) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_its_texts_kept() {
        let json = br#"{"a":[1,{"b":"x\",{}:"}],"c":{},"d":[ ],"e":null}"#;
        let want = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x\\\",{}:\"\n    }\n  ],\n  \"c\": {},\n  \"d\": [],\n  \"e\": null\n}";
        assert_eq!(String::from_utf8(pretty(json)).unwrap(), want);
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut out = BytesMut::new();
        push_json_string(&mut out, "a<b \"é\n");
        assert_eq!(&out[..], "\"a\\u003cb \\\"é\\n\"".as_bytes());
    }
}
