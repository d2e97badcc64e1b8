//! `ClusterTrustBundle` of `certificates.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `ClusterTrustBundle` of `certificates.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("certificates.k8s.io", "v1", "ClusterTrustBundle"),
    resource: Resource::new("certificates.k8s.io", "clustertrustbundles"),
    list_kind: "ClusterTrustBundleList",
    plural: "clustertrustbundles",
    singular: "clustertrustbundle",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[],
    storage: Some(Gvk::new("certificates.k8s.io", "v1", "ClusterTrustBundle")),
    storage_version_hash: "v5yhuVertL4=",
    type_name: "certificates/v1.ClusterTrustBundle",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("SignerName", "string", "", 0),
    ],
    cells,
    field_selectors: &[select::text_field!(
        "spec.signerName",
        "spec.signerName",
        "/spec/signerName"
    )],
    reset_fields: ResetFields::NONE,
    generation: Generation::Absent,
    status: false,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    vec![
        print::name(value),
        print::text_or(value, "/spec/signerName", print::NONE),
    ]
}
