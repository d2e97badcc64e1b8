//! `CertificateSigningRequest` of `certificates.k8s.io/v1`: the entry in the list of kinds, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print, select,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `CertificateSigningRequest` of `certificates.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new("certificates.k8s.io", "v1", "CertificateSigningRequest"),
    resource: Resource::new("certificates.k8s.io", "certificatesigningrequests"),
    list_kind: "CertificateSigningRequestList",
    plural: "certificatesigningrequests",
    singular: "certificatesigningrequest",
    short_names: &["csr"],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[
        Subresource {
            name: "approval",
            gvk: Gvk::new("certificates.k8s.io", "v1", "CertificateSigningRequest"),
            verbs: &["get", "patch", "update"],
            served: false,
        },
        Subresource {
            name: "status",
            gvk: Gvk::new("certificates.k8s.io", "v1", "CertificateSigningRequest"),
            verbs: &["get", "patch", "update"],
            served: true,
        },
    ],
    storage: Some(Gvk::new(
        "certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
    )),
    storage_version_hash: "95fRKMXA+00=",
    type_name: "certificates/v1.CertificateSigningRequest",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Age", "string", "", 0),
        Column::new("SignerName", "string", "", 0),
        Column::new("Requestor", "string", "", 0),
        Column::new("RequestedDuration", "string", "", 0),
        Column::new("Condition", "string", "", 0),
    ],
    cells,
    field_selectors: &[select::text_field!(
        "spec.signerName",
        "spec.signerName",
        "/spec/signerName"
    )],
    reset_fields: ResetFields {
        main: &["status"],
        status: &[
            "spec",
            "metadata.annotations",
            "metadata.labels",
            "metadata.ownerReferences",
        ],
    },
    generation: Generation::Absent,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let life = match value
        .pointer("/spec/expirationSeconds")
        .and_then(Value::as_i64)
    {
        Some(seconds) => print::span(seconds),
        None => print::NONE.to_owned(),
    };
    vec![
        print::name(value),
        print::created(value, now),
        print::text_or(value, "/spec/signerName", print::NONE),
        print::text(value, "/spec/username"),
        life.into(),
        condition(value).into(),
    ]
}

fn condition(value: &Value) -> String {
    let conditions = print::each(fields::items(value, "/status/conditions"), "/type");
    let is = |name: &str| conditions.contains(&name);
    let mut words = match (is("Denied"), is("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }
    .to_owned();
    if is("Failed") {
        words.push_str(",Failed");
    }
    if !fields::text(value, "/status/certificate").is_empty() {
        words.push_str(",Issued");
    }
    words
}
