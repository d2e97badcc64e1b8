//! Numbers as Go prints them with the verb `g`.

/// The shortest text of a float: with an exponent below 1e-4 and from 1e6 on,
/// as Go's YAML encoder prints floats.
pub(super) fn shortest(value: f64) -> String {
    general(&format!("{value:e}"))
}

/// The same for a 32-bit float, which map keys are printed as.
pub(super) fn shortest_f32(value: f32) -> String {
    general(&format!("{value:e}"))
}

/// From `1.5e-7` to Go's form.
fn general(scientific: &str) -> String {
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific.to_owned();
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let plain: String = digits.chars().filter(|c| *c != '.').collect();
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    let text = if exponent < 0 {
        format!("0.{}{plain}", "0".repeat(places - 1))
    } else if plain.len() <= places + 1 {
        format!("{plain}{}", "0".repeat(places + 1 - plain.len()))
    } else {
        format!("{}.{}", &plain[..=places], &plain[places + 1..])
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        let rows = [
            (0.5, "0.5"),
            (-1.25, "-1.25"),
            (100.0, "100"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e21, "1e+21"),
            (99_999.5, "99999.5"),
            (123_456_789.5, "1.234567895e+08"),
        ];
        for (value, want) in rows {
            assert_eq!(shortest(value), want);
        }
        assert_eq!(shortest_f32(2.34), "2.34");
    }
}
