//! Times as `metav1.Time` and `metav1.MicroTime` read and print them, with the
//! errors of Go's time parser.

use crate::quote::quoted;

/// Which of the two types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Precision {
    /// Whole seconds are printed; a fraction may stand.
    Second,
    /// Exactly six digits of fraction.
    Micro,
}

impl Precision {
    fn layout(self) -> &'static str {
        match self {
            Self::Second => "2006-01-02T15:04:05Z07:00",
            Self::Micro => "2006-01-02T15:04:05.000000Z07:00",
        }
    }
}

/// A piece of the layout.
#[derive(Clone, Copy)]
enum Piece {
    Sign(&'static str),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Micros,
    Zone,
}

const SECOND: &[Piece] = &[
    Piece::Year,
    Piece::Sign("-"),
    Piece::Month,
    Piece::Sign("-"),
    Piece::Day,
    Piece::Sign("T"),
    Piece::Hour,
    Piece::Sign(":"),
    Piece::Minute,
    Piece::Sign(":"),
    Piece::Second,
    Piece::Zone,
];
const MICRO: &[Piece] = &[
    Piece::Year,
    Piece::Sign("-"),
    Piece::Month,
    Piece::Sign("-"),
    Piece::Day,
    Piece::Sign("T"),
    Piece::Hour,
    Piece::Sign(":"),
    Piece::Minute,
    Piece::Sign(":"),
    Piece::Second,
    Piece::Micros,
    Piece::Zone,
];

impl Piece {
    fn layout(self) -> &'static str {
        match self {
            Self::Sign(sign) => sign,
            Self::Year => "2006",
            Self::Month => "01",
            Self::Day => "02",
            Self::Hour => "15",
            Self::Minute => "04",
            Self::Second => "05",
            Self::Micros => ".000000",
            Self::Zone => "Z07:00",
        }
    }
}

#[derive(Default)]
struct Parsed {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    offset_minutes: i64,
}

/// Why a piece does not fit.
enum Misfit {
    Form,
    Range(&'static str),
}

/// The printed form in UTC; `None` for Go's zero time, which prints as `null`.
pub(crate) fn canonical(text: &str, precision: Precision) -> Result<Option<String>, String> {
    let pieces = match precision {
        Precision::Second => SECOND,
        Precision::Micro => MICRO,
    };
    let mut parsed = Parsed::default();
    let mut rest = text;
    for piece in pieces {
        let hold = rest;
        let outcome = piece.read(&mut rest, precision, &mut parsed);
        match outcome {
            Ok(()) => {}
            Err(Misfit::Form) => {
                return Err(format!(
                    "parsing time {} as {}: cannot parse {} as {}",
                    quoted(text),
                    quoted(precision.layout()),
                    quoted(hold),
                    quoted(piece.layout())
                ));
            }
            Err(Misfit::Range(what)) => {
                return Err(format!(
                    "parsing time {}: {what} out of range",
                    quoted(text)
                ));
            }
        }
    }
    if !rest.is_empty() {
        return Err(format!(
            "parsing time {}: extra text: {}",
            quoted(text),
            quoted(rest)
        ));
    }
    if parsed.day < 1 || parsed.day > days_in(parsed.year, parsed.month) {
        return Err(format!("parsing time {}: day out of range", quoted(text)));
    }
    Ok(parsed.print(precision))
}

/// A number of one digit, or two (`fixed`: exactly two).
fn number(rest: &mut &str, fixed: bool) -> Result<i64, Misfit> {
    let bytes = rest.as_bytes();
    let digit = |at: usize| {
        bytes
            .get(at)
            .filter(|b| b.is_ascii_digit())
            .map(|b| i64::from(b - b'0'))
    };
    let first = digit(0).ok_or(Misfit::Form)?;
    if let Some(second) = digit(1) {
        *rest = &rest[2..];
        return Ok(first * 10 + second);
    }
    if fixed {
        return Err(Misfit::Form);
    }
    *rest = &rest[1..];
    Ok(first)
}

fn ranged(value: i64, low: i64, high: i64, what: &'static str) -> Result<i64, Misfit> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(Misfit::Range(what))
    }
}

impl Piece {
    fn read(self, rest: &mut &str, precision: Precision, to: &mut Parsed) -> Result<(), Misfit> {
        match self {
            Self::Sign(sign) => *rest = rest.strip_prefix(sign).ok_or(Misfit::Form)?,
            Self::Year => {
                let digits = rest.get(..4).ok_or(Misfit::Form)?;
                if !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(Misfit::Form);
                }
                to.year = digits.parse().map_err(|_| Misfit::Form)?;
                *rest = &rest[4..];
            }
            Self::Month => to.month = ranged(number(rest, true)?, 1, 12, "month")?,
            Self::Day => to.day = number(rest, true)?,
            Self::Hour => to.hour = ranged(number(rest, false)?, 0, 23, "hour")?,
            Self::Minute => to.minute = ranged(number(rest, true)?, 0, 59, "minute")?,
            Self::Second => {
                to.second = ranged(number(rest, true)?, 0, 59, "second")?;
                if precision == Precision::Second {
                    // Go takes a fraction here that the layout does not name.
                    skip_fraction(rest);
                }
            }
            Self::Micros => {
                let digits = rest.get(..7).ok_or(Misfit::Form)?;
                let fraction = digits.strip_prefix(['.', ',']).ok_or(Misfit::Form)?;
                if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(Misfit::Form);
                }
                to.micros = fraction.parse().map_err(|_| Misfit::Form)?;
                *rest = &rest[7..];
            }
            Self::Zone => to.offset_minutes = zone(rest)?,
        }
        Ok(())
    }
}

fn skip_fraction(rest: &mut &str) {
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            *rest = &fraction[digits..];
        }
    }
}

/// `Z` or `±hh:mm`, in minutes.
fn zone(rest: &mut &str) -> Result<i64, Misfit> {
    if let Some(tail) = rest.strip_prefix('Z') {
        *rest = tail;
        return Ok(0);
    }
    let text = rest.get(..6).ok_or(Misfit::Form)?;
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return Err(Misfit::Form),
    };
    let (mut hours, mut minutes) = match (text.get(1..3), text.get(3..4), text.get(4..6)) {
        (Some(hours), Some(":"), Some(minutes)) => (hours, minutes),
        _ => return Err(Misfit::Form),
    };
    let hours = ranged(number(&mut hours, true)?, 0, 24, "time zone offset hour")?;
    let minutes = ranged(
        number(&mut minutes, true)?,
        0,
        60,
        "time zone offset minute",
    )?;
    *rest = &rest[6..];
    Ok(sign * (hours * 60 + minutes))
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Parsed {
    fn print(mut self, precision: Precision) -> Option<String> {
        self.drop_offset();
        let zero = (self.year, self.month, self.day) == (1, 1, 1)
            && (self.hour, self.minute, self.second, self.micros) == (0, 0, 0, 0);
        if zero {
            return None;
        }
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
            ..
        } = self;
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if precision == Precision::Micro {
            text.push_str(&format!(".{micros:06}"));
        }
        text.push('Z');
        Some(text)
    }

    /// Takes the offset out. At most 25 hours: one or two days are carried.
    fn drop_offset(&mut self) {
        let minutes = self.hour * 60 + self.minute - self.offset_minutes;
        self.offset_minutes = 0;
        self.hour = minutes.rem_euclid(24 * 60) / 60;
        self.minute = minutes.rem_euclid(60);
        self.day += minutes.div_euclid(24 * 60);
        while self.day < 1 {
            self.month -= 1;
            if self.month == 0 {
                self.month = 12;
                self.year -= 1;
            }
            self.day += days_in(self.year, self.month);
        }
        while self.day > days_in(self.year, self.month) {
            self.day -= days_in(self.year, self.month);
            self.month += 1;
            if self.month == 13 {
                self.month = 1;
                self.year += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_in_utc() {
        let rows = [
            (
                "2026-01-02T03:04:05Z",
                Precision::Second,
                Some("2026-01-02T03:04:05Z"),
            ),
            (
                "2026-01-02T03:04:05.999Z",
                Precision::Second,
                Some("2026-01-02T03:04:05Z"),
            ),
            (
                "2026-01-01T00:30:00+01:00",
                Precision::Second,
                Some("2025-12-31T23:30:00Z"),
            ),
            (
                "2024-02-28T23:30:00-01:00",
                Precision::Second,
                Some("2024-02-29T00:30:00Z"),
            ),
            ("0001-01-01T00:00:00Z", Precision::Second, None),
            (
                "2026-01-02T03:04:05.123456Z",
                Precision::Micro,
                Some("2026-01-02T03:04:05.123456Z"),
            ),
        ];
        for (text, precision, want) in rows {
            assert_eq!(
                canonical(text, precision).unwrap().as_deref(),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn errors_read_as_gos() {
        let second = "2006-01-02T15:04:05Z07:00";
        let micro = "2006-01-02T15:04:05.000000Z07:00";
        let rows = [
            (
                "yesterday",
                Precision::Second,
                format!(
                    "parsing time \"yesterday\" as \"{second}\": cannot parse \"yesterday\" as \"2006\""
                ),
            ),
            (
                "2020-01-01T00:00:00",
                Precision::Micro,
                format!(
                    "parsing time \"2020-01-01T00:00:00\" as \"{micro}\": cannot parse \"\" as \".000000\""
                ),
            ),
            (
                "2020-01-01T00:00:00.1Z",
                Precision::Micro,
                format!(
                    "parsing time \"2020-01-01T00:00:00.1Z\" as \"{micro}\": cannot parse \".1Z\" as \".000000\""
                ),
            ),
            (
                "2020-13-01T00:00:00Z",
                Precision::Second,
                "parsing time \"2020-13-01T00:00:00Z\": month out of range".to_owned(),
            ),
            (
                "2021-02-29T00:00:00Z",
                Precision::Second,
                "parsing time \"2021-02-29T00:00:00Z\": day out of range".to_owned(),
            ),
            (
                "2021-02-28T00:00:00Zx",
                Precision::Second,
                "parsing time \"2021-02-28T00:00:00Zx\": extra text: \"x\"".to_owned(),
            ),
        ];
        for (text, precision, want) in rows {
            assert_eq!(canonical(text, precision), Err(want));
        }
    }
}
