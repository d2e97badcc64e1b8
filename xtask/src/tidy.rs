//! `cargo xtask tidy`: every check of the checkout in one go.
//!
//! Reads `cargo metadata` and the files that git would commit; writes to the
//! terminal. Invariant: all problems are listed before it fails, warnings never
//! fail it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{layers, links, sources, workspace};

/// Files whose text is made by cargo and names its index.
const GENERATED: &[&str] = &["Cargo.lock"];

/// Runs all checks.
pub(crate) fn run() -> Result<ExitCode> {
    let workspace = workspace::read()?;
    let files = files(&workspace.root)?;
    let mut problems = layers::check(&workspace.members);
    let mut warnings = Vec::new();
    for path in &files {
        let bytes = std::fs::read(workspace.root.join(path))
            .with_context(|| format!("reading {}", path.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue; // an image or an archive: no names, no links
        };
        let found = sources::check(path, &text);
        let at = |finding: String| format!("{}: {finding}", path.display());
        problems.extend(found.problems.into_iter().map(at));
        warnings.extend(found.warnings.into_iter().map(at));
        if path.extension().is_some_and(|extension| extension == "md") {
            problems.extend(
                links::check(&workspace.root, path, &text)
                    .into_iter()
                    .map(at),
            );
        }
    }
    for warning in &warnings {
        println!("warning: {warning}");
    }
    for problem in &problems {
        println!("error: {problem}");
    }
    println!(
        "tidy: {} crates, {} files: {} errors, {} warnings",
        workspace.members.len(),
        files.len(),
        problems.len(),
        warnings.len()
    );
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Files that are committed or would be, relative to the root.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("starting git ls-files")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("git ls-files failed: {said}");
    }
    let listed = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<PathBuf> = listed
        .split_terminator('\0')
        .filter(|name| !GENERATED.contains(name))
        .map(PathBuf::from)
        .filter(|path| root.join(path).is_file()) // deleted but not yet committed
        .collect();
    files.sort();
    files.dedup();
    if files.is_empty() {
        bail!("git lists no files in {}", root.display());
    }
    Ok(files)
}
