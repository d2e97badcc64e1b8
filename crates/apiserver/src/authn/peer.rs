//! The certificate of a connection: a client's, or that of a front proxy that
//! names the user in headers.
//!
//! A chain is judged once per connection; that it has not ended since, for every
//! request.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{SetupError, with_authenticated};
use crate::identity::User;

/// Key of `extra` that tells which credential was shown.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// What a connection's certificate tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// There is none.
    Unknown,
    /// It is of a client.
    Client {
        /// Who.
        user: Box<User>,
        /// Second of its end.
        ends: i64,
    },
    /// It is of a front proxy, whose headers name the user.
    Proxy {
        /// Second of its end.
        ends: i64,
    },
    /// It is good for nothing here.
    Refused(PeerError),
}

/// Why a certificate tells nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PeerError {
    /// Not signed by an authority that counts here, or not for clients.
    #[error("the client certificate is not good: {0}")]
    Untrusted(String),
    /// Its time is over.
    #[error("the client certificate has expired")]
    Expired,
    /// It is no certificate.
    #[error("the client certificate does not read")]
    Unreadable,
}

impl Peer {
    /// The user of a request on this connection, if it tells one.
    pub fn user(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<User>, PeerError> {
        let in_time = |ends: &i64| match now.as_second() <= *ends {
            true => Ok(()),
            false => Err(PeerError::Expired),
        };
        match self {
            Self::Unknown => Ok(None),
            Self::Refused(error) => Err(error.clone()),
            Self::Client { user, ends } => in_time(ends).map(|()| Some((**user).clone())),
            Self::Proxy { ends } => {
                in_time(ends)?;
                // A proxy that names nobody is no client either.
                named(headers).map(Some).ok_or_else(|| {
                    PeerError::Untrusted("a front proxy has to name the user".into())
                })
            }
        }
    }
}

/// The user that a front proxy names.
fn named(headers: &HeaderMap) -> Option<User> {
    let texts = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let name = texts("x-remote-user").into_iter().next()?;
    Some(User {
        name,
        uid: texts("x-remote-uid").into_iter().next().unwrap_or_default(),
        groups: with_authenticated(texts("x-remote-group")),
        extra: extra(headers, "x-remote-extra-"),
    })
}

/// Headers with a prefix, as `extra` of a user. Header names are lower case and
/// may be percent-encoded.
pub(super) fn extra(
    headers: &HeaderMap,
    prefix: &str,
) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut extra = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        let (Some(key), Ok(value)) = (name.as_str().strip_prefix(prefix), value.to_str()) else {
            continue;
        };
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        extra
            .entry(key.to_lowercase())
            .or_default()
            .push(value.to_owned());
    }
    extra
}

/// Judges certificates by the authorities of the cluster.
pub(super) struct Verifiers {
    clients: Arc<dyn ClientCertVerifier>,
    proxies: Arc<dyn ClientCertVerifier>,
    proxy_name: &'static str,
}

impl Verifiers {
    pub(super) fn new(
        clients: &CertificateDer<'static>,
        proxies: &CertificateDer<'static>,
        proxy_name: &'static str,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            clients: verifier("clients", clients)?,
            proxies: verifier("front proxies", proxies)?,
            proxy_name,
        })
    }

    pub(super) fn peer(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Peer {
        let Some((own, rest)) = chain.split_first() else {
            return Peer::Unknown;
        };
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let Ok((_, cert)) = X509Certificate::from_der(own) else {
            return Peer::Refused(PeerError::Unreadable);
        };
        let ends = cert.validity().not_after.timestamp();
        let common_name = cert
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default();
        if self.proxies.verify_client_cert(own, rest, at).is_ok() {
            return match common_name == self.proxy_name {
                true => Peer::Proxy { ends },
                false => Peer::Refused(PeerError::Untrusted(format!(
                    "{common_name:?} is no front proxy"
                ))),
            };
        }
        match self.clients.verify_client_cert(own, rest, at) {
            Err(error) => Peer::Refused(PeerError::Untrusted(error.to_string())),
            Ok(_) if common_name.is_empty() => {
                Peer::Refused(PeerError::Untrusted("it names no user".into()))
            }
            Ok(_) => Peer::Client {
                user: Box::new(user(common_name, &cert, own)),
                ends,
            },
        }
    }
}

fn verifier(
    of: &'static str,
    authority: &CertificateDer<'static>,
) -> Result<Arc<dyn ClientCertVerifier>, SetupError> {
    let failed = |why: String| SetupError::Authority { of, why };
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.clone())
        .map_err(|error| failed(error.to_string()))?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    Ok(verifier)
}

fn user(name: &str, cert: &X509Certificate<'_>, der: &CertificateDer<'_>) -> User {
    let groups = cert
        .subject()
        .iter_organization()
        .filter_map(|entry| entry.as_str().ok())
        .map(str::to_owned)
        .collect();
    let digest = Sha256::digest(der);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    User {
        name: name.to_owned(),
        uid: String::new(),
        groups: with_authenticated(groups),
        extra: [(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={hex}")])].into(),
    }
}
