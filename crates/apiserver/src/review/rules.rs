//! What may I do? `SelfSubjectRulesReview`.

use k8s_openapi::api::rbac::v1::PolicyRule;
use object::Status;
use serde_json::{Map, Value, json};

use super::{Reviewer, text};
use crate::identity::MASTERS;
use crate::rbac;

pub(super) fn own(cx: &Reviewer<'_>, mut body: Value) -> Result<Value, Status> {
    let namespace = text(&body["spec"], "namespace").to_owned();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let mut rules = rbac::rules_of(cx.world, cx.user, &namespace);
    if cx.user.in_group(MASTERS) {
        let all = || Some(vec!["*".to_owned()]);
        let verbs = || vec!["*".to_owned()];
        rules.push(PolicyRule {
            api_groups: all(),
            resources: all(),
            verbs: verbs(),
            ..PolicyRule::default()
        });
        rules.push(PolicyRule {
            non_resource_urls: all(),
            verbs: verbs(),
            ..PolicyRule::default()
        });
    }
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in &rules {
        if rule.resources.as_ref().is_some_and(|list| !list.is_empty()) {
            resources.push(printed(
                rule,
                &[
                    ("apiGroups", rule.api_groups.as_deref()),
                    ("resources", rule.resources.as_deref()),
                    ("resourceNames", rule.resource_names.as_deref()),
                ],
            ));
        }
        if rule
            .non_resource_urls
            .as_ref()
            .is_some_and(|list| !list.is_empty())
        {
            paths.push(printed(
                rule,
                &[("nonResourceURLs", rule.non_resource_urls.as_deref())],
            ));
        }
    }
    // The real server prints neither the namespace it was asked about, nor what
    // it cannot tell, since all rules are known here.
    body["spec"] = json!({});
    body["status"] = json!({
        "resourceRules": resources,
        "nonResourceRules": paths,
        "incomplete": false,
    });
    Ok(body)
}

fn printed(rule: &PolicyRule, lists: &[(&str, Option<&[String]>)]) -> Value {
    let mut printed = Map::new();
    printed.insert("verbs".into(), json!(rule.verbs));
    for (name, list) in lists {
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            printed.insert((*name).into(), json!(list));
        }
    }
    Value::Object(printed)
}
