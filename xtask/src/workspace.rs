//! What cargo knows of this workspace: its root, its target directory, and which
//! member depends on which.
//!
//! Reads `cargo metadata`. Invariant: names of members are given without the
//! `kogge-` prefix, as the architecture names them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// One member and what it declares, for every target and of every sort (normal, build, dev).
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Member {
    /// Members it depends on.
    pub(crate) members: BTreeSet<String>,
    /// Other crates it depends on outside of its tests.
    pub(crate) foreign: BTreeSet<String>,
}

/// The workspace as cargo sees it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) members: BTreeMap<String, Member>,
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Asks cargo. The answer needs neither the network nor a build.
pub(crate) fn read() -> Result<Workspace> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    parse(&serde_json::from_slice(&output.stdout).context("reading cargo metadata")?)
}

fn parse(metadata: &Value) -> Result<Workspace> {
    let path = |field: &str| -> Result<PathBuf> {
        let value = metadata[field].as_str();
        Ok(value
            .with_context(|| format!("cargo metadata has no {field}"))?
            .into())
    };
    let packages = metadata["packages"].as_array();
    let mut members = BTreeMap::new();
    for package in packages.context("cargo metadata has no packages")? {
        let name = package["name"].as_str().context("a package has no name")?;
        let mut member = Member::default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(used) = dependency["name"].as_str() else {
                continue;
            };
            if dependency["path"].is_string() {
                member.members.insert(short(used).to_owned());
            } else if dependency["kind"].as_str() != Some("dev") {
                member.foreign.insert(used.to_owned());
            }
        }
        members.insert(short(name).to_owned(), member);
    }
    Ok(Workspace {
        root: path("workspace_root")?,
        target: path("target_directory")?,
        members,
    })
}

fn short(name: &str) -> &str {
    name.strip_prefix("kogge-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_told_from_foreign_crates_and_tests_may_use_any_foreign_crate() {
        let metadata = json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": [{"name": "kogge-world", "dependencies": [
                {"name": "kogge-object", "path": "/w/crates/object", "kind": null},
                {"name": "imbl", "kind": null},
                {"name": "tokio", "kind": "dev"},
            ]}],
        });
        let workspace = parse(&metadata).expect("the metadata is complete");
        let world = &workspace.members["world"];
        assert_eq!(world.members, BTreeSet::from(["object".to_owned()]));
        assert_eq!(world.foreign, BTreeSet::from(["imbl".to_owned()]));
    }

    #[test]
    fn metadata_without_packages_is_an_error() {
        let metadata = json!({"workspace_root": "/w", "target_directory": "/w/target"});
        assert!(parse(&metadata).is_err());
    }
}
