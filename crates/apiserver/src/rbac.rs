//! Role-based access control: may this user do that?
//!
//! Pure: reads Roles, ClusterRoles and their bindings from the world. Source of
//! the rules: the RBAC page of the Kubernetes documentation.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use object::names::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES};
use world::World;

use crate::identity::{MASTERS, User};

/// What a user wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action<'a> {
    /// Something with a resource.
    Resource {
        /// Verb.
        verb: &'a str,
        /// API group.
        group: &'a str,
        /// Plural, with `/subresource` if there is one.
        resource: &'a str,
        /// Object name, or empty.
        name: &'a str,
        /// Namespace, or empty for cluster scope and all namespaces.
        namespace: &'a str,
    },
    /// Something with another path.
    Path {
        /// Lower-case method.
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// Why a user may, or `None`.
pub fn allows(world: &World, user: &User, action: &Action<'_>) -> Option<String> {
    if user.in_group(MASTERS) {
        return Some(String::new());
    }
    let mut reason = None;
    visit(world, user, namespace_of(action), |rule, why| {
        if covers(rule, action) {
            reason = Some(why());
        }
        reason.is_none()
    });
    reason
}

/// All rules that hold for a user in a namespace (empty: cluster scope only).
pub fn rules_of(world: &World, user: &User, namespace: &str) -> Vec<PolicyRule> {
    let mut rules = Vec::new();
    visit(world, user, namespace, |rule, _| {
        rules.push(rule.clone());
        true
    });
    rules
}

fn namespace_of<'a>(action: &Action<'a>) -> &'a str {
    match action {
        Action::Resource { namespace, .. } => namespace,
        Action::Path { .. } => "",
    }
}

/// Calls `each` for every rule bound to the user until it answers false. A stored
/// object that does not decode grants nothing.
fn visit(
    world: &World,
    user: &User,
    namespace: &str,
    mut each: impl FnMut(&PolicyRule, &dyn Fn() -> String) -> bool,
) {
    for object in world.list(CLUSTER_ROLE_BINDINGS) {
        let Ok(binding) = object.view::<ClusterRoleBinding>() else {
            continue;
        };
        let Some(subject) = bound(user, binding.subjects.as_deref(), "") else {
            continue;
        };
        let why = || {
            format!(
                "RBAC: allowed by ClusterRoleBinding {:?} of ClusterRole {:?} to {}",
                object.meta().name.as_str(),
                binding.role_ref.name,
                described(subject, ""),
            )
        };
        if !rules(world, "", &binding.role_ref)
            .iter()
            .all(|rule| each(rule, &why))
        {
            return;
        }
    }
    if namespace.is_empty() {
        return;
    }
    for object in world.list_in(ROLE_BINDINGS, namespace) {
        let Ok(binding) = object.view::<RoleBinding>() else {
            continue;
        };
        let Some(subject) = bound(user, binding.subjects.as_deref(), namespace) else {
            continue;
        };
        let why = || {
            format!(
                "RBAC: allowed by RoleBinding {:?} of {} {:?} to {}",
                object.name().to_string(),
                binding.role_ref.kind,
                binding.role_ref.name,
                described(subject, namespace),
            )
        };
        if !rules(world, namespace, &binding.role_ref)
            .iter()
            .all(|rule| each(rule, &why))
        {
            return;
        }
    }
}

fn bound<'s>(user: &User, subjects: Option<&'s [Subject]>, namespace: &str) -> Option<&'s Subject> {
    subjects
        .unwrap_or_default()
        .iter()
        .find(|subject| match subject.kind.as_str() {
            "User" => subject.name == user.name,
            "Group" => user.in_group(&subject.name),
            "ServiceAccount" => {
                let own = subject.namespace.as_deref().unwrap_or(namespace);
                let rest = user.name.strip_prefix("system:serviceaccount:");
                rest.and_then(|rest| rest.split_once(':')) == Some((own, subject.name.as_str()))
            }
            _ => false,
        })
}

fn described(subject: &Subject, namespace: &str) -> String {
    match subject.kind.as_str() {
        "ServiceAccount" => {
            let own = subject.namespace.as_deref().unwrap_or(namespace);
            format!("ServiceAccount \"{}/{own}\"", subject.name)
        }
        kind => format!("{kind} {:?}", subject.name),
    }
}

fn rules(world: &World, namespace: &str, role: &RoleRef) -> Vec<PolicyRule> {
    let found = match role.kind.as_str() {
        "ClusterRole" => world
            .view::<ClusterRole>(CLUSTER_ROLES, "", &role.name)
            .map(|role| role.and_then(|role| role.rules.clone())),
        "Role" => world
            .view::<Role>(ROLES, namespace, &role.name)
            .map(|role| role.and_then(|role| role.rules.clone())),
        _ => Ok(None),
    };
    found.ok().flatten().unwrap_or_default()
}

/// Whether a rule covers an action.
pub fn covers(rule: &PolicyRule, action: &Action<'_>) -> bool {
    match *action {
        Action::Resource {
            verb,
            group,
            resource,
            name,
            ..
        } => {
            has(&rule.verbs, verb)
                && has(rule.api_groups.as_deref().unwrap_or_default(), group)
                && covers_resource(rule.resources.as_deref().unwrap_or_default(), resource)
                && rule
                    .resource_names
                    .as_deref()
                    .is_none_or(|names| names.is_empty() || names.iter().any(|own| own == name))
        }
        Action::Path { verb, path } => {
            has(&rule.verbs, verb)
                && rule.non_resource_urls.iter().flatten().any(|url| {
                    url == "*"
                        || url == path
                        || url.strip_suffix('*').is_some_and(|p| path.starts_with(p))
                })
        }
    }
}

fn has(list: &[String], item: &str) -> bool {
    list.iter().any(|own| own == "*" || own == item)
}

fn covers_resource(list: &[String], resource: &str) -> bool {
    let subresource = resource.split_once('/').map(|(_, sub)| sub);
    list.iter().any(|own| {
        own == "*"
            || own == resource
            || subresource.is_some_and(|sub| own.strip_prefix("*/") == Some(sub))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use object::{Draft, Resource};
    use serde_json::{Value, json};
    use world::{Commit, Event};

    fn world(objects: &[(Resource, Value)]) -> World {
        let events = objects.iter().map(|(resource, value)| {
            let draft = Draft::new(*resource, value, |_| Box::default()).unwrap();
            Arc::new(Event::put(Arc::new(draft.seal(1)), None))
        });
        World::new(&[]).apply(&Commit {
            revision: 1,
            events: events.collect(),
        })
    }

    fn sample() -> World {
        let rbac = "rbac.authorization.k8s.io";
        world(&[
            (
                CLUSTER_ROLES,
                json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"reader"},
                "rules":[{"apiGroups":[""],"resources":["pods","*/status"],"verbs":["get","list"]},
                         {"nonResourceURLs":["/metrics","/logs/*"],"verbs":["get"]}]}),
            ),
            (
                ROLES,
                json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"one","namespace":"a"},
                "rules":[{"apiGroups":["*"],"resources":["*"],"resourceNames":["x"],"verbs":["*"]}]}),
            ),
            (
                CLUSTER_ROLE_BINDINGS,
                json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"readers"},
                "roleRef":{"apiGroup":rbac,"kind":"ClusterRole","name":"reader"},
                "subjects":[{"kind":"Group","apiGroup":rbac,"name":"dev"}]}),
            ),
            (
                ROLE_BINDINGS,
                json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"ones","namespace":"a"},
                "roleRef":{"apiGroup":rbac,"kind":"Role","name":"one"},
                "subjects":[{"kind":"ServiceAccount","namespace":"b","name":"sa"}]}),
            ),
        ])
    }

    fn get<'a>(resource: &'a str, name: &'a str, namespace: &'a str) -> Action<'a> {
        Action::Resource {
            verb: "get",
            group: "",
            resource,
            name,
            namespace,
        }
    }

    #[test]
    fn a_rule_covers_what_it_names_and_nothing_else() {
        let world = sample();
        let dev = User::authenticated("ann", &["dev"]);
        let robot = User::service_account("b", "sa");
        let rows = [
            (&dev, get("pods", "p", "any"), true),
            (&dev, get("pods/log", "p", "any"), false),
            (&dev, get("deployments/status", "p", "any"), true),
            (&dev, get("secrets", "s", "any"), false),
            (
                &dev,
                Action::Resource {
                    verb: "delete",
                    group: "",
                    resource: "pods",
                    name: "p",
                    namespace: "a",
                },
                false,
            ),
            (
                &dev,
                Action::Path {
                    verb: "get",
                    path: "/metrics",
                },
                true,
            ),
            (
                &dev,
                Action::Path {
                    verb: "get",
                    path: "/logs/x",
                },
                true,
            ),
            (
                &dev,
                Action::Path {
                    verb: "get",
                    path: "/metrics/x",
                },
                false,
            ),
            (&robot, get("secrets", "x", "a"), true),
            (&robot, get("secrets", "y", "a"), false),
            (&robot, get("secrets", "x", "b"), false),
            (&robot, get("secrets", "x", ""), false),
        ];
        for (user, action, want) in rows {
            assert_eq!(
                allows(&world, user, &action).is_some(),
                want,
                "{} {action:?}",
                user.name
            );
        }
        let nobody = User::authenticated("bob", &[]);
        assert_eq!(allows(&world, &nobody, &get("pods", "p", "a")), None);
        assert!(
            allows(
                &world,
                &User::authenticated("root", &[MASTERS]),
                &get("secrets", "x", "")
            )
            .is_some()
        );
    }

    #[test]
    fn the_reason_names_the_binding() {
        let dev = User::authenticated("ann", &["dev"]);
        assert_eq!(
            allows(&sample(), &dev, &get("pods", "p", "")).unwrap(),
            "RBAC: allowed by ClusterRoleBinding \"readers\" of ClusterRole \"reader\" to Group \"dev\""
        );
    }
}
