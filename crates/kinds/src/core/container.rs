//! What is filled in for containers of any pod: pull policy, probes, ports,
//! environment and termination messages.
//!
//! Writes only the container it is given, and leaves set members alone.

use serde_json::{Map, Value};

use crate::fields::{fill, fill_zero, items_mut, map_in};

/// Fills in one container; init and ephemeral ones are alike.
pub(crate) fn default(container: &mut Map<String, Value>) {
    let policy = pull_policy(crate::fields::text_in(container, "image"));
    fill_zero(container, "imagePullPolicy", policy);
    fill_zero(container, "terminationMessagePath", "/dev/termination-log");
    fill_zero(container, "terminationMessagePolicy", "File");
    for port in items_mut(container, "ports") {
        fill_zero(port, "protocol", "TCP");
    }
    for env in items_mut(container, "env") {
        if let Some(source) = map_in(env, "valueFrom") {
            field_source(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = map_in(container, name) {
            default_probe(probe);
        }
    }
    if let Some(lifecycle) = map_in(container, "lifecycle") {
        for name in ["postStart", "preStop"] {
            if let Some(handler) = map_in(lifecycle, name) {
                http_get(handler);
            }
        }
    }
}

/// What a container reads from its pod: an entry of `env` or of a volume.
pub(crate) fn field_source(source: &mut Map<String, Value>) {
    if let Some(field) = map_in(source, "fieldRef") {
        fill_zero(field, "apiVersion", "v1");
    }
    if let Some(resource) = map_in(source, "resourceFieldRef") {
        fill_zero(resource, "divisor", "0");
    }
}

fn default_probe(probe: &mut Map<String, Value>) {
    http_get(probe);
    if let Some(grpc) = map_in(probe, "grpc") {
        fill(grpc, "service", "");
    }
    fill_zero(probe, "timeoutSeconds", 1);
    fill_zero(probe, "periodSeconds", 10);
    fill_zero(probe, "successThreshold", 1);
    fill_zero(probe, "failureThreshold", 3);
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = map_in(handler, "httpGet") {
        fill_zero(get, "path", "/");
        fill_zero(get, "scheme", "HTTP");
    }
}

/// `Always` for images whose tag is `latest`, said or implied; a digest without
/// a tag implies none.
pub(crate) fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let latest = match last.rsplit_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest && !last.is_empty(),
    };
    if latest { "Always" } else { "IfNotPresent" }
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn only_the_latest_tag_is_always_pulled() {
        let rows = [
            ("i", "Always"),
            ("host:5000/i", "Always"),
            ("i:latest", "Always"),
            ("i:1", "IfNotPresent"),
            ("host:5000/i:1", "IfNotPresent"),
            ("i@sha256:00", "IfNotPresent"),
            ("i:latest@sha256:00", "Always"),
        ];
        for (image, want) in rows {
            assert_eq!(pull_policy(image), want, "{image}");
        }
    }
}
