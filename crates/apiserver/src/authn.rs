//! Who makes a request: certificates, tokens, front proxies, nobody.
//!
//! Pure but for a cache of verified signatures: reads the request's headers, the
//! certificate of its connection and the world. Source: the authentication page
//! of the Kubernetes documentation; texts as the real server gives them.
//!
//! Reading order: [`peer`] → [`token`] → [`Authenticator`] → [`impersonate`] →
//! [`request`].

pub mod impersonate;
pub mod peer;
pub mod request;
pub mod token;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use object::{Reason, Status};
use rustls::pki_types::CertificateDer;
use world::World;

use crate::identity::{AUTHENTICATED, User};
use crate::pki::{PROXY_CLIENT, Pki};
use peer::{Peer, Verifiers};
use token::{TokenError, Tokens};

/// Paths that anybody may ask for health.
pub const HEALTH_PATHS: &[&str] = &["/healthz", "/livez", "/readyz"];

/// What a request without credentials may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Anonymous {
    /// Ask for health, as far as access control allows; everything else is 401.
    #[default]
    HealthOnly,
    /// Whatever access control gives `system:anonymous`, as upstream's default.
    Anywhere,
}

/// What cannot be used as key or authority of the authentication.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The key that signs tokens.
    #[error("the key of service account tokens cannot be used: {0}")]
    Key(String),
    /// A certificate authority.
    #[error("the authority of {of} cannot be used: {why}")]
    Authority {
        /// What it signs.
        of: &'static str,
        /// Why not.
        why: String,
    },
}

/// Tells who makes a request.
pub struct Authenticator {
    verifiers: Verifiers,
    /// Signs and verifies tokens of service accounts.
    pub tokens: Tokens,
    anonymous: Anonymous,
}

/// A user, and the audiences that the credential is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    /// Who.
    pub user: User,
    /// For whom; empty when the credential names no audience.
    pub audiences: Vec<String>,
}

impl Authenticator {
    /// An authenticator on the cluster's keys. `issuer` is what tokens name as
    /// their issuer and, unless asked otherwise, as their audience.
    pub fn new(pki: &Pki, issuer: &str, anonymous: Anonymous) -> Result<Self, SetupError> {
        Ok(Self {
            verifiers: Verifiers::new(pki.cluster.der(), pki.front_proxy.der(), PROXY_CLIENT)?,
            tokens: Tokens::new(&pki.account_key, issuer)?,
            anonymous,
        })
    }

    /// Judges the certificates of a connection, once for all its requests.
    pub fn peer(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Peer {
        self.verifiers.peer(chain, now)
    }

    /// Who makes a request; a 401 if what it shows is wrong, or is nothing and
    /// the path wants something.
    ///
    /// The first of these that knows the user decides: headers of a front proxy,
    /// the client certificate, the bearer token. A wrong credential is an error
    /// unless another one is good.
    pub fn authenticate(
        &self,
        world: &World,
        path: &str,
        headers: &HeaderMap,
        peer: &Peer,
        now: Timestamp,
    ) -> Result<User, Status> {
        let mut wrong = false;
        match peer.user(headers, now) {
            Ok(Some(user)) => return Ok(user),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "client certificate refused");
                wrong = true;
            }
        }
        if let Some(token) = bearer(headers) {
            match self.tokens.authenticate(world, token, None, now) {
                Ok(found) => return Ok(found.user),
                Err(error) => {
                    tracing::debug!(%error, "bearer token refused");
                    wrong = true;
                }
            }
        }
        let open = match self.anonymous {
            Anonymous::Anywhere => true,
            Anonymous::HealthOnly => HEALTH_PATHS.iter().any(|root| {
                path == *root || path.strip_prefix(root).is_some_and(|p| p.starts_with('/'))
            }),
        };
        if wrong || !open {
            return Err(unauthorized());
        }
        Ok(User::anonymous())
    }

    /// Judges a token as `TokenReview` does. No audiences: those of this server.
    pub fn review_token(
        &self,
        world: &World,
        token: &str,
        audiences: Option<&[String]>,
        now: Timestamp,
    ) -> Result<Authenticated, TokenError> {
        self.tokens.authenticate(world, token, audiences, now)
    }
}

/// The 401 of a request whose credentials are missing or wrong; it does not tell
/// which.
pub fn unauthorized() -> Status {
    Status::new(Reason::Unauthorized, "Unauthorized")
}

/// The token of an `Authorization` header; none if the scheme is another or
/// nothing follows.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut words = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split(' ');
    let scheme = words.next()?;
    let token = words.next()?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Adds `system:authenticated` as everybody with a credential has it.
fn with_authenticated(mut groups: Vec<String>) -> Vec<String> {
    if !groups.iter().any(|group| group == AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    groups
}

#[cfg(test)]
mod tests;
