//! Resource quantities (`100m`, `1.5Gi`, `12e6`) and their canonical form.
//!
//! Source of the rules: the API reference of `Quantity`. A quantity is kept as a
//! decimal number of nano units, so that comparing and adding are exact.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

/// Which family of suffixes a quantity was written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// `m`, `k`, `M`, …
    #[default]
    DecimalSi,
    /// `Ki`, `Mi`, …
    BinarySi,
    /// `e3`, `E6`, …
    DecimalExponent,
}

/// An exact amount. Compares and hashes by amount alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// A text that is no quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    /// It does not have the form.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// The number is no number.
    #[error("unable to parse numeric part of quantity")]
    Number,
}

const NANO: i128 = 1_000_000_000;
/// Upstream caps quantities with binary suffixes at the largest int64.
const BINARY_CAP: i128 = i64::MAX as i128 * NANO;
/// The largest amount kept: 5·10^28 units, with room to add two of them.
const LARGEST: i128 = 5 * 10_i128.pow(28) * NANO;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self {
        nanos: 0,
        format: Format::DecimalSi,
    };

    /// So many whole units.
    pub fn from_units(units: i64) -> Self {
        Self {
            nanos: i128::from(units) * NANO,
            format: Format::DecimalSi,
        }
    }

    /// So many thousandths.
    pub fn from_milli(milli: i64) -> Self {
        Self {
            nanos: i128::from(milli) * 1_000_000,
            format: Format::DecimalSi,
        }
    }

    /// So many bytes, printed with binary suffixes.
    pub fn from_bytes(bytes: i64) -> Self {
        Self {
            nanos: i128::from(bytes) * NANO,
            format: Format::BinarySi,
        }
    }

    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let digits_end = text
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+' || c == '-'))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits_end);
        let (negative, magnitude) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        if magnitude.is_empty()
            || !magnitude.bytes().any(|b| b.is_ascii_digit())
            || magnitude.contains(['+', '-'])
            || magnitude.bytes().filter(|b| *b == b'.').count() > 1
        {
            return Err(QuantityError::Format);
        }
        let (format, scale) = suffix_scale(suffix)?;
        let mut amount = scaled(magnitude, scale)?;
        if format == Format::BinarySi && !negative {
            amount = amount.min(BINARY_CAP);
        }
        Ok(Self {
            nanos: if negative { -amount } else { amount },
            format,
        })
    }

    /// The amount in whole units, rounded up (away from zero for negatives).
    pub fn units(self) -> i64 {
        clamp(div_up(self.nanos, NANO))
    }

    /// The amount in thousandths, rounded up.
    pub fn milli(self) -> i64 {
        clamp(div_up(self.nanos, 1_000_000))
    }

    /// The amount as a float, for scores and metrics.
    #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
    pub fn as_f64(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Below zero.
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The family of suffixes it prints with.
    pub fn format(self) -> Format {
        self.format
    }

    /// The canonical text of `text`, or the text itself if it is no quantity.
    pub fn canonical(text: &str) -> String {
        Self::parse(text).map_or_else(|_| text.to_owned(), |q| q.to_string())
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn div_up(value: i128, by: i128) -> i128 {
    let quotient = value / by;
    match value % by {
        0 => quotient,
        rest if rest > 0 => quotient + 1,
        _ => quotient - 1,
    }
}

enum Scale {
    Ten(i32),
    Two(u32),
}

fn suffix_scale(suffix: &str) -> Result<(Format, Scale), QuantityError> {
    if let Some(power) = BINARY.iter().skip(1).position(|s| *s == suffix) {
        // At most 6: the index into seven suffixes.
        let power = u32::try_from(power).unwrap_or(0) + 1;
        return Ok((Format::BinarySi, Scale::Two(power * 10)));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Ok((Format::DecimalSi, Scale::Ten(*power)));
    }
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']) {
        let exponent: i32 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
        return Ok((Format::DecimalExponent, Scale::Ten(exponent)));
    }
    let known = |c: char| "eEinumkKMGTP+-".contains(c) || c.is_ascii_digit();
    Err(if suffix.chars().all(known) {
        QuantityError::Suffix
    } else {
        QuantityError::Format
    })
}

/// `magnitude` times its scale, in nano units, rounded up, capped.
fn scaled(magnitude: &str, scale: Scale) -> Result<i128, QuantityError> {
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits: String = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let places = i32::try_from(fraction.len()).map_err(|_| QuantityError::Number)?;
    if digits.len() > 36 {
        // More digits than an i128 holds: far above the cap, or far below a nano.
        let exponent = i32::try_from(digits.len()).map_err(|_| QuantityError::Number)? - places;
        return Ok(if exponent > 0 { LARGEST } else { 1 });
    }
    let number: i128 = digits.parse().map_err(|_| QuantityError::Number)?;
    match scale {
        Scale::Ten(power) => Ok(times_ten(
            number,
            power.saturating_add(9).saturating_sub(places),
        )),
        Scale::Two(bits) => {
            let scaled = number.checked_mul(1_i128 << bits);
            Ok(scaled.map_or(LARGEST, |n| times_ten(n, 9 - places)))
        }
    }
}

fn times_ten(number: i128, power: i32) -> i128 {
    if power >= 0 {
        let factor = 10_i128.checked_pow(power.unsigned_abs());
        return factor
            .and_then(|f| number.checked_mul(f))
            .map_or(LARGEST, |n| n.min(LARGEST));
    }
    match 10_i128.checked_pow(power.unsigned_abs()) {
        Some(divisor) => div_up(number, divisor).min(LARGEST),
        None => i128::from(number != 0),
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let whole = self.nanos % NANO == 0;
        let units = self.nanos / NANO;
        // Below 1024 the binary form would hide a fraction: upstream prints decimals.
        if self.format == Format::BinarySi && whole && units.unsigned_abs() >= 1024 {
            let (mut value, mut index) = (units, 0);
            while value % 1024 == 0 && index + 1 < BINARY.len() {
                value /= 1024;
                index += 1;
            }
            return write!(f, "{value}{}", BINARY[index]);
        }
        if self.format == Format::BinarySi && whole {
            return write!(f, "{units}");
        }
        let (mut value, mut power) = (self.nanos, -9);
        while value % 1000 == 0 && power < 18 {
            value /= 1000;
            power += 3;
        }
        match self.format {
            Format::DecimalExponent if power == 0 => write!(f, "{value}"),
            Format::DecimalExponent => write!(f, "{value}e{power}"),
            _ => {
                let suffix = DECIMAL
                    .iter()
                    .find(|(_, p)| *p == power)
                    .map_or("", |(s, _)| s);
                write!(f, "{value}{suffix}")
            }
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;
    /// The sum, in the format of the left side unless that is zero.
    fn add(self, other: Self) -> Self {
        let format = if self.nanos == 0 {
            other.format
        } else {
            self.format
        };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            format,
        }
    }
}
impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            format: self.format,
        }
    }
}
impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// An API quantity that does not parse counts as zero: validation keeps such
/// out of the store.
impl From<&ApiQuantity> for Quantity {
    fn from(quantity: &ApiQuantity) -> Self {
        Self::parse(&quantity.0).unwrap_or(Self::ZERO)
    }
}

impl From<Quantity> for ApiQuantity {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms_are_upstreams() {
        let rows = [
            ("0", "0"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("2048Mi", "2Gi"),
            ("0.5Gi", "512Mi"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("0.0000000001", "1n"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("1.5Gi", "1536Mi"),
            ("1Ki", "1Ki"),
            ("1024", "1024"),
            ("123", "123"),
            ("-1.5", "-1500m"),
            ("+2", "2"),
            ("1E", "1E"),
            ("12E6", "12e6"),
            (".5", "500m"),
            ("5.", "5"),
            ("12345678901234567890", "12345678901234567890"),
            ("100Ei", "9223372036854775807"),
        ];
        for (text, want) in rows {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "m", "1x", "1.2.3", "--1", "1 Gi", "1GiB", "e3", "1ki"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_compare_across_formats() {
        let q = |t| Quantity::parse(t).unwrap();
        assert_eq!(q("1Gi"), q("1073741824"));
        assert!(q("999m") < q("1"));
        assert_eq!((q("250m") + q("0.75")).to_string(), "1");
        assert_eq!(q("1.0001").milli(), 1001);
        assert_eq!(
            q("99999999999999999999999999999999999999E").units(),
            i64::MAX
        );
    }
}
