//! Unaggregated discovery: `/api`, `/apis`, a group, a version, and the list at `/`.
//!
//! Pure. The order of members is upstream's.

use kinds::KindSpec;
use serde::Serialize;

use super::catalog::{Catalog, Group, GroupVersion};

/// Where clients of a network reach this server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerAddress {
    /// Network of the client, such as `0.0.0.0/0`.
    #[serde(rename = "clientCIDR")]
    pub client_cidr: String,
    /// Host and port of this server.
    pub server_address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiVersions<'a> {
    kind: &'a str,
    versions: Vec<&'a str>,
    #[serde(rename = "serverAddressByClientCIDRs")]
    addresses: &'a [ServerAddress],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroupList<'a> {
    kind: &'a str,
    api_version: &'a str,
    groups: Vec<ApiGroup<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    name: &'a str,
    versions: Vec<VersionName<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_version: Option<VersionName<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionName<'a> {
    group_version: String,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResourceList<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    group_version: String,
    resources: Vec<ApiResource<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResource<'a> {
    name: String,
    singular_name: &'a str,
    namespaced: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    kind: &'a str,
    verbs: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'a [&'a str],
    #[serde(skip_serializing_if = "str::is_empty")]
    storage_version_hash: &'a str,
}

#[derive(Serialize)]
struct RootPaths<'a> {
    paths: Vec<&'a str>,
}

/// The document at this path, split at the slashes; `None` where nothing is served.
pub fn legacy(
    catalog: &Catalog<'_>,
    path: &[&str],
    addresses: &[ServerAddress],
) -> Option<Vec<u8>> {
    match path {
        ["api"] => Some(to_json(&ApiVersions {
            kind: "APIVersions",
            versions: core_versions(catalog),
            addresses,
        })),
        ["api", version] => Some(resources(catalog.version("", version)?)),
        ["apis"] => Some(to_json(&ApiGroupList {
            kind: "APIGroupList",
            api_version: "v1",
            groups: catalog.named.iter().map(group).collect(),
        })),
        ["apis", name] => Some(to_json(&ApiGroup {
            kind: Some("APIGroup"),
            api_version: Some("v1"),
            ..group(catalog.group(name)?)
        })),
        ["apis", name, version] if !name.is_empty() => {
            Some(resources(catalog.version(name, version)?))
        }
        _ => None,
    }
}

/// The list at `/`, sorted.
pub fn root_paths(catalog: &Catalog<'_>, others: &[&str]) -> Vec<u8> {
    let mut paths: Vec<String> = ["/api", "/apis", "/apis/"].map(str::to_owned).into();
    paths.extend(["/openapi/v2", "/openapi/v3", "/openapi/v3/"].map(str::to_owned));
    paths.extend(catalog.named.iter().map(|g| format!("/apis/{}", g.name)));
    paths.extend(catalog.versions().map(|v| format!("/{}", v.path())));
    paths.extend(others.iter().map(|path| (*path).to_owned()));
    paths.sort();
    paths.dedup();
    to_json(&RootPaths {
        paths: paths.iter().map(String::as_str).collect(),
    })
}

fn core_versions<'a>(catalog: &Catalog<'a>) -> Vec<&'a str> {
    let groups = catalog.core.iter();
    groups
        .flat_map(|group| group.versions.iter().map(|version| version.version))
        .collect()
}

fn group<'a>(group: &Group<'a>) -> ApiGroup<'a> {
    let name = |version: &GroupVersion<'a>| VersionName {
        group_version: version.api_version(),
        version: version.version,
    };
    ApiGroup {
        kind: None,
        api_version: None,
        name: group.name,
        versions: group.versions.iter().map(name).collect(),
        preferred_version: group.versions.first().map(name),
    }
}

fn resources(version: &GroupVersion<'_>) -> Vec<u8> {
    to_json(&ApiResourceList {
        kind: "APIResourceList",
        // Upstream's core list has no apiVersion, its clients rely on neither.
        api_version: (!version.group.is_empty()).then_some("v1"),
        group_version: version.api_version(),
        resources: version
            .kinds
            .iter()
            .flat_map(|spec| resource(spec))
            .collect(),
    })
}

/// A resource and its subresources.
fn resource<'a>(spec: &'a KindSpec) -> Vec<ApiResource<'a>> {
    let mut rows = vec![ApiResource {
        name: spec.plural.to_owned(),
        singular_name: spec.singular,
        namespaced: spec.namespaced,
        group: "",
        version: "",
        kind: spec.gvk.kind,
        verbs: spec.verbs,
        short_names: spec.short_names,
        categories: spec.categories,
        storage_version_hash: spec.storage_version_hash,
    }];
    for sub in spec.subresources.iter().filter(|sub| sub.served) {
        let foreign = (sub.gvk.group, sub.gvk.version) != (spec.gvk.group, spec.gvk.version);
        rows.push(ApiResource {
            name: format!("{}/{}", spec.plural, sub.name),
            singular_name: "",
            namespaced: spec.namespaced,
            group: if foreign { sub.gvk.group } else { "" },
            version: if foreign { sub.gvk.version } else { "" },
            kind: sub.gvk.kind,
            verbs: sub.verbs,
            short_names: &[],
            categories: &[],
            storage_version_hash: "",
        });
    }
    rows
}

/// These types have no maps and no floats: writing them to memory cannot fail.
pub(super) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(path: &[&str]) -> Value {
        let addresses = [ServerAddress {
            client_cidr: "0.0.0.0/0".into(),
            server_address: "10.0.0.1:6443".into(),
        }];
        let catalog = Catalog::new(kinds::all());
        serde_json::from_slice(&legacy(&catalog, path, &addresses).unwrap()).unwrap()
    }

    #[test]
    fn the_core_root_says_where_the_server_is() {
        let want = json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs":
                [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.0.0.1:6443"}],
        });
        assert_eq!(at(&["api"]), want);
    }

    #[test]
    fn a_group_prefers_its_first_version() {
        let group = at(&["apis", "autoscaling"]);
        assert_eq!(group["preferredVersion"]["groupVersion"], "autoscaling/v2");
        assert_eq!(group["versions"][1]["version"], "v1");
        assert_eq!(at(&["apis"])["groups"][1]["name"], "apps");
    }

    #[test]
    fn a_foreign_subresource_names_its_group() {
        let list = at(&["apis", "apps", "v1"]);
        let row = |name: &str| {
            let rows = list["resources"].as_array().unwrap();
            rows.iter().find(|row| row["name"] == name).unwrap().clone()
        };
        assert_eq!(
            row("deployments/scale"),
            json!({"name": "deployments/scale", "singularName": "", "namespaced": true,
                "group": "autoscaling", "version": "v1", "kind": "Scale",
                "verbs": ["get", "patch", "update"]})
        );
        assert_eq!(row("deployments/status").get("group"), None);
        assert_eq!(row("deployments")["shortNames"], json!(["deploy"]));
    }

    #[test]
    fn a_subresource_without_machinery_is_not_shown() {
        let mut spec = *kinds::find("", "v1", "pods").unwrap();
        let exec = kinds::Subresource {
            name: "exec",
            gvk: spec.gvk,
            verbs: &["create"],
            served: false,
        };
        let subresources = [exec];
        spec.subresources = Box::leak(Box::new(subresources));
        let catalog = Catalog::new([&spec]);
        let list = legacy(&catalog, &["api", "v1"], &[]).unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        assert_eq!(list["resources"].as_array().unwrap().len(), 1);
        let documents =
            crate::discovery::aggregated::aggregated(&catalog, crate::discovery::Root::Api);
        assert!(!String::from_utf8(documents).unwrap().contains("exec"));
    }
}
