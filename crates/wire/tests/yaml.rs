//! YAML as the real server and kubectl read it.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use wire::yaml::{documents, duplicates_error, read, to_string};

#[test]
fn values_are_read_as_upstream_reads_them() {
    let rows = [
        ("a: y", json!({"a": true})),
        ("a: \"y\"", json!({"a": "y"})),
        ("a: off", json!({"a": false})),
        ("mode: 0744", json!({"mode": 484})),
        ("a: 1.0", json!({"a": 1})),
        ("a: 1.5", json!({"a": 1.5})),
        ("a: 2020-01-01", json!({"a": "2020-01-01"})),
        (
            "5: a\n3.14: b\ntrue: c\ny: d",
            json!({"3.14": "b", "5": "a", "true": "d"}),
        ),
        ("b: 1\na: 2", json!({"a": 2, "b": 1})),
        ("a: &x {k: 1}\nb: *x", json!({"a": {"k": 1}, "b": {"k": 1}})),
        (
            "base: &b {a: 1, b: 2}\nc:\n  b: 3\n  <<: *b\nd:\n  <<: [*b, {a: 9, z: 0}]\n",
            json!({"base": {"a": 1, "b": 2}, "c": {"a": 1, "b": 3}, "d": {"a": 1, "b": 2, "z": 0}}),
        ),
        (
            "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
            json!({"a": "x\ny\n", "b": "x y"}),
        ),
        ("a:\r\n- b\r\n- c\r\n", json!({"a": ["b", "c"]})),
        (
            "a: ~\nb:\nc: null",
            json!({"a": null, "b": null, "c": null}),
        ),
        ("a: =", json!({"a": "="})),
        (
            "a: !!str 5\nb: !!int \"7\"\nc: !!binary YWJj\nd: !x 5",
            json!({"a": "5", "b": 7, "c": "abc", "d": "5"}),
        ),
        ("", json!(null)),
        ("# nothing\n", json!(null)),
        (
            "{\"a\": [1, \"x\\u00e9\\/\"]}",
            json!({"a": [1, "x\u{e9}/"]}),
        ),
        ("a: 1\n---\nb: [", json!({"a": 1})),
        (
            "a: 12345678901234567890",
            json!({"a": 12_345_678_901_234_567_890_u64}),
        ),
        ("\u{feff}a: 1", json!({"a": 1})),
        ("a: \"it\\'s\"", json!({"a": "it's"})),
        ("{\"a\":}", json!({"a": null})),
        ("a: !!str\nb:", json!({"a": "", "b": null})),
        (
            "{a:, b: [c:, d: e]}",
            json!({"a:": null, "b": ["c:", {"d": "e"}]}),
        ),
        (
            "a: [1.2.3.4, 001:db8::]",
            json!({"a": ["1.2.3.4", "001:db8::"]}),
        ),
    ];
    for (text, want) in rows {
        match read(text.as_bytes()) {
            Ok(got) => assert_eq!(got.value, want, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn errors_read_as_gos() {
    let rows = [
        ("a: [", "yaml: line 1: did not find expected node content"),
        ("{", "yaml: line 1: did not find expected node content"),
        (
            "\ttab: x",
            "yaml: found character that cannot start any token",
        ),
        ("a: *x", "yaml: unknown anchor 'x' referenced"),
        ("a: &x [*x]", "yaml: anchor 'x' value contains itself"),
        ("a: .nan", "json: unsupported value: NaN"),
        (
            "<<: 1",
            "yaml: map merge requires map or sequence of maps as the value",
        ),
        ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
        ("{{name}}: 1", "yaml: invalid map key"),
        (
            "a: b: c",
            "yaml: mapping values are not allowed in this context",
        ),
    ];
    for (text, want) in rows {
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), want, "{text}");
    }
    assert!(read(b"a: \xff").is_err());
}

#[test]
fn duplicate_keys_are_told_and_the_last_wins() {
    let text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y1\n  name: z\ndata: {}\nbogus: 1\n";
    let got = read(text.as_bytes()).unwrap();
    assert_eq!(got.value["metadata"], json!({"name": "z"}));
    assert_eq!(got.duplicates, ["line 5: key \"name\" already set in map"]);
    assert_eq!(
        duplicates_error(&got.duplicates),
        "yaml: unmarshal errors:\n  line 5: key \"name\" already set in map"
    );
}

#[test]
fn documents_are_told_apart() {
    let text = "---\na: 1\n...\n---\n# empty\n---\nb: |\n  ---x\n---\nc: 1\n";
    let values: Vec<Value> = documents(text.as_bytes())
        .unwrap()
        .into_iter()
        .map(|document| document.value)
        .collect();
    assert_eq!(
        values,
        [json!({"a": 1}), json!({"b": "---x\n"}), json!({"c": 1})]
    );
}

#[test]
fn aliases_cannot_blow_a_document_up() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(
        read(text.as_bytes()).unwrap_err().to_string(),
        "yaml: document contains excessive aliasing"
    );
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        format!("{}x", "- ".repeat(200)),
        format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
        "{a: ".repeat(10_000),
    ] {
        assert!(read(text.as_bytes()).is_err());
    }
}

fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(part);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: no ../shared");
    None
}

fn files(root: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            out.push(path);
        }
    }
}

/// Fills in what an installer would: `%{NAME}%`.
fn filled(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("%{") {
        out.push_str(before);
        out.push_str("filled");
        rest = after.split_once("}%").map_or("", |(_, tail)| tail);
    }
    out + rest
}

/// Templates, which upstream refuses too.
fn is_template(path: &Path, body: &str) -> bool {
    path.ends_with("-template.yaml") || body.contains("{{")
}

#[test]
fn the_corpus_reads_and_prints() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for part in ["corpus/yaml-corner-cases", "corpus/apps"] {
        let Some(root) = shared(part) else { return };
        let mut paths = Vec::new();
        files(&root, &mut paths);
        for path in paths {
            let body = fs::read_to_string(&path).unwrap();
            let body = if path.to_string_lossy().contains("k3s-2021") {
                filled(&body)
            } else {
                body
            };
            count += 1;
            let read_all = match documents(body.as_bytes()) {
                Ok(read_all) => read_all,
                Err(_) if is_template(&path, &body) => continue,
                Err(error) => {
                    wrong.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            for document in read_all {
                let printed = to_string(&document.value);
                let again = read(printed.as_bytes());
                if again.as_ref().map(|again| &again.value) != Ok(&document.value) {
                    wrong.push(format!(
                        "{}: printed and read: {again:?}\n{printed}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "of {count} files");
    assert!(count > 500, "only {count} files");
}

#[test]
fn upstream_fixtures_read_and_print_alike() {
    let Some(folder) = shared("corpus/api-roundtrip/HEAD") else {
        return;
    };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    for path in &paths {
        let yaml = fs::read_to_string(path).unwrap();
        let json = fs::read(path.with_extension("json")).unwrap();
        let want: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            read(yaml.as_bytes()).unwrap().value,
            want,
            "{}",
            path.display()
        );
        assert_eq!(to_string(&want), yaml, "{}", path.display());
    }
    assert!(paths.len() > 100);
}

fn json_tree() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,20}",
        "[a-z\\n\\t :#'\"\\\\-]{0,12}",
        prop::sample::select(vec![
            "",
            "y",
            "1e3",
            "0x1",
            "~",
            "<<",
            "2020-01-01",
            "12:30",
            "é\u{2028}",
            "\u{85}",
            "\r\n"
        ])
        .prop_map(str::to_owned),
        "[a-z ]{80,140}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9_f64)
            .prop_map(|f| Value::from(f + 0.5 * f64::from(u8::from(f.fract() == 0.0)))),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(value in json_tree()) {
        let printed = to_string(&value);
        let again = read(printed.as_bytes());
        prop_assert_eq!(again.map(|again| again.value), Ok(value), "{}", printed);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}:,\"'a0&*!|>%#?. \\n-]{0,40}") {
        let _outcome = documents(text.as_bytes());
    }
}

#[test]
fn manifests_of_the_corpus_decode_by_their_schema() {
    let Some(root) = shared("corpus/apps") else {
        return;
    };
    let mut paths = Vec::new();
    files(&root, &mut paths);
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths {
        let body = fs::read_to_string(&path).unwrap();
        let Ok(read_all) = documents(filled(&body).as_bytes()) else {
            continue;
        };
        for document in read_all {
            let text = |field: &str| document.value[field].as_str().unwrap_or("").to_owned();
            let Some(node) = schema::types().by_api_version(&text("apiVersion"), &text("kind"))
            else {
                continue;
            };
            count += 1;
            if let Err(error) = schema::decode_value(node, document.value) {
                wrong.push(format!("{}: {error}", path.display()));
            }
        }
    }
    // Two documents that the real server cannot take either: a boolean as the value
    // of a variable, and a placeholder where base64 belongs.
    let known = [
        "vouch-proxy.yaml: json: cannot unmarshal bool into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        "ssl-dh-param.yaml: illegal base64 data at input byte 0",
    ];
    wrong.retain(|text: &String| !known.iter().any(|end| text.ends_with(end)));
    assert_eq!(wrong, Vec::<String>::new(), "of {count} documents");
    assert!(count > 1000, "only {count} documents");
}
