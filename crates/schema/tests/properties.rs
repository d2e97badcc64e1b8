//! Decoding anything never panics, and what it prints settles.

use proptest::prelude::*;
use schema::{decode, decode_value, to_vec, types};
use serde_json::{Map, Value};

const NAMES: &[&str] = &[
    "metadata",
    "spec",
    "status",
    "name",
    "labels",
    "containers",
    "ports",
    "containerPort",
    "targetPort",
    "resources",
    "limits",
    "cpu",
    "creationTimestamp",
    "data",
    "items",
    "template",
    "volumes",
    "env",
    "value",
    "kind",
    "apiVersion",
    "properties",
    "additionalProperties",
    "openAPIV3Schema",
    "versions",
    "schema",
    "default",
    "x",
    "",
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "1",
    "100m",
    "2020-01-01T00:00:00Z",
    "YWJj",
    "5s",
    "http",
    "true",
    "\u{fffd}<>&",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..6).prop_map(|entries| {
                let map: Map<String, Value> = entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect();
                Value::from(map)
            }),
        ]
    })
}

const KINDS: &[&str] = &[
    "core/v1.Pod",
    "core/v1.Service",
    "core/v1.Secret",
    "apps/v1.Deployment",
    "apiextensions/v1.CustomResourceDefinition",
    "apiextensions/v1.JSONSchemaProps",
    "meta/v1.ObjectMeta",
    "core/v1.Event",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_tree_is_decoded_or_refused_alike_from_text_and_tree(
        kind in prop::sample::select(KINDS),
        value in json(),
    ) {
        let node = types().get(kind).unwrap();
        let from_text = decode(node, &to_vec(&value));
        let from_tree = decode_value(node, value);
        prop_assert_eq!(&from_text, &from_tree);
        if let Ok(decoded) = from_text {
            // Once more: a pointer to a value that prints `null` is then unset.
            let second = decode(node, &to_vec(&decoded.value)).unwrap();
            let third = decode(node, &to_vec(&second.value)).unwrap();
            prop_assert_eq!(to_vec(&third.value), to_vec(&second.value));
            prop_assert_eq!(second.issues, []);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        kind in prop::sample::select(KINDS),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            "[\\[\\]{}:,\"a0-9.eE+truefalsn\\\\ -]{0,48}".prop_map(String::into_bytes),
        ],
    ) {
        let node = types().get(kind).unwrap();
        let ours = decode(node, &body);
        let _seen = schema::type_meta(&body);
        // Both parsers agree on what is JSON, where UTF-8 and surrogates are not in play.
        if body.is_ascii() && !body.contains(&b'\\') {
            let theirs = serde_json::from_slice::<Value>(&body);
            let syntax = matches!(ours, Err(schema::DecodeError::Syntax(_)));
            if let Err(error) = &theirs {
                prop_assert!(syntax || error.to_string().contains("out of range"), "{:?}", error);
            } else {
                prop_assert!(!syntax);
            }
        }
    }
}
