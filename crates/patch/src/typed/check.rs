//! Whether an object conforms to its schema, in upstream's words.

use serde_json::{Map, Value};

use super::TypeErrors;
use super::items::item_element;
use crate::fields::Element;
use crate::shape::{Atom, ListShape, MapShape, Relation, Scalar, Shape};
use crate::text;

/// Checks `value` against `shape`. `duplicates` allows a keyed list or set to
/// hold an item twice, which stored objects may.
///
/// # Errors
/// Everything that does not fit.
pub fn check(shape: Shape<'_>, value: &Value, duplicates: bool) -> Result<(), TypeErrors> {
    let mut errors = TypeErrors::default();
    visit(shape, value, duplicates, &mut errors);
    errors.into_result()
}

fn visit(shape: Shape<'_>, value: &Value, duplicates: bool, errors: &mut TypeErrors) {
    match shape.atom(Some(value)) {
        Atom::Map(map) => visit_map(map, value, duplicates, errors),
        Atom::List(list) => visit_list(list, value, duplicates, errors),
        Atom::Scalar(scalar) => {
            if let Err(message) = check_scalar(scalar, value, "") {
                errors.0.extend(TypeErrors::one(message).0);
            }
        }
    }
}

/// Runs `visit` and puts `step` before the paths of the errors it adds.
fn below(
    errors: &mut TypeErrors,
    step: impl FnOnce() -> String,
    visit: impl FnOnce(&mut TypeErrors),
) {
    let before = errors.0.len();
    visit(errors);
    if errors.0.len() > before {
        let step = step();
        for fault in &mut errors.0[before..] {
            fault.path.insert_str(0, &step);
        }
    }
}

fn visit_map(map: MapShape<'_>, value: &Value, duplicates: bool, errors: &mut TypeErrors) {
    let Some(members) = members(value, errors) else {
        return;
    };
    for (name, member) in members {
        match map.field(name).or_else(|| map.element()) {
            Some(shape) => below(
                errors,
                || format!(".{name}"),
                |errors| visit(shape, member, duplicates, errors),
            ),
            None => {
                below(
                    errors,
                    || format!(".{name}"),
                    |errors| {
                        let fault = TypeErrors::one("field not declared in schema");
                        errors.0.extend(fault.0);
                    },
                );
                return;
            }
        }
    }
}

fn members<'v>(value: &'v Value, errors: &mut TypeErrors) -> Option<&'v Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members),
        Value::Null => None,
        other => {
            let fault = TypeErrors::one(format!("expected map, got &{{{}}}", text::plain(other)));
            errors.0.extend(fault.0);
            None
        }
    }
}

fn visit_list(list: ListShape<'_>, value: &Value, duplicates: bool, errors: &mut TypeErrors) {
    let items = match value {
        Value::Array(items) => items,
        Value::Null => return,
        other => {
            let fault = TypeErrors::one(format!("expected list, got &{{{}}}", text::plain(other)));
            errors.0.extend(fault.0);
            return;
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let element = if matches!(list.relation, Relation::Atomic) {
            Element::Index(i64::try_from(index).unwrap_or(i64::MAX))
        } else {
            match item_element(list, item) {
                Ok(element) => element,
                Err(why) => {
                    let fault = TypeErrors::one(format!("element {index}: {why}"));
                    errors.0.extend(fault.0);
                    return;
                }
            }
        };
        let keyed = !matches!(list.relation, Relation::Atomic);
        if keyed && !duplicates && !seen.insert(element.clone()) {
            let fault = TypeErrors::one(format!("duplicate entries for key {element}"));
            errors.0.extend(fault.0);
        }
        below(
            errors,
            || element.to_string(),
            |errors| visit(list.element, item, duplicates, errors),
        );
    }
}

/// Whether a value is the scalar it should be. Null always is.
pub(super) fn check_scalar(scalar: Scalar, value: &Value, prefix: &str) -> Result<(), String> {
    match (scalar, value) {
        (_, Value::Null)
        | (Scalar::Number | Scalar::Any, Value::Number(_))
        | (Scalar::Text | Scalar::Any, Value::String(_))
        | (Scalar::Bool | Scalar::Any, Value::Bool(_)) => Ok(()),
        (Scalar::Number, other) => Err(format!(
            "{prefix}expected numeric (int or float), got {}",
            text::type_name(other)
        )),
        (Scalar::Text, other) => Err(format!(
            "{prefix}expected string, got &value.valueUnstructured{{Value:{}}}",
            text::literal(other)
        )),
        (Scalar::Bool, other) => Err(format!(
            "{prefix}expected boolean, got &{{{}}}",
            text::plain(other)
        )),
        (Scalar::Any, other) => Err(format!(
            "{prefix}expected any scalar, got &{{{}}}",
            text::plain(other)
        )),
    }
}
