//! A conversation with one host about one repository: authentication, and what answers mean.
//!
//! Invariants: a token is fetched at most once per challenge round and shared by concurrent requests; a credential that the
//! host refuses twice is an `Unauthorized` error.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RANGE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::Endpoint;
use super::challenge::{self, Challenge};
use super::transport::{Call, Transport, read_bounded};
use crate::error::{ImageError, Result};
use crate::keyring::Credential;
use crate::reference::Reference;

/// Of an error's body and of a token's answer.
const ANSWER_BYTES: (&str, u64) = ("registry answer bytes", 256 * 1024);
/// Of a registry's message that is shown to users.
const SHOWN_BYTES: usize = 300;
const CLIENT_ID: &str = "kogge";

pub(crate) struct Session<'a> {
    transport: &'a Transport,
    pub(crate) endpoint: &'a Endpoint,
    reference: &'a Reference,
    credential: Option<Credential>,
    /// The `Authorization` that worked last.
    authorization: Mutex<Option<HeaderValue>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

#[derive(Deserialize)]
struct RegistryErrors {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        transport: &'a Transport,
        endpoint: &'a Endpoint,
        reference: &'a Reference,
        credential: Option<Credential>,
    ) -> Self {
        let token = credential
            .as_ref()
            .map(|credential| credential.registry_token.as_str())
            .filter(|token| !token.is_empty());
        let authorization = token.and_then(|token| secret(&format!("Bearer {token}")));
        Self {
            transport,
            endpoint,
            reference,
            credential,
            authorization: Mutex::new(authorization),
        }
    }

    /// GETs `kind/version` (such as `manifests/latest`) of the repository. `what` names it in errors. `from`: the first byte
    /// wanted, when a download goes on.
    pub(crate) async fn get(
        &self,
        kind: &str,
        version: &str,
        accept: &str,
        what: &str,
        from: u64,
    ) -> Result<Response<Incoming>> {
        let mut url = self.endpoint.base.clone();
        let path = format!(
            "{}/{}/{kind}/{version}",
            url.path(),
            self.reference.repository()
        );
        url.set_path(&path);
        if let Some(registry) = &self.endpoint.mirror_of {
            url.query_pairs_mut().append_pair("ns", registry);
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            ACCEPT,
            HeaderValue::from_str(accept).unwrap_or(HeaderValue::from_static("*/*")),
        );
        if from > 0 {
            headers.insert(
                RANGE,
                HeaderValue::from_str(&format!("bytes={from}-"))
                    .unwrap_or(HeaderValue::from_static("bytes=0-")),
            );
        }
        let call = Call {
            method: Method::GET,
            url,
            headers,
            body: Default::default(),
            insecure: self.endpoint.insecure,
        };
        let used = self.authorization.lock().await.clone();
        let response = self
            .transport
            .send(authorized(&call, used.as_ref()))
            .await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.check(response, what).await;
        }
        let fresh = self.answer(response, used, what).await?;
        let response = self.transport.send(authorized(&call, Some(&fresh))).await?;
        self.check(response, what).await
    }

    /// Answers a challenge. Of several requests that are refused at once, the first fetches the token.
    async fn answer(
        &self,
        refused: Response<Incoming>,
        used: Option<HeaderValue>,
        what: &str,
    ) -> Result<HeaderValue> {
        let mut current = self.authorization.lock().await;
        if let Some(value) = current
            .as_ref()
            .filter(|value| Some(*value) != used.as_ref())
        {
            return Ok(value.clone());
        }
        let values = refused
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let challenges: Vec<_> = values.flat_map(challenge::parse).collect();
        for challenge in &challenges {
            let value = match challenge {
                Challenge::Basic => self.credential.as_ref().and_then(Credential::basic_header),
                Challenge::Bearer {
                    realm,
                    service,
                    scope,
                } => Some(format!(
                    "Bearer {}",
                    self.token(realm, service.as_deref(), scope.as_deref(), what)
                        .await?
                )),
            };
            // A basic header that was just refused is no answer.
            if let Some(value) = value
                .as_deref()
                .and_then(secret)
                .filter(|value| Some(value) != used.as_ref())
            {
                *current = Some(value.clone());
                return Ok(value);
            }
        }
        drop(current);
        let detail = self.message(refused).await;
        Err(self.unauthorized(what, detail))
    }

    /// Asks the registry's token service (distribution's token and OAuth2 specifications).
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
        what: &str,
    ) -> Result<String> {
        let strange = |problem: String| {
            self.unauthorized(what, format!("its token service {realm:?} {problem}"))
        };
        let mut url =
            Url::parse(realm).map_err(|error| strange(format!("is not a URL: {error}")))?;
        if url.scheme() != "https" && !self.endpoint.insecure {
            return Err(strange("would take credentials in clear text".to_owned()));
        }
        let own_scope = format!("repository:{}:pull", self.reference.repository());
        let scope = scope.unwrap_or(&own_scope);
        let mut headers = HeaderMap::new();
        let refresh = self
            .credential
            .as_ref()
            .map(|credential| credential.identity_token.as_str())
            .filter(|token| !token.is_empty());
        let (method, body) = match refresh {
            Some(refresh) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.append_pair("grant_type", "refresh_token")
                    .append_pair("refresh_token", refresh);
                form.append_pair("service", service.unwrap_or_default())
                    .append_pair("scope", scope);
                form.append_pair("client_id", CLIENT_ID);
                headers.insert(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                );
                (Method::POST, form.finish())
            }
            None => {
                url.query_pairs_mut()
                    .extend_pairs(service.map(|service| ("service", service)))
                    .append_pair("scope", scope);
                if let Some(value) = self
                    .credential
                    .as_ref()
                    .and_then(Credential::basic_header)
                    .as_deref()
                    .and_then(secret)
                {
                    headers.insert(AUTHORIZATION, value);
                }
                (Method::GET, String::new())
            }
        };
        let call = Call {
            method,
            url,
            headers,
            body: body.into(),
            insecure: self.endpoint.insecure,
        };
        let response = self.transport.send(call).await?;
        if !response.status().is_success() {
            let status = response.status();
            let detail = self.message(response).await;
            return Err(match status.as_u16() {
                429 | 500.. => self.registry_error(status, "a token", detail),
                _ => self.unauthorized(what, detail),
            });
        }
        let answer = read_bounded(
            response.into_body(),
            &self.endpoint.host,
            "a token",
            ANSWER_BYTES,
        )
        .await?;
        // The parser's message could quote the token.
        let token: Token = serde_json::from_slice(&answer)
            .map_err(|_| strange("answered something that is no token".to_owned()))?;
        let token = if token.token.is_empty() {
            token.access_token
        } else {
            token.token
        };
        if token.is_empty() {
            Err(strange("gave no token".to_owned()))
        } else {
            Ok(token)
        }
    }

    async fn check(&self, response: Response<Incoming>, what: &str) -> Result<Response<Incoming>> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let detail = self.message(response).await;
        Err(match status {
            StatusCode::NOT_FOUND => ImageError::NotFound {
                what: what.to_owned(),
                host: self.endpoint.host.clone(),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.unauthorized(what, detail),
            status => self.registry_error(status, what, detail),
        })
    }

    /// What the registry says about a failure, shortened; for people.
    async fn message(&self, response: Response<Incoming>) -> String {
        let status = response.status();
        let fallback = status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_owned();
        let Ok(body) = read_bounded(
            response.into_body(),
            &self.endpoint.host,
            "an error",
            ANSWER_BYTES,
        )
        .await
        else {
            return fallback;
        };
        let text = match serde_json::from_slice::<RegistryErrors>(&body) {
            Ok(known) => {
                let texts: Vec<_> = known
                    .errors
                    .into_iter()
                    .map(|error| {
                        if error.message.is_empty() {
                            error.code
                        } else {
                            error.message
                        }
                    })
                    .collect();
                texts.join(", ")
            }
            Err(_) => return fallback,
        };
        let printable: String = text
            .chars()
            .filter(|character| !character.is_control())
            .take(SHOWN_BYTES)
            .collect();
        if printable.is_empty() {
            fallback
        } else {
            printable
        }
    }

    fn unauthorized(&self, what: &str, detail: String) -> ImageError {
        ImageError::Unauthorized {
            what: what.to_owned(),
            host: self.endpoint.host.clone(),
            detail,
        }
    }

    fn registry_error(&self, status: StatusCode, what: &str, detail: String) -> ImageError {
        ImageError::Registry {
            host: self.endpoint.host.clone(),
            status: status.as_u16(),
            what: what.to_owned(),
            detail,
        }
    }
}

/// A header value that logs do not show.
fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn authorized(call: &Call, authorization: Option<&HeaderValue>) -> Call {
    let mut call = call.clone();
    if let Some(value) = authorization {
        call.headers.insert(AUTHORIZATION, value.clone());
    }
    call
}
