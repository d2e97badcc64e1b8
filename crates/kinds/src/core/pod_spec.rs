//! What is filled in for every pod spec: of pods and of all templates.
//!
//! Writes only the spec it is given, and leaves set members alone.

use serde_json::{Map, Value, json};

use super::{container, volume};
use crate::fields::{fill, fill_zero, items_mut, map_in, member, text_in};

/// The lists of a pod spec that hold containers.
pub(crate) const CONTAINER_LISTS: [&str; 3] =
    ["initContainers", "containers", "ephemeralContainers"];
/// Seconds that containers are given to end by themselves.
const GRACE_SECONDS: i64 = 30;

/// Fills in the pod template that is a member of `holder`, if there is one.
pub(crate) fn default_template(holder: &mut Map<String, Value>) {
    if let Some(template) = map_in(holder, "template") {
        default(member(template, "spec"));
    }
}

/// Fills in a pod spec.
pub(crate) fn default(spec: &mut Map<String, Value>) {
    fill_zero(spec, "restartPolicy", "Always");
    fill(spec, "terminationGracePeriodSeconds", GRACE_SECONDS);
    fill_zero(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "securityContext", json!({}));
    fill_zero(spec, "schedulerName", "default-scheduler");
    for list in CONTAINER_LISTS {
        items_mut(spec, list).for_each(container::default);
    }
    items_mut(spec, "volumes").for_each(volume::default);
    mirror_service_account(spec);
}

/// Keeps both names of the service account alike: clients still read the old one.
pub(crate) fn mirror_service_account(spec: &mut Map<String, Value>) {
    let name = match text_in(spec, "serviceAccountName") {
        "" => text_in(spec, "serviceAccount"),
        name => name,
    }
    .to_owned();
    if !name.is_empty() {
        spec.insert("serviceAccountName".into(), name.clone().into());
        spec.insert("serviceAccount".into(), name.into());
    }
}
