//! Tokens of service accounts: JSON web tokens that this server signs.
//!
//! Reads the world: a token is good only as long as the account, and the pod,
//! secret or node it is bound to, are still there with the uid they had.
//! Invariants: only ES256 with this server's key counts; what a signature says
//! is cached, whether the token still holds never is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use object::names::resources::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};
use object::{Object, Resource};
use rcgen::{KeyPair, PublicKeyData};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use world::World;

use super::peer::CREDENTIAL_ID;
use super::{Authenticated, SetupError};
use crate::identity::User;

/// Seconds by which clocks may differ, and for which what was deleted still
/// counts: pods shut down with their tokens.
pub const LEEWAY_SECONDS: i64 = 60;
/// Verified signatures that are remembered.
pub const CACHE_LIMIT: usize = 4096;
/// Longest token that is looked at.
pub const TOKEN_LIMIT: usize = 16 << 10;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// For whom it is.
    pub aud: Vec<String>,
    /// Second of its end.
    pub exp: i64,
    /// Second it was made.
    pub iat: i64,
    /// Who made it.
    pub iss: String,
    /// Its own identity.
    pub jti: String,
    /// What it is bound to.
    #[serde(rename = "kubernetes.io")]
    pub bound: Bound,
    /// Second from which it counts.
    pub nbf: i64,
    /// The user.
    pub sub: String,
}

/// What a token is bound to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Bound {
    /// Namespace of all but the node.
    pub namespace: String,
    /// Node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Ref>,
    /// Pod that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Ref>,
    /// Secret whose deletion revokes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Ref>,
    /// The account.
    pub serviceaccount: Ref,
    /// Second from which its use is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// One object that a token is bound to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ref {
    /// Its name.
    pub name: String,
    /// Its uid; empty for a node that was not yet there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Why a token tells nobody.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not of this server.
    #[error("invalid bearer token")]
    Foreign,
    /// It is of this server, but does not hold.
    #[error("[invalid bearer token, {0}]")]
    Invalid(String),
}

/// Signs tokens and tells whose they are.
pub struct Tokens {
    issuer: String,
    audiences: Vec<String>,
    signing: EncodingKey,
    verifying: DecodingKey,
    header: Header,
    key: Value,
    verified: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Tokens {
    /// With a key (PKCS#8 in PEM, P-256) and the name that tokens give as issuer.
    pub fn new(key_pem: &str, issuer: &str) -> Result<Self, SetupError> {
        let wrong = |why: String| SetupError::Key(why);
        let pair = KeyPair::from_pem(key_pem).map_err(|error| wrong(error.to_string()))?;
        // An uncompressed point: 4, then x and y of 32 bytes each.
        let point = pair.public_key_raw();
        let (Some(x), Some(y), 65) = (point.get(1..33), point.get(33..65), point.len()) else {
            return Err(wrong("it is not on curve P-256".into()));
        };
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.subject_public_key_info()));
        let unusable = |error: jsonwebtoken::errors::Error| wrong(error.to_string());
        Ok(Self {
            issuer: issuer.to_owned(),
            audiences: vec![issuer.to_owned()],
            signing: EncodingKey::from_ec_pem(key_pem.as_bytes()).map_err(unusable)?,
            verifying: DecodingKey::from_ec_components(&x, &y).map_err(unusable)?,
            header: Header {
                typ: None,
                alg: Algorithm::ES256,
                kid: Some(id.clone()),
                ..Header::default()
            },
            key: json!({"use":"sig","kty":"EC","kid":id,"crv":"P-256","alg":"ES256","x":x,"y":y}),
            verified: Mutex::default(),
        })
    }

    /// Audiences of this server.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Who the tokens are from.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs a token.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.signing)
    }

    /// `/openid/v1/jwks`, to be served as `application/jwk-set+json`.
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.key]})
    }

    /// `/.well-known/openid-configuration`; `server` is where this server is
    /// reached, such as `https://192.0.2.1:6443`.
    pub fn openid_configuration(&self, server: &str) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{server}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// Whose a token is, if it is good for one of `audiences` (`None`: those of
    /// this server).
    pub fn authenticate(
        &self,
        world: &World,
        token: &str,
        audiences: Option<&[String]>,
        now: Timestamp,
    ) -> Result<Authenticated, TokenError> {
        let claims = self.verify(token)?;
        let wanted = audiences.unwrap_or(&self.audiences);
        let good: Vec<String> = claims
            .aud
            .iter()
            .filter(|own| wanted.contains(own))
            .cloned()
            .collect();
        if good.is_empty() {
            return Err(TokenError::Invalid(format!(
                "token audiences {} is invalid for the target audiences {}",
                quoted(&claims.aud),
                quoted(wanted)
            )));
        }
        check_time(&claims, now)?;
        check_bound(world, &claims, now)?;
        Ok(Authenticated {
            user: user(&claims),
            audiences: good,
        })
    }

    /// What a token says, if this server signed it.
    fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        if token.len() > TOKEN_LIMIT {
            return Err(TokenError::Foreign);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        // The lock is held for a look-up only, so a poisoned one is whole.
        let known = |cache: &HashMap<[u8; 32], Arc<Claims>>| cache.get(&digest).cloned();
        if let Some(claims) = known(&self.verified.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(claims);
        }
        if unverified_issuer(token).as_deref() != Some(&self.issuer) {
            return Err(TokenError::Foreign);
        }
        let mut rules = Validation::new(Algorithm::ES256);
        // Times and audiences are judged by the caller, on the clock it has.
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &rules)
            .map_err(|_| {
                TokenError::Invalid("go-jose/go-jose: error in cryptographic primitive".into())
            })?
            .claims;
        let claims = Arc::new(claims);
        let mut cache = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_LIMIT {
            cache.clear();
        }
        cache.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }
}

/// The issuer that a token names, whoever signed it.
fn unverified_issuer(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let value: Value = serde_json::from_slice(&payload).ok()?;
    Some(value.get("iss")?.as_str()?.to_owned())
}

/// Go's `%q` of a list.
fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}

fn check_time(claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
    let now = now.as_second();
    let why = if claims.nbf > now + LEEWAY_SECONDS {
        "service account token is not valid yet"
    } else if claims.exp < now - LEEWAY_SECONDS {
        "service account token has expired"
    } else if claims.iat > now + LEEWAY_SECONDS {
        "service account token is issued in the future"
    } else {
        return Ok(());
    };
    Err(TokenError::Invalid(why.into()))
}

fn check_bound(world: &World, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
    let bound = &claims.bound;
    let invalid = |why: String| Err(TokenError::Invalid(why));
    let gone = |object: &Object| {
        object
            .meta()
            .deletion
            .is_some_and(|at| at.as_second() < now.as_second() - LEEWAY_SECONDS)
    };
    let account = &bound.serviceaccount;
    let Some(found) = world.find(SERVICE_ACCOUNTS, &bound.namespace, &account.name) else {
        return invalid(format!("serviceaccounts {:?} not found", account.name));
    };
    if gone(found) {
        return invalid(format!(
            "service account {}/{} has been deleted",
            bound.namespace, account.name
        ));
    }
    if found.meta().uid != account.uid {
        return invalid(format!(
            "service account UID ({}) does not match claim ({})",
            found.meta().uid,
            account.uid
        ));
    }
    let check = |resource: Resource, what: &str, claim: &str, namespace: &str, to: &Ref| {
        let found = world.find(resource, namespace, &to.name);
        let Some(found) = found.filter(|found| !gone(found)) else {
            return invalid("service account token has been invalidated".into());
        };
        if found.meta().uid == to.uid {
            return Ok(());
        }
        invalid(format!(
            "{what} UID ({}) does not match service account {claim} ref claim ({})",
            found.meta().uid,
            to.uid
        ))
    };
    if let Some(secret) = &bound.secret {
        check(SECRETS, "secret", "secret", &bound.namespace, secret)?;
    }
    match (&bound.pod, &bound.node) {
        // The node of a pod's token only tells where it runs.
        (Some(pod), _) => check(PODS, "pod", "pod", &bound.namespace, pod),
        (None, Some(node)) => check(NODES, "node", "node", "", node),
        (None, None) => Ok(()),
    }
}

fn user(claims: &Claims) -> User {
    let bound = &claims.bound;
    let mut user = User::service_account(&bound.namespace, &bound.serviceaccount.name);
    user.uid.clone_from(&bound.serviceaccount.uid);
    let mut tell = |key: &str, value: String| {
        if !value.is_empty() {
            user.extra.insert(key.to_owned(), vec![value]);
        }
    };
    tell(CREDENTIAL_ID, format!("JTI={}", claims.jti));
    if let Some(pod) = &bound.pod {
        tell("authentication.kubernetes.io/pod-name", pod.name.clone());
        tell("authentication.kubernetes.io/pod-uid", pod.uid.clone());
    }
    if let Some(node) = &bound.node {
        tell(NODE_NAME, node.name.clone());
        tell("authentication.kubernetes.io/node-uid", node.uid.clone());
    }
    user
}

/// Key of `extra` that tells on which node a token's pod runs.
pub(super) const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
