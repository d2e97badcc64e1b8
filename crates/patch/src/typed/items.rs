//! What tells the items of a keyed list or a set apart.

use serde_json::Value;
use smol_str::SmolStr;

use crate::fields::Element;
use crate::shape::{ListShape, Relation};
use crate::text;

/// The step that leads to `item`.
///
/// # Errors
/// In upstream's words, if the item has no identity.
pub(crate) fn item_element(list: ListShape<'_>, item: &Value) -> Result<Element, String> {
    match list.relation {
        Relation::Atomic => Err("invalid indexing of non-associative list".into()),
        Relation::Set => set_element(item),
        Relation::Keys(keys) => {
            let members = match item {
                Value::Object(members) => members,
                Value::Null => {
                    return Err("associative list with keys may not have a null element".into());
                }
                _ => {
                    return Err("associative list with keys may not have non-map elements".into());
                }
            };
            let mut fields = Vec::with_capacity(keys.len());
            for key in keys {
                // An item without the field, and without a default for it, is
                // another item than one with it.
                let value = members
                    .get(key.as_ref())
                    .cloned()
                    .or_else(|| list.key_default(key));
                if let Some(value) = value {
                    fields.push((SmolStr::new(key), value));
                }
            }
            if fields.is_empty() && !keys.is_empty() {
                let keys: Vec<_> = keys.iter().map(|key| text::quote(key)).collect();
                return Err(format!(
                    "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                    keys.join(" ")
                ));
            }
            Ok(Element::key(fields))
        }
    }
}

fn set_element(item: &Value) -> Result<Element, String> {
    match item {
        Value::Object(_) => {
            Err("associative list without keys has an element that's a map type".into())
        }
        Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
        Value::Null => {
            Err("associative list without keys has an element that's an explicit null".into())
        }
        scalar => Ok(Element::Value(scalar.clone())),
    }
}
