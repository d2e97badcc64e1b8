//! Scalars: from a JSON value to the printed form.

use std::borrow::Cow;

use serde_json::{Number, Value};

use crate::input::Token;
use crate::node::ScalarKind;
use crate::scalar::{self, Precision};

/// What became of a scalar.
pub(crate) enum Leaf {
    Value(Value),
    /// `null` where that means unset.
    Unset,
    /// The wrong JSON type: what Go calls the value, and the type it wanted if
    /// not the field's own.
    Mistyped(Cow<'static, str>, Option<&'static str>),
    /// As `Mistyped`, from a type that decodes itself: decoding ends there.
    FatalMistyped(Cow<'static, str>, &'static str),
    /// No valid form: decoding ends there.
    Fatal(String),
    /// No valid form; decoding goes on.
    Malformed(String),
}

fn wrong(token: &Token<'_>) -> Leaf {
    Leaf::Mistyped(super::trail::words(token).into(), None)
}

/// A scalar that is no container in JSON. `token` is no object, no list.
pub(crate) fn read(kind: ScalarKind, token: Token<'_>) -> Leaf {
    match (kind, token) {
        (ScalarKind::String, Token::String(text)) => Leaf::Value(text.into_owned().into()),
        (ScalarKind::Bool, Token::Bool(yes)) => Leaf::Value(yes.into()),
        (ScalarKind::Int32, Token::Number(text)) => integer::<i32>(&text),
        (ScalarKind::Int64, Token::Number(text)) => integer::<i64>(&text),
        (ScalarKind::Uint8, Token::Number(text)) => integer::<u8>(&text),
        (ScalarKind::Float64, Token::Number(text)) => float(&text),
        (ScalarKind::Bytes, Token::String(text)) => match scalar::base64(&text) {
            Ok(text) => Leaf::Value(text.into()),
            Err(message) => Leaf::Malformed(message),
        },
        (ScalarKind::Time, token) => time(token, Precision::Second),
        (ScalarKind::MicroTime, token) => time(token, Precision::Micro),
        (ScalarKind::Duration, token) => duration(token),
        (ScalarKind::Quantity, token) => quantity(token),
        (ScalarKind::IntOrString, token) => int_or_string(token),
        (_, Token::Null) => Leaf::Unset,
        (_, token) => wrong(&token),
    }
}

fn integer<T: TryFrom<i64> + Into<Number>>(text: &str) -> Leaf {
    let parsed: Option<T> = text.parse::<i64>().ok().and_then(|n| T::try_from(n).ok());
    match parsed {
        Some(number) => Leaf::Value(Value::Number(number.into())),
        None => Leaf::Mistyped(format!("number {text}").into(), None),
    }
}

fn float(text: &str) -> Leaf {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Leaf::Value(number_value(text, number)),
        _ => Leaf::Mistyped(format!("number {text}").into(), None),
    }
}

/// Whole floats print without a fraction, as in Go.
fn number_value(text: &str, number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number within 53 bits"
        )]
        return Value::from(number as i64);
    }
    text.parse::<i64>()
        .ok()
        .filter(|_| number.fract() == 0.0 && number.abs() < 1e18)
        .map_or_else(|| Value::from(number), Value::from)
}

/// Any number, as near to the text as JSON trees allow.
pub(crate) fn any_number(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        // Out of range: the nearest that JSON can hold.
        _ if text.starts_with('-') => f64::MIN.into(),
        _ => f64::MAX.into(),
    }
}

fn time(token: Token<'_>, precision: Precision) -> Leaf {
    match token {
        Token::Null => Leaf::Unset,
        Token::String(text) => match scalar::time(&text, precision) {
            Ok(text) => Leaf::Value(text.map_or(Value::Null, Value::from)),
            Err(message) => Leaf::Fatal(message),
        },
        other => Leaf::FatalMistyped(super::trail::words(&other).into(), "string"),
    }
}

fn duration(token: Token<'_>) -> Leaf {
    match token {
        Token::Null => Leaf::Unset,
        Token::String(text) => match scalar::duration(&text) {
            Ok(text) => Leaf::Value(text.into()),
            Err(message) => Leaf::Fatal(message),
        },
        other => Leaf::FatalMistyped(super::trail::words(&other).into(), "string"),
    }
}

fn quantity(token: Token<'_>) -> Leaf {
    let text: Cow<'_, str> = match token {
        Token::Null => return Leaf::Unset,
        Token::String(text) | Token::Number(text) => text,
        // Upstream reads the raw text: never a quantity.
        Token::Bool(_) | Token::Object | Token::Array => "{".into(),
    };
    match scalar::quantity(&text) {
        Ok(text) => Leaf::Value(text.into()),
        Err(message) => Leaf::Fatal(message),
    }
}

fn int_or_string(token: Token<'_>) -> Leaf {
    match token {
        Token::Null => Leaf::Unset,
        Token::String(text) => Leaf::Value(text.into_owned().into()),
        Token::Number(text) => match integer::<i32>(&text) {
            Leaf::Mistyped(words, _) => Leaf::FatalMistyped(words, "int32"),
            leaf => leaf,
        },
        other => Leaf::FatalMistyped(super::trail::words(&other).into(), "int32"),
    }
}
