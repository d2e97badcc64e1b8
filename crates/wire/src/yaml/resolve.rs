//! What a plain scalar means in YAML 1.1, as Go's parser resolves it.

/// A resolved scalar.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    /// Above the largest `i64`.
    Uint(u64),
    Float(f64),
    /// Looks like a date: decoded as the text it is.
    Timestamp,
    /// `<<`.
    Merge,
    Text,
}

/// Resolves a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Resolved {
    if let Some(word) = word(text) {
        return word;
    }
    match text.as_bytes().first() {
        Some(b'.') => dotted(text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            if is_timestamp(text) {
                return Resolved::Timestamp;
            }
            number(text)
        }
        _ => Resolved::Text,
    }
}

fn word(text: &str) -> Option<Resolved> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        "<<" => Resolved::Merge,
        _ => return None,
    })
}

fn dotted(text: &str) -> Resolved {
    // Rust reads words such as `.infinity` as no number, like Go.
    if text[1..].starts_with(|c: char| c.is_ascii_digit())
        && let Ok(value) = text.parse::<f64>()
    {
        return Resolved::Float(value);
    }
    Resolved::Text
}

fn number(text: &str) -> Resolved {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, magnitude) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let signed = plain.len() != magnitude.len();
    if let Some(value) = integer(magnitude) {
        if negative {
            if let Ok(value) = i64::try_from(-i128::from(value)) {
                return Resolved::Int(value);
            }
        } else if let Ok(value) = i64::try_from(value) {
            return Resolved::Int(value);
        } else if !signed {
            return Resolved::Uint(value);
        }
    }
    if is_float(magnitude)
        && let Ok(value) = plain.parse::<f64>()
        && value.is_finite()
    {
        return Resolved::Float(value);
    }
    Resolved::Text
}

/// An integer as Go reads it with base 0: `0x`, `0b`, `0o` and a leading `0` for
/// octal.
fn integer(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2),
        [b'0', b'o' | b'O', ..] => (&text[2..], 8),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, then an exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits =
        digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    mantissa_fits
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

/// `2006-1-2`, alone or with a time of day.
pub(super) fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else {
        return false;
    };
    let Some((month, rest)) = rest.split_once('-') else {
        return false;
    };
    let day_end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (day, time) = rest.split_at(day_end);
    let ranged = |part: &str, low: u32, high: u32| {
        matches!(part.len(), 1 | 2)
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse().is_ok_and(|n| (low..=high).contains(&n))
    };
    let date = year.len() == 4
        && year.bytes().all(|b| b.is_ascii_digit())
        && ranged(month, 1, 12)
        && ranged(day, 1, days_in(year, month));
    if !date || time.is_empty() {
        return date;
    }
    let (clock, zoned) = match time.as_bytes()[0] {
        b'T' | b't' => (&time[1..], true),
        b' ' => (time.trim_start_matches(' '), false),
        _ => return false,
    };
    is_clock(clock, zoned, ranged)
}

fn days_in(year: &str, month: &str) -> u32 {
    let year: u32 = year.parse().unwrap_or(0);
    match month.parse::<u32>() {
        Ok(2)
            if year.is_multiple_of(4)
                && (!year.is_multiple_of(100) || year.is_multiple_of(400)) =>
        {
            29
        }
        Ok(2) => 28,
        Ok(4 | 6 | 9 | 11) => 30,
        _ => 31,
    }
}

/// `15:4:5.999`, then `Z` or `±07:00` if `zoned`.
fn is_clock(text: &str, zoned: bool, ranged: impl Fn(&str, u32, u32) -> bool) -> bool {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
        .unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let zone_fits = match (zoned, zone) {
        (false, zone) => zone.is_empty(),
        (true, "Z") => true,
        (true, zone) => match zone
            .strip_prefix(['+', '-'])
            .and_then(|z| z.split_once(':'))
        {
            Some((hour, minute)) => {
                hour.len() == 2 && minute.len() == 2 && ranged(hour, 0, 24) && ranged(minute, 0, 60)
            }
            None => false,
        },
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    zone_fits
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && matches!(parts.as_slice(), [hour, minute, second]
            if ranged(hour, 0, 23) && ranged(minute, 0, 59) && ranged(second, 0, 59))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_as_yaml_1_1() {
        use Resolved::{Bool, Float, Int, Merge, Null, Text, Timestamp, Uint};
        let rows = [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("nULL", Text),
            ("y", Bool(true)),
            ("No", Bool(false)),
            ("on", Bool(true)),
            ("OFF", Bool(false)),
            ("yEs", Text),
            ("0744", Int(0o744)),
            ("0o17", Int(15)),
            ("0x1F", Int(31)),
            ("0b101", Int(5)),
            ("1_000", Int(1000)),
            ("-5", Int(-5)),
            ("+5", Int(5)),
            ("08", Float(8.0)),
            ("1.5", Float(1.5)),
            ("1e3", Float(1000.0)),
            (".5", Float(0.5)),
            ("1.", Float(1.0)),
            ("18446744073709551615", Uint(u64::MAX)),
            ("18446744073709551616", Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775808", Int(i64::MIN)),
            ("12:30:45", Text),
            ("1.2.3", Text),
            ("0x", Text),
            ("-", Text),
            ("--5", Text),
            ("0-5", Text),
            ("10Gi", Text),
            ("2020-01-01", Timestamp),
            ("2020-01-01T00:00:00Z", Timestamp),
            ("2020-1-2 3:4:5.6", Timestamp),
            ("2020-13-01", Text),
            ("2020-01-01x", Text),
            ("<<", Merge),
            ("=", Text),
            (".inf", Float(f64::INFINITY)),
            (".infinity", Text),
        ];
        for (text, want) in rows {
            assert_eq!(resolve(text), want, "{text}");
        }
    }
}
