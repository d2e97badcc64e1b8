//! Answers requests for OpenAPI documents in the form the client accepts.
//!
//! Pure: path, query and headers in, a whole response out. A document that is asked
//! for with its hash never changes, so clients keep it; with another hash they are
//! sent to the present one, as upstream does.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{V2_PROTOBUF_MEDIA_TYPE, is_v2_protobuf};
use crate::discovery::reply::{of_document, text, with_type};

const JSON: &str = "application/json";

/// How long a client may keep a document that it asked for by its hash: a year.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The answer to a GET of a path below `/openapi`; `None` where nothing is served.
pub fn reply(path: &str, query: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let accepts = Accepts::read(text(headers, &header::ACCEPT));
    match path.trim_matches('/') {
        "openapi/v2" => Some(match accepts {
            Accepts::Json => of_document(&super::v2(), JSON, headers),
            Accepts::V2Protobuf => {
                of_document(&super::v2_protobuf(), V2_PROTOBUF_MEDIA_TYPE, headers)
            }
            Accepts::Nothing => refused(),
        }),
        "openapi/v3" if accepts == Accepts::Json => {
            Some(of_document(&super::v3_index(), JSON, headers))
        }
        "openapi/v3" => Some(refused()),
        path => {
            let name = path.strip_prefix("openapi/v3/")?;
            let document = super::v3(name)?;
            if accepts != Accepts::Json {
                return Some(refused());
            }
            let asked = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "hash");
            match asked {
                Some((_, hash)) if hash != document.hash.as_str() => {
                    Some(moved(name, &document.hash))
                }
                asked => {
                    let mut response = of_document(&document, JSON, headers);
                    if asked.is_some() {
                        let value = HeaderValue::from_static(IMMUTABLE);
                        response.headers_mut().insert(header::CACHE_CONTROL, value);
                    }
                    Some(response)
                }
            }
        }
    }
}

/// What an `Accept` header asks for first that we have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Accepts {
    Json,
    V2Protobuf,
    Nothing,
}

impl Accepts {
    fn read(accept: &str) -> Self {
        if accept.trim().is_empty() {
            return Self::Json;
        }
        let known = |clause: &str| match clause.split(';').next().unwrap_or("").trim() {
            "*/*" | "application/*" | JSON => Some(Self::Json),
            _ if is_v2_protobuf(clause) => Some(Self::V2Protobuf),
            _ => None,
        };
        accept.split(',').find_map(known).unwrap_or(Self::Nothing)
    }
}

fn refused() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

fn moved(name: &str, hash: &str) -> Response<Bytes> {
    let target = format!("/openapi/v3/{name}?hash={hash}");
    let mut response = with_type(StatusCode::MOVED_PERMANENTLY, "text/html", Bytes::new());
    // The name is that of a document, the hash is hexadecimal.
    if let Ok(target) = HeaderValue::from_str(&target) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, query: &str, accept: &str) -> Option<Response<Bytes>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        reply(path, query, &headers)
    }

    #[test]
    fn the_accepted_form_is_answered() {
        let old = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let rows = [
            ("/openapi/v2", "*/*", 200, JSON),
            ("/openapi/v2", old, 200, V2_PROTOBUF_MEDIA_TYPE),
            ("/openapi/v2", "text/html", 406, ""),
            ("/openapi/v3", "application/json, */*", 200, JSON),
            ("/openapi/v3/", "", 200, JSON),
            ("/openapi/v3/apis/apps/v1", JSON, 200, JSON),
            ("/openapi/v3/apis/apps/v1", "text/html", 406, ""),
        ];
        for (path, accept, code, media_type) in rows {
            let response = get(path, "", accept).unwrap();
            assert_eq!(response.status(), code, "{path} {accept}");
            let found = text(response.headers(), &header::CONTENT_TYPE);
            assert_eq!(found, media_type, "{path} {accept}");
        }
        assert!(get("/openapi/v3/apis/nope/v1", "", JSON).is_none());
        assert!(get("/openapi/v4", "", JSON).is_none());
    }

    #[test]
    fn a_document_with_its_hash_may_be_kept_and_with_another_is_elsewhere() {
        let document = crate::openapi::v3("apis/batch/v1").unwrap();
        let path = "/openapi/v3/apis/batch/v1";
        let present = format!("hash={}&timeout=32s", document.hash);
        let kept = get(path, &present, JSON).unwrap();
        assert_eq!(kept.headers()[header::CACHE_CONTROL], IMMUTABLE);
        let moved = get(path, "hash=ABC", JSON).unwrap();
        assert_eq!(moved.status(), 301);
        let target = format!("{path}?hash={}", document.hash);
        assert_eq!(moved.headers()[header::LOCATION], target);
        assert!(
            get(path, "", JSON)
                .unwrap()
                .headers()
                .get(header::CACHE_CONTROL)
                .is_none()
        );
    }

    #[test]
    fn large_documents_are_compressed_for_clients_that_take_it() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, "br, gzip;q=0.8".parse().unwrap());
        let packed = reply("/openapi/v2", "", &headers).unwrap();
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(packed.body().len() < crate::openapi::v2().bytes.len() / 3);
    }
}
