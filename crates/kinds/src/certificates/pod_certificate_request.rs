//! `PodCertificateRequest` of `certificates.k8s.io/v1`: the entry in the list of kinds.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    print, select,
    spec::{Column, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use object::{Gvk, Resource};

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
        "v1beta1",
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
    cells: print::name_and_age,
    field_selectors: &[
        select::text_field!("spec.signerName", "spec.signerName", "/spec/signerName"),
        select::text_field!("spec.podName", "spec.podName", "/spec/podName"),
        select::text_field!("spec.nodeName", "spec.nodeName", "/spec/nodeName"),
    ],
    reset_fields: ResetFields::SPLIT,
    generation: false,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks::NONE,
};
