//! Paths of discovery and of the server itself.

use super::names;
use super::{Method, OBJECT, Operation, Path};
use crate::openapi::models::VERSION_INFO;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// `/api/`
pub(crate) fn core() -> Path {
    let get = discover(
        "core".into(),
        "get available API versions",
        "getCoreAPIVersions".into(),
    );
    Path::new("/api/".into(), vec![answering(get, "APIVersions")])
}

/// `/apis/`
pub(crate) fn apis() -> Path {
    let get = discover(
        "apis".into(),
        "get available API versions",
        "getAPIVersions".into(),
    );
    Path::new("/apis/".into(), vec![answering(get, "APIGroupList")])
}

/// `/apis/{group}/`
pub(crate) fn group(group: &str) -> Path {
    let word = names::group_word(group);
    let id = format!("get{}APIGroup", names::title(&word));
    let get = discover(word, "get information of a group", id);
    Path::new(format!("/apis/{group}/"), vec![answering(get, "APIGroup")])
}

/// `/apis/{group}/{version}/`, of this path.
pub(crate) fn version(path: &str, group: &str, version: &str) -> Path {
    let id = format!("get{}APIResources", names::scope_word(group, version));
    let get = discover(names::tag(group, version), "get available resources", id);
    Path::new(format!("/{path}/"), vec![answering(get, "APIResourceList")])
}

/// `/version/`
pub(crate) fn server_version() -> Path {
    let mut get = discover(
        "version".into(),
        "get the version information for this server",
        "getCodeVersion".into(),
    );
    get.consumes = &["application/json"];
    get.produces = &["application/json"];
    get.answers.1 = Some(VERSION_INFO.into());
    Path::new("/version/".into(), vec![get])
}

/// `/.well-known/openid-configuration/`
pub(crate) fn openid() -> Path {
    let get = discover(
        "WellKnown".into(),
        "get the OpenID configuration of the issuer of service account tokens",
        "getServiceAccountIssuerOpenIDConfiguration".into(),
    );
    let get = Operation {
        consumes: &[],
        produces: &["application/json"],
        ..get
    };
    Path::new("/.well-known/openid-configuration/".into(), vec![get])
}

/// `/openid/v1/jwks/`
pub(crate) fn jwks() -> Path {
    let get = discover(
        "openid".into(),
        "get the public keys that verify service account tokens",
        "getServiceAccountIssuerOpenIDKeyset".into(),
    );
    let get = Operation {
        consumes: &[],
        produces: &["application/jwk-set+json"],
        ..get
    };
    Path::new("/openid/v1/jwks/".into(), vec![get])
}

fn discover(tag: String, description: &str, id: String) -> Operation {
    Operation {
        method: Method::Get,
        tag,
        description: description.to_owned(),
        id,
        consumes: OBJECT,
        produces: OBJECT,
        parameters: Vec::new(),
        body: None,
        answers: (&[200], None),
        action: "",
        gvk: None,
    }
}

fn answering(mut operation: Operation, kind: &str) -> Operation {
    operation.answers.1 = Some(format!("{META}.{kind}").into());
    operation
}
