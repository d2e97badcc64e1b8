//! Where images come from: which hosts serve a registry, how they are spoken to, and sessions with one of them.
//!
//! Speaks the OCI distribution protocol as far as pulling needs it. Invariants: credentials go only to the host they are for
//! (never along a redirect, never to a mirror, never in clear text to a host that is not loopback or declared insecure).

mod challenge;
mod session;
mod transport;

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::Url;

use crate::error::{ImageError, Result};
use crate::keyring::Credential;
use crate::reference::{DEFAULT_REGISTRY, Reference};

pub(crate) use session::Session;
pub(crate) use transport::{Transport, body_chunk, read_bounded};

/// The host that serves [`DEFAULT_REGISTRY`].
const DEFAULT_REGISTRY_HOST: &str = "registry-1.docker.io";
/// The key whose mirrors serve every registry without mirrors of its own.
const ANY_REGISTRY: &str = "*";

/// A place that serves a registry's images: `https://host[:port][/prefix]`.
pub type Mirror = String;

/// How registries are reached.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Mirrors by registry as references name it (`docker.io`, `host:port`, or `*` for the others), tried in order before the
    /// registry itself.
    pub mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Particulars of hosts (`host` or `host:port`), mirrors among them.
    pub hosts: BTreeMap<String, RegistryConfig>,
}

/// Particulars of one host.
#[derive(Clone, Debug, Default)]
pub struct RegistryConfig {
    /// Speak HTTP without TLS. Loopback hosts are spoken to that way unless they have `ca_pem`.
    pub insecure: bool,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Used when no pull secret matches.
    pub credential: Option<Credential>,
}

/// One host that may have an image.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Up to and including `/v2`.
    pub(crate) base: Url,
    /// Host and port, for messages and lookups.
    pub(crate) host: String,
    /// For a mirror, the registry it stands in for.
    pub(crate) mirror_of: Option<String>,
    /// Clear-text HTTP is fine here.
    pub(crate) insecure: bool,
}

impl RegistryOptions {
    /// Complains about mirrors that are no URLs.
    pub(crate) fn check(&self) -> Result<()> {
        for (registry, mirrors) in &self.mirrors {
            mirrors
                .iter()
                .try_for_each(|mirror| self.mirror(registry, mirror).map(drop))?;
        }
        Ok(())
    }

    /// The hosts to ask for an image, in order: mirrors, then the registry.
    pub(crate) fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>> {
        let registry = reference.registry();
        let mirrors = self
            .mirrors
            .get(registry)
            .or_else(|| self.mirrors.get(ANY_REGISTRY));
        let mut endpoints = Vec::new();
        for mirror in mirrors.into_iter().flatten() {
            endpoints.push(self.mirror(registry, mirror)?);
        }
        let host = if registry == DEFAULT_REGISTRY {
            DEFAULT_REGISTRY_HOST
        } else {
            registry
        };
        let config = self.hosts.get(host).or_else(|| self.hosts.get(registry));
        let insecure = config.map_or(is_loopback(host), |config| {
            config.insecure || (is_loopback(host) && config.ca_pem.is_none())
        });
        let scheme = if insecure { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2"));
        let base = base.map_err(|error| {
            ImageError::corrupt(format!("registry host {host}"), error.to_string())
        })?;
        endpoints.push(Endpoint {
            base,
            host: host.to_owned(),
            mirror_of: None,
            insecure,
        });
        Ok(endpoints)
    }

    pub(crate) fn credential(&self, endpoint: &Endpoint, registry: &str) -> Option<Credential> {
        let config = self
            .hosts
            .get(&endpoint.host)
            .or_else(|| match endpoint.mirror_of {
                None => self.hosts.get(registry),
                Some(_) => None,
            });
        config?.credential.clone()
    }

    fn mirror(&self, registry: &str, mirror: &str) -> Result<Endpoint> {
        let bad = |problem: &str| {
            ImageError::corrupt(format!("mirror {mirror:?} of registry {registry}"), problem)
        };
        let mut base =
            Url::parse(mirror).map_err(|error| bad(&format!("it is not a URL: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(bad("it must start with https:// or http://"));
        }
        let Some(name) = base.host_str() else {
            return Err(bad("it has no host"));
        };
        let host = base
            .port()
            .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let path = base.path().trim_end_matches('/').to_owned();
        if !path.split('/').any(|part| part == "v2") {
            base.set_path(&format!("{path}/v2"));
        } else {
            base.set_path(&path);
        }
        // Whoever writes http:// into the configuration has declared it.
        let insecure = base.scheme() == "http";
        Ok(Endpoint {
            base,
            host,
            mirror_of: Some(registry.to_owned()),
            insecure,
        })
    }
}

/// Whether `host[:port]` is this machine by name.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_the_mirrors_and_then_the_registry() {
        let mut options = RegistryOptions::default();
        options.mirrors.insert(
            "docker.io".to_owned(),
            vec![
                "http://mirror.example:5000".to_owned(),
                "https://m2.example/hub".to_owned(),
            ],
        );
        options.mirrors.insert(
            "*".to_owned(),
            vec!["https://any.example/v2/proxy".to_owned()],
        );
        options.hosts.insert(
            "plain.example".to_owned(),
            RegistryConfig {
                insecure: true,
                ..RegistryConfig::default()
            },
        );
        let bases = |image: &str| -> Vec<String> {
            let endpoints = options
                .endpoints(&Reference::parse(image).unwrap())
                .unwrap();
            endpoints
                .iter()
                .map(|endpoint| endpoint.base.to_string())
                .collect()
        };
        assert_eq!(
            bases("nginx"),
            [
                "http://mirror.example:5000/v2",
                "https://m2.example/hub/v2",
                "https://registry-1.docker.io/v2"
            ]
        );
        assert_eq!(
            bases("plain.example/a"),
            ["https://any.example/v2/proxy", "http://plain.example/v2"]
        );
        for local in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(
                bases(&format!("{local}/a"))[1],
                format!("http://{local}/v2")
            );
        }
        assert_eq!(bases("10.0.0.1:5000/a")[1], "https://10.0.0.1:5000/v2");
    }

    #[test]
    fn a_mirror_that_is_no_url_is_named() {
        let mut options = RegistryOptions::default();
        options
            .mirrors
            .insert("docker.io".to_owned(), vec!["ftp://x".to_owned()]);
        let error = options.check().unwrap_err().to_string();
        assert_eq!(
            error,
            "mirror \"ftp://x\" of registry docker.io is corrupt: it must start with https:// or http://"
        );
    }
}
