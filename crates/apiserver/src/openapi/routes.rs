//! What can be asked for: paths and operations of kinds, as data for both documents.
//!
//! Pure. Source of names, actions and answers: recordings of Kubernetes 1.37.
//! Invariant: parameters that all operations of a path share stand at the path.

use std::borrow::Cow;

use object::Gvk;

use super::docs::Docs;
use super::params::{self, Param};

mod connect;
mod names;
mod resource;
mod versions;

pub(super) use resource::resources;
pub(super) use versions::{apis, core, group, jwks, openid, server_version, version};

/// Media types of objects, in upstream's order.
pub(super) const OBJECT: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// Media types of lists, which may be watches.
pub(super) const STREAM: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];

/// Media types of patches.
pub(super) const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// Whatever the other side says.
pub(super) const ANY: &[&str] = &["*/*"];

/// The HTTP methods in the order in which documents list them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Method {
    /// GET
    Get,
    /// PUT
    Put,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// HEAD
    Head,
    /// PATCH
    Patch,
}

impl Method {
    /// In lower case, as the documents say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
            Self::Options => "options",
            Self::Head => "head",
            Self::Patch => "patch",
        }
    }
}

/// A path with its operations.
#[derive(Clone, Debug)]
pub struct Path {
    /// The path, with names in braces.
    pub path: String,
    /// Operations by method.
    pub operations: Vec<Operation>,
    /// Parameters of all operations, in order.
    pub parameters: Vec<Param>,
}

/// What one method does at a path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Group and version as one word.
    pub tag: String,
    /// What it does.
    pub description: String,
    /// Unique name.
    pub id: String,
    /// Media types of its body.
    pub consumes: &'static [&'static str],
    /// Media types of its answer.
    pub produces: &'static [&'static str],
    /// Parameters that not all operations of the path have, in order.
    pub parameters: Vec<Param>,
    /// Model of its body, and whether there must be one.
    pub body: Option<(Cow<'static, str>, bool)>,
    /// Codes of success, and the model of the answer; `None` is a text.
    pub answers: (&'static [u16], Option<Cow<'static, str>>),
    /// `x-kubernetes-action`, empty for discovery.
    pub action: &'static str,
    /// What it works on.
    pub gvk: Option<Gvk>,
}

impl Path {
    fn new(path: String, mut operations: Vec<Operation>) -> Self {
        operations.sort_by_key(|operation| operation.method);
        for operation in &mut operations {
            operation.parameters.sort();
        }
        let shared = shared(&operations);
        for operation in &mut operations {
            operation.parameters.retain(|param| !shared.contains(param));
        }
        Self {
            path,
            operations,
            parameters: shared,
        }
    }

    /// Names of the models that the path speaks of.
    pub(super) fn models(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().flat_map(|operation| {
            let body = operation.body.as_ref().map(|(name, _)| name.as_ref());
            body.into_iter().chain(operation.answers.1.as_deref())
        })
    }
}

/// Parameters that every operation has.
fn shared(operations: &[Operation]) -> Vec<Param> {
    let Some((first, others)) = operations.split_first() else {
        return Vec::new();
    };
    let everywhere = |param: &&Param| {
        let has = |operation: &Operation| operation.parameters.contains(param);
        others.iter().all(has)
    };
    first
        .parameters
        .iter()
        .filter(everywhere)
        .cloned()
        .collect()
}

/// What an answer is called.
pub(super) fn answer_text(code: u16) -> &'static str {
    match code {
        201 => "Created",
        202 => "Accepted",
        401 => "Unauthorized",
        _ => "OK",
    }
}
