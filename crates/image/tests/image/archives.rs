//! Import of archives: every shape that tools write, and every way to be broken.

use std::fs;

use image::{Digest, ImageError, ImportOptions, Limits};
use serde_json::json;

use crate::support::{
    Fixture, Item, OciArchive, descriptor, gzip, host_architecture, parts, tar, time, zstd,
};

fn layer(text: &str) -> Vec<u8> {
    tar(&[Item::file("who", text.as_bytes())])
}

fn names(images: &[std::sync::Arc<image::Image>]) -> Vec<String> {
    let mut names: Vec<_> = images
        .iter()
        .flat_map(|image| image.tags.iter().cloned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_oci_layout_brings_all_its_images_compressed_or_not() {
    let mut archive = OciArchive::default();
    archive.image(
        "docker.io/library/one:v1",
        &[gzip(&layer("one"))],
        json!({"Cmd": ["/one"]}),
    );
    archive.image(
        "two.example/two:v2",
        &[layer("shared"), layer("two")],
        json!({}),
    );
    for packed in [archive.tar(), gzip(&archive.tar()), zstd(&archive.tar())] {
        let fixture = Fixture::new();
        let images = fixture.import(&packed).unwrap();
        assert_eq!(
            names(&images),
            ["docker.io/library/one:v1", "two.example/two:v2"]
        );
        let one = fixture.store.image("one:v1").unwrap();
        assert_eq!(one.config.cmd(), ["/one"]);
        assert_eq!(
            one.digests.iter().next().unwrap(),
            &format!("docker.io/library/one@{}", one.manifest)
        );
        assert_eq!(fixture.store.last_used(&one.id), Some(time(100)));
    }
}

#[test]
fn one_name_for_several_platforms_gives_this_machines_image() {
    let other = if host_architecture() == "s390x" {
        "amd64"
    } else {
        "s390x"
    };
    let (own, foreign) = (
        parts(&[layer("own")], json!({}), &host_architecture()),
        parts(&[layer("foreign")], json!({}), other),
    );
    let platform = |architecture: &str| json!({"os": "linux", "architecture": architecture});
    // As an index in the index, the way buildx writes it, with an attestation beside.
    let mut nested = OciArchive::default();
    let (mut first, mut second) = (nested.add(&foreign), nested.add(&own));
    first["platform"] = platform(other);
    second["platform"] = platform(&host_architecture());
    let mut attestation = first.clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let index = json!({"schemaVersion": 2, "manifests": [first, attestation, second]})
        .to_string()
        .into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.index.v1+json", &index);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "multi.example/app:v1"});
    nested.blobs.push(index);
    nested.index.push(entry);
    // Side by side with one name.
    let mut flat = OciArchive {
        blobs: nested.blobs.clone(),
        index: vec![first, second],
    };
    flat.index.iter_mut().for_each(|entry| {
        entry["annotations"] = json!({"io.containerd.image.name": "multi.example/app:v1"})
    });
    for archive in [&nested, &flat] {
        let fixture = Fixture::new();
        let images = fixture.import(&archive.tar()).unwrap();
        assert_eq!(names(&images), ["multi.example/app:v1"]);
        assert_eq!(images[0].id, Digest::of(&own.config));
        let foreign_layer = fixture
            .store
            .dir()
            .join("blobs/sha256")
            .join(Digest::of(&foreign.layers[0]).hex());
        assert!(
            !foreign_layer.exists(),
            "blobs for other platforms are not kept"
        );
    }
    let fixture = Fixture::new();
    flat.index.pop();
    flat.index
        .iter_mut()
        .for_each(|entry| entry["platform"] = platform(other));
    let error = fixture.import(&flat.tar()).unwrap_err();
    assert!(matches!(error, ImageError::NoMatchingPlatform { .. }));
    let wanted = image::Platform::host();
    assert_eq!(
        error.to_string(),
        format!("image multi.example/app:v1 has no variant for {wanted}; it offers linux/{other}")
    );
    fixture.assert_empty();
}

#[test]
fn a_bare_tag_gets_the_base_name_that_the_caller_gives() {
    let mut archive = OciArchive::default();
    archive.image("x", &[layer("a")], json!({}));
    archive.index[0]["annotations"] = json!({"org.opencontainers.image.ref.name": "v7"});
    let fixture = Fixture::new();
    let nameless = fixture.import(&archive.tar()).unwrap();
    assert!(nameless[0].tags.is_empty());
    assert_eq!(
        fixture.store.image(&nameless[0].id.to_string()).unwrap().id,
        nameless[0].id
    );
    let options = ImportOptions {
        base_name: Some("local/app".to_owned()),
        ..ImportOptions::new(time(1))
    };
    let named = fixture
        .store
        .import(archive.tar().as_slice(), &options)
        .unwrap();
    assert_eq!(names(&named), ["docker.io/local/app:v7"]);
}

#[test]
fn docker_save_archives_import_in_both_of_their_shapes() {
    let image = parts(
        &[layer("low"), layer("high")],
        json!({"User": "5"}),
        &host_architecture(),
    );
    let config_name = format!("{}.json", Digest::of(&image.config).hex());
    let manifest = json!([{"Config": config_name, "RepoTags": ["app:v1", "app:v2"], "Layers": ["aa/layer.tar", "bb/layer.tar"]}]);
    let manifest = manifest.to_string();
    // Old: a directory per layer; a layer that repeats is a link to the first. manifest.json comes last.
    let old = tar(&[
        Item::dir("aa/", 0o755),
        Item::file("aa/VERSION", b"1.0"),
        Item::file("aa/layer.tar", &image.layers[0]),
        Item::file("cc/layer.tar", &image.layers[1]),
        Item::symlink("bb/layer.tar", "../cc/layer.tar"),
        Item::file(&config_name, &image.config),
        Item::file("repositories", b"{}"),
        Item::file("manifest.json", manifest.as_bytes()),
    ]);
    let fixture = Fixture::new();
    let images = fixture.import(&old).unwrap();
    assert_eq!(
        names(&images),
        ["docker.io/library/app:v1", "docker.io/library/app:v2"]
    );
    assert_eq!(
        (images[0].id, images[0].layers.len()),
        (Digest::of(&image.config), 2)
    );
    let rootfs = fixture
        .store
        .prepare_rootfs("app:v2", &fixture.dir.path().join("c"), time(1))
        .unwrap();
    assert_eq!(
        fs::read_to_string(rootfs.lower[0].join("who")).unwrap(),
        "high"
    );

    // New: an OCI layout with manifest.json beside it; the names are in the latter only.
    let mut layout = OciArchive::default();
    let entry = layout.add(&image);
    let config_path = format!("blobs/sha256/{}", Digest::of(&image.config).hex());
    let manifest =
        json!([{"Config": config_path, "RepoTags": ["app:new"], "Layers": []}]).to_string();
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    let blob_names: Vec<_> = layout
        .blobs
        .iter()
        .map(|blob| format!("blobs/sha256/{}", Digest::of(blob).hex()))
        .collect();
    let mut items = vec![
        Item::file("index.json", index.as_bytes()),
        Item::file("manifest.json", manifest.as_bytes()),
    ];
    items.extend(
        blob_names
            .iter()
            .zip(&layout.blobs)
            .map(|(name, blob)| Item::file(name, blob)),
    );
    let fixture = Fixture::new();
    assert_eq!(
        names(&fixture.import(&tar(&items)).unwrap()),
        ["docker.io/library/app:new"]
    );
}

#[test]
fn a_hostile_or_broken_archive_is_refused_and_leaves_nothing() {
    let image = parts(&[layer("a")], json!({}), &host_architecture());
    let mut good = OciArchive::default();
    good.image("app:v1", &image.layers, json!({}));
    let good_tar = good.tar();
    let mut without_layer = OciArchive {
        blobs: good.blobs.clone(),
        index: good.index.clone(),
    };
    without_layer.blobs.remove(0);
    let layer_digest = Digest::of(&image.layers[0]);
    let wrong_name = format!("blobs/sha256/{}", Digest::of(b"something else").hex());
    let docker = |config: &str, layer: &str| {
        json!([{"Config": config, "RepoTags": ["app"], "Layers": [layer]}]).to_string()
    };
    let (outside, unknown) = (
        docker("../config.json", "l.tar"),
        docker("config.json", "l.tar"),
    );
    let good_with = |item: Item| {
        let index = json!({"schemaVersion": 2, "manifests": good.index}).to_string();
        tar(&[Item::file("index.json", index.as_bytes()), item])
    };
    let table: Vec<(Vec<u8>, String)> = vec![
        (good_with(Item::file("../evil", b"x")), r#"image archive refused: entry "../evil" leaves the archive by its name"#.into()),
        (good_with(Item::file("/etc/evil", b"x")), r#"image archive refused: entry "/etc/evil" has an absolute path"#.into()),
        (
            good_with(Item::symlink("l", "/etc/shadow")),
            r#"image archive refused: entry "l" is a link to "/etc/shadow", which is an absolute path"#.into(),
        ),
        (
            good_with(Item::hard_link("l", "/etc/shadow")),
            r#"image archive refused: entry "l" is a link to "/etc/shadow", which is an absolute path"#.into(),
        ),
        (
            good_with(Item::symlink("a/l", "../../x")),
            r#"image archive refused: entry "a/l" is a link to "../../x", which leaves the archive"#.into(),
        ),
        (
            good_with(Item::special("dev", b'3', (1, 3))),
            r#"image archive refused: entry "dev" is neither a file nor a link"#.into(),
        ),
        (
            good_with(Item::file(&wrong_name, b"content")),
            format!("{wrong_name} of the image archive is corrupt: its content has digest {}", Digest::of(b"content")),
        ),
        (good_tar[..good_tar.len() / 2 + 100].to_vec(), "image archive is truncated: ".into()),
        (gzip(&good_tar)[..200].to_vec(), "image archive is truncated: the compressed stream ends early".into()),
        (
            without_layer.tar(),
            format!("image docker.io/library/app:v1 is corrupt: its layer {layer_digest} is missing"),
        ),
        (
            tar(&[Item::file("readme.txt", b"hello")]),
            "image archive is corrupt: it holds neither index.json (OCI layout) nor manifest.json (docker save)".into(),
        ),
        (b"#!/bin/sh\n".repeat(100), "image archive is corrupt: a header's checksum is wrong; is it a tar archive?".into()),
        (Vec::new(), "image archive is corrupt: it holds neither".into()),
        (tar(&[Item::file("index.json", b"{")]), "index.json of the image archive is corrupt: EOF".into()),
        (
            tar(&[Item::file("manifest.json", outside.as_bytes())]),
            r#"image archive refused: entry "../config.json" is named by manifest.json and leaves the archive by its name"#.into(),
        ),
        (
            tar(&[Item::file("manifest.json", unknown.as_bytes()), Item::file("config.json", &image.config)]),
            r#"image app is corrupt: its layer "l.tar" is missing"#.into(),
        ),
        (
            tar(&[
                Item::file("manifest.json", unknown.as_bytes()),
                Item::file("config.json", &image.config),
                Item::file("l.tar", &layer("another")),
            ]),
            "layer l.tar of app is corrupt: its content has digest sha256:".into(),
        ),
    ];
    for (archive, message) in table {
        let fixture = Fixture::new();
        let error = fixture.import(&archive).expect_err(&message).to_string();
        assert!(error.starts_with(&message), "{error}\nexpected: {message}");
        fixture.assert_empty();
    }
}

#[test]
fn a_failed_import_does_not_harm_what_is_there() {
    let fixture = Fixture::new();
    let mut good = OciArchive::default();
    good.image("app:v1", &[layer("a")], json!({}));
    let before = fixture.import(&good.tar()).unwrap();
    // Two images, of which the second cannot be unpacked.
    let mut half = OciArchive::default();
    half.image("app:v1", &[layer("new")], json!({}));
    half.image("bad:v1", &[tar(&[Item::file("../x", b"")])], json!({}));
    fixture.import(&half.tar()).unwrap_err();
    assert_eq!(fixture.store.images().len(), 1);
    assert_eq!(fixture.store.image("app:v1").unwrap().id, before[0].id);
    fixture
        .store
        .prepare_rootfs("app:v1", &fixture.dir.path().join("c"), time(2))
        .unwrap();
}

#[test]
fn metadata_of_an_archive_is_bounded() {
    let fixture = Fixture::with_limits(Limits {
        archive_metadata_bytes: 1000,
        ..Limits::default()
    });
    let big = vec![b' '; 600];
    let archive = tar(&[Item::file("a.json", &big), Item::file("b.json", &big)]);
    let error = fixture.import(&archive).unwrap_err().to_string();
    assert_eq!(
        error,
        "size of the JSON files of the image archive exceeds the limit archive_metadata_bytes of 1000"
    );
}

#[test]
fn layers_that_are_not_those_of_the_configuration_are_refused() {
    let (own, other) = (layer("own"), layer("other"));
    let honest = parts(std::slice::from_ref(&own), json!({}), &host_architecture());
    let swapped = parts(&[gzip(&other)], json!({}), &host_architecture());
    let import = |layers: serde_json::Value| {
        let config = descriptor("application/vnd.oci.image.config.v1+json", &honest.config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut archive = OciArchive::default();
        archive.add(&swapped);
        let manifest = manifest.to_string().into_bytes();
        archive
            .blobs
            .extend([honest.config.clone(), manifest.clone()]);
        archive.index.push(descriptor(
            "application/vnd.oci.image.manifest.v1+json",
            &manifest,
        ));
        let fixture = Fixture::new();
        let error = fixture.import(&archive.tar()).unwrap_err().to_string();
        fixture.assert_empty();
        error
    };
    let layer = descriptor(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        &swapped.layers[0],
    );
    let expected = format!(
        "layer {} is corrupt: its unpacked content has digest {}",
        Digest::of(&own),
        Digest::of(&other)
    );
    assert_eq!(import(json!([layer])), expected);
    let error = import(json!([layer, layer]));
    assert!(
        error.ends_with("is corrupt: it has 2 layers, but its configuration names 1"),
        "{error}"
    );
    let mut short = layer;
    short["size"] = json!(3);
    let error = import(json!([short]));
    assert!(error.ends_with("bytes instead of 3"), "{error}");
}
