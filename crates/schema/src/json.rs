//! JSON text as a source, read as Go reads it: same syntax errors, invalid UTF-8
//! and lone surrogates become U+FFFD.

use std::borrow::Cow;

use crate::input::{Input, MAX_DEPTH, Syntax, Token};

const END: &str = "unexpected end of JSON input";

/// A JSON text.
pub(crate) struct Json<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    /// An object or list was just opened.
    first: bool,
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            first: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn solid(&mut self) -> Result<u8, Syntax> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(byte) => return Ok(byte),
                None => return Err(Syntax(END.to_owned())),
            }
        }
    }

    /// The byte here does not belong.
    fn wrong(&self, place: &str) -> Syntax {
        Syntax(match self.peek() {
            Some(byte) => format!("invalid character {} {place}", quoted(byte)),
            None => END.to_owned(),
        })
    }

    fn open(&mut self) -> Result<(), Syntax> {
        if self.depth >= MAX_DEPTH {
            return Err(self.wrong("exceeded max depth"));
        }
        self.depth += 1;
        self.at += 1;
        self.first = true;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
        self.first = false;
    }

    fn literal(&mut self, word: &str) -> Result<(), Syntax> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.wrong(&format!(
                    "in literal {word} (expecting {})",
                    quoted(expected)
                )));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<&'a str, Syntax> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => {
                self.digits();
            }
            _ => return Err(self.wrong("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.wrong("after decimal point in numeric literal"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.wrong("in exponent of numeric literal"));
            }
        }
        // Only ASCII was passed.
        Ok(std::str::from_utf8(&self.text[start..self.at]).unwrap_or("0"))
    }

    /// A string; the opening quote is here.
    fn string(&mut self) -> Result<Cow<'a, str>, Syntax> {
        self.at += 1;
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
            .unwrap_or(rest.len());
        self.at += length;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Ok(lossy(&rest[..length]))
            }
            Some(b'\\') => self.escaped(start),
            _ => Err(self.wrong("in string literal")),
        }
    }

    /// The rest of a string in which an escape was met.
    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, Syntax> {
        let mut out = lossy(&self.text[start..self.at]).into_owned();
        let mut plain = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    out.push_str(&lossy(&self.text[plain..self.at]));
                    self.at += 1;
                    return Ok(out.into());
                }
                Some(b'\\') => {
                    out.push_str(&lossy(&self.text[plain..self.at]));
                    self.at += 1;
                    self.escape(&mut out)?;
                    plain = self.at;
                }
                Some(0..=0x1f) | None => return Err(self.wrong("in string literal")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Syntax> {
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex()?;
                out.push(self.rune(unit)?);
                return Ok(());
            }
            _ => return Err(self.wrong("in string escape code")),
        };
        self.at += 1;
        out.push(plain);
        Ok(())
    }

    /// The character of a UTF-16 unit, with its second half if one follows.
    fn rune(&mut self, unit: u32) -> Result<char, Syntax> {
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let joined = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, Syntax> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.wrong("in \\u hexadecimal character escape"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

impl<'a> Input<'a> for Json<'a> {
    fn value(&mut self) -> Result<Token<'a>, Syntax> {
        Ok(match self.solid()? {
            b'"' => Token::String(self.string()?),
            b'{' => {
                self.open()?;
                Token::Object
            }
            b'[' => {
                self.open()?;
                Token::Array
            }
            b't' => {
                self.literal("true")?;
                Token::Bool(true)
            }
            b'f' => {
                self.literal("false")?;
                Token::Bool(false)
            }
            b'n' => {
                self.literal("null")?;
                Token::Null
            }
            b'-' | b'0'..=b'9' => Token::Number(self.number()?.into()),
            _ => return Err(self.wrong("looking for beginning of value")),
        })
    }

    fn key(&mut self) -> Result<Option<Cow<'a, str>>, Syntax> {
        let first = std::mem::take(&mut self.first);
        match self.solid()? {
            b'}' => {
                self.close();
                return Ok(None);
            }
            b',' if !first => {
                self.at += 1;
                self.solid()?;
            }
            _ if first => {}
            _ => return Err(self.wrong("after object key:value pair")),
        }
        if self.peek() != Some(b'"') {
            return Err(self.wrong("looking for beginning of object key string"));
        }
        let key = self.string()?;
        if self.solid()? != b':' {
            return Err(self.wrong("after object key"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    fn item(&mut self) -> Result<bool, Syntax> {
        let first = std::mem::take(&mut self.first);
        match self.solid()? {
            b']' => {
                self.close();
                Ok(false)
            }
            _ if first => Ok(true),
            b',' => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.wrong("after array element")),
        }
    }

    fn end(&mut self) -> Result<(), Syntax> {
        match self.solid() {
            Ok(_) => Err(self.wrong("after top-level value")),
            Err(_end) => Ok(()),
        }
    }
}

/// The text; every byte that is no UTF-8 becomes U+FFFD, as in Go.
fn lossy(raw: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(raw) {
        return text.into();
    }
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out.into()
}

/// A byte as Go quotes it in such errors: taken as a Latin-1 character.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        _ => {
            let text = crate::quote::quoted(&char::from(byte).to_string());
            format!("'{}'", &text[1..text.len() - 1])
        }
    }
}
