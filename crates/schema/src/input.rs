//! Where a decoder takes values from: JSON bytes or a tree already read.
//!
//! Pull-style: the decoder asks for a value, then for its keys or items. Both
//! sources bound how deep values nest.

use std::borrow::Cow;

use serde_json::Value;

use crate::encode::float_text;

/// How deep objects and lists may nest. Upstream allows 10,000, but every later
/// reader of the stored bytes (`serde_json`: 128, with room for the list or event
/// around an object) must be able to follow.
pub const MAX_DEPTH: usize = 120;

/// The start of a value.
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    /// A JSON number as written.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    /// Ask for keys.
    Object,
    /// Ask for items.
    Array,
}

/// A text that is no JSON; the message is Go's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Syntax(pub(crate) String);

/// A source of one value.
pub(crate) trait Input<'a> {
    /// Starts the next value.
    fn value(&mut self) -> Result<Token<'a>, Syntax>;
    /// The next key of the innermost open object; `None` closes it.
    fn key(&mut self) -> Result<Option<Cow<'a, str>>, Syntax>;
    /// Whether the innermost open list has a next item; `false` closes it.
    fn item(&mut self) -> Result<bool, Syntax>;
    /// Nothing may follow.
    fn end(&mut self) -> Result<(), Syntax>;
}

/// Reads over what `token` started.
pub(crate) fn skip<'a>(input: &mut impl Input<'a>, token: &Token<'a>) -> Result<(), Syntax> {
    match token {
        Token::Object => {
            while input.key()?.is_some() {
                let inner = input.value()?;
                skip(input, &inner)?;
            }
        }
        Token::Array => {
            while input.item()? {
                let inner = input.value()?;
                skip(input, &inner)?;
            }
        }
        _ => {}
    }
    Ok(())
}

enum Frame {
    Object(serde_json::map::IntoIter),
    Array(std::vec::IntoIter<Value>),
}

/// A tree as a source.
pub(crate) struct Tree {
    next: Option<Value>,
    open: Vec<Frame>,
}

impl Tree {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            next: Some(value),
            open: Vec::new(),
        }
    }

    fn open(&mut self, frame: Frame, sign: char) -> Result<(), Syntax> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Syntax(format!(
                "invalid character '{sign}' exceeded max depth"
            )));
        }
        self.open.push(frame);
        Ok(())
    }
}

impl Input<'static> for Tree {
    fn value(&mut self) -> Result<Token<'static>, Syntax> {
        // `key` and `item` put the next value here before they say there is one.
        Ok(match self.next.take().unwrap_or(Value::Null) {
            Value::Null => Token::Null,
            Value::Bool(yes) => Token::Bool(yes),
            Value::Number(number) => Token::Number(match number.as_f64() {
                Some(float) if number.is_f64() => float_text(float).into(),
                _ => number.to_string().into(),
            }),
            Value::String(text) => Token::String(text.into()),
            Value::Array(items) => {
                self.open(Frame::Array(items.into_iter()), '[')?;
                Token::Array
            }
            Value::Object(map) => {
                self.open(Frame::Object(map.into_iter()), '{')?;
                Token::Object
            }
        })
    }

    fn key(&mut self) -> Result<Option<Cow<'static, str>>, Syntax> {
        if let Some(Frame::Object(entries)) = self.open.last_mut()
            && let Some((key, value)) = entries.next()
        {
            self.next = Some(value);
            return Ok(Some(key.into()));
        }
        self.open.pop();
        Ok(None)
    }

    fn item(&mut self) -> Result<bool, Syntax> {
        if let Some(Frame::Array(items)) = self.open.last_mut()
            && let Some(value) = items.next()
        {
            self.next = Some(value);
            return Ok(true);
        }
        self.open.pop();
        Ok(false)
    }

    fn end(&mut self) -> Result<(), Syntax> {
        Ok(())
    }
}
