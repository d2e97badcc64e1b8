//! `cargo xtask test`: all tests of the workspace, with the clients they drive.
//!
//! Fetches tools into `target/tools`, then runs `cargo test`. Invariants: what
//! cannot be fetched is said in one line and skipped by the tests that need it;
//! nothing is printed after cargo's own closing lines.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{tools, workspace};

/// Tells tests where kubectl is; a test that needs it and does not find it skips.
const KUBECTL: &str = "KOGGE_KUBECTL";

/// Runs every test; `args` are added to those of `cargo test`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let workspace = workspace::read()?;
    let mut tests = workspace::cargo();
    tests
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .args(args)
        .current_dir(&workspace.root);
    match tools::kubectl(&workspace.target) {
        Ok(kubectl) => {
            tests.env(KUBECTL, kubectl);
        }
        Err(error) => println!("skipped: no kubectl ({error:#})"),
    }
    let status = tests.status().context("starting cargo test")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
