//! Standard base64 as Go reads it: line breaks are skipped, padding is required,
//! and an error names the offset.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// The same bytes, encoded without line breaks and with zero filling bits.
pub(crate) fn canonical(text: &str) -> Result<String, String> {
    // Most texts are canonical: checked in one pass.
    let bytes = text.as_bytes();
    let body = bytes.strip_suffix(b"=").unwrap_or(bytes);
    if bytes.len().is_multiple_of(4)
        && body.len() == bytes.len()
        && body.iter().all(|byte| sextet(*byte).is_some())
    {
        return Ok(text.to_owned());
    }
    let mut quads = Quads { text: bytes, at: 0 };
    let mut out = String::with_capacity(text.len());
    while let Some((quad, count)) = quads.next().map_err(illegal)? {
        let keep = match count {
            2 => [quad[0], quad[1] & 0x30, 0, 0],
            3 => [quad[0], quad[1], quad[2] & 0x3c, 0],
            _ => quad,
        };
        for (place, sextet) in keep.iter().enumerate() {
            out.push(if place < count {
                char::from(ALPHABET[usize::from(*sextet)])
            } else {
                '='
            });
        }
    }
    Ok(out)
}

/// Bytes as base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 0x3f;
            out.push(if place <= chunk.len() {
                char::from(ALPHABET[sextet as usize])
            } else {
                '='
            });
        }
    }
    out
}

fn illegal(at: usize) -> String {
    format!("illegal base64 data at input byte {at}")
}

struct Quads<'a> {
    text: &'a [u8],
    at: usize,
}

impl Quads<'_> {
    fn skip_breaks(&mut self) {
        while matches!(self.text.get(self.at), Some(b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next four characters: their values and how many of them carry bits.
    /// The error is the offset that Go names.
    fn next(&mut self) -> Result<Option<([u8; 4], usize)>, usize> {
        let mut quad = [0; 4];
        let mut count = 0;
        while count < 4 {
            self.skip_breaks();
            let Some(byte) = self.text.get(self.at) else {
                return if count == 0 {
                    Ok(None)
                } else {
                    Err(self.at - count)
                };
            };
            self.at += 1;
            if let Some(value) = sextet(*byte) {
                quad[count] = value;
                count += 1;
                continue;
            }
            if *byte != b'=' || count < 2 {
                return Err(self.at - 1);
            }
            self.padding(count)?;
            return Ok(Some((quad, count)));
        }
        Ok(Some((quad, 4)))
    }

    /// One `=` was read after `count` characters; nothing may follow the padding.
    fn padding(&mut self, count: usize) -> Result<(), usize> {
        if count == 2 {
            self.skip_breaks();
            match self.text.get(self.at) {
                None => return Err(self.text.len()),
                Some(b'=') => self.at += 1,
                Some(_) => return Err(self.at - 1),
            }
        }
        self.skip_breaks();
        if self.at < self.text.len() {
            return Err(self.at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_encoded_again() {
        let rows = [
            ("", ""),
            ("YWJj", "YWJj"),
            ("YWI=", "YWI="),
            ("YQ==", "YQ=="),
            ("YR==", "YQ=="),
            ("YWJ\njYWI=\r\n", "YWJjYWI="),
        ];
        for (text, want) in rows {
            assert_eq!(canonical(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_name_gos_offset() {
        let rows = [
            ("not base64!", 3),
            ("YWJ", 0),
            ("YWJjYQ", 4),
            ("YQ=", 3),
            ("YQ==YQ==", 4),
            ("=", 0),
            ("Y===", 1),
        ];
        for (text, at) in rows {
            assert_eq!(canonical(text), Err(illegal(at)), "{text}");
        }
    }
}
