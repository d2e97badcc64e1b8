//! Acting as somebody else: the `Impersonate-*` headers.
//!
//! Pure: reads headers and the world's roles. Two ways lead there, tried in this
//! order. Constrained (KEP-5284): the caller may do *this action* as others
//! (`impersonate-on:MODE:VERB`) and may act as *this user*
//! (`impersonate:MODE`). Plain: the verb `impersonate` on the user, and on each
//! group, uid and extra.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::HeaderMap;
use object::Status;
use world::World;

use super::token::NODE_NAME;
use crate::identity::{AUTHENTICATED, UNAUTHENTICATED, User};
use crate::rbac::{self, Action};
use crate::review;

/// Headers of impersonation that are looked at; more is refused.
pub const HEADER_LIMIT: usize = 256;

const AUTHENTICATION: &str = "authentication.k8s.io";
const ANONYMOUS: &str = "system:anonymous";

/// Whom the headers ask to act as, before anything is checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Wanted {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// The user that `user` acts as; `None` if the headers ask for nobody.
/// `action` is what the request wants to do.
pub fn impersonate(
    world: &World,
    user: &User,
    headers: &HeaderMap,
    action: &Action<'_>,
) -> Result<Option<User>, Status> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(None);
    };
    let refused = match constrained(world, user, &wanted, action) {
        Ok(found) => return Ok(Some(found)),
        Err(refused) => refused,
    };
    // Who may do neither is told about the first way.
    plain(world, user, &wanted).map_err(|_| refused).map(Some)
}

fn wanted(headers: &HeaderMap) -> Result<Option<Wanted>, Status> {
    let count = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"))
        .count();
    if count > HEADER_LIMIT {
        return Err(Status::bad_request(format!(
            "more than {HEADER_LIMIT} impersonation headers"
        )));
    }
    let texts = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
    };
    let first = |name: &str| texts(name).into_iter().next().unwrap_or_default();
    let wanted = Wanted {
        name: first("impersonate-user"),
        uid: first("impersonate-uid"),
        groups: texts("impersonate-group"),
        extra: super::peer::extra(headers, "impersonate-extra-"),
    };
    if !wanted.name.is_empty() {
        return Ok(Some(wanted));
    }
    if wanted == Wanted::default() {
        return Ok(None);
    }
    Err(Status::bad_request(format!(
        "requested {} without impersonating a user name",
        wanted.printed()
    )))
}

impl Wanted {
    /// As Go prints the value, which the message shows.
    fn printed(&self) -> String {
        let list = |items: &[String]| {
            let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
            items.join(", ")
        };
        let groups = match self.groups.as_slice() {
            [] => "(nil)".to_owned(),
            groups => format!("{{{}}}", list(groups)),
        };
        let extra = if self.extra.is_empty() {
            "(nil)".to_owned()
        } else {
            let mut text = String::new();
            for (key, values) in &self.extra {
                let comma = if text.is_empty() { "" } else { ", " };
                // Writing to a String does not fail.
                let _ = write!(text, "{comma}{key:?}:[]string{{{}}}", list(values));
            }
            format!("{{{text}}}")
        };
        format!(
            "&user.DefaultInfo{{Name:{:?}, UID:{:?}, Groups:[]string{groups}, Extra:map[string][]string{extra}}}",
            self.name, self.uid
        )
    }

    fn account(&self) -> Option<(&str, &str)> {
        let rest = self.name.strip_prefix("system:serviceaccount:")?;
        let (namespace, name) = rest.split_once(':')?;
        (!namespace.is_empty() && !name.is_empty() && !name.contains(':'))
            .then_some((namespace, name))
    }

    /// The user this becomes.
    fn user(&self) -> User {
        let mut groups = self.groups.clone();
        if let (Some((namespace, _)), true) = (self.account(), groups.is_empty()) {
            groups = vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ];
        }
        let known = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if !groups.iter().any(known) {
            let all = match self.name.as_str() {
                ANONYMOUS => UNAUTHENTICATED,
                _ => AUTHENTICATED,
            };
            groups.push(all.to_owned());
        }
        User {
            name: self.name.clone(),
            uid: self.uid.clone(),
            groups,
            extra: self.extra.clone(),
        }
    }
}

fn require(world: &World, user: &User, action: &Action<'_>) -> Result<(), Status> {
    match rbac::allows(world, user, action) {
        Some(_) => Ok(()),
        None => Err(review::forbidden(user, action, "")),
    }
}

/// Something with one name of a resource.
fn on<'a>(
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
) -> Action<'a> {
    Action::Resource {
        verb,
        group,
        resource,
        name,
        namespace,
    }
}

/// Uid and extra, which are asked for alike in every way.
fn require_details(world: &World, user: &User, wanted: &Wanted, verb: &str) -> Result<(), Status> {
    if !wanted.uid.is_empty() {
        require(
            world,
            user,
            &on(verb, AUTHENTICATION, "uids", "", &wanted.uid),
        )?;
    }
    for (key, values) in &wanted.extra {
        let resource = format!("userextras/{key}");
        for value in values {
            require(world, user, &on(verb, AUTHENTICATION, &resource, "", value))?;
        }
    }
    Ok(())
}

fn plain(world: &World, user: &User, wanted: &Wanted) -> Result<User, Status> {
    const VERB: &str = "impersonate";
    match wanted.account() {
        Some((namespace, name)) => {
            require(
                world,
                user,
                &on(VERB, "", "serviceaccounts", namespace, name),
            )?;
        }
        None => require(world, user, &on(VERB, "", "users", "", &wanted.name))?,
    }
    for group in &wanted.groups {
        require(world, user, &on(VERB, "", "groups", "", group))?;
    }
    require_details(world, user, wanted, VERB)?;
    Ok(wanted.user())
}

fn constrained(
    world: &World,
    user: &User,
    wanted: &Wanted,
    action: &Action<'_>,
) -> Result<User, Status> {
    if let Some(node) = wanted.name.strip_prefix("system:node:") {
        let own = user.extra.get(NODE_NAME);
        let runs_there = user.name.starts_with("system:serviceaccount:")
            && own.is_some_and(|names| names.len() == 1 && names[0] == node);
        let associated = runs_there
            && as_mode(world, user, action, "associated-node", |verb| {
                require(world, user, &on(verb, AUTHENTICATION, "nodes", "", "*"))
            })
            .is_ok();
        if !associated {
            as_mode(world, user, action, "arbitrary-node", |verb| {
                require(world, user, &on(verb, AUTHENTICATION, "nodes", "", node))
            })?;
        }
        let nodes = Wanted {
            groups: vec!["system:nodes".to_owned()],
            ..wanted.clone()
        };
        return Ok(nodes.user());
    }
    if let Some((namespace, name)) = wanted.account() {
        as_mode(world, user, action, "serviceaccount", |verb| {
            require(
                world,
                user,
                &on(verb, AUTHENTICATION, "serviceaccounts", namespace, name),
            )?;
            require_groups(world, user, wanted, verb)
        })?;
        return Ok(wanted.user());
    }
    as_mode(world, user, action, "user-info", |verb| {
        require(
            world,
            user,
            &on(verb, AUTHENTICATION, "users", "", &wanted.name),
        )?;
        require_groups(world, user, wanted, verb)?;
        require_details(world, user, wanted, verb)
    })?;
    Ok(wanted.user())
}

fn require_groups(world: &World, user: &User, wanted: &Wanted, verb: &str) -> Result<(), Status> {
    for group in &wanted.groups {
        require(world, user, &on(verb, AUTHENTICATION, "groups", "", group))?;
    }
    Ok(())
}

/// Checks that the caller may do the action as others of this mode, and then
/// whom it may act as.
fn as_mode(
    world: &World,
    user: &User,
    action: &Action<'_>,
    mode: &str,
    whom: impl FnOnce(&str) -> Result<(), Status>,
) -> Result<(), Status> {
    let verb = match action {
        Action::Resource { verb, .. } | Action::Path { verb, .. } => verb,
    };
    let verb = format!("impersonate-on:{mode}:{verb}");
    let as_others = match *action {
        Action::Resource {
            group,
            resource,
            name,
            namespace,
            ..
        } => on(&verb, group, resource, namespace, name),
        Action::Path { path, .. } => Action::Path { verb: &verb, path },
    };
    require(world, user, &as_others)?;
    whom(&format!("impersonate:{mode}"))
}
