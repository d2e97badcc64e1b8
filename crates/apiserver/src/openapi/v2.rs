//! The document of OpenAPI v2: all groups in one.
//!
//! Pure. The order of members is upstream's. Parameters that many operations have
//! stand once, under a name that ends in a hash of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::docs::Docs;
use super::json::Json;
use super::models::{Dialect, Models, PATCH, Style};
use super::params::Param;
use super::routes::{self, Operation, Path};
use crate::discovery::Catalog;

/// Parameters that stand where they are used: short, or different everywhere.
const IN_PLACE: [&str; 3] = ["dryRun", "fieldValidation", "name"];

/// The API level we implement, as upstream's documents say it.
const VERSION: &str = "1.37";

/// `info` of both generations.
pub(super) fn put_info(json: &mut Json) {
    json.open_pair("info");
    json.pair("title", "Kubernetes");
    json.pair("version", VERSION);
    json.close();
}

/// The document of everything that is served.
pub fn document(catalog: &Catalog<'_>) -> Vec<u8> {
    let versions: Vec<(&str, &str)> = catalog.versions().map(|v| (v.group, v.version)).collect();
    let docs = Docs::of(versions.iter().copied());
    let paths = all_paths(catalog, &docs);
    let mut models = Models::default();
    let mut shared = Shared::default();
    let mut json = Json::default();
    json.open();
    json.pair("swagger", "2.0");
    put_info(&mut json);
    json.open_pair("paths");
    for path in &paths {
        path.models().for_each(|name| models.add(name));
        put_path(&mut json, path, &mut shared);
    }
    json.close();
    json.open_pair("definitions");
    let style = Style {
        dialect: Dialect::V2,
        versions,
    };
    models.write(&mut json, &docs, &style);
    json.close();
    json.open_pair("parameters");
    for (name, body) in &shared.by_name {
        json.key(name);
        json.raw(body);
    }
    json.close();
    put_security(&mut json);
    json.close();
    json.finish()
}

fn all_paths(catalog: &Catalog<'_>, docs: &Docs) -> Vec<Path> {
    let mut paths = vec![
        routes::core(),
        routes::apis(),
        routes::server_version(),
        routes::openid(),
        routes::jwks(),
    ];
    paths.extend(catalog.named.iter().map(|group| routes::group(group.name)));
    for version in catalog.versions() {
        let root = format!("/{}", version.path());
        paths.push(routes::version(
            &version.path(),
            version.group,
            version.version,
        ));
        for spec in &version.kinds {
            paths.extend(routes::resources(&root, spec, docs));
        }
    }
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    paths
}

fn put_security(json: &mut Json) {
    json.open_pair("securityDefinitions");
    json.open_pair("BearerToken");
    json.pair("description", "Bearer Token authentication");
    json.pair("type", "apiKey");
    json.pair("name", "authorization");
    json.pair("in", "header");
    json.close();
    json.close();
    json.key("security");
    json.open_list();
    json.open();
    json.texts("BearerToken", []);
    json.close();
    json.close_list();
}

/// Parameters that stand once, by name.
#[derive(Default)]
struct Shared {
    by_name: BTreeMap<String, String>,
}

impl Shared {
    /// A reference to this parameter.
    fn put(&mut self, json: &mut Json, name: &str, body: String) {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&body));
        // Base64 is ASCII, and a SHA-256 has 43 characters of it.
        let key = format!("{name}-{}", &digest[..8]);
        json.open();
        json.pair("$ref", &format!("#/parameters/{key}"));
        json.close();
        self.by_name.insert(key, body);
    }
}

fn put_path(json: &mut Json, path: &Path, shared: &mut Shared) {
    json.open_pair(&path.path);
    for operation in &path.operations {
        json.open_pair(operation.method.name());
        put_operation(json, operation, shared);
        json.close();
    }
    put_params(json, None, &path.parameters, shared);
    json.close();
}

fn put_operation(json: &mut Json, operation: &Operation, shared: &mut Shared) {
    json.pair("description", &operation.description);
    if !operation.consumes.is_empty() {
        json.texts("consumes", operation.consumes.iter().copied());
    }
    json.texts("produces", operation.produces.iter().copied());
    json.texts("schemes", ["https"]);
    json.texts("tags", [operation.tag.as_str()]);
    json.pair("operationId", &operation.id);
    let body = operation.body.as_ref();
    let body = body.map(|(model, required)| (model.as_ref(), *required));
    put_params(json, body, &operation.parameters, shared);
    json.open_pair("responses");
    let (codes, model) = &operation.answers;
    for code in *codes {
        json.open_pair(&code.to_string());
        json.pair("description", routes::answer_text(*code));
        json.open_pair("schema");
        match model {
            Some(name) => json.pair("$ref", &format!("{}{name}", Dialect::V2.prefix())),
            None => json.pair("type", "string"),
        }
        json.close();
        json.close();
    }
    json.open_pair("401");
    json.pair("description", routes::answer_text(401));
    json.close();
    json.close();
    json.pair_if("x-kubernetes-action", operation.action);
    if let Some(gvk) = operation.gvk {
        json.open_pair("x-kubernetes-group-version-kind");
        json.pair("group", gvk.group);
        json.pair("kind", gvk.kind);
        json.pair("version", gvk.version);
        json.close();
    }
}

fn put_params(json: &mut Json, body: Option<(&str, bool)>, params: &[Param], shared: &mut Shared) {
    if params.is_empty() && body.is_none() {
        return;
    }
    json.key("parameters");
    json.open_list();
    if let Some((model, required)) = body {
        let text = body_param(model, required);
        // Bodies that are the same for every kind.
        if model == PATCH || !required {
            shared.put(json, "body", text);
        } else {
            json.raw(&text);
        }
    }
    for param in params {
        let text = plain_param(param);
        if IN_PLACE.contains(&param.name.as_ref()) {
            json.raw(&text);
        } else {
            shared.put(json, &param.name, text);
        }
    }
    json.close_list();
}

fn body_param(model: &str, required: bool) -> String {
    let mut json = Json::default();
    json.open();
    json.pair("name", "body");
    json.pair("in", "body");
    if required {
        json.key("required");
        json.raw("true");
    }
    json.open_pair("schema");
    json.pair("$ref", &format!("{}{model}", Dialect::V2.prefix()));
    json.close();
    json.close();
    json.finish_text()
}

fn plain_param(param: &Param) -> String {
    let mut json = Json::default();
    json.open();
    json.key("uniqueItems");
    json.raw("true");
    json.pair("type", param.kind);
    json.pair_if("description", &param.description);
    json.pair("name", &param.name);
    json.pair("in", param.place.name());
    if param.is_required() {
        json.key("required");
        json.raw("true");
    }
    json.close();
    json.finish_text()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn operations_have_unique_names_and_known_parameters() {
        let document = super::document(&crate::discovery::builtin());
        let document: Value = serde_json::from_slice(&document).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let list = match method.as_str() {
                    "parameters" => operation.as_array(),
                    _ => {
                        let id = operation["operationId"].as_str().unwrap();
                        assert!(ids.insert(id.to_owned()), "{id}");
                        operation.get("parameters").and_then(Value::as_array)
                    }
                };
                for param in list.into_iter().flatten() {
                    if let Some(target) = param.get("$ref") {
                        let name = target.as_str().unwrap();
                        let name = name.strip_prefix("#/parameters/").unwrap();
                        let shared = &document["parameters"][name];
                        assert!(shared.get("in").is_some(), "{path} {method} {name}");
                    }
                }
            }
        }
        assert!(ids.len() > 800);
    }
}
