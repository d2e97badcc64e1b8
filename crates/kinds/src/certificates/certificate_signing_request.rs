//! `CertificateSigningRequest` of `certificates.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

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
    cells: print::name_and_age,
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
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
