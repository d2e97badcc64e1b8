//! Writes JSON without a tree: the documents are megabytes.
//!
//! Invariant: the caller opens, names and closes in order; commas are put by what
//! was written last.

/// A JSON text in the making.
#[derive(Default)]
pub(super) struct Json {
    out: Vec<u8>,
}

impl Json {
    /// The text.
    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// The text, as such: only whole texts were ever put in.
    pub(super) fn finish_text(self) -> String {
        String::from_utf8(self.out).unwrap_or_default()
    }

    /// `{`
    pub(super) fn open(&mut self) {
        self.comma();
        self.out.push(b'{');
    }

    /// `}`
    pub(super) fn close(&mut self) {
        self.out.push(b'}');
    }

    /// `[`
    pub(super) fn open_list(&mut self) {
        self.comma();
        self.out.push(b'[');
    }

    /// `]`
    pub(super) fn close_list(&mut self) {
        self.out.push(b']');
    }

    /// The name of the next value.
    pub(super) fn key(&mut self, name: &str) {
        self.text(name);
        self.out.push(b':');
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        self.comma();
        put_text(&mut self.out, text);
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, json: &str) {
        self.comma();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A named text.
    pub(super) fn pair(&mut self, name: &str, text: &str) {
        self.key(name);
        self.text(text);
    }

    /// A named text, if it is not empty.
    pub(super) fn pair_if(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.pair(name, text);
        }
    }

    /// A named object, still open.
    pub(super) fn open_pair(&mut self, name: &str) {
        self.key(name);
        self.open();
    }

    /// A named list of texts.
    pub(super) fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        self.key(name);
        self.open_list();
        for text in texts {
            self.text(text);
        }
        self.close_list();
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(text.len() + 2);
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_and_texts_escaped() {
        let mut json = Json::default();
        json.open();
        json.pair("a\"", "line\n\\tab\t\u{1}ü");
        json.texts("list", ["x", "y"]);
        json.open_pair("empty");
        json.close();
        json.pair_if("none", "");
        json.key("raw");
        json.raw("[1,{}]");
        json.close();
        let value: serde_json::Value = serde_json::from_slice(&json.finish()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a\"": "line\n\\tab\t\u{1}ü", "list": ["x", "y"], "empty": {}, "raw": [1, {}]})
        );
    }
}
