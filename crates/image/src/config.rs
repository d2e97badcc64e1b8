//! The image configuration: what a container made from the image runs by default, and how its layers stack.
//!
//! Written as the OCI image spec has it; reads what Docker writes too (fields that are `null`, unknown fields).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::error::{ImageError, Result};
use crate::platform::Platform;

/// An image's configuration document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Build time, where the builder told.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient_time"
    )]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "null_is_default")]
    architecture: String,
    #[serde(default, deserialize_with = "null_is_default")]
    os: String,
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    variant: String,
    #[serde(default, deserialize_with = "null_is_default")]
    config: ContainerDefaults,
    #[serde(default, deserialize_with = "null_is_default")]
    rootfs: RootfsLayers,
}

/// The `config` part: defaults for containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerDefaults {
    /// `uid`, `uid:gid`, `name` or `name:group`; empty is root.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub user: String,
    /// `port/protocol`, such as `80/tcp`.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub env: Vec<String>,
    /// The program and its fixed arguments.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub entrypoint: Vec<String>,
    /// Default arguments, or the program when there is no entrypoint.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub cmd: Vec<String>,
    /// Paths that the image wants as volumes.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub volumes: BTreeMap<String, Empty>,
    /// Where the program starts; empty is `/`.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub working_dir: String,
    /// Free-form labels.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the program to end, such as `SIGQUIT`; empty is SIGTERM.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub stop_signal: String,
}

/// `{}`: the OCI way to write a set is a map to empty objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RootfsLayers {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<Digest>,
}

impl Default for RootfsLayers {
    fn default() -> Self {
        Self {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        }
    }
}

impl ImageConfig {
    /// A configuration for `platform` with container `defaults`; the layers are filled in when the image is built.
    pub fn new(
        platform: &Platform,
        created: Option<Timestamp>,
        defaults: ContainerDefaults,
    ) -> Self {
        Self {
            created,
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            config: defaults,
            rootfs: RootfsLayers::default(),
        }
    }

    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            ImageError::corrupt(format!("configuration of {what}"), error.to_string())
        })
    }

    pub(crate) fn with_layers(mut self, diff_ids: Vec<Digest>) -> Self {
        self.rootfs.diff_ids = diff_ids;
        self
    }

    /// The program and its fixed arguments.
    pub fn entrypoint(&self) -> &[String] {
        &self.config.entrypoint
    }

    /// Default arguments.
    pub fn cmd(&self) -> &[String] {
        &self.config.cmd
    }

    /// Environment as `NAME=value`.
    pub fn env(&self) -> &[String] {
        &self.config.env
    }

    /// Where the program starts, `/` when the image does not say.
    pub fn working_dir(&self) -> &str {
        if self.config.working_dir.is_empty() {
            "/"
        } else {
            &self.config.working_dir
        }
    }

    /// The user string; empty is root. See [`crate::ImageStore::resolve_user`].
    pub fn user(&self) -> &str {
        &self.config.user
    }

    /// `port/protocol` of every exposed port.
    pub fn exposed_ports(&self) -> impl Iterator<Item = &str> {
        self.config.exposed_ports.keys().map(String::as_str)
    }

    /// The signal that asks the program to end, when the image names one.
    pub fn stop_signal(&self) -> Option<&str> {
        Some(self.config.stop_signal.as_str()).filter(|signal| !signal.is_empty())
    }

    /// Paths that the image wants as volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.config.volumes.keys().map(String::as_str)
    }

    /// Labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.config.labels
    }

    /// Build time, where the builder told.
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// The platform the image is for.
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        }
    }

    /// Digests of the uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> &[Digest] {
        &self.rootfs.diff_ids
    }

    /// The chain id of every layer, lowest first.
    pub(crate) fn chain_ids(&self) -> Vec<Digest> {
        let mut chain: Vec<Digest> = Vec::with_capacity(self.rootfs.diff_ids.len());
        for diff_id in &self.rootfs.diff_ids {
            chain.push(
                chain
                    .last()
                    .map_or(*diff_id, |parent| parent.chain(diff_id)),
            );
        }
        chain
    }
}

/// Docker writes `null` where Go had a nil slice or map.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An unreadable build time is no reason to refuse an image.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_configuration_with_nulls_and_unknown_fields_reads() {
        let text = br#"{"architecture":"amd64","os":"linux","created":"2024-05-01T10:00:00.123456789Z","docker_version":"x",
            "config":{"Hostname":"","User":"app:app","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin"],"Entrypoint":null,
            "Cmd":["/bin/sh"],"Volumes":{"/data":{}},"WorkingDir":"","Labels":null,"StopSignal":"SIGQUIT","OnBuild":null},
            "rootfs":{"type":"layers","diff_ids":[
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]},"history":[]}"#;
        let config = ImageConfig::parse(text, "a").unwrap();
        assert!(config.entrypoint().is_empty() && config.labels().is_empty());
        assert_eq!(config.cmd(), ["/bin/sh"]);
        assert_eq!(config.working_dir(), "/");
        assert_eq!(config.user(), "app:app");
        assert_eq!(config.exposed_ports().collect::<Vec<_>>(), ["80/tcp"]);
        assert_eq!(config.volumes().collect::<Vec<_>>(), ["/data"]);
        assert_eq!(config.stop_signal(), Some("SIGQUIT"));
        assert_eq!(
            config.created().unwrap().to_string(),
            "2024-05-01T10:00:00.123456789Z"
        );
        let chain = config.chain_ids();
        assert_eq!(chain[0], config.diff_ids()[0]);
        let text = format!("{} {}", config.diff_ids()[0], config.diff_ids()[1]);
        assert_eq!(chain[1], Digest::of(text.as_bytes()));
    }
}
