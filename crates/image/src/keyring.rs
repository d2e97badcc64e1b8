//! Registry credentials as Kubernetes hands them out: Docker configuration files from imagePullSecrets.
//!
//! Reads `.dockerconfigjson` (`{"auths": …}`) and the older `.dockercfg` (the map alone). Matching follows the kubelet: glob
//! hosts, path prefixes, the most specific key first. Invariant: secrets never show in `Debug` or in an error.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{ImageError, Result};
use crate::reference::{DEFAULT_REGISTRY, Reference};

/// Keys that mean Docker's own registry, once scheme and API version are gone.
const DEFAULT_REGISTRY_KEYS: [&str; 3] = ["index.docker.io", "docker.io", "registry-1.docker.io"];

/// What to show a registry. All fields may be empty: then nothing is shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Credential {
    /// User name for basic authentication, with `password`.
    #[serde(default)]
    pub username: String,
    /// Password or access token that goes with the user name.
    #[serde(default)]
    pub password: String,
    /// A refresh token for the registry's token service.
    #[serde(default, rename = "identitytoken")]
    pub identity_token: String,
    /// A bearer token, sent as it is.
    #[serde(default, rename = "registrytoken")]
    pub registry_token: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential {{ username: {:?}, .. }}", self.username)
    }
}

impl Credential {
    /// User name and password.
    pub fn basic(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            ..Self::default()
        }
    }

    /// The value of a basic `Authorization` header, when there is a user name.
    pub(crate) fn basic_header(&self) -> Option<String> {
        let pair = format!("{}:{}", self.username, self.password);
        (!self.username.is_empty()).then(|| format!("Basic {}", STANDARD.encode(pair)))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One entry of a Docker configuration file.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(flatten)]
    credential: Credential,
}

#[derive(Deserialize)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

/// Credentials by registry.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// Keys without scheme; the most specific first.
    entries: Vec<(String, Credential)>,
}

impl Keyring {
    /// Adds the content of one secret. `source` names it in errors.
    pub fn add_docker_config(&mut self, source: &str, content: &[u8]) -> Result<()> {
        // Only the position is told: serde's own text may quote the content.
        let malformed = |error: serde_json::Error| {
            let place = format!(
                "it is not a Docker configuration in JSON (line {}, column {})",
                error.line(),
                error.column()
            );
            ImageError::corrupt(format!("registry credentials in {source}"), place)
        };
        let auths = match serde_json::from_slice::<DockerConfig>(content) {
            Ok(config) => config.auths,
            Err(_) => {
                serde_json::from_slice::<BTreeMap<String, Entry>>(content).map_err(malformed)?
            }
        };
        for (key, entry) in auths {
            let mut credential = entry.credential;
            if !entry.auth.is_empty() && credential.username.is_empty() {
                let pair = STANDARD
                    .decode(entry.auth.trim())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                let Some((username, password)) =
                    pair.as_deref().and_then(|pair| pair.split_once(':'))
                else {
                    let problem =
                        format!("the auth field for {key:?} is not base64 of user:password");
                    return Err(ImageError::corrupt(
                        format!("registry credentials in {source}"),
                        problem,
                    ));
                };
                credential.username = username.to_owned();
                // Docker pads passwords with zero bytes in old files.
                credential.password = password.trim_end_matches('\0').to_owned();
            }
            self.add(&key, credential);
        }
        Ok(())
    }

    /// Adds one credential for a registry: a host, or a URL with an optional path prefix.
    pub fn add(&mut self, registry: &str, credential: Credential) {
        if credential.is_empty() {
            return;
        }
        let bare = registry
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let path = path
            .strip_prefix("v1")
            .or(path.strip_prefix("v2"))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .unwrap_or(path);
        let path = path.trim_matches('/');
        let host = if DEFAULT_REGISTRY_KEYS.contains(&host) {
            DEFAULT_REGISTRY
        } else {
            host
        };
        let key = if path.is_empty() {
            host.to_owned()
        } else {
            format!("{host}/{path}")
        };
        self.entries.push((key, credential));
        // Stable, so that of equal keys the one added first is tried first.
        self.entries.sort_by(|(a, _), (b, _)| b.cmp(a));
    }

    /// Credentials for an image, the most specific first.
    pub fn lookup(&self, reference: &Reference) -> Vec<Credential> {
        let matching = self
            .entries
            .iter()
            .filter(|(key, _)| matches(key, reference));
        matching.map(|(_, credential)| credential.clone()).collect()
    }
}

fn matches(key: &str, reference: &Reference) -> bool {
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let (own_host, own_port) = reference
        .registry()
        .split_once(':')
        .unwrap_or((reference.registry(), ""));
    let labels = host.split('.').count() == own_host.split('.').count();
    let hosts = labels
        && host
            .split('.')
            .zip(own_host.split('.'))
            .all(|(glob, label)| glob_matches(glob.as_bytes(), label.as_bytes()));
    hosts && port == own_port && reference.repository().starts_with(path)
}

/// `*` is any run of characters and `?` is any one, inside one label of a host.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob_matches(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| glob_matches(glob, text))
        }
        (Some((b'?', rest)), Some((_, text))) => glob_matches(rest, text),
        (Some((glob, rest)), Some((byte, text))) => glob == byte && glob_matches(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(keyring: &Keyring, image: &str) -> Vec<String> {
        let found = keyring.lookup(&Reference::parse(image).unwrap());
        found
            .into_iter()
            .map(|credential| format!("{}:{}", credential.username, credential.password))
            .collect()
    }

    #[test]
    fn credentials_match_by_host_glob_port_and_path_the_most_specific_first() {
        let mut keyring = Keyring::default();
        let config = br#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"aHViOnB3"},
            "reg.example":{"username":"all","password":"a"},
            "reg.example/team":{"username":"team","password":"t"},
            "*.wild.example":{"username":"wild","password":"w"},
            "port.example:5000":{"username":"port","password":"p"}}}"#;
        keyring
            .add_docker_config("secret default/pull", config)
            .unwrap();
        let table: [(&str, &[&str]); 8] = [
            ("nginx", &["hub:pw"]),
            ("reg.example/other/app", &["all:a"]),
            ("reg.example/team/app", &["team:t", "all:a"]),
            ("a.wild.example/app", &["wild:w"]),
            ("a.b.wild.example/app", &[]),
            ("port.example:5000/app", &["port:p"]),
            ("port.example/app", &[]),
            ("notreg.example/app", &[]),
        ];
        for (image, expected) in table {
            assert_eq!(users(&keyring, image), expected, "{image}");
        }
        let mut old = Keyring::default();
        old.add_docker_config(
            "secret",
            br#"{"reg.example":{"auth":"aHViOnB3","email":"a@b"}}"#,
        )
        .unwrap();
        assert_eq!(users(&old, "reg.example/app"), ["hub:pw"]);
    }

    #[test]
    fn a_malformed_secret_is_named_and_not_quoted() {
        let mut keyring = Keyring::default();
        for content in [
            "{\"auths\":{\"reg\":{\"auth\":\"c2VjcmV0\"}}}",
            "\"hunter2\"",
            "{\"reg\":\"hunter2\"}",
        ] {
            let error = keyring
                .add_docker_config("secret default/pull", content.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("registry credentials in secret default/pull is corrupt: "),
                "{error}"
            );
            assert!(
                !error.contains("hunter2") && !error.contains("c2VjcmV0"),
                "{error}"
            );
        }
        assert!(!format!("{:?}", Credential::basic("user", "hunter2")).contains("hunter2"));
    }
}
