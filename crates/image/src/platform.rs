//! Platforms: which entry of a multi-platform image runs on this machine.
//!
//! Follows containerd's matching: a missing arm64 variant is v8, a missing arm variant is v7, a newer arm runs older code.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Operating system, architecture and variant in Go's words (`linux`, `amd64`, `v7`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Variant of the architecture; empty for the usual one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// Linux on this machine's architecture.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" => ("ppc64le", ""),
            other => (other, ""),
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }

    /// How well an image for `offered` runs here: `None` not at all, 0 exactly, more is worse.
    pub(crate) fn rank(&self, offered: &Platform) -> Option<u32> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        let (own, other) = (self.level(), offered.level());
        match self.architecture.as_str() {
            "arm" | "arm64" | "amd64" => own.checked_sub(other),
            _ => (self.variant == offered.variant || offered.variant.is_empty()).then_some(0),
        }
    }

    /// The variant as a number: `v7` is 7. Unknown variants never run.
    fn level(&self) -> u32 {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm64", "") => 8,
            ("arm", "") => 7,
            ("amd64", "") => 1,
            (_, variant) => variant.trim_start_matches('v').parse().unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.variant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        Platform {
            os: parts.next().unwrap(),
            architecture: parts.next().unwrap(),
            variant: parts.next().unwrap_or_default(),
        }
    }

    #[test]
    fn a_machine_runs_its_own_architecture_and_older_variants() {
        let table = [
            ("linux/amd64", "linux/amd64", Some(0)),
            ("linux/amd64", "linux/amd64/v3", None),
            ("linux/amd64", "windows/amd64", None),
            ("linux/amd64", "linux/arm64", None),
            ("linux/arm64/v8", "linux/arm64", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/s390x", "linux/s390x", Some(0)),
        ];
        for (wanted, offered, rank) in table {
            assert_eq!(
                platform(wanted).rank(&platform(offered)),
                rank,
                "{wanted} {offered}"
            );
        }
    }
}
