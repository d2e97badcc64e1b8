//! What is filled in for requests of devices, in claims and in their templates.
//!
//! Writes only the spec it is given, and leaves set members alone.

use serde_json::{Map, Value};

use crate::fields::{fill_zero, items_mut, map_in, text_in};

/// Fills in the device requests of a claim's spec.
pub(crate) fn default(spec: &mut Map<String, Value>) {
    let Some(devices) = map_in(spec, "devices") else {
        return;
    };
    for request in items_mut(devices, "requests") {
        if let Some(exact) = map_in(request, "exactly") {
            default_request(exact);
        }
        items_mut(request, "firstAvailable").for_each(default_request);
    }
}

fn default_request(request: &mut Map<String, Value>) {
    fill_zero(request, "allocationMode", "ExactCount");
    if text_in(request, "allocationMode") == "ExactCount" {
        fill_zero(request, "count", 1);
    }
    for toleration in items_mut(request, "tolerations") {
        fill_zero(toleration, "operator", "Equal");
    }
}
