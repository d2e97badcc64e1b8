//! Checks of single files: headers, names, `unsafe`, registry hosts and length.
//!
//! Pure: gets a path relative to the checkout and the text. Invariant: what a
//! comment or a string says never counts as code.

use std::path::Path;

/// What was found in one file, each with a line (1-based) where it has one.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "managers", "util", "utils",
];

/// Where `unsafe` may stand, each block with its argument.
const UNSAFE_ROOMS: &[&str] = &["crates/net", "crates/runtime"];

/// Registries, by the labels of their host names, so that this file names none.
/// A cluster must work with whatever registry it is given.
const REGISTRIES: &[&[&str]] = &[
    &["docker", "io"],
    &["ghcr", "io"],
    &["quay", "io"],
    &["gcr", "io"],
    &["pkg", "dev"],
    &["registry", "k8s", "io"],
    &["public", "ecr", "aws"],
    &["mcr", "microsoft", "com"],
    &["crates", "io"],
    &["pypi", "org"],
    &["registry", "npmjs", "org"],
    &["proxy", "golang", "org"],
];

/// The first registry is what an image name without a host means to every client,
/// so the image crate has to say it.
const DEFAULT_REGISTRY_ROOM: &str = "crates/image";

const LINES_WITHOUT_TESTS: usize = 500;

/// Checks one file of any sort.
pub(crate) fn check(path: &Path, text: &str) -> Findings {
    let mut found = Findings::default();
    names(path, &mut found);
    registries(path, text, &mut found);
    if path.extension().is_some_and(|extension| extension == "rs") {
        rust(path, text, &mut found);
    }
    found
}

fn names(path: &Path, found: &mut Findings) {
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        let problem = "a module is `foo.rs` beside `foo/`, not `mod.rs`";
        found.problems.push(problem.to_owned());
    }
    for part in path {
        let part = Path::new(part).file_stem().and_then(|stem| stem.to_str());
        if let Some(name) = part.filter(|part| EMPTY_NAMES.contains(part)) {
            let problem = format!("the name `{name}` says nothing; name what is inside");
            found.problems.push(problem);
        }
    }
}

fn registries(path: &Path, text: &str, found: &mut Findings) {
    for (nth, labels) in REGISTRIES.iter().enumerate() {
        if nth == 0 && path.starts_with(DEFAULT_REGISTRY_ROOM) {
            continue;
        }
        let host = labels.join(".");
        for (line, content) in text.lines().enumerate() {
            if names_host(content, &host) {
                let problem = format!("line {}: names the registry {host}", line + 1);
                found.problems.push(problem);
            }
        }
    }
}

/// Whether `host`, or a host below it, stands in the line as a whole name.
fn names_host(line: &str, host: &str) -> bool {
    line.match_indices(host).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + host.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
            && !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

fn rust(path: &Path, text: &str, found: &mut Findings) {
    let first = text.lines().next().unwrap_or_default();
    if first
        .strip_prefix("//!")
        .is_none_or(|rest| rest.trim().is_empty())
    {
        let problem = "the file does not open with `//!` saying what it is for";
        found.problems.push(problem.to_owned());
    }
    if !UNSAFE_ROOMS.iter().any(|room| path.starts_with(room)) {
        for (line, content) in code(text).lines().enumerate() {
            let mut words = content.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| word == "unsafe") {
                let problem = format!("line {}: `unsafe` outside of runtime and net", line + 1);
                found.problems.push(problem);
            }
        }
    }
    let lines = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .count();
    if lines > LINES_WITHOUT_TESTS {
        let warning =
            format!("{lines} lines without tests; over {LINES_WITHOUT_TESTS} wants a reason");
        found.warnings.push(warning);
    }
}

/// The text with comments, strings and characters blanked; line breaks stay.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word_before = code.chars().next_back();
        let in_word = word_before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let blank = match opaque(rest, in_word) {
            0 => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            length => length,
        };
        code.extend(
            rest[..blank]
                .chars()
                .map(|c| if c == '\n' { c } else { ' ' }),
        );
        rest = &rest[blank..];
    }
    code
}

/// Bytes of the comment, string or character that `rest` starts with; 0 when it is code.
fn opaque(rest: &str, in_word: bool) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if let Some(after) = rest.strip_prefix('"') {
        return 1 + quoted(after, '"');
    }
    if let Some(after) = rest.strip_prefix('\'') {
        return character(after).map_or(0, |length| length + 1);
    }
    if !in_word && let Some(length) = raw_string(rest) {
        return length;
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Bytes up to and with the closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

/// Bytes after the opening quote of a character; none for a lifetime.
fn character(after: &str) -> Option<usize> {
    let first = after.chars().next()?;
    if first == '\\' {
        return Some(quoted(after, '\''));
    }
    let next = &after[first.len_utf8()..];
    next.starts_with('\'').then(|| first.len_utf8() + 1)
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inner = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let opened = rest.len() - inner.len();
    let closed = inner.find(&close).map(|at| opened + at + close.len());
    Some(closed.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! What it is for.\n\nfn main() {}\n";

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(Path::new(path), text).problems
    }

    #[test]
    fn a_file_in_order_is_clean() {
        assert_eq!(
            check(Path::new("crates/a/src/lib.rs"), GOOD),
            Findings::default()
        );
    }

    #[test]
    fn a_file_without_a_header_is_reported() {
        for bad in ["", "fn main() {}\n", "//!\nfn main() {}\n", "\n//! Late.\n"] {
            assert_eq!(problems("crates/a/src/lib.rs", bad).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_mod_rs_is_reported() {
        assert_eq!(problems("crates/a/src/b/mod.rs", GOOD).len(), 1);
    }

    #[test]
    fn a_name_that_says_nothing_is_reported() {
        for bad in [
            "util.rs",
            "common.rs",
            "manager.rs",
            "helper/list.rs",
            "utils/mod_list.rs",
        ] {
            assert_eq!(
                problems(&format!("crates/a/src/{bad}"), GOOD).len(),
                1,
                "{bad}"
            );
        }
        assert!(problems("crates/a/src/manager_name.rs", GOOD).is_empty());
    }

    #[test]
    fn unsafe_code_is_reported_outside_of_its_rooms() {
        let bad = format!("{GOOD}fn f() {{ unsafe {{ g() }} }}\n");
        assert_eq!(problems("crates/a/src/lib.rs", &bad).len(), 1);
        assert!(problems("crates/net/src/lib.rs", &bad).is_empty());
    }

    #[test]
    fn the_word_unsafe_in_comments_and_strings_is_not_code() {
        for fine in [
            "// unsafe",
            "/* unsafe /* unsafe */ unsafe */",
            "const A: &str = \"un\\\" unsafe\";",
            "const A: &str = r#\"\" unsafe \"#;",
            "#![deny(unsafe_code)]",
        ] {
            let text = format!("{GOOD}{fine}\n");
            assert!(problems("crates/a/src/lib.rs", &text).is_empty(), "{fine}");
        }
    }

    #[test]
    fn unsafe_after_a_string_a_character_or_a_lifetime_is_code() {
        for bad in [
            "const A: &str = \"\\\\\"; unsafe fn f() {}",
            "const A: char = '\"'; unsafe fn f() {}",
            "const A: char = '\\''; unsafe fn f() {}",
            "fn g<'a>(a: &'a str) {} unsafe fn f() {}",
            "const A: &str = r\"\\\"; unsafe fn f() {}",
        ] {
            let text = format!("{GOOD}{bad}\n");
            assert_eq!(problems("crates/a/src/lib.rs", &text).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_registry_is_reported_but_a_group_of_the_api_is_not() {
        let line = |host: &[&str]| format!("image: {}/library/app\n", host.join("."));
        assert_eq!(
            problems("a.yaml", &line(&["registry", "k8s", "io"])).len(),
            1
        );
        assert_eq!(problems("a.yaml", &line(&["europe", "gcr", "io"])).len(), 1);
        assert!(problems("a.yaml", &line(&["networking", "k8s", "io"])).is_empty());
        assert!(problems("a.yaml", &line(&["notquay", "io"])).is_empty());
    }

    #[test]
    fn the_default_registry_is_named_in_the_image_crate_only() {
        let text = format!("{GOOD}// {}\n", REGISTRIES[0].join("."));
        assert!(problems("crates/image/src/reference.rs", &text).is_empty());
        assert_eq!(problems("crates/node/src/lib.rs", &text).len(), 1);
    }

    #[test]
    fn a_long_file_is_warned_of_and_its_tests_do_not_count() {
        let line = "fn f() {}\n";
        let warnings = |text: &str| check(Path::new("a.rs"), text).warnings.len();
        assert_eq!(warnings(&format!("//! A.\n{}", line.repeat(500))), 1);
        assert_eq!(warnings(&format!("//! A.\n{}", line.repeat(499))), 0);
        let tested = format!(
            "//! A.\n{}#[cfg(test)]\n{}",
            line.repeat(300),
            line.repeat(300)
        );
        assert_eq!(warnings(&tested), 0);
    }
}
