//! The part of an object that the machinery reads: parsed once per revision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use crate::names::Name;

/// Labels or annotations.
pub type StringMap = BTreeMap<SmolStr, SmolStr>;

/// `metadata` of one revision of an object.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name, unique in its namespace.
    #[serde(deserialize_with = "null_default")]
    pub name: SmolStr,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(deserialize_with = "null_default")]
    pub namespace: SmolStr,
    /// Identity over the object's life.
    #[serde(deserialize_with = "null_default")]
    pub uid: SmolStr,
    /// Revision of the last change; 0 for an object that is not stored.
    #[serde(rename = "resourceVersion", deserialize_with = "revision")]
    pub revision: u64,
    /// Counts changes of the desired state.
    #[serde(deserialize_with = "null_default")]
    pub generation: i64,
    /// When it was created.
    #[serde(rename = "creationTimestamp")]
    pub created: Option<Timestamp>,
    /// When it is to be gone; set once deletion was asked for.
    #[serde(rename = "deletionTimestamp")]
    pub deletion: Option<Timestamp>,
    /// Grace of that deletion, in seconds.
    #[serde(rename = "deletionGracePeriodSeconds")]
    pub deletion_grace_seconds: Option<i64>,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: StringMap,
    /// Annotations.
    #[serde(deserialize_with = "null_default")]
    pub annotations: StringMap,
    /// Objects this one depends on.
    #[serde(rename = "ownerReferences", deserialize_with = "null_default")]
    pub owners: Vec<OwnerRef>,
    /// What must be done before it may go.
    #[serde(deserialize_with = "null_default")]
    pub finalizers: Vec<SmolStr>,
}

/// One entry of `ownerReferences`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerRef {
    /// `group/version` of the owner.
    pub api_version: SmolStr,
    /// Kind of the owner.
    pub kind: SmolStr,
    /// Name of the owner, in the same namespace or cluster-scoped.
    pub name: SmolStr,
    /// Identity of the owner.
    pub uid: SmolStr,
    /// Whether it is the managing controller.
    pub controller: Option<bool>,
    /// Whether the owner's foreground deletion waits for this object.
    pub block_owner_deletion: Option<bool>,
}

impl Meta {
    /// Namespace and name.
    pub fn full_name(&self) -> Name {
        Name::new(self.namespace.clone(), self.name.clone())
    }

    /// The managing owner, if there is one.
    pub fn controller(&self) -> Option<&OwnerRef> {
        self.owners
            .iter()
            .find(|owner| owner.controller == Some(true))
    }

    /// Whether deletion was asked for.
    pub fn is_deleting(&self) -> bool {
        self.deletion.is_some()
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(SmolStr::as_str)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(SmolStr::as_str)
    }

    /// Whether the finalizer is present.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|f| f == name)
    }
}

fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A revision travels as a decimal string; anything else is no revision of ours.
fn revision<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text: Option<SmolStr> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
