//! One revision of one object, and a draft of the next.
//!
//! An [`Object`] is immutable and shared by every reader: the API server sends
//! its bytes as they are, controllers read its memoised typed view. A [`Draft`]
//! is an object that has no revision yet; the store seals it when it knows the
//! revision, so the body is encoded once and never parsed again.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::meta::Meta;
use crate::names::{Gvk, Key, Name, Resource};

/// Values of the fields a kind can be selected by, such as `spec.nodeName`.
pub type Fields = Box<[(&'static str, SmolStr)]>;

/// An object body that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("decode {what}")]
pub struct DecodeError {
    what: String,
    #[source]
    source: serde_json::Error,
}

/// One revision of one object. Shared as `Arc<Object>`.
pub struct Object {
    resource: Resource,
    meta: Meta,
    fields: Fields,
    body: Bytes,
    view: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Object {
    /// Reads a stored body (canonical JSON with its resourceVersion).
    pub fn parse(
        resource: Resource,
        body: Bytes,
        fields: impl FnOnce(&Value) -> Fields,
    ) -> Result<Self, DecodeError> {
        let value: Value = serde_json::from_slice(&body).map_err(|source| DecodeError {
            what: resource.to_string(),
            source,
        })?;
        let meta = read_meta(&value).map_err(|source| DecodeError {
            what: resource.to_string(),
            source,
        })?;
        let fields = fields(&value);
        Ok(Self {
            resource,
            meta,
            fields,
            body,
            view: OnceLock::new(),
        })
    }

    /// The resource it is stored under.
    pub fn resource(&self) -> Resource {
        self.resource
    }

    /// Its metadata.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its revision.
    pub fn revision(&self) -> u64 {
        self.meta.revision
    }

    /// Namespace and name.
    pub fn name(&self) -> Name {
        self.meta.full_name()
    }

    /// Where it lives.
    pub fn key(&self) -> Key {
        Key {
            resource: self.resource,
            name: self.name(),
        }
    }

    /// `apiVersion` and `kind` of the stored version.
    pub fn gvk(&self) -> Gvk {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct TypeMeta {
            api_version: SmolStr,
            kind: SmolStr,
        }
        // The body was encoded from a tree or parsed when it was loaded.
        let meta: TypeMeta = serde_json::from_slice(&self.body).unwrap_or_default();
        Gvk::interned(&meta.api_version, &meta.kind)
    }

    /// Canonical JSON of the stored version.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The value of a selectable field; `None` if the kind does not declare it.
    pub fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(&self.meta.name),
            "metadata.namespace" => Some(&self.meta.namespace),
            _ => self
                .fields
                .iter()
                .find(|(name, _)| *name == path)
                .map(|(_, value)| value.as_str()),
        }
    }

    /// The body as a JSON tree, decoded anew: for one-off edits.
    pub fn value(&self) -> Value {
        // The body was encoded from a tree or parsed when it was loaded.
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The typed view. The first type asked for is decoded once and then shared
    /// by all readers of this revision; another type is decoded each time.
    pub fn view<T>(&self) -> Result<Arc<T>, DecodeError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        if let Some(view) = self.view.get()
            && let Ok(view) = Arc::clone(view).downcast::<T>()
        {
            return Ok(view);
        }
        let view: Arc<T> =
            Arc::new(
                serde_json::from_slice(&self.body).map_err(|source| DecodeError {
                    what: self.key().to_string(),
                    source,
                })?,
            );
        let _first_wins = self
            .view
            .set(Arc::clone(&view) as Arc<dyn Any + Send + Sync>);
        Ok(view)
    }

    /// The same object under another revision: what a watcher sees when an
    /// object goes, stamped with the revision of the deletion.
    pub fn at_revision(&self, revision: u64) -> Self {
        let value = self.value();
        match Draft::new(self.resource, &value, |_| self.fields.clone()) {
            Ok(draft) => draft.seal(revision),
            // Unreachable for a stored object; the unstamped one is still right.
            Err(_) => Self {
                resource: self.resource,
                meta: Meta {
                    revision,
                    ..self.meta.clone()
                },
                fields: self.fields.clone(),
                body: self.body.clone(),
                view: OnceLock::new(),
            },
        }
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.key(), self.meta.revision)
    }
}

/// An object without revision, encoded up to the place where it will stand.
#[derive(Clone, Debug)]
pub struct Draft {
    resource: Resource,
    meta: Meta,
    fields: Fields,
    json: Vec<u8>,
    /// Offset in `json` where the resourceVersion member goes.
    at: usize,
    /// Whether members of `metadata` follow, precede.
    follows: bool,
    precedes: bool,
}

/// Members of `metadata` that stand before `resourceVersion` in canonical order.
const BEFORE_REVISION: [&str; 5] = ["name", "generateName", "namespace", "selfLink", "uid"];

impl Draft {
    /// Encodes `value`, whose members are in canonical order. A resourceVersion
    /// in it is dropped. Fails if `metadata` does not have metadata's shape.
    pub fn new(
        resource: Resource,
        value: &Value,
        fields: impl FnOnce(&Value) -> Fields,
    ) -> Result<Self, DecodeError> {
        let decode = |source| DecodeError {
            what: resource.to_string(),
            source,
        };
        let mut meta = read_meta(value).map_err(decode)?;
        meta.revision = 0;
        let mut draft = Self {
            resource,
            meta,
            fields: fields(value),
            json: Vec::with_capacity(1024),
            at: 0,
            follows: false,
            precedes: false,
        };
        draft.encode(value).map_err(decode)?;
        Ok(draft)
    }

    /// The metadata, with revision 0.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Where it will live.
    pub fn key(&self) -> Key {
        Key {
            resource: self.resource,
            name: self.meta.full_name(),
        }
    }

    /// Length of the body in bytes, without the revision.
    pub fn len(&self) -> usize {
        self.json.len()
    }

    /// Whether the body is empty; never true for a draft made by [`Draft::new`].
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// Gives the draft its revision.
    pub fn seal(self, revision: u64) -> Object {
        let body = self.body(revision);
        Object {
            resource: self.resource,
            meta: Meta {
                revision,
                ..self.meta
            },
            fields: self.fields,
            body,
            view: OnceLock::new(),
        }
    }

    fn body(&self, revision: u64) -> Bytes {
        let mut body = Vec::with_capacity(self.json.len() + 44);
        body.extend_from_slice(&self.json[..self.at]);
        if self.precedes {
            body.push(b',');
        }
        body.extend_from_slice(b"\"resourceVersion\":\"");
        body.extend_from_slice(revision.to_string().as_bytes());
        body.push(b'"');
        if self.follows {
            body.push(b',');
        }
        body.extend_from_slice(&self.json[self.at..]);
        body.into()
    }

    /// Whether sealing it at `object`'s revision would give `object`'s body: a
    /// write that changes nothing keeps the revision.
    pub fn same_as(&self, object: &Object) -> bool {
        self.body(object.revision()) == object.body
    }

    fn encode(&mut self, value: &Value) -> Result<(), serde_json::Error> {
        let empty = Map::new();
        let members = value.as_object().unwrap_or(&empty);
        self.json.push(b'{');
        for (index, (name, member)) in members.iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            serde_json::to_writer(&mut self.json, name)?;
            self.json.push(b':');
            match (name.as_str(), member) {
                ("metadata", Value::Object(meta)) => self.encode_meta(meta)?,
                _ => serde_json::to_writer(&mut self.json, member)?,
            }
        }
        self.json.push(b'}');
        Ok(())
    }

    fn encode_meta(&mut self, meta: &Map<String, Value>) -> Result<(), serde_json::Error> {
        let before = |name: &str| BEFORE_REVISION.contains(&name);
        let (first, rest): (Vec<_>, Vec<_>) = meta
            .iter()
            .filter(|(name, _)| *name != "resourceVersion")
            .partition(|(name, _)| before(name));
        (self.precedes, self.follows) = (!first.is_empty(), !rest.is_empty());
        self.json.push(b'{');
        self.members(&first)?;
        self.at = self.json.len();
        self.members(&rest)?;
        self.json.push(b'}');
        Ok(())
    }

    fn members(&mut self, members: &[(&String, &Value)]) -> Result<(), serde_json::Error> {
        for (index, (name, member)) in members.iter().enumerate() {
            if index > 0 {
                self.json.push(b',');
            }
            serde_json::to_writer(&mut self.json, name)?;
            self.json.push(b':');
            serde_json::to_writer(&mut self.json, member)?;
        }
        Ok(())
    }
}

fn read_meta(value: &Value) -> Result<Meta, serde_json::Error> {
    match value.get("metadata") {
        None | Some(Value::Null) => Ok(Meta::default()),
        Some(meta) => Meta::deserialize(meta),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CONFIG_MAPS: Resource = Resource::new("", "configmaps");

    fn draft(value: &Value) -> Draft {
        Draft::new(CONFIG_MAPS, value, |_| Fields::default()).unwrap()
    }

    #[test]
    fn sealing_puts_the_revision_in_canonical_place() {
        let rows = [
            (
                json!({"kind":"A","metadata":{"name":"n","uid":"u","resourceVersion":"3","generation":2},"data":{}}),
                r#"{"kind":"A","metadata":{"name":"n","uid":"u","resourceVersion":"7","generation":2},"data":{}}"#,
            ),
            (
                json!({"metadata":{"name":"n"}}),
                r#"{"metadata":{"name":"n","resourceVersion":"7"}}"#,
            ),
            (
                json!({"metadata":{"labels":{"a":"b"}}}),
                r#"{"metadata":{"resourceVersion":"7","labels":{"a":"b"}}}"#,
            ),
            (
                json!({"metadata":{}}),
                r#"{"metadata":{"resourceVersion":"7"}}"#,
            ),
        ];
        for (value, want) in rows {
            let object = draft(&value).seal(7);
            assert_eq!(std::str::from_utf8(object.body()).unwrap(), want);
            assert_eq!(object.revision(), 7);
        }
    }

    #[test]
    fn a_draft_equal_to_the_stored_object_is_recognised() {
        let value = json!({"metadata":{"name":"n","namespace":"s"},"data":{"a":"1"}});
        let object = draft(&value).seal(41);
        assert!(draft(&object.value()).same_as(&object));
        let mut changed = object.value();
        changed["data"]["a"] = json!("2");
        assert!(!draft(&changed).same_as(&object));
    }

    #[test]
    fn a_view_is_decoded_once() {
        let object = draft(&json!({"metadata":{"name":"n"},"data":{"a":"1"}})).seal(1);
        let first = object.view::<Value>().unwrap();
        assert!(Arc::ptr_eq(&first, &object.view::<Value>().unwrap()));
    }

    #[test]
    fn another_revision_keeps_everything_else() {
        let object = draft(&json!({"metadata":{"name":"n","uid":"u"},"data":{"a":"1"}})).seal(1);
        let later = object.at_revision(9);
        assert_eq!(
            std::str::from_utf8(later.body()).unwrap(),
            r#"{"metadata":{"name":"n","uid":"u","resourceVersion":"9"},"data":{"a":"1"}}"#
        );
    }
}
