//! Messages and canonical forms, as recorded from the real API server v1.37.2.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use schema::{DecodeError, Node, canonical, decode, strict_error, to_vec, type_meta, types};
use serde_json::{Value, json};

fn node(version: &str, kind: &str) -> &'static Node {
    types().by_api_version(version, kind).unwrap()
}

/// The message of the refusal of a body sent where `kind` is wanted.
fn refusal(version: &str, kind: &str, body: &str) -> String {
    let seen = match type_meta(body.as_bytes()) {
        Ok(seen) => seen,
        Err(error) => return error.refusal(kind, None, body.as_bytes()),
    };
    match decode(node(version, kind), body.as_bytes()) {
        Ok(decoded) if decoded.issues.is_empty() => "accepted".to_owned(),
        Ok(decoded) => schema::cannot_handle(kind, &seen, strict_error(&decoded.issues)),
        Err(error) => error.refusal(kind, Some(&seen), body.as_bytes()),
    }
}

/// What is printed for a body.
fn printed(version: &str, kind: &str, body: &str) -> String {
    let decoded = decode(node(version, kind), body.as_bytes()).unwrap();
    String::from_utf8(to_vec(&decoded.value)).unwrap()
}

#[test]
fn wrong_types_read_as_upstream_prints_them() {
    let head = |kind: &str| format!("{kind} in version \"v1\" cannot be handled as a {kind}: ");
    let rows = [
        (
            "v1",
            "ConfigMap",
            r#""data":{"n":1,"b":true}"#,
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "v1",
            "ConfigMap",
            r#""binaryData":{"z":"not base64!"}"#,
            "illegal base64 data at input byte 3",
        ),
        (
            "v1",
            "ConfigMap",
            r#""metadata":{"name":true}"#,
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            "v1",
            "ConfigMap",
            r#""metadata":{"labels":{"a":1}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            "v1",
            "Event",
            r#""firstTimestamp":"yesterday""#,
            "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"",
        ),
        (
            "coordination.k8s.io/v1",
            "Lease",
            r#""spec":{"renewTime":"2020-01-01T00:00:00.1Z","acquireTime":"2020-01-01T00:00:00Z"}"#,
            "parsing time \"2020-01-01T00:00:00.1Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \".1Z\" as \".000000\"",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"containers":[{"resources":{"requests":{"cpu":"one"}}}]}"#,
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"containers":[{"name":"c","image":5}]}"#,
            "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"containers":{"name":"c"}}"#,
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"hostNetwork":"yes"}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"restartPolicy":1}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            "v1",
            "Pod",
            r#""spec":[]"#,
            "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"priority":1.5}"#,
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"priority":3000000000}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            "v1",
            "Pod",
            r#""spec":{"overhead":3}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.overhead of type v1.ResourceList",
        ),
        (
            "v1",
            "Pod",
            r#""metadata":{"creationTimestamp":5}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
        (
            "v1",
            "Service",
            r#""spec":{"ports":[{"targetPort":1.5}]}"#,
            "json: cannot unmarshal number 1.5 into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
        (
            "scheduling.k8s.io/v1",
            "PriorityClass",
            r#""value":"high""#,
            "json: cannot unmarshal string into Go struct field PriorityClass.value of type int32",
        ),
        (
            "apps/v1",
            "ReplicaSet",
            r#""spec":{"replicas":"three"}"#,
            "json: cannot unmarshal string into Go struct field ReplicaSetSpec.spec.replicas of type int32",
        ),
    ];
    for (version, kind, rest, want) in rows {
        let body = format!(r#"{{"apiVersion":"{version}","kind":"{kind}",{rest}}}"#);
        assert_eq!(refusal(version, kind, &body), head(kind) + want, "{rest}");
    }
}

#[test]
fn a_malformed_value_wins_over_an_earlier_mistyped_one() {
    let body = r#"{"metadata":{"name":5},"spec":{"overhead":{"cpu":"x"}}}"#;
    let error = decode(node("v1", "Pod"), body.as_bytes()).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed(_)), "{error}");
    let body = r#"{"metadata":{"name":5},"spec":{"overhead":{"cpu":"x"}}"#;
    let error = decode(node("v1", "Pod"), body.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "unexpected end of JSON input");
}

#[test]
fn strict_errors_are_in_the_order_of_the_body() {
    let rows = [
        (
            "apps/v1",
            "Deployment",
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":0,"zebra":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"},"tail":"x"},"spec":{"containers":[{"name":"c","image":"x","imagee":"y"}]}}},"extra":{"a":1}}"#,
            r#"Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.zebra", unknown field "spec.template.metadata.tail", unknown field "spec.template.spec.containers[0].imagee", unknown field "extra""#,
        ),
        (
            "v1",
            "ConfigMap",
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"b"},"data":{"x":"1","x":"2"},"more":1,"more":2}"#,
            r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "metadata.name", duplicate field "data.x", unknown field "more""#,
        ),
        (
            "v1",
            "ConfigMap",
            r#"{"apiVersion":"v1","kind":"ConfigMap","Data":{}}"#,
            r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "Data""#,
        ),
    ];
    for (version, kind, body, want) in rows {
        assert_eq!(refusal(version, kind, body), want);
    }
}

#[test]
fn syntax_errors_read_as_gos() {
    let rows = [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ("x", "invalid character 'x' looking for beginning of value"),
        (
            "'a'",
            "invalid character '\\'' looking for beginning of value",
        ),
        (
            "{a}",
            "invalid character 'a' looking for beginning of object key string",
        ),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        (
            "{\"a\":1 \"b\"}",
            "invalid character '\"' after object key:value pair",
        ),
        (
            "{\"a\":1,}",
            "invalid character '}' looking for beginning of object key string",
        ),
        ("{\"a\":[1 2]}", "invalid character '2' after array element"),
        (
            "{\"a\":[1,]}",
            "invalid character ']' looking for beginning of value",
        ),
        ("{} x", "invalid character 'x' after top-level value"),
        (
            "{\"a\":01}",
            "invalid character '1' after object key:value pair",
        ),
        ("{\"a\":-}", "invalid character '}' in numeric literal"),
        (
            "{\"a\":1.}",
            "invalid character '}' after decimal point in numeric literal",
        ),
        (
            "{\"a\":1e}",
            "invalid character '}' in exponent of numeric literal",
        ),
        (
            "{\"a\":trux}",
            "invalid character 'x' in literal true (expecting 'e')",
        ),
        (
            "{\"a\":\"\\x\"}",
            "invalid character 'x' in string escape code",
        ),
        (
            "{\"a\":\"\\u12g4\"}",
            "invalid character 'g' in \\u hexadecimal character escape",
        ),
        (
            "{\"a\":\"\n\"}",
            "invalid character '\\n' in string literal",
        ),
        (
            "\u{e9}",
            "invalid character '\u{c3}' looking for beginning of value",
        ),
    ];
    for (body, want) in rows {
        let error = decode(node("v1", "ConfigMap"), body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), want, "{body}");
    }
}

#[test]
fn bodies_that_say_nothing_are_unrecognized() {
    let rows = [
        (
            "{\"a\"",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({\"a\")",
        ),
        (
            "",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
        ),
        (
            "{\"kind\":5}",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string ({\"kind\":5})",
        ),
        (
            "{\"apiVersion\": \"a/b/c\", \"kind\": \"ConfigMap\"}",
            "the object provided is unrecognized (must be of type ConfigMap): unexpected GroupVersion string: a/b/c ({\"apiVersion\": \"a/b/c\", \"kind\" ...)",
        ),
        (
            "a: [",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'a' looking for beginning of value (613a205b)",
        ),
    ];
    for (body, want) in rows {
        assert_eq!(refusal("v1", "ConfigMap", body), want);
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"deep"}},"x":{}{}}}"#,
        "[".repeat(12_000),
        "]".repeat(12_000)
    );
    assert_eq!(
        refusal("v1", "ConfigMap", &body),
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '[' exceeded max depth ({\"apiVersion\":\"v1\",\"kind\":\"Con ...)"
    );
    let allowed = schema::MAX_DEPTH - 1;
    let body = format!(r#"{{"x":{}{}}}"#, "[".repeat(allowed), "]".repeat(allowed));
    assert!(decode(node("v1", "ConfigMap"), body.as_bytes()).is_ok());
}

#[test]
fn what_is_printed_follows_go() {
    let rows = [
        (
            "v1",
            "Pod",
            "null",
            r#"{"metadata":{},"spec":{"containers":null},"status":{}}"#,
        ),
        (
            "v1",
            "Pod",
            r#"{"status":{"conditions":[{"type":"A","status":"True","lastProbeTime":null}]},"spec":{"containers":[{"image":"i","name":"n","resources":{"limits":{"memory":"0.5Gi","cpu":"1000m"}}}],"nodeName":""},"metadata":{"creationTimestamp":null,"labels":{}}}"#,
            r#"{"metadata":{},"spec":{"containers":[{"name":"n","image":"i","resources":{"limits":{"cpu":"1","memory":"512Mi"}}}]},"status":{"conditions":[{"type":"A","status":"True","lastProbeTime":null,"lastTransitionTime":null}]}}"#,
        ),
        (
            "v1",
            "Secret",
            "{\"data\":{\"b\":\"YQ==\",\"a\":null,\"c\":\"YW\\nI=\"}}",
            r#"{"metadata":{},"data":{"a":null,"b":"YQ==","c":"YWI="}}"#,
        ),
        (
            "v1",
            "Service",
            r#"{"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":1},null]}}"#,
            r#"{"metadata":{},"spec":{"ports":[{"port":80,"targetPort":"http"},{"port":1,"targetPort":0},{"port":0,"targetPort":0}]},"status":{"loadBalancer":{}}}"#,
        ),
        (
            "v1",
            "ConfigMap",
            "{\"data\":{\"k\":\"a\\ud83d\\ude00\\ud800<\",\"n\":null}}",
            "{\"metadata\":{},\"data\":{\"k\":\"a\u{1f600}\u{fffd}\\u003c\",\"n\":\"\"}}",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            r#"{"rules":[]}"#,
            r#"{"metadata":{},"rules":[]}"#,
        ),
        (
            "v1",
            "Event",
            r#"{"eventTime":"2026-01-02T03:04:05.678901Z","firstTimestamp":"2026-01-02T04:04:05+01:00"}"#,
            r#"{"metadata":{},"involvedObject":{},"source":{},"firstTimestamp":"2026-01-02T03:04:05Z","lastTimestamp":null,"eventTime":"2026-01-02T03:04:05.678901Z","reportingComponent":"","reportingInstance":""}"#,
        ),
    ];
    for (version, kind, body, want) in rows {
        assert_eq!(printed(version, kind, body), want);
    }
}

#[test]
fn a_duplicate_struct_is_decoded_into_the_first() {
    let body = r#"{"metadata":{"name":"a","labels":{"x":"1"}},"metadata":{"namespace":"n","labels":{"y":"2"},"name":null}}"#;
    assert_eq!(
        printed("v1", "ConfigMap", body),
        r#"{"metadata":{"name":"a","namespace":"n","labels":{"x":"1","y":"2"}}}"#
    );
}

#[test]
fn storing_makes_empty_lists_unset() {
    let mut role = json!({"rules": []});
    canonical(node("rbac.authorization.k8s.io/v1", "Role"), &mut role).unwrap();
    assert_eq!(role, json!({"metadata": {}, "rules": null}));
    let mut fine = json!({"metadata": {"name": "x", "odd": 1}});
    let issues = canonical(node("v1", "ConfigMap"), &mut fine).unwrap();
    assert_eq!(issues[0].to_string(), "unknown field \"metadata.odd\"");
}

#[test]
fn schemas_of_definitions_keep_their_short_forms() {
    let schema = |inner: Value| json!({"spec":{"group":"g","scope":"Cluster","names":{"kind":"K","plural":"ks"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":inner}}]}});
    let crd = node("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let inner = json!({
        "maximum": 100.0,
        "default": {"b": 1, "a": null},
        "enum": [1, null],
        "items": {"type": "string"},
        "additionalProperties": false,
        "dependencies": {"a": ["b"], "c": {"type": "object"}}
    });
    let decoded = decode(crd, &to_vec(&schema(inner))).unwrap();
    let got = &decoded.value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(
        String::from_utf8(to_vec(got)).unwrap(),
        r#"{"default":{"b":1,"a":null},"maximum":100,"enum":[1,null],"items":{"type":"string"},"additionalProperties":false,"dependencies":{"a":["b"],"c":{"type":"object"}}}"#
    );
    let rows = [
        (
            json!({"additionalProperties": 3}),
            "boolean or JSON schema expected",
        ),
        (
            json!({"properties": {"x": {"items": {"type": 5}}}}),
            "json: cannot unmarshal number into Go struct field JSONSchemaProps.spec.versions.schema.openAPIV3Schema.properties.items of type string",
        ),
    ];
    for (inner, want) in rows {
        let error = decode(crd, &to_vec(&schema(inner))).unwrap_err();
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn lookups_find_kinds_and_types() {
    assert!(types().get("core/v1.Pod").is_some());
    assert!(types().get("core/v1.Nothing").is_none());
    let pod = types()
        .by_gvk("", "v1", "Pod")
        .unwrap()
        .as_struct()
        .unwrap();
    assert_eq!(
        (pod.name.as_ref(), pod.openapi.as_ref()),
        ("core/v1.Pod", "io.k8s.api.core.v1.Pod")
    );
    assert_eq!(pod.fields[0].name, "kind");
    let spec = pod.field("spec").unwrap().node.as_struct().unwrap();
    let containers = spec.field("containers").unwrap();
    assert_eq!(
        (containers.patch.merge, containers.patch.merge_key.as_ref()),
        (true, "name")
    );
}

#[test]
fn the_whole_table_reads_and_refers_to_known_types() {
    fn check(node: &Node, from: &str) {
        match node {
            Node::Struct(of) => assert!(
                types().get(&of.get().name).is_some()
                    && matches!(of, schema::StructRef::Builtin(_)),
                "{from} refers to {}",
                of.get().name
            ),
            Node::List(list) => check(&list.item, from),
            Node::Map(map) => check(&map.value, from),
            Node::Scalar(_) => {}
        }
    }
    let (mut count, mut fields, mut real) = (0, 0, 0);
    for (name, node) in types().iter() {
        count += 1;
        let Some(of) = node.as_struct() else { continue };
        assert!(
            of.fields.len() <= 256,
            "{name}: more fields than Slots has bits"
        );
        for field in &of.fields {
            assert!(!field.name.is_empty(), "{name}");
            check(&field.node, name);
            fields += 1;
        }
        let own = of.members.iter().filter_map(|member| match member {
            schema::Member::Own(at) => Some(&of.fields[*at]),
            _ => None,
        });
        real += own.filter(|field| field.real_default().is_some()).count();
    }
    assert_eq!((count, real), (943, 30));
    assert!(fields > 3_400, "{fields}");
}
