//! Discovery against the recordings of Kubernetes 1.37: equal as JSON, orders of lists
//! included.

use super::recordings::{compare, recording, unserved};
use apiserver::discovery::{self, Root, ServerAddress};
use serde_json::Value;

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// From aggregated discovery.
fn forget_unserved_subresources(document: &mut Value) {
    for group in document["items"].as_array_mut().unwrap() {
        let name = group["metadata"]["name"].as_str().unwrap_or("").to_owned();
        for version in group["versions"].as_array_mut().unwrap() {
            for resource in version["resources"].as_array_mut().unwrap() {
                let plural = resource["resource"].as_str().unwrap().to_owned();
                if let Some(list) = resource.get_mut("subresources") {
                    let served = |sub: &Value| {
                        let sub = sub["subresource"].as_str().unwrap();
                        !unserved().contains(&(name.as_str(), plural.as_str(), sub))
                    };
                    list.as_array_mut().unwrap().retain(served);
                }
            }
        }
    }
}

/// From the list of a version.
fn forget_unserved_rows(document: &mut Value) {
    let version = document["groupVersion"].as_str().unwrap_or("").to_owned();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let Some(rows) = document.get_mut("resources") else {
        return;
    };
    rows.as_array_mut().unwrap().retain(|row| {
        let Some((plural, sub)) = row["name"].as_str().unwrap().split_once('/') else {
            return true;
        };
        !unserved().contains(&(group, plural, sub))
    });
}

#[test]
fn aggregated_discovery_is_as_recorded() {
    for (root, name) in [
        (Root::Api, "aggregated-api"),
        (Root::Apis, "aggregated-apis"),
    ] {
        let Some(mut want) = recording(&format!("discovery/{name}.json")) else {
            return;
        };
        forget_unserved_subresources(&mut want);
        let document = discovery::aggregated(root);
        assert_eq!(document.bytes, discovery::aggregated(root).bytes);
        let found = compare(&want, &parse(&document.bytes));
        assert!(found.differences.is_empty(), "{name}: {found:#?}");
        let order = |value: &Value| serde_json::to_string(value).unwrap();
        assert_eq!(order(&want), order(&parse(&document.bytes)), "{name}");
    }
}

#[test]
fn unaggregated_discovery_is_as_recorded() {
    let addresses = [ServerAddress {
        client_cidr: "0.0.0.0/0".into(),
        server_address: "<address>:<port>".into(),
    }];
    let mut equal = 0;
    let catalog = discovery::builtin();
    let mut paths = vec!["api".to_owned(), "apis".to_owned()];
    paths.extend(
        catalog
            .named
            .iter()
            .map(|group| format!("apis/{}", group.name)),
    );
    paths.extend(catalog.versions().map(|version| version.path()));
    for path in paths {
        let name = format!("discovery/legacy/{}.json", path.replace('/', "__"));
        let Some(mut want) = recording(&name) else {
            return;
        };
        forget_unserved_rows(&mut want);
        let parts: Vec<&str> = path.split('/').collect();
        let got = parse(&discovery::legacy(&parts, &addresses).unwrap());
        assert_eq!(
            serde_json::to_string(&want).unwrap(),
            serde_json::to_string(&got).unwrap(),
            "{path}"
        );
        equal += 1;
    }
    println!("{equal} documents equal");
    assert_eq!(equal, 46);
}

#[test]
fn nothing_stands_at_other_paths() {
    let paths: [&[&str]; 6] = [
        &["apis", "nope"],
        &["apis", "apps", "v2"],
        &["api", "v2"],
        &["apis", ""],
        &["apis", "", "v1"],
        &["apis", "apps", "v1", "deployments"],
    ];
    for path in paths {
        assert!(discovery::legacy(path, &[]).is_none(), "{path:?}");
    }
}

#[test]
fn the_root_lists_every_path_of_discovery_once() {
    let got = parse(&discovery::root_paths(&["/version", "/healthz", "/api"]));
    let texts = |value: &Value| -> Vec<String> {
        let list = value["paths"].as_array().unwrap();
        list.iter()
            .map(|path| path.as_str().unwrap().to_owned())
            .collect()
    };
    let got = texts(&got);
    assert!(got.is_sorted());
    assert!(got.contains(&"/version".to_owned()));
    let Some(want) = recording("paths.json") else {
        return;
    };
    let of_ours = |path: &String| path.starts_with("/api") || path.starts_with("/openapi");
    let want: Vec<String> = texts(&want).into_iter().filter(of_ours).collect();
    assert_eq!(got.into_iter().filter(of_ours).collect::<Vec<_>>(), want);
}
