//! Aggregated discovery: everything below `/api` or `/apis` in one document.
//!
//! Pure. Source: `apidiscovery.k8s.io/v2` (KEP-3352). The order of members is
//! upstream's; a response kind leaves out the group and version of its parent.

use kinds::{KindSpec, Subresource};
use object::Gvk;
use serde::Serialize;

use super::Root;
use super::catalog::{Catalog, Group, GroupVersion};
use super::legacy::to_json;

/// What the documents are sent as, and what clients ask for.
pub const AGGREGATED_MEDIA_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupList<'a> {
    kind: &'a str,
    api_version: &'a str,
    metadata: Metadata<'a>,
    items: Vec<GroupItem<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

#[derive(Serialize)]
struct GroupItem<'a> {
    metadata: Metadata<'a>,
    versions: Vec<VersionItem<'a>>,
}

#[derive(Serialize)]
struct VersionItem<'a> {
    version: &'a str,
    resources: Vec<ResourceItem<'a>>,
    freshness: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceItem<'a> {
    resource: &'a str,
    response_kind: ResponseKind<'a>,
    scope: &'a str,
    singular_resource: &'a str,
    verbs: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'a [&'a str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subresources: Vec<SubresourceItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubresourceItem<'a> {
    subresource: &'a str,
    response_kind: ResponseKind<'a>,
    verbs: &'a [&'a str],
}

#[derive(Serialize)]
struct ResponseKind<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

/// The document of one root.
pub fn aggregated(catalog: &Catalog<'_>, root: Root) -> Vec<u8> {
    let items = match root {
        Root::Api => catalog.core.iter().map(group).collect(),
        Root::Apis => catalog.named.iter().map(group).collect(),
    };
    to_json(&GroupList {
        kind: "APIGroupDiscoveryList",
        api_version: "apidiscovery.k8s.io/v2",
        metadata: Metadata { name: "" },
        items,
    })
}

fn group<'a>(group: &Group<'a>) -> GroupItem<'a> {
    GroupItem {
        metadata: Metadata { name: group.name },
        versions: group.versions.iter().map(version).collect(),
    }
}

fn version<'a>(version: &GroupVersion<'a>) -> VersionItem<'a> {
    VersionItem {
        version: version.version,
        resources: version.kinds.iter().map(|spec| resource(spec)).collect(),
        freshness: "Current",
    }
}

fn resource(spec: &KindSpec) -> ResourceItem<'_> {
    let served = spec.subresources.iter().filter(|sub| sub.served);
    ResourceItem {
        resource: spec.plural,
        response_kind: response_kind(spec, spec.gvk),
        scope: if spec.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        },
        singular_resource: spec.singular,
        verbs: spec.verbs,
        short_names: spec.short_names,
        categories: spec.categories,
        subresources: served.map(|sub| subresource(spec, sub)).collect(),
    }
}

fn subresource<'a>(spec: &KindSpec, sub: &'a Subresource) -> SubresourceItem<'a> {
    SubresourceItem {
        subresource: sub.name,
        response_kind: response_kind(spec, sub.gvk),
        verbs: sub.verbs,
    }
}

fn response_kind(spec: &KindSpec, gvk: Gvk) -> ResponseKind<'static> {
    let foreign = (gvk.group, gvk.version) != (spec.gvk.group, spec.gvk.version);
    ResponseKind {
        group: if foreign { gvk.group } else { "" },
        version: if foreign { gvk.version } else { "" },
        kind: gvk.kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_resource_stands_with_its_subresources() {
        let catalog = Catalog::new(kinds::all());
        let document = aggregated(&catalog, Root::Apis);
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["kind"], "APIGroupDiscoveryList");
        let apps = &document["items"][1];
        assert_eq!(apps["metadata"]["name"], "apps");
        let resources = apps["versions"][0]["resources"].as_array().unwrap();
        let sets = resources.iter().find(|r| r["resource"] == "replicasets");
        assert_eq!(
            *sets.unwrap(),
            json!({
                "resource": "replicasets",
                "responseKind": {"group": "", "version": "", "kind": "ReplicaSet"},
                "scope": "Namespaced", "singularResource": "replicaset",
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch",
                    "update", "watch"],
                "shortNames": ["rs"], "categories": ["all"],
                "subresources": [
                    {"subresource": "scale", "verbs": ["get", "patch", "update"],
                     "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}},
                    {"subresource": "status", "verbs": ["get", "patch", "update"],
                     "responseKind": {"group": "", "version": "", "kind": "ReplicaSet"}},
                ],
            })
        );
    }

    #[test]
    fn the_core_group_has_a_root_of_its_own() {
        let catalog = Catalog::new(kinds::all());
        let groups = |root| {
            let document: Value = serde_json::from_slice(&aggregated(&catalog, root)).unwrap();
            document["items"].as_array().unwrap().len()
        };
        assert_eq!(groups(Root::Api), 1);
        assert_eq!(groups(Root::Apis), catalog.named.len());
    }
}
