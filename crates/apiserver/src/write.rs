//! The write path: one function for every verb and kind.
//!
//! [`Registry::write`] decides on the latest world, commits with the revision it
//! saw as precondition, and decides anew when another write came first. Deciding
//! is pure ([`decide`]); nothing is answered before it is durable.
//!
//! Order: patch or merge → decode → default → prepare → validate → field ownership
//! → canonical form → commit.

mod decide;
mod delete;
mod meta;

use std::sync::Arc;

use bytes::Bytes;
use kinds::KindSpec;
use object::time::SharedClock;
use object::{Key, Object, Reason, Status};
use serde_json::Value;
use store::{Change, CommitError, Expect, Op, Store};

pub use decide::{Decision, decide};
pub use delete::{DeleteOptions, Propagation};

/// How often a write is decided anew because another came first, before the
/// client is told to try again.
pub const RETRIES: usize = 32;
/// How often a name is generated anew because it was taken.
pub const NAME_RETRIES: usize = 8;

/// What becomes of fields that the schema does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FieldValidation {
    /// Refuse them.
    Strict,
    /// Drop them and tell in a warning.
    #[default]
    Warn,
    /// Drop them.
    Ignore,
}

/// Which endpoint is written, by whom and how.
#[derive(Clone, Debug)]
pub struct Call {
    /// The kind, in the version of the URL.
    pub spec: &'static KindSpec,
    /// Namespace of the URL, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name of the URL, empty on create.
    pub name: String,
    /// Subresource, empty for the object itself.
    pub subresource: String,
    /// Field manager.
    pub manager: String,
    /// Do everything but store it.
    pub dry_run: bool,
    /// What becomes of unknown fields.
    pub validation: FieldValidation,
}

impl Call {
    /// Where the object lives.
    pub fn key(&self) -> Key {
        Key::new(
            self.spec.resource,
            self.namespace.as_str(),
            self.name.as_str(),
        )
    }

    /// The resource as messages name it.
    pub fn resource(&self) -> object::Resource {
        object::Resource::new(self.spec.gvk.group, self.spec.plural)
    }
}

/// What is to be written.
#[derive(Clone, Debug)]
pub enum Intent {
    /// POST: a body that makes a new object.
    Create(Bytes),
    /// PUT: a body that replaces the object.
    Update(Bytes),
    /// PATCH with a JSON patch, merge patch or strategic merge patch.
    Patch(PatchKind, Value),
    /// PATCH with server-side apply; true takes fields over from others.
    Apply(Value, bool),
    /// DELETE.
    Delete(DeleteOptions),
}

/// How a patch body reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' own.
    Strategic,
}

/// A write that was carried out.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is now; for a deletion the last state.
    pub object: Arc<Object>,
    /// Whether it did not exist before.
    pub created: bool,
    /// Whether it is gone now.
    pub deleted: bool,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
}

/// Reads and writes objects. The only user of the store.
#[derive(Clone)]
pub struct Registry {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: SharedClock,
}

impl Registry {
    /// Carries out a write.
    pub async fn write(&self, call: &Call, intent: &Intent) -> Result<Written, Status> {
        let mut names = 0;
        for _ in 0..RETRIES {
            let world = self.store.world();
            let decision = decide(&world, call, intent, self.clock.now())?;
            let Decision {
                op,
                expect,
                key,
                live,
                warnings,
                generated,
            } = decision;
            let created = live.is_none();
            let Some(op) = op else {
                // Nothing changes, so the revision stays.
                let Some(object) = live else {
                    return Err(Status::not_found(call.resource(), &call.name));
                };
                return Ok(Written {
                    object,
                    created: false,
                    deleted: false,
                    warnings,
                });
            };
            if call.dry_run {
                return Ok(dry(op, live, warnings));
            }
            let deleted = matches!(op, Op::Delete);
            let change = Change {
                key: key.clone(),
                expect,
                op,
            };
            match self.store.commit(vec![change]).await {
                Ok(commit) => {
                    let event = commit.events.first();
                    let object = event.map(|event| Arc::clone(&event.object)).or(live);
                    let object =
                        object.ok_or_else(|| Status::internal("the store committed nothing"))?;
                    return Ok(Written {
                        object,
                        created,
                        deleted,
                        warnings,
                    });
                }
                Err(CommitError::Conflict { .. }) if generated && names < NAME_RETRIES => {
                    names += 1
                }
                Err(CommitError::Conflict { .. }) if expect == Expect::Absent => {
                    return Err(Status::already_exists(call.resource(), &key.name.name));
                }
                // Another write came first: look again.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Status::stale(call.resource(), &call.name))
    }
}

/// What a dry run answers: the object as it would be, under the revision it has.
fn dry(op: Op, live: Option<Arc<Object>>, warnings: Vec<String>) -> Written {
    let created = live.is_none();
    let revision = live.as_ref().map_or(0, |live| live.revision());
    match (op, live) {
        (Op::Put(draft), _) => {
            let object = Arc::new(draft.seal(revision));
            Written {
                object,
                created,
                deleted: false,
                warnings,
            }
        }
        (Op::Delete, Some(object)) => Written {
            object,
            created: false,
            deleted: true,
            warnings,
        },
        (Op::Delete, None) => unreachable!("a deletion is decided only on an object that exists"),
    }
}

/// The answer to a commit that the store refused for reasons of its own.
fn refused(error: &CommitError) -> Status {
    match error {
        CommitError::Full => Status::new(
            Reason::InsufficientStorage,
            "the disk of the data directory is full: nothing was written; free space and try again",
        ),
        CommitError::TooLarge { .. } => Status::new(
            Reason::RequestEntityTooLarge,
            format!("Request entity too large: {error}"),
        ),
        CommitError::Closed => {
            Status::new(Reason::ServiceUnavailable, "the server is shutting down")
        }
        error => {
            tracing::error!(%error, "commit failed");
            Status::internal("the store could not write; see the server's log")
        }
    }
}
