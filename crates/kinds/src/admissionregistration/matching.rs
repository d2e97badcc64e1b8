//! What is filled in for webhooks and admission policies: which requests they
//! match, and what failing means. Also how their parameters print.
//!
//! Writes only the object it is given, and leaves set members alone.

use serde_json::{Map, Value, json};

use crate::fields::{fill, items_mut, map_in, text};

/// Seconds that a webhook is given to answer.
const TIMEOUT_SECONDS: i64 = 10;
/// Port of a service that is called without one.
const SERVICE_PORT: i64 = 443;

/// Fills in the webhooks of a validating configuration.
pub(crate) fn default_webhooks(configuration: &mut Value) {
    each_webhook(configuration, |_| {});
}

/// Fills in the webhooks of a mutating configuration.
pub(crate) fn default_mutating_webhooks(configuration: &mut Value) {
    each_webhook(configuration, |webhook| {
        fill(webhook, "reinvocationPolicy", "Never")
    });
}

fn each_webhook(configuration: &mut Value, more: impl Fn(&mut Map<String, Value>)) {
    let Some(map) = configuration.as_object_mut() else {
        return;
    };
    for webhook in items_mut(map, "webhooks") {
        fill(webhook, "failurePolicy", "Fail");
        default_match(webhook);
        fill(webhook, "timeoutSeconds", TIMEOUT_SECONDS);
        default_rules(webhook, "rules");
        if let Some(config) = map_in(webhook, "clientConfig") {
            default_service(config);
        }
        more(webhook);
    }
}

/// Fills in the port of the service that a client configuration names.
pub(crate) fn default_service(config: &mut Map<String, Value>) {
    if let Some(service) = map_in(config, "service") {
        fill(service, "port", SERVICE_PORT);
    }
}

/// Fills in what a policy or binding matches, if it says anything about it.
pub(crate) fn default_resources(spec: &mut Map<String, Value>, name: &str) {
    if let Some(resources) = map_in(spec, name) {
        default_match(resources);
        default_rules(resources, "resourceRules");
        default_rules(resources, "excludeResourceRules");
    }
}

fn default_match(holder: &mut Map<String, Value>) {
    fill(holder, "matchPolicy", "Equivalent");
    fill(holder, "namespaceSelector", json!({}));
    fill(holder, "objectSelector", json!({}));
}

fn default_rules(holder: &mut Map<String, Value>, name: &str) {
    for rule in items_mut(holder, name) {
        fill(rule, "scope", "*");
    }
}

/// `apiVersion/Kind` of a policy's parameters.
pub(crate) fn param_kind(policy: &Value) -> String {
    match text(policy, "/spec/paramKind/kind") {
        "" => "<unset>".to_owned(),
        kind => format!("{}/{kind}", text(policy, "/spec/paramKind/apiVersion")),
    }
}

/// Name or selector of a binding's parameters.
pub(crate) fn param_ref(binding: &Value) -> String {
    let name = text(binding, "/spec/paramRef/name");
    if !name.is_empty() {
        return match text(binding, "/spec/paramRef/namespace") {
            "" => format!("*/{name}"),
            namespace => format!("{namespace}/{name}"),
        };
    }
    match binding.pointer("/spec/paramRef/selector") {
        Some(selector) if !selector.is_null() => {
            crate::print::selector(binding, "/spec/paramRef/selector")
        }
        _ => "<unset>".to_owned(),
    }
}
