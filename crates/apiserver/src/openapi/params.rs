//! Parameters of operations: names, types and what they are for.
//!
//! Pure. The descriptions are our own; parameters that are fields of an options type
//! take theirs from it.

use std::borrow::Cow;

use schema::{Node, ScalarKind};

use super::docs::Docs;

/// Where a parameter stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
}

impl Place {
    /// As the documents say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

/// One parameter. Ordered by name, then place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Param {
    /// Name.
    pub name: Cow<'static, str>,
    /// Where it stands. In a path it is required.
    pub place: Place,
    /// `string`, `integer` or `boolean`.
    pub kind: &'static str,
    /// What it is for.
    pub description: Cow<'static, str>,
}

impl Param {
    /// Whether it must be there: parts of the path must.
    pub fn is_required(&self) -> bool {
        self.place == Place::Path
    }
}

/// Name, type, description.
type Row = (&'static str, &'static str, &'static str);

const PRETTY: Row = (
    "pretty",
    "string",
    "'true' indents the answer; browsers, curl and wget get that by default.",
);

const LIST: [Row; 11] = [
    (
        "allowWatchBookmarks",
        "boolean",
        "A watch may send events of type BOOKMARK, which tell how far it has come. Ignored without watch.",
    ),
    (
        "continue",
        "string",
        "The token from the metadata of the previous page. An expired token is answered with 410 and a token with which the list can be continued from the state of that moment.",
    ),
    (
        "fieldSelector",
        "string",
        "Only objects whose fields match this selector. Defaults to everything.",
    ),
    (
        "labelSelector",
        "string",
        "Only objects whose labels match this selector. Defaults to everything.",
    ),
    (
        "limit",
        "integer",
        "At most so many objects in one answer; if there are more, its metadata has a token to continue. All pages show one and the same revision.",
    ),
    (
        "resourceVersion",
        "string",
        "The revision that may be served; see https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions. Defaults to unset.",
    ),
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion is meant in lists: NotOlderThan or Exact. Defaults to unset.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "A watch begins with events for the objects that exist, then a bookmark annotated k8s.io/initial-events-end. Needs resourceVersionMatch=NotOlderThan.",
    ),
    (
        "shardSelector",
        "string",
        "Only objects whose hash is in one of these ranges. Alpha: needs the feature gate ShardedListAndWatch.",
    ),
    (
        "timeoutSeconds",
        "integer",
        "Ends a list or watch after so many seconds.",
    ),
    (
        "watch",
        "boolean",
        "Answers with a stream of changes instead of a list, from resourceVersion on.",
    ),
];

const WRITE: [Row; 3] = [
    (
        "dryRun",
        "string",
        "'All' does everything but storing the result. Other values are errors.",
    ),
    (
        "fieldManager",
        "string",
        "The name under which the changed fields are owned: at most 128 printable characters.",
    ),
    (
        "fieldValidation",
        "string",
        "What becomes of unknown and duplicate fields: Ignore drops them, Warn (the default) drops them with a warning, Strict refuses the request.",
    ),
];

const FORCE: Row = (
    "force",
    "boolean",
    "An apply takes over fields that others own. Only for apply.",
);

/// Fields of `DeleteOptions` that may stand in the query.
const DELETE: [(&str, &str); 5] = [
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
    ),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
];

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// Of operations that answer with an object.
pub(super) fn pretty() -> Param {
    query(PRETTY)
}

/// Of lists and watches.
pub(super) fn list() -> impl Iterator<Item = Param> {
    LIST.into_iter().map(query)
}

/// Of creates and updates.
pub(super) fn write() -> impl Iterator<Item = Param> {
    WRITE.into_iter().map(query)
}

/// Of patches.
pub(super) fn patch() -> impl Iterator<Item = Param> {
    WRITE.into_iter().chain([FORCE]).map(|row| match row.0 {
        // Said here and not for updates, so that it is another parameter.
        "fieldManager" => Param {
            description: format!("{} Required for apply.", row.2).into(),
            ..query(row)
        },
        _ => query(row),
    })
}

/// Of deletes.
pub(super) fn delete(docs: &Docs) -> impl Iterator<Item = Param> {
    DELETE.into_iter().map(|(name, kind)| Param {
        description: match name {
            "dryRun" => WRITE[0].2.into(),
            _ => docs.property(DELETE_OPTIONS, name).to_owned().into(),
        },
        ..query((name, kind, ""))
    })
}

/// Of deletes of collections: those of deletes, and which objects.
pub(super) fn delete_collection(docs: &Docs) -> impl Iterator<Item = Param> {
    let which = list().filter(|p| !["allowWatchBookmarks", "watch"].contains(&p.name.as_ref()));
    which.chain(delete(docs))
}

/// The scalar fields of an options type, as a connection takes them.
pub(super) fn options(node: &Node) -> Vec<Param> {
    let fields = node.as_struct().map_or(&[][..], |of| &of.fields);
    let params = fields.iter().filter_map(|field| {
        let item = match &field.node {
            Node::List(list) => &list.item,
            other => other,
        };
        let kind = match item.as_scalar()? {
            ScalarKind::String => "string",
            ScalarKind::Bool => "boolean",
            ScalarKind::Int32 | ScalarKind::Int64 => "integer",
            _ => return None,
        };
        let name = field.name.as_ref();
        // These say what the options are, which the path does already.
        if ["apiVersion", "kind"].contains(&name) {
            return None;
        }
        Some(Param {
            name: field.name.clone(),
            place: Place::Query,
            kind,
            description: option_text(name).into(),
        })
    });
    params.collect()
}

fn option_text(name: &str) -> &'static str {
    match name {
        "command" => "The command with its arguments, one a parameter; no shell is involved.",
        "container" => "The container; may be left out where the pod has one only.",
        "follow" => "Goes on with what the container writes later.",
        "insecureSkipTLSVerifyBackend" => {
            "Does not verify the certificate of the node that has the log."
        }
        "limitBytes" => "At most so many bytes of the log.",
        "path" => "The path to ask for behind the proxy.",
        "ports" => "Ports to forward; required over WebSocket.",
        "previous" => "The log of the container before its last restart.",
        "sinceSeconds" => "Only what was written in the last so many seconds.",
        "stderr" => "Connects the standard error.",
        "stdin" => "Connects the standard input.",
        "stdout" => "Connects the standard output.",
        "stream" => "All, Stdout or Stderr. Defaults to All.",
        "tailLines" => "At most so many lines from the end.",
        "timestamps" => "Puts the time of writing before every line.",
        "tty" => "Connects a terminal.",
        _ => "",
    }
}

/// The namespace in a path.
pub(super) fn namespace() -> Param {
    path("namespace", "The namespace of the object.".into())
}

/// The name in a path.
pub(super) fn name(kind: &str) -> Param {
    path("name", format!("name of the {kind}").into())
}

/// The path behind a proxy.
pub(super) fn proxied() -> Param {
    path("path", "path to the resource".into())
}

fn path(name: &'static str, description: Cow<'static, str>) -> Param {
    Param {
        name: name.into(),
        place: Place::Path,
        kind: "string",
        description,
    }
}

fn query((name, kind, description): Row) -> Param {
    Param {
        name: name.into(),
        place: Place::Query,
        kind,
        description: description.into(),
    }
}
