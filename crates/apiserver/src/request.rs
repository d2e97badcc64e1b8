//! What a URL asks for: the resource, object, subresource and verb of a request.
//!
//! Pure. Source of the grammar: the API concepts page ("Resource URIs") and the
//! authorization page ("Determine the request verb").

use std::borrow::Cow;

/// A request as authorization and routing see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`; for other paths the lower-case HTTP method.
    pub verb: &'static str,
    /// Whether the path names a resource.
    pub is_resource: bool,
    /// API group, empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural.
    pub resource: String,
    /// Namespace, empty if none is named.
    pub namespace: String,
    /// Object name, empty for a collection.
    pub name: String,
    /// Subresource, empty if none is named.
    pub subresource: String,
    /// What follows the subresource: the path to proxy to.
    pub rest: String,
    /// The whole path.
    pub path: String,
}

/// A path that is malformed: percent-encoding that is no text, or a segment that
/// names a parent folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the path of the request is malformed")]
pub struct BadPath;

impl RequestInfo {
    /// Reads method, path and the `watch` parameter.
    pub fn parse(method: &http::Method, path: &str, query: &str) -> Result<Self, BadPath> {
        let segments = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8())
            .collect::<Result<Vec<Cow<'_, str>>, _>>()
            .map_err(|_| BadPath)?;
        let mut info = Self {
            verb: plain_verb(method),
            path: path.to_owned(),
            ..Self::default()
        };
        let rest = match segments
            .iter()
            .map(Cow::as_ref)
            .collect::<Vec<_>>()
            .as_slice()
        {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                info.version = (*version).to_owned();
                rest.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                info.group = (*group).to_owned();
                info.version = (*version).to_owned();
                rest.iter().map(|s| (*s).to_owned()).collect()
            }
            _ => return Ok(info),
        };
        info.is_resource = true;
        info.place(&rest)?;
        info.verb = resource_verb(method, info.name.is_empty(), is_watch(query));
        Ok(info)
    }

    fn place(&mut self, segments: &[String]) -> Result<(), BadPath> {
        let mut parts: Vec<&String> = segments.iter().collect();
        if segments[0] == "namespaces" && segments.len() > 1 {
            self.namespace.clone_from(&segments[1]);
            // `namespaces/{name}` and its own subresources are about the Namespace.
            let about_itself = segments.len() == 2
                || (segments.len() == 3 && ["status", "finalize"].contains(&segments[2].as_str()));
            if !about_itself {
                parts.drain(..2);
            }
        }
        let mut parts = parts.into_iter();
        let mut next = || parts.next().cloned().unwrap_or_default();
        self.resource = next();
        self.name = next();
        self.subresource = next();
        self.rest = parts.map(String::as_str).collect::<Vec<_>>().join("/");
        let proxied = self.subresource == "proxy";
        let names = [
            &self.namespace,
            &self.resource,
            &self.name,
            &self.subresource,
        ];
        let odd = |text: &str| text == ".." || text == "." || text.contains(['/', '\0']);
        if names.iter().any(|name| odd(name)) || (!self.rest.is_empty() && !proxied) {
            return Err(BadPath);
        }
        Ok(())
    }
}

fn plain_verb(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "",
    }
}

fn resource_verb(method: &http::Method, collection: bool, watch: bool) -> &'static str {
    match (method.as_str(), collection) {
        ("GET" | "HEAD", true) if watch => "watch",
        ("GET" | "HEAD", true) => "list",
        ("GET" | "HEAD", false) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "deletecollection",
        ("DELETE", false) => "delete",
        _ => "",
    }
}

fn is_watch(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(key, value)| key == "watch" && matches!(value.as_ref(), "1" | "true" | "True" | ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, uri: &str) -> Result<RequestInfo, BadPath> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        RequestInfo::parse(
            &http::Method::from_bytes(method.as_bytes()).unwrap(),
            path,
            query,
        )
    }

    #[test]
    fn paths_name_verb_resource_and_object() {
        // verb | group | version | namespace | resource | name | subresource | rest
        let rows = [
            ("GET", "/api/v1/pods", "list||v1||pods|||"),
            ("GET", "/api/v1/pods?watch=true", "watch||v1||pods|||"),
            ("GET", "/api/v1/namespaces/a/pods/p", "get||v1|a|pods|p||"),
            (
                "GET",
                "/api/v1/namespaces/a/pods/p/log",
                "get||v1|a|pods|p|log|",
            ),
            ("GET", "/api/v1/namespaces", "list||v1||namespaces|||"),
            ("GET", "/api/v1/namespaces/a", "get||v1|a|namespaces|a||"),
            (
                "PUT",
                "/api/v1/namespaces/a/finalize",
                "update||v1|a|namespaces|a|finalize|",
            ),
            (
                "POST",
                "/apis/apps/v1/namespaces/a/deployments",
                "create|apps|v1|a|deployments|||",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/d/scale",
                "patch|apps|v1|a|deployments|d|scale|",
            ),
            ("DELETE", "/api/v1/nodes", "deletecollection||v1||nodes|||"),
            ("DELETE", "/api/v1/nodes/n", "delete||v1||nodes|n||"),
            (
                "GET",
                "/api/v1/namespaces/a/services/s:80/proxy/x/../y",
                "get||v1|a|services|s:80|proxy|x/../y",
            ),
        ];
        for (method, uri, want) in rows {
            let i = parse(method, uri).unwrap();
            assert!(i.is_resource);
            let got = [
                i.verb,
                &i.group,
                &i.version,
                &i.namespace,
                &i.resource,
                &i.name,
                &i.subresource,
                &i.rest,
            ]
            .join("|");
            assert_eq!(got, want, "{method} {uri}");
        }
    }

    #[test]
    fn other_paths_name_no_resource() {
        for uri in [
            "/",
            "/version",
            "/api",
            "/api/v1",
            "/apis/apps",
            "/apis/apps/v1",
            "/healthz/x",
        ] {
            let info = parse("GET", uri).unwrap();
            assert_eq!((info.is_resource, info.verb), (false, "get"), "{uri}");
        }
    }

    #[test]
    fn paths_out_of_the_tree_are_refused() {
        for uri in [
            "/api/v1/namespaces/../pods",
            "/api/v1/namespaces/a/pods/%2e%2e",
            "/api/v1/namespaces/a/pods/a%2Fb",
            "/api/v1/pods/%ff",
            "/api/v1/namespaces/a/pods/p/log/x",
        ] {
            assert_eq!(parse("GET", uri), Err(BadPath), "{uri}");
        }
    }
}
