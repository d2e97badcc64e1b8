//! Pulling from a registry on loopback: the server speaks the OCI distribution protocol, with faults on request.

mod server;

use std::sync::{Arc, Mutex};

use image::{
    Credential, Digest, ImageError, Keyring, Limits, Progress, PullRequest, Puller, Reference,
    RegistryConfig, RegistryOptions,
};
use serde_json::json;

use crate::support::{Fixture, Item, Parts, descriptor, gzip, host_architecture, parts, tar, time};
use server::{Auth, Server};

fn image(text: &str) -> Parts {
    // Large and without pattern, so that a connection can be cut inside a layer.
    let noise = crate::support::noise(600_000);
    let layers = [
        gzip(&tar(&[
            Item::file("who", text.as_bytes()),
            Item::file("noise", &noise),
        ])),
        tar(&[Item::file("top", b"")]),
    ];
    parts(&layers, json!({"Cmd": ["/app"]}), &host_architecture())
}

fn request() -> PullRequest {
    PullRequest::new(time(100))
}

fn keyring(server: &Server, credential: Credential) -> PullRequest {
    let mut keyring = Keyring::default();
    keyring.add(&server.address(), credential);
    PullRequest {
        keyring,
        ..request()
    }
}

async fn pull(
    fixture: &Fixture,
    server: &Server,
    name: &str,
    request: &PullRequest,
) -> Result<Arc<image::Image>, ImageError> {
    let puller = Puller::new(fixture.store.clone(), RegistryOptions::default()).unwrap();
    puller
        .pull(
            &Reference::parse(&format!("{}/{name}", server.address())).unwrap(),
            request,
        )
        .await
}

#[tokio::test]
async fn an_image_is_pulled_by_tag_and_by_digest_and_unpacked() {
    let server = Server::start(Auth::None).await;
    let digest = server.push("team/app", "v1", &image("hello"));
    let fixture = Fixture::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let request = PullRequest {
        progress: Some(Arc::new(move |progress| {
            record.lock().unwrap().push(progress)
        })),
        ..request()
    };
    let pulled = pull(&fixture, &server, "team/app:v1", &request)
        .await
        .unwrap();
    let name = format!("{}/team/app", server.address());
    assert_eq!(
        pulled.tags.iter().collect::<Vec<_>>(),
        [&format!("{name}:v1")]
    );
    assert_eq!(
        pulled.digests.iter().collect::<Vec<_>>(),
        [&format!("{name}@{digest}")]
    );
    assert_eq!(pulled.config.cmd(), ["/app"]);
    let rootfs = fixture
        .store
        .prepare_rootfs(
            &format!("{name}:v1"),
            &fixture.dir.path().join("c"),
            time(1),
        )
        .unwrap();
    assert_eq!(crate::support::read(&rootfs.lower[1].join("who")), "hello");
    let seen: Vec<Progress> = seen.lock().unwrap().clone();
    let last = seen.last().unwrap();
    assert_eq!((last.done_bytes, last.done_layers), (last.total_bytes, 2));
    assert!(seen.len() > 3 && seen.is_sorted_by_key(|progress| progress.done_bytes));

    let blobs = server.count("/blobs/");
    pull(
        &fixture,
        &server,
        &format!("team/app@{digest}"),
        &self::request(),
    )
    .await
    .unwrap();
    assert_eq!(
        server.count("/blobs/"),
        blobs,
        "what is here is not fetched again"
    );
    assert_eq!(fixture.store.images().len(), 1);
}

#[tokio::test]
async fn a_multi_platform_image_gives_this_machines_variant() {
    let server = Server::start(Auth::None).await;
    let own = image("own");
    let foreign = if host_architecture() == "s390x" {
        "amd64"
    } else {
        "s390x"
    };
    let other = parts(&[tar(&[])], json!({}), foreign);
    let index = |entries: &[(&Parts, &str)]| {
        let manifests: Vec<_> = entries
            .iter()
            .map(|(parts, architecture)| {
                let mut entry = descriptor(
                    "application/vnd.docker.distribution.manifest.v2+json",
                    &parts.manifest,
                );
                entry["platform"] = json!({"os": "linux", "architecture": architecture});
                entry
            })
            .collect();
        let media_type = "application/vnd.docker.distribution.manifest.list.v2+json";
        json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests})
            .to_string()
            .into_bytes()
    };
    server.push("app", "own", &own);
    server.push("app", "other", &other);
    let both = server.manifest(
        "app",
        "both",
        &index(&[(&other, foreign), (&own, &host_architecture())]),
    );
    server.manifest("app", "foreign", &index(&[(&other, foreign)]));
    let fixture = Fixture::new();
    let pulled = pull(&fixture, &server, "app:both", &request())
        .await
        .unwrap();
    assert_eq!(
        (pulled.id, pulled.manifest),
        (Digest::of(&own.config), Digest::of(&own.manifest))
    );
    assert!(
        pulled
            .digests
            .contains(&format!("{}/app@{both}", server.address())),
        "{:?}",
        pulled.digests
    );
    let error = pull(&fixture, &server, "app:foreign", &request())
        .await
        .unwrap_err();
    let wanted = image::Platform::host();
    let expected = format!(
        "image {}/app:foreign has no variant for {wanted}; it offers linux/{foreign}",
        server.address()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn basic_bearer_and_refresh_credentials_are_accepted_and_wrong_ones_explained() {
    let right = Credential::basic("user", "pass:word");
    let refresh = Credential {
        identity_token: "refresh-me".to_owned(),
        ..Credential::default()
    };
    let ready = Credential {
        registry_token: "token-for-team/app".to_owned(),
        ..Credential::default()
    };
    for (auth, credential) in [
        (Auth::Basic, &right),
        (Auth::Bearer, &right),
        (Auth::Bearer, &refresh),
        (Auth::Bearer, &ready),
    ] {
        let server = Server::start(auth).await;
        server.push("team/app", "v1", &image("secret"));
        let fixture = Fixture::new();
        pull(
            &fixture,
            &server,
            "team/app:v1",
            &keyring(&server, credential.clone()),
        )
        .await
        .unwrap();
        assert!(
            server.count("/token") <= 1,
            "one token serves the whole pull"
        );
        for bad in [Credential::basic("user", "wrong"), Credential::default()] {
            let fixture = Fixture::new();
            let error = pull(&fixture, &server, "team/app:v1", &keyring(&server, bad))
                .await
                .unwrap_err();
            assert!(
                matches!(error, ImageError::Unauthorized { .. }),
                "{error:?}"
            );
            let address = server.address();
            let start = format!(
                "registry {address} refused access to {address}/team/app:v1: authentication required; check that"
            );
            assert!(error.to_string().starts_with(&start), "{error}");
            assert!(!error.to_string().contains("wrong"));
            fixture.assert_empty();
        }
    }
}

#[tokio::test]
async fn every_matching_secret_is_tried() {
    let server = Server::start(Auth::Basic).await;
    server.push("team/app", "v1", &image("x"));
    let mut keyring = Keyring::default();
    let config = json!({"auths": {
        format!("{}/team", server.address()): {"username": "user", "password": "old"},
        format!("http://{}", server.address()): {"auth": "dXNlcjpwYXNzOndvcmQ="},
    }});
    keyring
        .add_docker_config("secret default/pull", config.to_string().as_bytes())
        .unwrap();
    let fixture = Fixture::new();
    pull(
        &fixture,
        &server,
        "team/app:v1",
        &PullRequest {
            keyring,
            ..request()
        },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start(Auth::None).await;
    let fixture = Fixture::new();
    let error = pull(&fixture, &server, "app:v9", &request())
        .await
        .unwrap_err();
    let address = server.address();
    assert_eq!(
        error.to_string(),
        format!("{address}/app:v9 not found in registry {address}: check the name and the tag")
    );
    assert_eq!(
        server.count("/manifests/"),
        1,
        "not a matter of trying again"
    );
    let lost = image("x");
    server.push("app", "v1", &lost);
    server.remove_blob(&lost.layers[0]);
    let error = pull(&fixture, &server, "app:v1", &request())
        .await
        .unwrap_err();
    assert!(matches!(error, ImageError::NotFound { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("blob {} of", Digest::of(&lost.layers[0]))),
        "{error}"
    );
    fixture.assert_empty();
}

#[tokio::test]
async fn an_unreachable_registry_is_a_network_error_that_names_it() {
    let server = Server::start(Auth::None).await;
    let address = server.address();
    drop(server);
    let limits = Limits {
        download_attempts: 2,
        ..Limits::default()
    };
    let fixture = Fixture::with_limits(limits);
    let puller = Puller::new(fixture.store.clone(), RegistryOptions::default()).unwrap();
    let reference = Reference::parse(&format!("{address}/app")).unwrap();
    let error = puller.pull(&reference, &request()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot reach {address}: ")),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(
        (error.reason(), error.is_transient()),
        ("RegistryUnavailable", true)
    );
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_ended_and_gives_up_at_the_limit() {
    // A reset may discard what had arrived, and then there is nothing to go on
    // from: one of several tries must.
    let mut resumed = false;
    for ranges in std::iter::repeat_n(true, 12).chain([false]) {
        if ranges && resumed {
            continue;
        }
        let server = Server::start(Auth::None).await;
        let big = image("x");
        server.push("app", "v1", &big);
        server.faults(|faults| {
            faults.cut_after = Some((3, 200_000));
            faults.ignore_ranges = !ranges;
        });
        let fixture = Fixture::with_limits(Limits {
            download_attempts: 4,
            ..Limits::default()
        });
        pull(&fixture, &server, "app:v1", &request()).await.unwrap();
        let layer = format!("/blobs/{}", Digest::of(&big.layers[0]));
        assert!(server.count(&layer) >= 2);
        if ranges {
            assert!(
                server
                    .ranges()
                    .iter()
                    .all(|range| range.starts_with("bytes=")),
                "{:?}",
                server.ranges()
            );
            resumed |= !server.ranges().is_empty();
        }
    }
    assert!(resumed, "no download went on where it had ended");
    let server = Server::start(Auth::None).await;
    server.push("app", "v1", &image("x"));
    server.faults(|faults| faults.cut_after = Some((usize::MAX, 0)));
    let fixture = Fixture::with_limits(Limits {
        download_attempts: 2,
        ..Limits::default()
    });
    let error = pull(&fixture, &server, "app:v1", &request())
        .await
        .unwrap_err();
    assert!(matches!(error, ImageError::Network { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("cannot read blob sha256:"),
        "{error}"
    );
    fixture.assert_empty();
}

#[tokio::test]
async fn busy_registries_are_asked_again() {
    let server = Server::start(Auth::None).await;
    server.push("app", "v1", &image("x"));
    server.faults(|faults| faults.busy = vec![429, 503]);
    let fixture = Fixture::new();
    pull(&fixture, &server, "app:v1", &request()).await.unwrap();
    server.faults(|faults| faults.busy = vec![503; 20]);
    let fixture = Fixture::with_limits(Limits {
        download_attempts: 2,
        ..Limits::default()
    });
    let error = pull(&fixture, &server, "app:v1", &request())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("answered 503 for"), "{error}");
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_corrupt() {
    let server = Server::start(Auth::None).await;
    let good = image("x");
    server.push("app", "v1", &good);
    let layer = &good.layers[0];
    let mut altered = layer.clone();
    altered[1000] ^= 1;
    let mut longer = layer.clone();
    longer.extend([0; 10]);
    let digest = Digest::of(layer);
    let table = [
        (
            altered.clone(),
            format!(
                "its content has digest {} instead of {digest}",
                Digest::of(&altered)
            ),
        ),
        (
            longer,
            format!(
                "it is longer than the {} bytes its manifest says",
                layer.len()
            ),
        ),
    ];
    for (content, message) in table {
        server.replace_blob(layer, &content);
        let fixture = Fixture::new();
        let error = pull(&fixture, &server, "app:v1", &request())
            .await
            .unwrap_err();
        assert!(matches!(error, ImageError::Corrupt { .. }), "{error:?}");
        let expected = format!(
            "blob {digest} of {}/app:v1 is corrupt: {message}",
            server.address()
        );
        assert_eq!(error.to_string(), expected);
        fixture.assert_empty();
    }
    server.replace_blob(layer, &layer[..1000]);
    let fixture = Fixture::with_limits(Limits {
        download_attempts: 1,
        ..Limits::default()
    });
    let error = pull(&fixture, &server, "app:v1", &request())
        .await
        .unwrap_err();
    assert!(matches!(error, ImageError::Network { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .ends_with(&format!("it ended after 1000 of {} bytes", layer.len())),
        "{error}"
    );
    let asked = Digest::of(&good.manifest);
    server.faults(|faults| faults.manifest_suffix = " ");
    for name in [format!("app@{asked}"), "app:v1".to_owned()] {
        let error = pull(&Fixture::new(), &server, &name, &request())
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(&format!("instead of {asked}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_container_image_or_too_large_is_refused() {
    let server = Server::start(Auth::None).await;
    let chart = json!({
        "schemaVersion": 2, "config": descriptor("application/vnd.cncf.helm.config.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart")],
    });
    server.manifest("chart", "v1", chart.to_string().as_bytes());
    let error = pull(&Fixture::new(), &server, "chart:v1", &request())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("is not a container image layer; is it an artifact such as a chart?"),
        "{error}"
    );

    let huge = json!({
        "schemaVersion": 2, "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest::of(b"x"), "size": 1u64 << 60}],
    });
    server.manifest("huge", "v1", huge.to_string().as_bytes());
    let fixture = Fixture::new();
    let error = pull(&fixture, &server, "huge:v1", &request())
        .await
        .unwrap_err();
    assert!(matches!(error, ImageError::NoSpace { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("1152921504606846978 bytes to download, "),
        "{error}"
    );

    server.push("app", "v1", &image("x"));
    for (limits, name) in [
        (
            Limits {
                layers: 1,
                ..Limits::default()
            },
            "layers of 1",
        ),
        (
            Limits {
                manifest_bytes: 100,
                ..Limits::default()
            },
            "manifest_bytes of 100",
        ),
        (
            Limits {
                config_bytes: 10,
                ..Limits::default()
            },
            "config_bytes of 10",
        ),
        (
            Limits {
                layer_bytes: 1000,
                ..Limits::default()
            },
            "layer_bytes of 1000",
        ),
    ] {
        let fixture = Fixture::with_limits(limits);
        let error = pull(&fixture, &server, "app:v1", &request())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(&format!("exceeds the limit {name}")),
            "{error}"
        );
        fixture.assert_empty();
    }
}

#[tokio::test]
async fn mirrors_are_asked_first_and_failing_ones_passed_over() {
    let registry = Server::start(Auth::Basic).await;
    let mirror = Server::start(Auth::None).await;
    let app = image("x");
    registry.push("app", "v1", &app);
    registry.push("other", "v1", &app);
    mirror.push("app", "v1", &app);
    let dead = Server::start(Auth::None).await;
    let dead_address = dead.address();
    drop(dead);
    let mut options = RegistryOptions::default();
    let mirrors = vec![
        format!("http://{dead_address}"),
        format!("http://{}", mirror.address()),
    ];
    options.mirrors.insert(registry.address(), mirrors);
    let fixture = Fixture::with_limits(Limits {
        download_attempts: 1,
        ..Limits::default()
    });
    let puller = Puller::new(fixture.store.clone(), options).unwrap();
    let request = keyring(&registry, Credential::basic("user", "pass:word"));
    let name = |repository: &str| {
        Reference::parse(&format!("{}/{repository}:v1", registry.address())).unwrap()
    };
    let pulled = puller.pull(&name("app"), &request).await.unwrap();
    assert_eq!(registry.count("/v2/"), 0);
    assert!(
        pulled.tags.contains(&name("app").to_string()),
        "named after the registry, not the mirror"
    );
    assert!(mirror.count(&format!("ns={}", registry.address().replace(':', "%3A"))) > 0);
    assert!(
        !mirror.saw_authorization(),
        "credentials are for the registry"
    );
    puller.pull(&name("other"), &request).await.unwrap();
    assert!(registry.count("/v2/") > 0);
    let error = puller
        .pull(&name("none"), &request)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("not found in registry {}", registry.address())),
        "{error}"
    );
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_take_the_credentials_along() {
    let storage = Server::start(Auth::None).await;
    let registry = Server::start(Auth::Basic).await;
    let app = image("x");
    storage.push("app", "v1", &app);
    registry.push("app", "v1", &app);
    registry.faults(|faults| faults.redirect_blobs = Some(format!("http://{}", storage.address())));
    let fixture = Fixture::new();
    pull(
        &fixture,
        &registry,
        "app:v1",
        &keyring(&registry, Credential::basic("user", "pass:word")),
    )
    .await
    .unwrap();
    assert!(storage.count("/blobs/") >= 3 && !storage.saw_authorization());
    let own = format!("http://{}", registry.address());
    registry.faults(|faults| faults.redirect_blobs = Some(own));
    let fixture = Fixture::with_limits(Limits {
        download_attempts: 1,
        ..Limits::default()
    });
    let request = keyring(&registry, Credential::basic("user", "pass:word"));
    let error = pull(&fixture, &registry, "app:v1", &request)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("more than 5 redirects"), "{error}");
}

#[tokio::test]
async fn a_registry_with_its_own_authority_is_trusted_when_told_and_refused_otherwise() {
    let server = Server::start_tls(Auth::Bearer).await;
    server.push("app", "v1", &image("x"));
    let mut options = RegistryOptions::default();
    let config = RegistryConfig {
        ca_pem: server.ca_pem(),
        ..RegistryConfig::default()
    };
    options.hosts.insert(server.address(), config);
    let fixture = Fixture::with_limits(Limits {
        download_attempts: 1,
        ..Limits::default()
    });
    let puller = Puller::new(fixture.store.clone(), options).unwrap();
    let reference = Reference::parse(&format!("{}/app:v1", server.address())).unwrap();
    let request = keyring(&server, Credential::basic("user", "pass:word"));
    puller.pull(&reference, &request).await.unwrap();

    let mut options = RegistryOptions::default();
    options
        .mirrors
        .insert("docker.io".to_owned(), vec!["not a url".to_owned()]);
    assert!(Puller::new(fixture.store.clone(), options).is_err());
    let mut options = RegistryOptions::default();
    let garbage = RegistryConfig {
        ca_pem: Some(b"garbage".to_vec()),
        ..RegistryConfig::default()
    };
    options.hosts.insert("reg.example".to_owned(), garbage);
    let error = Puller::new(fixture.store.clone(), options)
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "CA certificates for registry reg.example is corrupt: there is no PEM certificate in it"
    );

    // Another authority than the one that signed.
    let stranger = Server::start_tls(Auth::None).await;
    let mut options = RegistryOptions::default();
    options.hosts.insert(
        server.address(),
        RegistryConfig {
            ca_pem: stranger.ca_pem(),
            ..RegistryConfig::default()
        },
    );
    let puller = Puller::new(fixture.store.clone(), options).unwrap();
    let error = puller
        .pull(&reference, &request)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("give the registry's CA certificate in the registry configuration"),
        "{error}"
    );
}

#[tokio::test]
async fn concurrent_pulls_of_one_image_download_it_once() {
    let server = Server::start(Auth::None).await;
    server.push("app", "v1", &image("x"));
    let fixture = Fixture::new();
    let puller = Puller::new(fixture.store.clone(), RegistryOptions::default()).unwrap();
    let reference = Reference::parse(&format!("{}/app:v1", server.address())).unwrap();
    let request = request();
    let pulls = (0..6).map(|_| puller.pull(&reference, &request));
    let pulled = futures::future::join_all(pulls).await;
    assert!(pulled.iter().all(Result::is_ok));
    assert_eq!(server.count("/blobs/"), 3);
}

#[tokio::test]
async fn a_pull_that_is_dropped_leaves_nothing() {
    let server = Server::start(Auth::None).await;
    server.push("app", "v1", &image("x"));
    server.faults(|faults| faults.hang_blobs = true);
    let fixture = Fixture::new();
    let request = request();
    let slow = pull(&fixture, &server, "app:v1", &request);
    tokio::time::timeout(std::time::Duration::from_millis(300), slow)
        .await
        .unwrap_err();
    // The writers notice on their own threads.
    for _ in 0..100 {
        if std::fs::read_dir(fixture.store.dir().join("ingest"))
            .unwrap()
            .count()
            == 0
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    fixture.store.collect(&image::GcRequest::default()).unwrap();
    fixture.assert_empty();
}
