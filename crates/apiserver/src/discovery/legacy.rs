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
