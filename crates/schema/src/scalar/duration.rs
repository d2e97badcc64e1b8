//! Durations as Go reads and prints them (`1h15m30.918s`).

use std::fmt::Write as _;

use crate::quote::quoted;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The form that Go prints.
pub(crate) fn canonical(text: &str) -> Result<String, String> {
    parse(text).map(print)
}

/// Nanoseconds.
fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quoted(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let unit_end = tail
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quoted(text)));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!(
                "time: unknown unit {} in duration {}",
                quoted(unit),
                quoted(text)
            ));
        };
        total = amount(whole, fraction, *scale)
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= 1 << 63)
            .ok_or_else(invalid)?;
        rest = tail;
    }
    match (negative, i64::try_from(total)) {
        (true, Ok(nanos)) => Ok(-nanos),
        (true, Err(_)) => Ok(i64::MIN),
        (false, Ok(nanos)) => Ok(nanos),
        (false, Err(_)) => Err(invalid()),
    }
}

fn amount(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut sum = u128::from(whole) * u128::from(scale);
    // Digits beyond 18 are below a nanosecond for every unit.
    let digits = &fraction[..fraction.len().min(18)];
    if !digits.is_empty() {
        let value: u128 = digits.parse().ok()?;
        let places = u32::try_from(digits.len()).ok()?;
        sum += value * u128::from(scale) / 10_u128.pow(places);
    }
    u64::try_from(sum).ok()
}

fn print(nanos: i64) -> String {
    let size = nanos.unsigned_abs();
    let mut out = String::new();
    if nanos < 0 {
        out.push('-');
    }
    if size == 0 {
        return "0s".to_owned();
    }
    if size < 1_000_000_000 {
        let (unit, scale) = match size {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        out.push_str(&decimal(size, scale));
        out.push_str(unit);
        return out;
    }
    let minutes = size / 60_000_000_000;
    let seconds = decimal(size % 60_000_000_000, 1_000_000_000);
    let _infallible = match (minutes / 60, minutes % 60) {
        (0, 0) => write!(out, "{seconds}s"),
        (0, minutes) => write!(out, "{minutes}m{seconds}s"),
        (hours, minutes) => write!(out, "{hours}h{minutes}m{seconds}s"),
    };
    out
}

/// `value` in units of `scale` (a power of ten), without zeros at the end.
fn decimal(value: u64, scale: u64) -> String {
    let rest = value % scale;
    if rest == 0 {
        return (value / scale).to_string();
    }
    let width = scale.ilog10() as usize;
    let text = format!("{}.{rest:0width$}", value / scale);
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_go_prints_them() {
        let rows = [
            ("0", "0s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("1.5h", "1h30m0s"),
            ("1500ms", "1.5s"),
            ("1ms", "1ms"),
            ("1.5us", "1.5µs"),
            ("-5s", "-5s"),
            ("100ns", "100ns"),
            ("1h15m30.918s", "1h15m30.918s"),
        ];
        for (text, want) in rows {
            assert_eq!(canonical(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_read_as_gos() {
        let rows = [
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("x", "time: invalid duration \"x\""),
            (
                "99999999999999h",
                "time: invalid duration \"99999999999999h\"",
            ),
        ];
        for (text, want) in rows {
            assert_eq!(canonical(text), Err(want.to_owned()));
        }
    }
}
