//! Lists and watches: which objects a client sees, at which revision.
//!
//! Pure over the world; the caller picks the world (the latest, or an older one
//! for exact reads and further pages). Source: the API concepts page ("Resource
//! versions", "Retrieving large results sets in chunks", "Efficient detection of
//! changes").

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use object::{FieldSelector, LabelSelector, Name, Object, Reason, Resource, Status};
use serde::{Deserialize, Serialize};
use world::{Event, World};

/// Which objects of a collection a client wants.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Selection {
    /// Namespace; empty means all.
    pub namespace: String,
    /// By labels.
    pub labels: LabelSelector,
    /// By fields, under the paths they are stored with.
    pub fields: FieldSelector,
}

impl Selection {
    /// Whether an object is wanted.
    pub fn matches(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || object.meta().namespace == self.namespace)
            && self.labels.matches(&object.meta().labels)
            && self.fields.matches(|path| object.field(path))
    }

    fn is_narrow(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The objects, in order.
    pub objects: Vec<Arc<Object>>,
    /// Revision of the list.
    pub revision: u64,
    /// Where the next page starts, if there is one.
    pub next: Option<Continue>,
    /// How many follow; unknown when a selector narrows the list.
    pub remaining: Option<usize>,
}

/// What a `continue` token holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Continue {
    #[serde(rename = "v")]
    version: String,
    /// Revision of the list that the pages belong to.
    #[serde(rename = "rv")]
    pub revision: u64,
    /// The last object of the page before, as `namespace/name`.
    start: String,
}

const TOKEN_VERSION: &str = "meta.k8s.io/v1";

impl Continue {
    fn after(revision: u64, last: &Object) -> Self {
        let start = format!("{}/{}", last.meta().namespace, last.meta().name);
        Self {
            version: TOKEN_VERSION.into(),
            revision,
            start,
        }
    }

    /// The token a client sends back.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token.
    pub fn decode(token: &str) -> Result<Self, Status> {
        let bad = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|e| bad(&e.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        if token.version != TOKEN_VERSION {
            return Err(bad(&format!(
                "server does not recognize this encoded version {:?}",
                token.version
            )));
        }
        Ok(token)
    }

    fn name(&self) -> Name {
        let (namespace, name) = self.start.split_once('/').unwrap_or(("", &self.start));
        Name::new(namespace, name)
    }
}

/// One page: at most `limit` objects (0: all), after the place of the token.
/// `indexed` names a field that the world has an index for.
pub fn list(
    world: &World,
    resource: Resource,
    selection: &Selection,
    limit: usize,
    from: Option<&Continue>,
    indexed: Option<&'static str>,
) -> Page {
    let table = world.table(resource);
    let after = from.map(Continue::name);
    let namespace = (!selection.namespace.is_empty()).then_some(selection.namespace.as_str());
    let by_index = indexed.and_then(|field| Some((field, selection.fields.required(field)?)));
    let mut objects: Vec<Arc<Object>> = Vec::new();
    let mut more = false;
    let mut take = |object: &Arc<Object>| {
        if !selection.matches(object) {
            return true;
        }
        if limit > 0 && objects.len() == limit {
            more = true;
            return false;
        }
        objects.push(Arc::clone(object));
        true
    };
    match by_index {
        Some((field, value)) => {
            let _all = table
                .by_field(field, value)
                .filter(|object| after.as_ref().is_none_or(|after| object.name() > *after))
                .all(&mut take);
        }
        None => {
            let _all = table.range(namespace, after.as_ref()).all(&mut take);
        }
    }
    let next = objects
        .last()
        .filter(|_| more)
        .map(|last| Continue::after(world.revision(), last));
    let remaining = match (&next, selection.is_narrow()) {
        (Some(next), false) => Some(table.range(namespace, Some(&next.name())).count()),
        _ => None,
    };
    Page {
        objects,
        revision: world.revision(),
        next,
        remaining,
    }
}

/// What one event is to a watcher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The object came into sight.
    Added,
    /// It changed.
    Modified,
    /// It went, or out of sight.
    Deleted,
}

impl Seen {
    /// The text on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// How a watcher with this selection sees an event, and with which state: an
/// object that leaves the selection is told with the state that was last in it,
/// under the revision of the change.
pub fn seen(event: &Event, selection: &Selection) -> Option<(Seen, Arc<Object>)> {
    let was = event.old.as_ref().filter(|old| selection.matches(old));
    let is = !event.deleted && selection.matches(&event.object);
    match (was, is) {
        (None, true) => Some((Seen::Added, Arc::clone(&event.object))),
        (Some(_), true) => Some((Seen::Modified, Arc::clone(&event.object))),
        (Some(_), false) if event.deleted => Some((Seen::Deleted, Arc::clone(&event.object))),
        (Some(old), false) => Some((Seen::Deleted, Arc::new(old.at_revision(event.revision)))),
        (None, false) => None,
    }
}

/// The 410 of a revision that is no longer kept.
pub fn expired(asked: u64, oldest: u64) -> Status {
    Status::new(
        Reason::Expired,
        format!("too old resource version: {asked} ({oldest})"),
    )
}

/// The 410 of a `continue` token whose revision is no longer kept.
pub fn expired_token() -> Status {
    Status::new(
        Reason::Expired,
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::Draft;
    use object::names::resources::PODS;
    use serde_json::json;
    use world::Commit;

    fn pod(name: &str, app: &str, revision: u64) -> Arc<Object> {
        let (namespace, name) = name.split_once('/').unwrap();
        let value = json!({"metadata":{"name":name,"namespace":namespace,"labels":{"app":app}}});
        Arc::new(
            Draft::new(PODS, &value, |_| [("spec.nodeName", app.into())].into())
                .unwrap()
                .seal(revision),
        )
    }

    fn world(pods: &[(&str, &str)]) -> World {
        let events = pods
            .iter()
            .map(|(name, app)| Arc::new(Event::put(pod(name, app, 9), None)));
        World::new(&[(PODS, "spec.nodeName")]).apply(&Commit {
            revision: 9,
            events: events.collect(),
        })
    }

    fn by_label(text: &str) -> Selection {
        Selection {
            labels: LabelSelector::parse(text).unwrap(),
            ..Selection::default()
        }
    }

    #[test]
    fn pages_cover_the_list_once_and_count_the_rest() {
        let world = world(&[
            ("a/1", "x"),
            ("a/2", "y"),
            ("b/1", "x"),
            ("b/2", "x"),
            ("c/1", "y"),
        ]);
        let (mut names, mut from) = (Vec::new(), None);
        loop {
            let page = list(&world, PODS, &Selection::default(), 2, from.as_ref(), None);
            names.extend(page.objects.iter().map(|o| o.name().to_string()));
            let left = 5 - names.len();
            assert_eq!(page.remaining, (left > 0).then_some(left));
            let Some(next) = page.next else { break };
            from = Some(Continue::decode(&next.encode()).unwrap());
        }
        assert_eq!(names, ["a/1", "a/2", "b/1", "b/2", "c/1"]);
    }

    #[test]
    fn a_page_that_ends_with_the_list_has_no_successor() {
        let world = world(&[("a/1", "x"), ("a/2", "y"), ("b/1", "x")]);
        let page = list(&world, PODS, &by_label("app=x"), 2, None, None);
        assert_eq!(
            (page.objects.len(), page.next, page.remaining),
            (2, None, None)
        );
        let fields = Selection {
            fields: FieldSelector::parse("spec.nodeName=x").unwrap(),
            ..Selection::default()
        };
        let page = list(&world, PODS, &fields, 1, None, Some("spec.nodeName"));
        assert_eq!(page.objects[0].name().to_string(), "a/1");
        let page = list(
            &world,
            PODS,
            &fields,
            1,
            page.next.as_ref(),
            Some("spec.nodeName"),
        );
        assert_eq!(
            (page.objects[0].name().to_string().as_str(), page.next),
            ("b/1", None)
        );
    }

    #[test]
    fn tokens_that_are_none_are_refused() {
        for token in [
            "x",
            "!!",
            &URL_SAFE_NO_PAD.encode(r#"{"v":"v9","rv":1,"start":"a/b"}"#),
        ] {
            assert_eq!(
                Continue::decode(token).unwrap_err().reason,
                Reason::BadRequest,
                "{token}"
            );
        }
    }

    #[test]
    fn a_selection_turns_changes_into_coming_and_going() {
        let selection = by_label("app=x");
        let (x, y) = (pod("a/1", "x", 1), pod("a/1", "y", 2));
        let rows = [
            (Event::put(x.clone(), None), Some(Seen::Added)),
            (Event::put(y.clone(), None), None),
            (
                Event::put(pod("a/1", "x", 2), Some(x.clone())),
                Some(Seen::Modified),
            ),
            (Event::put(y.clone(), Some(x.clone())), Some(Seen::Deleted)),
            (
                Event::put(pod("a/1", "x", 3), Some(y.clone())),
                Some(Seen::Added),
            ),
            (Event::delete(x, 4), Some(Seen::Deleted)),
            (Event::delete(y, 4), None),
        ];
        for (event, want) in rows {
            let got = seen(&event, &selection);
            assert_eq!(got.as_ref().map(|(seen, _)| *seen), want);
            if let Some((_, object)) = got {
                assert_eq!(
                    (object.revision(), object.meta().label("app")),
                    (event.revision, Some("x"))
                );
            }
        }
    }
}
