//! Answers requests for discovery in the form the client accepts.
//!
//! Pure: path and headers in, a whole response out. Source of the rules: recordings
//! of Kubernetes 1.37 (`discovery/aggregated/accept`).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use object::{Reason, Status};
use wire::media::{self, Format, Negotiated, NotAcceptable};

use super::{AGGREGATED_MEDIA_TYPE, Document, Root, ServerAddress};

/// What discovery is written as.
const FORMATS: [Format; 2] = [Format::Json, Format::Yaml];

/// The answer to a GET of this path (`/apis/apps/v1`, with or without a slash at the
/// end); `None` where nothing is served. `query` is that of the URL.
pub fn reply(
    path: &str,
    query: &str,
    headers: &HeaderMap,
    addresses: &[ServerAddress],
) -> Option<Response<Bytes>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let root = match parts.as_slice() {
        ["api"] => Some(Root::Api),
        ["apis"] => Some(Root::Apis),
        _ => None,
    };
    let plain = super::legacy(&parts, addresses)?;
    let can = |format, transform: &media::Transform| {
        root.is_some()
            && format == Format::Json
            && transform.api_version() == "apidiscovery.k8s.io/v2"
            && transform.kind == "APIGroupDiscoveryList"
    };
    let accept = text(headers, &header::ACCEPT);
    let agreed = match media::negotiate(accept, &FORMATS, false, can) {
        Ok(agreed) => agreed,
        Err(error) => return Some(not_acceptable(&error)),
    };
    let mut response = match root.filter(|_| agreed.transform.is_some()) {
        Some(root) => of_document(&super::aggregated(root), AGGREGATED_MEDIA_TYPE, headers),
        None => write(&plain, &agreed, query, headers),
    };
    if root.is_some() {
        let varies = response.headers_mut();
        varies.append(header::VARY, HeaderValue::from_static("Accept"));
    }
    Some(response)
}

fn write(json: &[u8], agreed: &Negotiated, query: &str, headers: &HeaderMap) -> Response<Bytes> {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "pretty");
    let asked = asked.as_ref().map(|(_, value)| value.as_ref());
    let agent = text(headers, &header::USER_AGENT);
    let body = match agreed.format {
        Format::Yaml => match serde_json::from_slice(json) {
            Ok(value) => wire::yaml::to_string(&value).into_bytes(),
            // Ours is JSON; what is not is sent as it is.
            Err(_) => json.to_vec(),
        },
        _ if agreed.pretty || media::wants_pretty(asked, agent) => wire::pretty(json),
        _ => [json, b"\n"].concat(),
    };
    with_type(StatusCode::OK, agreed.format.media_type(), body.into())
}

/// A document with its tag; 304 without a body if the client has it already; gzip if
/// the client takes that.
pub(crate) fn of_document(
    document: &Document,
    media_type: &'static str,
    headers: &HeaderMap,
) -> Response<Bytes> {
    let has = document.matches(text(headers, &header::IF_NONE_MATCH));
    let takes_gzip = text(headers, &header::ACCEPT_ENCODING)
        .split(',')
        .any(|coding| coding.split(';').next().unwrap_or("").trim() == "gzip");
    let packed = if takes_gzip && !has {
        document.gzip()
    } else {
        None
    };
    let is_packed = packed.is_some();
    let mut response = if has {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let body = packed.unwrap_or_else(|| document.bytes.clone());
        with_type(StatusCode::OK, media_type, body)
    };
    // Hexadecimal digits in quotes are a header's value.
    if let Ok(tag) = HeaderValue::from_str(&document.etag()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_packed {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    response
}

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    let value = headers.get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

pub(crate) fn with_type(
    code: StatusCode,
    media_type: &'static str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let media_type = HeaderValue::from_static(media_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}

fn not_acceptable(error: &NotAcceptable) -> Response<Bytes> {
    let status = Status::new(Reason::NotAcceptable, error.to_string());
    let status = match error {
        // Upstream's router says no more than that.
        NotAcceptable::Route { .. } => status.detail(|_| ()),
        NotAcceptable::Parameters(_) => status,
    };
    let mut body = schema::to_vec(&status.to_json());
    body.push(b'\n');
    with_type(StatusCode::NOT_ACCEPTABLE, "application/json", body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, headers: &[(HeaderName, &str)]) -> Option<Response<Bytes>> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(name.clone(), value.parse().unwrap());
        }
        reply(path, "", &all, &[])
    }

    #[test]
    fn the_accepted_form_is_answered() {
        let v2 = AGGREGATED_MEDIA_TYPE;
        let rows = [
            ("/apis", v2.to_owned(), 200, v2),
            ("/apis/", format!("{v2},application/json"), 200, v2),
            (
                "/apis",
                format!("{},application/json", v2.replace("v2", "v2beta1")),
                200,
                "application/json",
            ),
            ("/api", "*/*".into(), 200, "application/json"),
            ("/apis", "application/yaml".into(), 200, "application/yaml"),
            ("/apis", "text/html".into(), 406, "application/json"),
            (
                "/apis/apps/v1",
                format!("{v2},application/json"),
                200,
                "application/json",
            ),
        ];
        for (path, accept, code, media_type) in rows {
            let response = get(path, &[(header::ACCEPT, &accept)]).unwrap();
            assert_eq!(response.status(), code, "{path} {accept}");
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                media_type,
                "{path} {accept}"
            );
        }
        assert!(get("/apis/nope", &[]).is_none());
    }

    #[test]
    fn a_client_that_has_the_document_gets_no_body() {
        let first = get("/apis", &[(header::ACCEPT, AGGREGATED_MEDIA_TYPE)]).unwrap();
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let accept = (header::ACCEPT, AGGREGATED_MEDIA_TYPE);
        let again = get("/apis", &[accept, (header::IF_NONE_MATCH, &tag)]).unwrap();
        assert_eq!(again.status(), 304);
        assert!(again.body().is_empty());
        assert_eq!(again.headers()[header::ETAG], tag);
    }
}
