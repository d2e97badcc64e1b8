//! Prints a value as YAML in the layout of upstream's encoder.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::number;
use super::style::{self, Style};

/// Lines longer than this are folded at the next space.
const WIDTH: usize = 80;
/// Keys longer than this stand behind `? `.
const LONGEST_SIMPLE_KEY: usize = 128;

/// The value as one document, keys sorted, with a line break at its end.
pub fn to_string(value: &Value) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
    };
    emitter.root(value);
    emitter.out
}

struct Emitter {
    out: String,
    /// Characters in the last line.
    column: usize,
}

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        if c == '\n' {
            self.column = 0;
        } else {
            self.column += 1;
        }
    }

    fn write(&mut self, text: &str) {
        for c in text.chars() {
            self.put(c);
        }
    }

    /// A new line with this indentation.
    fn line(&mut self, indent: usize) {
        if self.column > 0 {
            self.put('\n');
        }
        for _ in 0..indent {
            self.put(' ');
        }
    }

    fn root(&mut self, value: &Value) {
        match value {
            Value::Object(map) if !map.is_empty() => self.map(map, 0, true),
            Value::Array(items) if !items.is_empty() => self.list(items, 0, true),
            scalar => self.scalar(scalar, 2),
        }
        if self.column > 0 {
            self.put('\n');
        }
    }

    /// A map's entries at `indent`; `here`: the first starts where we are.
    fn map(&mut self, map: &Map<String, Value>, indent: usize, here: bool) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by(|a, b| key_order(a.0, b.0));
        for (place, (key, value)) in entries.into_iter().enumerate() {
            if place > 0 || !here {
                self.line(indent);
            }
            if key.len() > LONGEST_SIMPLE_KEY {
                self.write("? ");
                self.text(key, indent + 2, false);
                self.line(indent);
                self.put(':');
            } else {
                self.text(key, indent + 2, true);
                self.put(':');
            }
            self.member(value, indent);
        }
    }

    /// What follows `key:` of a map at `indent`.
    fn member(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => self.map(map, indent + 2, false),
            // Lists stand at the indentation of their key.
            Value::Array(items) if !items.is_empty() => self.list(items, indent, false),
            scalar => {
                self.put(' ');
                self.scalar(scalar, indent + 2);
            }
        }
    }

    fn list(&mut self, items: &[Value], indent: usize, here: bool) {
        for (place, item) in items.iter().enumerate() {
            if place > 0 || !here {
                self.line(indent);
            }
            self.write("- ");
            match item {
                Value::Object(map) if !map.is_empty() => self.map(map, indent + 2, true),
                Value::Array(items) if !items.is_empty() => self.list(items, indent + 2, true),
                scalar => self.scalar(scalar, indent + 2),
            }
        }
    }

    /// `indent` is that of further lines.
    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.write("null"),
            Value::Bool(yes) => self.write(if *yes { "true" } else { "false" }),
            Value::Number(number) => self.write(&number_text(number)),
            Value::String(text) => self.text(text, indent, false),
            Value::Array(_) => self.write("[]"),
            Value::Object(_) => self.write("{}"),
        }
    }

    fn text(&mut self, text: &str, indent: usize, key: bool) {
        match style::of(text, key) {
            Style::Plain => self.plain(text, indent, key),
            Style::Single => self.single(text, indent, key),
            Style::Double => self.double(text, indent, key),
            Style::Literal => self.literal(text, indent),
        }
    }

    fn plain(&mut self, text: &str, indent: usize, key: bool) {
        let mut chars = text.chars().peekable();
        let mut spaces = false;
        while let Some(c) = chars.next() {
            let folds =
                c == ' ' && !key && !spaces && self.column > WIDTH && chars.peek() != Some(&' ');
            if folds {
                self.line(indent);
            } else {
                self.put(c);
            }
            spaces = c == ' ';
        }
    }

    fn single(&mut self, text: &str, indent: usize, key: bool) {
        self.put('\'');
        let mut chars = text.chars().peekable();
        let mut spaces = false;
        let mut first = true;
        while let Some(c) = chars.next() {
            let inside = !first && chars.peek().is_some_and(|next| *next != ' ');
            if c == ' ' && !key && !spaces && self.column > WIDTH && inside {
                self.line(indent);
            } else {
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
            }
            spaces = c == ' ';
            first = false;
        }
        self.put('\'');
    }

    fn double(&mut self, text: &str, indent: usize, key: bool) {
        self.put('"');
        let mut chars = text.chars().peekable();
        let mut spaces = false;
        let mut first = true;
        while let Some(c) = chars.next() {
            if let Some(escape) = escape(c) {
                self.write(&escape);
                spaces = false;
            } else if c == ' ' {
                let inside = !first && chars.peek().is_some();
                if !key && !spaces && self.column > WIDTH && inside {
                    self.line(indent);
                    if chars.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
            first = false;
        }
        self.put('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with(|c: char| c == ' ' || style::is_break(c)) {
            self.put('2');
        }
        let body = text.strip_suffix(style::is_break);
        match body {
            None => self.put('-'),
            Some(body) if body.is_empty() || body.ends_with(style::is_break) => self.put('+'),
            Some(_) => {}
        }
        self.put('\n');
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                for _ in 0..indent {
                    self.put(' ');
                }
            }
            self.write(line);
        }
    }
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => number::shortest(value),
        _ => number.to_string(),
    }
}

/// The escape of a character that must not stand in double quotes.
fn escape(c: char) -> Option<String> {
    let short = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c if style::printable(c) => return None,
        c => {
            return Some(match c as u32 {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            });
        }
    };
    Some(short.to_owned())
}

/// Keys sort so that numbers in them count (`a2` before `a10`), and what is no
/// letter comes before letters.
fn key_order(a: &str, b: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let differs = left.iter().zip(&right).position(|(l, r)| l != r);
    let Some(at) = differs else {
        return left.len().cmp(&right.len());
    };
    let (l, r) = (left[at], right[at]);
    match (l.is_alphabetic(), r.is_alphabetic()) {
        (true, true) => return l.cmp(&r),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero inside a number counts, one before it does not.
    let inside = (l == '0' || r == '0')
        && left[..at]
            .iter()
            .rev()
            .take_while(|c| c.is_numeric())
            .any(|c| *c != '0');
    let seed = i64::from(inside);
    let (left_value, left_end) = number_at(&left, at, seed);
    let (right_value, right_end) = number_at(&right, at, seed);
    left_value
        .cmp(&right_value)
        .then(left_end.cmp(&right_end))
        .then(l.cmp(&r))
}

/// The digits from `at` on as a number that starts with `seed`, and their end.
fn number_at(text: &[char], at: usize, seed: i64) -> (i64, usize) {
    let mut value = seed;
    let mut end = at;
    while let Some(digit) = text.get(end).and_then(|c| c.to_digit(10)) {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        end += 1;
    }
    (value, end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_layout_is_upstreams() {
        let value = json!({
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "p", "annotations": {"a": "x\ny\n", "b": "no\n\n", "c": " lead\nx"}, "empty": {}, "none": null},
            "spec": {
                "containers": [{"name": "c", "args": ["--a", "1", "- x"], "ports": []}, [1, [2]], []],
                "n": 5, "f": 0.5, "t": true
            }
        });
        let want = "\
apiVersion: v1
kind: Pod
metadata:
  annotations:
    a: |
      x
      y
    b: |+
      no

    c: |2-
       lead
      x
  empty: {}
  name: p
  none: null
spec:
  containers:
  - args:
    - --a
    - \"1\"
    - '- x'
    name: c
    ports: []
  - - 1
    - - 2
  - []
  f: 0.5
  \"n\": 5
  t: true
";
        assert_eq!(to_string(&value), want);
    }

    #[test]
    fn long_texts_are_folded() {
        let words = "word ".repeat(30);
        let value = json!({"message": words.trim(), "quoted": format!("a: {}", words.trim())});
        let text = to_string(&value);
        for line in text.lines() {
            assert!(line.len() < 90, "{line}");
        }
        assert_eq!(super::super::read(text.as_bytes()).unwrap().value, value);
    }

    #[test]
    fn keys_sort_naturally() {
        let mut keys = [
            "a10", "a2", "a", "b", "A", "a-b", "a_b", "1", "10", "2", "a01", "a1",
        ];
        keys.sort_by(|a, b| key_order(a, b));
        assert_eq!(
            keys,
            [
                "1", "2", "10", "A", "a", "a-b", "a_b", "a1", "a01", "a2", "a10", "b"
            ]
        );
    }

    #[test]
    fn scalars_stand_alone() {
        assert_eq!(to_string(&json!("x")), "x\n");
        assert_eq!(to_string(&json!({})), "{}\n");
        assert_eq!(to_string(&json!([])), "[]\n");
        assert_eq!(to_string(&json!(null)), "null\n");
    }
}
