//! Conflicts of an apply, and how clients are told.

use std::fmt;

use object::Cause;

use super::entries::{Entry, Operation};
use crate::fields::{Element, FieldSet, path_text};
use crate::text;

/// One field that another manager owns with another value.
#[derive(Clone, PartialEq, Debug)]
pub struct Conflict {
    /// The owner, as messages name it: `"one" with subresource "status" using v1`.
    pub manager: String,
    /// The field.
    pub path: Vec<Element>,
    /// What owners are ordered by.
    identity: String,
}

/// All conflicts of an apply. `Display` is the message of the `Status`.
#[derive(Clone, PartialEq, Debug, Default, thiserror::Error)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    /// Adds the conflicts with one manager.
    pub(super) fn add(&mut self, owner: &Entry, fields: &FieldSet) {
        let (manager, identity) = (name_of(owner), identity_of(owner));
        fields.for_each(&mut |path| {
            self.0.push(Conflict {
                manager: manager.clone(),
                path: path.to_vec(),
                identity: identity.clone(),
            });
        });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn sort(&mut self) {
        self.0.sort_by(|a, b| a.identity.cmp(&b.identity));
    }

    /// The conflicts outside the given fields.
    pub(super) fn outside(self, fields: &FieldSet) -> Self {
        Self(
            self.0
                .into_iter()
                .filter(|conflict| !fields.has(&conflict.path))
                .collect(),
        )
    }

    /// `details.causes` of the `Status`.
    pub fn causes(&self) -> Vec<Cause> {
        self.0
            .iter()
            .map(|conflict| Cause {
                reason: "FieldManagerConflict".into(),
                message: format!("conflict with {}", conflict.manager),
                field: path_text(&conflict.path),
            })
            .collect()
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(
                f,
                "Apply failed with 1 conflict: conflict with {}: {}",
                only.manager,
                path_text(&only.path)
            );
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut last: Option<&str> = None;
        for conflict in &self.0 {
            if last != Some(&conflict.identity) {
                if last.is_some() {
                    f.write_str("\n")?;
                }
                write!(f, "conflicts with {}:", conflict.manager)?;
                last = Some(&conflict.identity);
            }
            write!(f, "\n- {}", path_text(&conflict.path))?;
        }
        Ok(())
    }
}

fn name_of(owner: &Entry) -> String {
    let mut name = text::quote(&owner.manager);
    if !owner.subresource.is_empty() {
        name.push_str(" with subresource ");
        name.push_str(&text::quote(&owner.subresource));
    }
    if owner.operation == Operation::Update {
        name.push_str(" using ");
        name.push_str(&owner.api_version);
    }
    name
}

/// Orders owners as upstream does, by the JSON of what identifies them.
fn identity_of(owner: &Entry) -> String {
    let mut identity = String::from("{\"manager\":");
    text::write_json_text(&mut identity, &owner.manager);
    identity.push_str(",\"operation\":\"");
    identity.push_str(owner.operation.as_str());
    identity.push('"');
    if owner.operation == Operation::Update {
        identity.push_str(",\"apiVersion\":");
        text::write_json_text(&mut identity, &owner.api_version);
    }
    identity.push_str(&owner.subresource);
    identity
}
