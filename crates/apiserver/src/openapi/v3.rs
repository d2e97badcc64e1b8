//! The documents of OpenAPI v3: one a version of a group, and an index.
//!
//! Pure. The order of members is upstream's.

use super::docs::Docs;
use super::json::Json;
use super::models::{Dialect, Models, Style};
use super::params::Param;
use super::routes::{self, Operation, Path};
use super::v2::put_info;
use crate::discovery::Catalog;

/// Paths of all documents, below `/openapi/v3/`, sorted.
pub fn paths(catalog: &Catalog<'_>) -> Vec<String> {
    let fixed = [
        "api",
        "apis",
        "version",
        ".well-known/openid-configuration",
        "openid/v1/jwks",
    ];
    let mut paths: Vec<String> = fixed.map(str::to_owned).into();
    paths.extend(catalog.named.iter().map(|g| format!("apis/{}", g.name)));
    paths.extend(catalog.versions().map(|version| version.path()));
    paths.sort();
    paths
}

/// The index: where each document is, with its hash.
pub fn index<'p>(documents: impl Iterator<Item = (&'p str, String)>) -> Vec<u8> {
    let mut json = Json::default();
    json.open();
    json.open_pair("paths");
    for (path, hash) in documents {
        json.open_pair(path);
        let url = format!("/openapi/v3/{path}?hash={hash}");
        json.pair("serverRelativeURL", &url);
        json.close();
    }
    json.close();
    json.close();
    json.finish()
}

/// The document of this path; `None` where nothing is served.
pub fn document(catalog: &Catalog<'_>, path: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = path.split('/').collect();
    let (group, version) = match parts.as_slice() {
        ["api"] => return Some(single(routes::core())),
        ["apis"] => return Some(single(routes::apis())),
        ["version"] => return Some(single(routes::server_version())),
        [".well-known", "openid-configuration"] => return Some(single(routes::openid())),
        ["openid", "v1", "jwks"] => return Some(single(routes::jwks())),
        ["apis", group] => return Some(single(routes::group(catalog.group(group)?.name))),
        ["api", version] => ("", *version),
        ["apis", group, version] if !group.is_empty() => (*group, *version),
        _ => return None,
    };
    let served = catalog.version(group, version)?;
    let own = (served.group, served.version);
    let docs = Docs::of([own]);
    let root = format!("/{}", served.path());
    let mut found = vec![routes::version(&served.path(), own.0, own.1)];
    for spec in &served.kinds {
        found.extend(routes::resources(&root, spec, &docs));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Some(write(&found, &docs, vec![own]))
}

fn single(path: Path) -> Vec<u8> {
    write(&[path], &Docs::of([]), Vec::new())
}

fn write(paths: &[Path], docs: &Docs, versions: Vec<(&str, &str)>) -> Vec<u8> {
    let mut models = Models::default();
    let mut json = Json::default();
    json.open();
    json.pair("openapi", "3.0.0");
    put_info(&mut json);
    json.open_pair("paths");
    for path in paths {
        path.models().for_each(|name| models.add(name));
        put_path(&mut json, path);
    }
    json.close();
    json.open_pair("components");
    if !models.is_empty() {
        json.open_pair("schemas");
        let style = Style {
            dialect: Dialect::V3,
            versions,
        };
        models.write(&mut json, docs, &style);
        json.close();
    }
    json.open_pair("securitySchemes");
    json.open_pair("BearerToken");
    json.pair("type", "apiKey");
    json.pair("description", "Bearer Token authentication");
    json.pair("name", "authorization");
    json.pair("in", "header");
    json.close();
    json.close();
    json.close();
    json.close();
    json.finish()
}

fn put_path(json: &mut Json, path: &Path) {
    json.open_pair(&path.path);
    for operation in &path.operations {
        json.open_pair(operation.method.name());
        put_operation(json, operation);
        json.close();
    }
    put_params(json, &path.parameters);
    json.close();
}

fn put_operation(json: &mut Json, operation: &Operation) {
    json.texts("tags", [operation.tag.as_str()]);
    json.pair("description", &operation.description);
    json.pair("operationId", &operation.id);
    put_params(json, &operation.parameters);
    if let Some((model, required)) = &operation.body {
        json.open_pair("requestBody");
        put_content(json, operation.consumes, Some(model));
        if *required {
            json.key("required");
            json.raw("true");
        }
        json.close();
    }
    json.open_pair("responses");
    let (codes, model) = &operation.answers;
    for code in *codes {
        json.open_pair(&code.to_string());
        json.pair("description", routes::answer_text(*code));
        put_content(json, operation.produces, model.as_deref());
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
        json.pair("version", gvk.version);
        json.pair("kind", gvk.kind);
        json.close();
    }
}

fn put_content(json: &mut Json, media_types: &[&str], model: Option<&str>) {
    let mut sorted = media_types.to_vec();
    sorted.sort_unstable();
    json.open_pair("content");
    for media_type in sorted {
        json.open_pair(media_type);
        json.open_pair("schema");
        match model {
            Some(name) => json.pair("$ref", &format!("{}{name}", Dialect::V3.prefix())),
            None => json.pair("type", "string"),
        }
        json.close();
        json.close();
    }
    json.close();
}

fn put_params(json: &mut Json, params: &[Param]) {
    if params.is_empty() {
        return;
    }
    json.key("parameters");
    json.open_list();
    for param in params {
        json.open();
        json.pair("name", &param.name);
        json.pair("in", param.place.name());
        json.pair_if("description", &param.description);
        if param.is_required() {
            json.key("required");
            json.raw("true");
        }
        json.open_pair("schema");
        json.pair("type", param.kind);
        json.key("uniqueItems");
        json.raw("true");
        json.close();
        json.close();
    }
    json.close_list();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Every `$ref` within.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => found.push(target.clone()),
                        _ => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_document_is_whole() {
        let catalog = crate::discovery::builtin();
        let paths = paths(&catalog);
        assert!(paths.is_sorted());
        for path in paths {
            let document: Value =
                serde_json::from_slice(&document(&catalog, &path).unwrap()).unwrap();
            let schemas = &document["components"]["schemas"];
            let mut found = Vec::new();
            references(&document, &mut found);
            for target in found {
                let name = target.strip_prefix(Dialect::V3.prefix()).unwrap();
                assert!(schemas.get(name).is_some(), "{path}: {target}");
            }
            assert!(!document["paths"].as_object().unwrap().is_empty(), "{path}");
        }
    }

    #[test]
    fn nothing_is_documented_that_is_not_served() {
        let catalog = crate::discovery::builtin();
        for path in [
            "",
            "api/v2",
            "apis/nope",
            "apis/apps/v2",
            "apis/",
            "apis//v1",
            "x",
        ] {
            assert!(document(&catalog, path).is_none(), "{path}");
        }
    }

    #[test]
    fn equal_catalogs_make_equal_bytes() {
        let catalog = crate::discovery::builtin();
        let make = || document(&catalog, "apis/batch/v1").unwrap();
        assert_eq!(make(), make());
    }
}
