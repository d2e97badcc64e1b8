//! The v2 document as protobuf, read back without our encoder.

use apiserver::openapi;
use serde_json::Value;

/// A field of a message: number and value.
enum Field<'m> {
    Number,
    Bytes(&'m [u8]),
}

/// Splits a message into its fields; what is malformed panics.
fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let value = match key & 7 {
            0 => {
                varint(&mut rest);
                Field::Number
            }
            2 => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (bytes, tail) = rest.split_at(length);
                rest = tail;
                Field::Bytes(bytes)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, tail) = rest.split_first().unwrap();
        *rest = tail;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

/// The messages or texts of this number.
fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let wanted = |(at, field)| match field {
        Field::Bytes(bytes) if at == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(wanted).collect()
}

fn one(message: &[u8], number: u64) -> &[u8] {
    let found = all(message, number);
    assert_eq!(found.len(), 1, "field {number}");
    found[0]
}

fn text(message: &[u8], number: u64) -> &str {
    std::str::from_utf8(one(message, number)).unwrap()
}

/// The value of an entry with this name.
fn entry<'m>(message: &'m [u8], number: u64, name: &str) -> &'m [u8] {
    let mut entries = all(message, number).into_iter();
    one(entries.find(|entry| text(entry, 1) == name).unwrap(), 2)
}

#[test]
fn paths_and_definitions_are_where_gnostic_has_them() {
    let document = openapi::v2_protobuf();
    let json: Value = serde_json::from_slice(&openapi::v2().bytes).unwrap();
    let bytes = &document.bytes;
    assert_eq!(text(bytes, 1), "2.0");
    assert_eq!(text(one(bytes, 2), 1), "Kubernetes");
    assert_eq!(
        all(one(bytes, 8), 2).len(),
        json["paths"].as_object().unwrap().len()
    );
    let definitions = one(bytes, 9);
    let count = json["definitions"].as_object().unwrap().len();
    assert_eq!(all(definitions, 1).len(), count);

    let pod_spec = entry(definitions, 1, "io.k8s.api.core.v1.PodSpec");
    assert_eq!(text(pod_spec, 19), "containers");
    assert_eq!(text(one(pod_spec, 22), 1), "object");
    let containers = entry(one(pod_spec, 25), 1, "containers");
    assert_eq!(text(one(containers, 22), 1), "array");
    let item = one(one(containers, 23), 1);
    assert_eq!(text(item, 1), "#/definitions/io.k8s.api.core.v1.Container");
    let key = entry(containers, 31, "x-kubernetes-patch-merge-key");
    assert_eq!(text(key, 2), "\"name\"");

    let pods = entry(one(bytes, 8), 2, "/api/v1/namespaces/{namespace}/pods");
    let create = one(pods, 4);
    assert_eq!(text(create, 5), "createCoreV1NamespacedPod");
    let body = one(one(all(create, 8)[0], 1), 1);
    assert_eq!(text(body, 2), "body");
    assert_eq!(
        text(one(body, 5), 1),
        "#/definitions/io.k8s.api.core.v1.Pod"
    );
    let ok = entry(one(create, 9), 1, "200");
    let schema = one(one(one(ok, 1), 2), 1);
    assert_eq!(text(schema, 1), "#/definitions/io.k8s.api.core.v1.Pod");
    let gvk = entry(create, 13, "x-kubernetes-group-version-kind");
    assert!(text(gvk, 2).contains("\"kind\":\"Pod\""));
}

#[test]
fn what_is_no_document_becomes_an_empty_one() {
    assert!(openapi::protobuf::encode(b"[]").is_empty());
}
