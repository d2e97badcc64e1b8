//! Image references: parsing and the normal form that Docker, containerd and the kubelet share.
//!
//! `nginx` is `docker.io/library/nginx:latest`; a digest wins over a tag. Grammar: distribution's reference format.
//! Invariant: a [`Reference`] is always in normal form, so two references to the same thing are equal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::error::ImageError;

/// The registry that a name without a host belongs to.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag that a name with neither tag nor digest gets.
pub const DEFAULT_TAG: &str = "latest";
const LEGACY_DEFAULT_REGISTRY: &str = "index.docker.io";
/// Names without a slash on the default registry live here.
const OFFICIAL_PREFIX: &str = "library/";
const NAME_BYTES: usize = 255;
const TAG_BYTES: usize = 128;

/// A normalised image reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses and normalises `input`.
    pub fn parse(input: &str) -> Result<Self, ImageError> {
        parse(input).map_err(|problem| ImageError::InvalidReference {
            input: input.to_owned(),
            problem,
        })
    }

    /// Host and optional port as written, such as `docker.io` or `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path on the registry, such as `library/nginx`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and path, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag; `latest` when neither tag nor digest was given; `None` when only a digest was.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether the API defaults `imagePullPolicy` to `Always`: the tag is `latest`, said or unsaid.
    pub fn has_latest_tag(&self) -> bool {
        self.tag() == Some(DEFAULT_TAG)
    }

    /// The same repository at `digest`.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            registry: self.registry.clone(),
            repository: self.repository.clone(),
            tag: None,
            digest: Some(digest),
        }
    }

    /// What to ask the registry for: the digest, else the tag.
    pub(crate) fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.as_deref().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    /// The normal form: `registry/path@digest` when there is a digest, else `registry/path:tag`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        write!(
            f,
            "{}/{}{separator}{}",
            self.registry,
            self.repository,
            self.version()
        )
    }
}

impl FromStr for Reference {
    type Err = ImageError;

    fn from_str(input: &str) -> Result<Self, ImageError> {
        Self::parse(input)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The error is the part of the message after "invalid reference format".
fn parse(input: &str) -> Result<Reference, String> {
    let (rest, digest) = match input.split_once('@') {
        Some((rest, digest)) => {
            let digest = digest
                .parse::<Digest>()
                .map_err(|error| format!(": {error}"))?;
            (rest, Some(digest))
        }
        None => (input, None),
    };
    // A colon after the last slash starts a tag; before it, it belongs to the registry's port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        return Err(format!(
            ": tag {tag:?} may hold letters, digits, '_', '.', '-', at most {TAG_BYTES} characters"
        ));
    }
    let (registry, path) = split_registry(name);
    let registry = if registry == LEGACY_DEFAULT_REGISTRY {
        DEFAULT_REGISTRY
    } else {
        registry
    };
    let repository = match registry == DEFAULT_REGISTRY && !path.contains('/') {
        true => format!("{OFFICIAL_PREFIX}{path}"),
        false => path.to_owned(),
    };
    if !is_registry(registry) || path.is_empty() {
        return Err(String::new());
    }
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!(
            ": repository name ({repository}) must be lowercase"
        ));
    }
    if !repository.split('/').all(is_path_component) {
        return Err(String::new());
    }
    if registry.len() + 1 + repository.len() > NAME_BYTES {
        return Err(format!(
            ": repository name must not be more than {NAME_BYTES} characters"
        ));
    }
    // 64 hex digits alone would be taken for an image id.
    if Digest::from_hex(name).is_some() {
        return Err(format!(": {name:?} is an image id, not a repository name"));
    }
    let tag = tag
        .or(digest.is_none().then_some(DEFAULT_TAG))
        .map(str::to_owned);
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        tag,
        digest,
    })
}

/// The first component is a host when it cannot be anything else.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !tag.is_empty()
        && tag.len() <= TAG_BYTES
        && word(tag.as_bytes()[0])
        && tag
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                "v6",
                port.strip_prefix(':')
                    .or(if port.is_empty() { None } else { Some("bad") }),
            )
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Alphanumeric words joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    bytes
        .split(|byte| alphanumeric(*byte))
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn references_take_the_normal_form_that_containerd_gives_them() {
        let table = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("user/app", "docker.io/user/app:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("registry.example/a/b__c/d-.e", ""),
            (
                "registry.example/a/b__c/d--e.f",
                "registry.example/a/b__c/d--e.f:latest",
            ),
            ("Upper.example/app", "Upper.example/app:latest"),
            ("kogge.dev/toolbox", "kogge.dev/toolbox:latest"),
        ];
        for (input, normal) in table {
            let found = Reference::parse(input)
                .map(|reference| reference.to_string())
                .unwrap_or_default();
            assert_eq!(found, normal, "{input}");
        }
        let pinned = Reference::parse(&format!("app:v1@sha256:{HEX}")).unwrap();
        assert_eq!(
            pinned.to_string(),
            format!("docker.io/library/app@sha256:{HEX}")
        );
        assert_eq!(pinned.tag(), Some("v1"));
    }

    #[test]
    fn the_latest_tag_is_seen_where_the_kubelet_sees_it() {
        let table = [
            ("app", true),
            ("app:latest", true),
            ("localhost:5000/app", true),
            ("app:v1", false),
            (&format!("app@sha256:{HEX}"), false),
            (&format!("app:latest@sha256:{HEX}"), true),
        ];
        for (input, latest) in table {
            assert_eq!(
                Reference::parse(input).unwrap().has_latest_tag(),
                latest,
                "{input}"
            );
        }
    }

    #[test]
    fn a_bad_reference_is_refused_with_the_kubelets_words() {
        let table = [
            (
                "",
                r#"couldn't parse image name "": invalid reference format"#,
            ),
            (
                "a//b",
                r#"couldn't parse image name "a//b": invalid reference format"#,
            ),
            (
                "../etc",
                r#"couldn't parse image name "../etc": invalid reference format"#,
            ),
            (
                "reg.example/../x",
                r#"couldn't parse image name "reg.example/../x": invalid reference format"#,
            ),
            (
                "Nginx",
                r#"couldn't parse image name "Nginx": invalid reference format: repository name (library/Nginx) must be lowercase"#,
            ),
            (
                "a:b:c",
                r#"couldn't parse image name "a:b:c": invalid reference format"#,
            ),
            (
                "a: b",
                r#"couldn't parse image name "a: b": invalid reference format: tag " b" may hold"#,
            ),
            (
                "a@sha256:12",
                r#"couldn't parse image name "a@sha256:12": invalid reference format: "sha256:12" is not"#,
            ),
            (
                "host:99999/a",
                r#"couldn't parse image name "host:99999/a": invalid reference format"#,
            ),
        ];
        for (input, message) in table {
            let error = Reference::parse(input).unwrap_err();
            assert!(error.to_string().starts_with(message), "{input}: {error}");
            assert_eq!(error.reason(), "InvalidImageName");
        }
        assert!(
            Reference::parse(HEX)
                .unwrap_err()
                .to_string()
                .contains("is an image id")
        );
        assert!(
            Reference::parse(&format!("a/{}", "b".repeat(300)))
                .unwrap_err()
                .to_string()
                .contains("255")
        );
    }
}
