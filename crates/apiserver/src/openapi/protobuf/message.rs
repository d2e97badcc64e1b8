//! Writes a protobuf message: fields in the order in which they are put.
//!
//! Proto3: empty texts and false flags are left out, messages are not.

use serde_json::Value;

/// A message in the making.
#[derive(Default)]
pub(super) struct Message {
    out: Vec<u8>,
}

impl Message {
    /// A message with one field only, as a choice is.
    pub(super) fn wrapping(number: u32, inner: Self) -> Self {
        let mut outer = Self::default();
        outer.message(number, inner);
        outer
    }

    /// The bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A text, unless it is empty.
    pub(super) fn text(&mut self, number: u32, text: &str) {
        if !text.is_empty() {
            self.bytes(number, text.as_bytes());
        }
    }

    /// The texts of a list, empty ones too.
    pub(super) fn texts(&mut self, number: u32, list: &[Value]) {
        for text in list.iter().filter_map(Value::as_str) {
            self.bytes(number, text.as_bytes());
        }
    }

    /// A message.
    pub(super) fn message(&mut self, number: u32, inner: Self) {
        self.bytes(number, &inner.out);
    }

    /// A flag, unless it is false.
    pub(super) fn flag(&mut self, number: u32, flag: bool) {
        if flag {
            self.varint(u64::from(number) << 3);
            self.varint(1);
        }
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            // Seven bits always fit.
            let low = u8::try_from(value & 0x7f).unwrap_or(0);
            value >>= 7;
            if value == 0 {
                self.out.push(low);
                return;
            }
            self.out.push(low | 0x80);
        }
    }
}

/// Puts the `x-` members of a value as named values of `number`.
pub(super) fn extensions(into: &mut Message, number: u32, value: &Value) {
    let members = value.as_object().into_iter().flatten();
    for (name, extension) in members.filter(|(name, _)| name.starts_with("x-")) {
        let mut named = Message::default();
        named.text(1, name);
        named.message(2, any(extension));
        into.message(number, named);
    }
}

/// Any value: its YAML, which its JSON is.
pub(super) fn any(value: &Value) -> Message {
    let mut any = Message::default();
    any.text(2, &value.to_string());
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_are_varints() {
        let mut message = Message::default();
        message.text(1, "");
        message.flag(2, false);
        message.flag(20, true);
        message.text(31, &"a".repeat(300));
        let bytes = message.finish();
        assert_eq!(bytes[..3], [0xa0, 0x01, 1]);
        assert_eq!(bytes[3..7], [0xfa, 0x01, 0xac, 0x02]);
        assert_eq!(bytes.len(), 307);
    }
}
