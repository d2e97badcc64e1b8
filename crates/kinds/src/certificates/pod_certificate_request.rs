//! `PodCertificateRequest` of `certificates.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `PodCertificateRequest` of `certificates.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("certificates.k8s.io", "v1", "PodCertificateRequest"),
    resource: Resource::new("certificates.k8s.io", "podcertificaterequests"),
    list_kind: "PodCertificateRequestList",
    plural: "podcertificaterequests",
    singular: "podcertificaterequest",
    short_names: &[],
    categories: &[],
    namespaced: true,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new("certificates.k8s.io", "v1", "PodCertificateRequest"),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "certificates.k8s.io",
        "v1",
        "PodCertificateRequest",
    )),
    storage_version_hash: "wYA9yXQH8fg=",
    type_name: "certificates/v1.PodCertificateRequest",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("PodName", "string", "", 0),
        Column::new("ServiceAccountName", "string", "", 0),
        Column::new("NodeName", "string", "", 0),
        Column::new("SignerName", "string", "", 0),
        Column::new("State", "string", "", 0),
        Column::new("UnverifiedUserAnnotations", "string", "", 0),
    ],
    cells,
    field_selectors: &[
        select::text_field!("spec.signerName", "spec.signerName", "/spec/signerName"),
        select::text_field!("spec.podName", "spec.podName", "/spec/podName"),
        select::text_field!("spec.nodeName", "spec.nodeName", "/spec/nodeName"),
    ],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// Longest life of a certificate, in seconds, unless the request says less.
const LIFE_SECONDS: i64 = 86_400;

fn default(value: &mut Value) {
    fields::fill(
        fields::object(value, "spec"),
        "maxExpirationSeconds",
        LIFE_SECONDS,
    );
}

fn cells(value: &Value, _: Timestamp) -> Vec<Value> {
    let conditions = print::each(fields::items(value, "/status/conditions"), "/type");
    let state = ["Issued", "Denied", "Failed"]
        .into_iter()
        .find(|state| conditions.contains(state))
        .unwrap_or("Pending");
    let annotations = value
        .pointer("/spec/unverifiedUserAnnotations")
        .and_then(Value::as_object)
        .filter(|map| !map.is_empty())
        .map(|_| print::labels(value, "/spec/unverifiedUserAnnotations"))
        .unwrap_or_default();
    vec![
        print::name(value),
        print::text(value, "/spec/podName"),
        print::text(value, "/spec/serviceAccountName"),
        print::text(value, "/spec/nodeName"),
        print::text(value, "/spec/signerName"),
        state.into(),
        annotations.into(),
    ]
}
