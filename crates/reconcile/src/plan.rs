//! A plan: the writes a controller wants, in stages.

use client::Write;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use object::{Key, Object};
use serde_json::Value;
use smol_str::SmolStr;

/// What a controller wants done. The writes of one stage go out together; a stage
/// starts when the one before has succeeded as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Stages, none of them empty.
    pub stages: Vec<Vec<Step>>,
    /// Events to record once all stages are done.
    pub notes: Vec<Note>,
    /// When to plan this key again without being woken.
    pub requeue_at: Option<Timestamp>,
    /// Other keys of the same controller to plan next.
    pub also: Vec<Key>,
    /// Sent when a stage failed, to say so in a status. `{error}` in its texts
    /// stands for the server's message of the first failure.
    pub if_failed: Option<Write>,
}

/// One write, and what to tell people about its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The write.
    pub write: Write,
    /// Recorded when it succeeds. `{name}` in the message stands for the name of
    /// the object that the answer holds.
    pub on_success: Option<Note>,
    /// Recorded when it fails; `{error}` stands for the server's message.
    pub on_failure: Option<Note>,
}

/// Severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteType {
    /// For information.
    Normal,
    /// Something a user should look at.
    Warning,
}

impl NoteType {
    /// The text in `type` of an Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event to record about an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The object it is about.
    pub about: ObjectReference,
    /// Severity.
    pub kind: NoteType,
    /// CamelCase reason.
    pub reason: SmolStr,
    /// For people.
    pub message: String,
}

impl Note {
    /// A note about `object`.
    pub fn new(object: &Object, kind: NoteType, reason: &str, message: impl Into<String>) -> Self {
        Self {
            about: reference(object),
            kind,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// A reference to this very revision of an object, as events hold it.
pub fn reference(object: &Object) -> ObjectReference {
    let (meta, gvk) = (object.meta(), object.gvk());
    let some = |text: &SmolStr| (!text.is_empty()).then(|| text.to_string());
    ObjectReference {
        api_version: Some(gvk.api_version()),
        kind: Some(gvk.kind.to_owned()),
        namespace: some(&meta.namespace),
        name: some(&meta.name),
        uid: some(&meta.uid),
        resource_version: Some(meta.revision.to_string()),
        field_path: None,
    }
}

impl Plan {
    /// Nothing to do.
    pub fn done() -> Self {
        Self::default()
    }

    /// Whether nothing is to be written or recorded.
    pub fn is_idle(&self) -> bool {
        self.stages.is_empty() && self.notes.is_empty()
    }

    /// Adds a write to the current stage.
    pub fn write(&mut self, write: Write) -> &mut Step {
        if self.stages.is_empty() {
            self.stages.push(Vec::new());
        }
        let index = self.stages.len() - 1;
        let stage = &mut self.stages[index];
        stage.push(Step {
            write,
            on_success: None,
            on_failure: None,
        });
        let last = stage.len() - 1;
        &mut stage[last]
    }

    /// What follows waits for what was planned so far.
    pub fn then(&mut self) {
        if self.stages.last().is_some_and(|stage| !stage.is_empty()) {
            self.stages.push(Vec::new());
        }
    }

    /// Writes `status` to the object's status subresource in a stage of its own,
    /// unless it equals what is stored.
    pub fn status(&mut self, object: &Object, status: Value) {
        let mut value = object.value();
        if value.get("status").unwrap_or(&Value::Null) == &status {
            return;
        }
        value["status"] = status;
        self.then();
        self.write(Write::update(
            client::Target::of(object).subresource("status"),
            value,
        ));
    }

    /// Records an event when the plan is done.
    pub fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Sends `write` if a stage fails.
    pub fn if_failed(&mut self, write: Write) {
        self.if_failed = Some(write);
    }

    /// Plans the key again at `time`, or at the earlier time already set.
    pub fn requeue_at(&mut self, time: Option<Timestamp>) {
        self.requeue_at = match (self.requeue_at, time) {
            (Some(set), Some(time)) => Some(set.min(time)),
            (set, time) => set.or(time),
        };
    }

    /// All steps in order: for tests.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flatten()
    }
}

impl Step {
    /// Tells people when the write succeeds.
    pub fn on_success(&mut self, note: Note) -> &mut Self {
        self.on_success = Some(note);
        self
    }

    /// Tells people when the write fails.
    pub fn on_failure(&mut self, note: Note) -> &mut Self {
        self.on_failure = Some(note);
        self
    }
}
