//! HTTP to registries: connections, TLS, redirects, deadlines and bounded bodies.
//!
//! Invariants: every wait has a deadline and every body a bound; `Authorization` is dropped when a redirect leaves the origin;
//! HTTPS is never left for HTTP. The system's certificates are read when the first HTTPS host is spoken to.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::time::timeout;
use url::Url;

use super::RegistryOptions;
use crate::error::{ImageError, Result, causes};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// From the request to the response's head.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two pieces of a body.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;
const AGENT: &str = concat!("kogge/", env!("CARGO_PKG_VERSION"));

type Plain = Client<HttpConnector, Full<Bytes>>;
type Tls = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends requests to any host.
pub(crate) struct Transport {
    plain: Plain,
    system: OnceLock<Tls>,
    /// Hosts with certificate authorities of their own.
    own: HashMap<String, Tls>,
}

/// A request that can be repeated.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Clear-text HTTP is fine.
    pub(crate) insecure: bool,
}

impl Transport {
    pub(crate) fn new(options: &RegistryOptions) -> Result<Self> {
        let mut own = HashMap::new();
        for (host, config) in &options.hosts {
            if let Some(pem) = &config.ca_pem {
                own.insert(host.clone(), tls_client(&roots_from_pem(host, pem)?)?);
            }
        }
        let plain = Client::builder(TokioExecutor::new()).build(connector());
        Ok(Self {
            plain,
            system: OnceLock::new(),
            own,
        })
    }

    /// Sends a request and follows redirects. Answers of any other status are the caller's.
    pub(crate) async fn send(&self, mut call: Call) -> Result<Response<Incoming>> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_once(&call).await?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response
                    .headers()
                    .get(LOCATION)
                    .and_then(|location| location.to_str().ok()),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(response);
            };
            let next = call
                .url
                .join(location)
                .map_err(|error| failed(&call.url, "follow the redirect of", error.to_string()))?;
            let downgrade =
                next.scheme() != "https" && (call.url.scheme() == "https" || !call.insecure);
            if downgrade {
                return Err(failed(
                    &call.url,
                    "follow the redirect of",
                    "it leads from https to clear text".to_owned(),
                ));
            }
            if next.origin() != call.url.origin() {
                call.headers.remove(AUTHORIZATION);
            }
            call.url = next;
        }
        Err(failed(
            &call.url,
            "reach",
            format!("more than {MAX_REDIRECTS} redirects"),
        ))
    }

    async fn send_once(&self, call: &Call) -> Result<Response<Incoming>> {
        let unusable = |error: String| failed(&call.url, "reach", error);
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call
            .url
            .as_str()
            .parse()
            .map_err(|error: http::uri::InvalidUri| unusable(error.to_string()))?;
        *request.headers_mut() = call.headers.clone();
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let sent = match call.url.scheme() {
            "http" => timeout(RESPONSE_TIMEOUT, self.plain.request(request)).await,
            _ => {
                timeout(
                    RESPONSE_TIMEOUT,
                    self.tls(&authority(&call.url))?.request(request),
                )
                .await
            }
        };
        match sent {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(unusable(with_hint(causes(&error)))),
            Err(_) => Err(unusable(format!(
                "no answer within {} s",
                RESPONSE_TIMEOUT.as_secs()
            ))),
        }
    }

    fn tls(&self, host: &str) -> Result<&Tls> {
        if let Some(client) = self.own.get(host) {
            return Ok(client);
        }
        if let Some(client) = self.system.get() {
            return Ok(client);
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Systems ship the odd certificate that does not parse; the others count.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(ImageError::Network {
                operation: "verify".to_owned(),
                host: host.to_owned(),
                detail: "this machine has no CA certificates; install the ca-certificates package"
                    .to_owned(),
            });
        }
        let client = tls_client(&Arc::new(roots))?;
        Ok(self.system.get_or_init(|| client))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

fn tls_client(roots: &Arc<RootCertStore>) -> Result<Tls> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ImageError::corrupt("TLS configuration", error.to_string()))?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_all_versions()
        .wrap_connector(connector());
    Ok(Client::builder(TokioExecutor::new()).build(https))
}

fn roots_from_pem(host: &str, pem: &[u8]) -> Result<Arc<RootCertStore>> {
    let bad =
        |error: String| ImageError::corrupt(format!("CA certificates for registry {host}"), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("there is no PEM certificate in it".to_owned()));
    }
    Ok(Arc::new(roots))
}

/// The next piece of a body; `None` at its end.
pub(crate) async fn body_chunk(
    body: &mut Incoming,
    host: &str,
    what: &str,
) -> Result<Option<Bytes>> {
    let broken = |detail: String| ImageError::Network {
        operation: format!("read {what} from"),
        host: host.to_owned(),
        detail,
    };
    loop {
        match timeout(STALL_TIMEOUT, body.frame()).await {
            Err(_) => {
                return Err(broken(format!(
                    "nothing came for {} s",
                    STALL_TIMEOUT.as_secs()
                )));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(broken(causes(&error))),
            // Trailers are passed over.
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// A whole body of at most `limit` (name and bytes).
pub(crate) async fn read_bounded(
    mut body: Incoming,
    host: &str,
    what: &str,
    limit: (&'static str, u64),
) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(chunk) = body_chunk(&mut body, host, what).await? {
        if (content.len() + chunk.len()) as u64 > limit.1 {
            return Err(ImageError::limit(
                limit.0,
                limit.1,
                format!("{what} from {host}"),
            ));
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// Host and port as in the URL.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn failed(url: &Url, operation: &str, detail: String) -> ImageError {
    ImageError::Network {
        operation: operation.to_owned(),
        host: authority(url),
        detail,
    }
}

/// What users can do about the two failures that they cause themselves.
fn with_hint(detail: String) -> String {
    if detail.contains("InvalidContentType") {
        format!("{detail}; the registry speaks plain HTTP: declare it insecure, or give it TLS")
    } else if detail.contains("invalid peer certificate") {
        format!("{detail}; give the registry's CA certificate in the registry configuration")
    } else {
        detail
    }
}
