//! Relative links of Markdown files, and whether they lead somewhere.
//!
//! Reads only whether a path exists. Invariant: a link out of the checkout is a
//! broken link, since a reader of a clone cannot follow it.

use std::path::{Component, Path, PathBuf};

/// The relative links of a text with their lines (1-based), code left out.
pub(crate) fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (nth, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        let line = without_code(line);
        let inline = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let defined = definition(&line);
        for target in inline.chain(defined) {
            let target = target.split_whitespace().next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((nth + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The target of `[name]: target`.
fn definition(line: &str) -> Option<&str> {
    let (name, target) = line.strip_prefix('[')?.split_once("]:")?;
    (!name.contains(']')).then_some(target)
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The broken links of the file at `path` below `root`.
pub(crate) fn check(root: &Path, path: &Path, text: &str) -> Vec<String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    links(text)
        .into_iter()
        .filter(|(_, target)| {
            !inside(&folder.join(target)).is_some_and(|target| root.join(target).exists())
        })
        .map(|(line, target)| format!("line {line}: the link {target} leads nowhere"))
        .collect()
}

/// The path without `.` and `..`; none when it leaves the checkout.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            Component::ParentDir => {
                if !inside.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> usize {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        check(root, Path::new("src/README.md"), text).len()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        for fine in [
            "[a](main.rs)",
            "[a](./main.rs#usage) and [b](../Cargo.toml \"the manifest\")",
            "[a]: main.rs",
            "[a](https://example.com/none) [b](#below) [c](mailto:a@example.com)",
            "`[a](none.md)`",
            "```\n[a](none.md)\n```",
        ] {
            assert_eq!(broken(fine), 0, "{fine}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_reported() {
        for bad in [
            "[a](none.rs)",
            "[a](main.rs) [b](none.rs#usage)",
            "[a]: none.rs",
            "```\n```\n[a](none.rs)",
            "[a](../../Cargo.toml)",
            "[a](/etc/passwd)",
        ] {
            assert_eq!(broken(bad), 1, "{bad}");
        }
    }
}
