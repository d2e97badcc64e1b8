//! How a text is written in YAML: plain, quoted or as a block.

use super::resolve::{Resolved, resolve};

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// What the characters of a text allow outside of flow collections.
struct Traits {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

/// The style of a text; `key`: it is a key of a map.
pub(super) fn of(text: &str, key: bool) -> Style {
    let traits = traits(text);
    let wanted = if text.contains('\n') {
        Style::Literal
    } else if resolve(text) == Resolved::Text && !is_base_60(text) {
        Style::Plain
    } else {
        Style::Double
    };
    let wanted = if key && traits.multiline {
        Style::Double
    } else {
        wanted
    };
    match wanted {
        Style::Plain if traits.plain => Style::Plain,
        Style::Plain | Style::Single if traits.single => Style::Single,
        Style::Literal if traits.block && !key => Style::Literal,
        _ => Style::Double,
    }
}

/// A number in base 60 to other YAML 1.1 readers: `12:30:45`, `1:20.5`.
fn is_base_60(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (body, fraction) = body.split_once('.').unwrap_or((body, ""));
    let mut parts = body.split(':');
    let head = parts.next().unwrap_or("");
    let digit_like = |c: char| c.is_ascii_digit() || c == '_';
    let mut count = 0;
    let rest_fits = parts.all(|part| {
        count += 1;
        match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
            _ => false,
        }
    });
    head.starts_with(|c: char| c.is_ascii_digit())
        && head.chars().all(digit_like)
        && rest_fits
        && count > 0
        && fraction.chars().all(digit_like)
}

/// Whether a character may stand as it is.
pub(super) fn printable(c: char) -> bool {
    matches!(c,
        '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
        || c as u32 > 0xffff
}

/// A line break to YAML.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn traits(text: &str) -> Traits {
    if text.is_empty() {
        return Traits {
            multiline: false,
            plain: true,
            single: true,
            block: false,
        };
    }
    let mut seen = Seen {
        indicators: text.starts_with("---") || text.starts_with("..."),
        ..Seen::default()
    };
    let mut chars = text.chars().peekable();
    let mut first = true;
    let mut after_blank = true;
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let before_blank = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
        seen.indicators |= indicates(c, first, after_blank, before_blank);
        seen.special |= !printable(c);
        if is_break(c) {
            seen.breaks = true;
            seen.space_break |= !first && before == ' ';
        } else if c == ' ' {
            seen.break_space |= !first && is_break(before);
        }
        after_blank = matches!(c, ' ' | '\t') || is_break(c);
        before = c;
        first = false;
    }
    seen.verdict(text)
}

/// Whether a character here would be taken for syntax.
fn indicates(c: char, first: bool, after_blank: bool, before_blank: bool) -> bool {
    match c {
        ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
        | '`' => first,
        '#' => first || after_blank,
        '?' | '-' => first && before_blank,
        ':' => before_blank,
        _ => false,
    }
}

#[derive(Default)]
struct Seen {
    indicators: bool,
    special: bool,
    breaks: bool,
    space_break: bool,
    break_space: bool,
}

impl Seen {
    fn verdict(&self, text: &str) -> Traits {
        let edge = |c: char| c == ' ' || is_break(c);
        let bad_edges = text.starts_with(edge) || text.ends_with(edge);
        let broken = self.space_break || self.special;
        Traits {
            multiline: self.breaks,
            plain: !(bad_edges || self.breaks || self.indicators || self.break_space || broken),
            single: !(self.break_space || broken),
            block: !(text.ends_with(' ') || broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_mean_something_else_are_quoted() {
        let rows = [
            ("plain", Style::Plain),
            ("with spaces", Style::Plain),
            ("a: b", Style::Single),
            ("a:b", Style::Plain),
            ("a:", Style::Single),
            ("#x", Style::Single),
            ("a #b", Style::Single),
            ("a#b", Style::Plain),
            ("- a", Style::Single),
            ("-a", Style::Plain),
            ("*", Style::Single),
            ("{}", Style::Single),
            ("a,b", Style::Plain),
            ("'", Style::Single),
            ("it's", Style::Plain),
            (" a", Style::Single),
            ("---", Style::Single),
            ("", Style::Double),
            ("true", Style::Double),
            ("y", Style::Double),
            ("1", Style::Double),
            ("0744", Style::Double),
            ("12:30", Style::Double),
            ("1.5", Style::Double),
            ("2020-01-01T00:00:00Z", Style::Double),
            ("null", Style::Double),
            ("100m", Style::Plain),
            ("a\tb", Style::Double),
            ("a\nb", Style::Literal),
            ("a \nb", Style::Double),
            ("a\nb ", Style::Double),
            ("\u{e9}", Style::Plain),
            ("\u{1f600}", Style::Plain),
        ];
        for (text, want) in rows {
            assert_eq!(of(text, false), want, "{text:?}");
        }
        assert_eq!(of("a\nb", true), Style::Double);
    }
}
