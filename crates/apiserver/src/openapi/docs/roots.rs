//! The types from which the schemas of a group are reached.
//!
//! A new kind needs a word here to be described; a test holds this list against the
//! list of kinds.

use k8s_openapi::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::{apis::meta, version::Info};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use k8s_openapi::schemars::SchemaGenerator;
use serde_json::Value;

macro_rules! reach {
    ($generator:ident, $module:path: $($kind:ident)*) => {{
        use $module as module;
        $(let _ = $generator.subschema_for::<module::$kind>();)*
    }};
}

/// Types that any document may hold.
pub(super) fn shared(generator: &mut SchemaGenerator) {
    reach!(generator, meta::v1: APIGroup APIGroupList APIResourceList APIVersions DeleteOptions
        ListMeta ObjectMeta Patch Status);
    let _ = generator.subschema_for::<meta::v1::WatchEvent<Value>>();
    let _ = generator.subschema_for::<Info>();
}

/// The kinds of a version of a group, and what their subresources take.
pub(super) fn version(generator: &mut SchemaGenerator, group: &str, version: &str) {
    match (group, version) {
        ("", "v1") => {
            reach!(generator, api::core::v1: Binding ComponentStatus ConfigMap Endpoints Event
                LimitRange Namespace Node PersistentVolume PersistentVolumeClaim Pod PodTemplate
                ReplicationController ResourceQuota Secret Service ServiceAccount);
            reach!(generator, api::policy::v1: Eviction);
            reach!(generator, api::authentication::v1: TokenRequest);
            reach!(generator, api::autoscaling::v1: Scale);
        }
        ("apps", "v1") => {
            reach!(generator, api::apps::v1: ControllerRevision DaemonSet Deployment ReplicaSet
                StatefulSet);
            reach!(generator, api::autoscaling::v1: Scale);
        }
        ("autoscaling", "v1") => {
            reach!(generator, api::autoscaling::v1: HorizontalPodAutoscaler Scale);
        }
        ("autoscaling", "v2") => reach!(generator, api::autoscaling::v2: HorizontalPodAutoscaler),
        ("batch", "v1") => reach!(generator, api::batch::v1: CronJob Job),
        ("policy", "v1") => reach!(generator, api::policy::v1: Eviction PodDisruptionBudget),
        (_, "v1") => named(generator, group),
        _ => {}
    }
}

/// Version `v1` of the groups that end in `k8s.io`.
fn named(generator: &mut SchemaGenerator, group: &str) {
    match group {
        "admissionregistration.k8s.io" => {
            reach!(generator, api::admissionregistration::v1: MutatingAdmissionPolicy
                MutatingAdmissionPolicyBinding MutatingWebhookConfiguration
                ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
                ValidatingWebhookConfiguration);
        }
        "apiextensions.k8s.io" => {
            reach!(generator, apiextensions::v1: CustomResourceDefinition);
        }
        "apiregistration.k8s.io" => reach!(generator, apiregistration::v1: APIService),
        "authentication.k8s.io" => {
            reach!(generator, api::authentication::v1: SelfSubjectReview TokenReview);
        }
        "authorization.k8s.io" => {
            reach!(generator, api::authorization::v1: LocalSubjectAccessReview
                SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview);
        }
        "certificates.k8s.io" => {
            reach!(generator, api::certificates::v1: CertificateSigningRequest
                ClusterTrustBundle PodCertificateRequest);
        }
        "coordination.k8s.io" => reach!(generator, api::coordination::v1: Lease),
        "discovery.k8s.io" => reach!(generator, api::discovery::v1: EndpointSlice),
        "events.k8s.io" => reach!(generator, api::events::v1: Event),
        "flowcontrol.apiserver.k8s.io" => {
            reach!(generator, api::flowcontrol::v1: FlowSchema PriorityLevelConfiguration);
        }
        "networking.k8s.io" => {
            reach!(generator, api::networking::v1: IPAddress Ingress IngressClass NetworkPolicy
                ServiceCIDR);
        }
        "node.k8s.io" => reach!(generator, api::node::v1: RuntimeClass),
        "rbac.authorization.k8s.io" => {
            reach!(generator, api::rbac::v1: ClusterRole ClusterRoleBinding Role RoleBinding);
        }
        "resource.k8s.io" => {
            reach!(generator, api::resource::v1: DeviceClass DeviceTaintRule ResourceClaim
                ResourceClaimTemplate ResourceSlice);
        }
        "scheduling.k8s.io" => reach!(generator, api::scheduling::v1: PriorityClass),
        "storage.k8s.io" => {
            reach!(generator, api::storage::v1: CSIDriver CSINode CSIStorageCapacity StorageClass
                VolumeAttachment VolumeAttributesClass);
        }
        "storagemigration.k8s.io" => {
            reach!(generator, api::storagemigration::v1: StorageVersionMigration);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Docs;

    #[test]
    fn every_built_in_kind_is_described() {
        for spec in kinds::all() {
            let docs = Docs::of([(spec.gvk.group, spec.gvk.version)]);
            let node = schema::types().get(spec.type_name).unwrap();
            let model = node.as_struct().unwrap().openapi.clone();
            assert!(!docs.model(&model).is_empty(), "{model}");
        }
    }
}
