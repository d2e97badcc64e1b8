//! The store's life: names, reload, ownership, collection, root file systems, users, built images, a full disk.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use image::{
    ContainerDefaults, Digest, FileContent, GcRequest, Image, ImageConfig, ImageError, ImageFile,
    ImageStore, Limits, Platform, Reference, StoreOptions,
};
use serde_json::json;

use crate::support::{Fixture, Item, OciArchive, gzip, needs_root, read, tar, time};

fn reopen(fixture: &Fixture) -> Result<ImageStore, ImageError> {
    ImageStore::open(&fixture.dir.path().join("images"), StoreOptions::default())
}

/// Builds an image of one file with `size` bytes.
fn build(store: &ImageStore, name: &str, size: usize, now: i64) -> Arc<Image> {
    let content: Vec<u8> = name.bytes().cycle().take(size).collect();
    let files = [ImageFile {
        path: "/bin/app".to_owned(),
        mode: 0o755,
        content: FileContent::Bytes(content),
    }];
    let config = ImageConfig::new(
        &Platform::host(),
        Some(time(1)),
        ContainerDefaults::default(),
    );
    store
        .build_image(&Reference::parse(name).unwrap(), &files, config, time(now))
        .unwrap()
}

#[test]
fn a_store_opened_again_has_everything_and_no_debris() {
    if !needs_root() {
        return;
    }
    let mut fixture = Fixture::new();
    let image = build(&fixture.store, "app:v1", 100, 5);
    fixture.store.pin(&image.id, true).unwrap();
    let lower = fixture
        .store
        .prepare_rootfs("app:v1", &fixture.dir.path().join("c"), time(7))
        .unwrap()
        .lower;
    let dir = fixture.store.dir().to_owned();
    fixture.store = Fixture::new().store;
    for debris in ["ingest/9", "trash/x", "blobs/sha256/not-a-digest"] {
        fs::write(dir.join(debris), "half").unwrap();
    }
    fs::create_dir_all(dir.join("l/zz/bin")).unwrap();
    fs::write(
        dir.join("snapshots")
            .join(format!("{}.json", Digest::of(b"x").hex())),
        "{cut",
    )
    .unwrap();
    let store = reopen(&fixture).unwrap();
    let again = store.image("docker.io/library/app:v1").unwrap();
    assert_eq!(
        (again.id, again.pinned, again.config.created()),
        (image.id, true, Some(time(1)))
    );
    assert_eq!(store.last_used(&image.id), Some(time(7)));
    assert_eq!(
        store
            .prepare_rootfs("app:v1", &fixture.dir.path().join("d"), time(8))
            .unwrap()
            .lower,
        lower
    );
    let list = |name: &str| fs::read_dir(dir.join(name)).unwrap().count();
    assert_eq!(
        (list("ingest"), list("trash"), list("l"), list("snapshots")),
        (0, 0, 2, 1)
    );
    let new = build(&store, "new:v1", 10, 9);
    let new = store
        .prepare_rootfs(&new.id.to_string(), &fixture.dir.path().join("e"), time(9))
        .unwrap()
        .lower;
    assert_ne!(new, lower, "directory names are not given twice");
}

#[test]
fn an_image_whose_content_went_missing_is_dropped_on_start_and_the_others_stay() {
    if !needs_root() {
        return;
    }
    let mut fixture = Fixture::new();
    let lost = build(&fixture.store, "lost:v1", 10, 1);
    build(&fixture.store, "kept:v1", 10, 1);
    let dir = fixture.store.dir().to_owned();
    fixture.store = Fixture::new().store;
    fs::remove_file(dir.join("blobs/sha256").join(lost.layers[0].blob.hex())).unwrap();
    let store = reopen(&fixture).unwrap();
    let names: Vec<_> = store
        .images()
        .iter()
        .map(|image| image.display_name())
        .collect();
    assert_eq!(names, ["docker.io/library/kept:v1"]);
    assert_eq!(
        store.image("lost:v1").unwrap_err().reason(),
        "ImageInspectError"
    );
}

#[test]
fn a_second_owner_and_a_newer_format_are_refused_by_name() {
    let fixture = Fixture::new();
    let dir = fixture.store.dir().to_owned();
    let error = reopen(&fixture).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "image store {} is in use by process {}: stop it or choose another data directory",
            dir.display(),
            std::process::id()
        )
    );
    let Fixture { dir: kept, store } = fixture;
    drop(store);
    fs::write(dir.join("format"), "7\n").unwrap();
    let error = ImageStore::open(&dir, StoreOptions::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "image store {} has format 7, this version reads up to 1: use the newer kogge or another data directory",
            dir.display()
        )
    );
    fs::write(dir.join("format"), "seven").unwrap();
    let error = ImageStore::open(&dir, StoreOptions::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.ends_with("format is corrupt: it should hold the format's number"),
        "{error}"
    );
    drop(kept);
}

#[test]
fn files_are_private() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    build(&fixture.store, "app:v1", 10, 1);
    let dir = fixture.store.dir();
    for name in [
        "",
        "blobs",
        "blobs/sha256",
        "l",
        "snapshots",
        "holds",
        "ingest",
        "trash",
    ] {
        assert_eq!(
            fs::metadata(dir.join(name)).unwrap().mode() & 0o777,
            0o700,
            "{name}"
        );
    }
    let mut files = vec![
        dir.join("images.json"),
        dir.join("format"),
        dir.join("lock"),
    ];
    for name in ["blobs/sha256", "snapshots"] {
        files.extend(
            fs::read_dir(dir.join(name))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    for file in files {
        assert_eq!(
            fs::metadata(&file).unwrap().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
}

#[test]
fn names_move_and_images_are_found_by_every_name() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let store = &fixture.store;
    let old = build(store, "app:v1", 10, 1);
    let new = build(store, "other:v1", 11, 1);
    store
        .tag("other:v1", &Reference::parse("app:v1").unwrap())
        .unwrap();
    assert_eq!(store.image("app:v1").unwrap().id, new.id);
    let old = store.image(&old.id.to_string()).unwrap();
    assert!(old.tags.is_empty(), "the name moved: {:?}", old.tags);
    let by_digest = format!("docker.io/library/app@{}", old.manifest);
    for name in [&by_digest, &old.id.hex(), &old.id.hex()[..12].to_owned()] {
        assert_eq!(store.image(name).unwrap().id, old.id, "{name}");
    }
    assert!(store.image(&old.id.hex()[..11]).is_err());
    assert!(
        !store.remove_image("app:v1").unwrap(),
        "the image has another name"
    );
    assert!(store.image("other:v1").is_ok());
    assert!(store.remove_image("other:v1").unwrap());
    assert!(store.remove_image(&old.id.to_string()).unwrap());
    fixture.assert_empty();
    let error = store.remove_image("app:v1").unwrap_err().to_string();
    assert_eq!(
        error,
        "image \"app:v1\" is not in the local store: pull or import it first"
    );
}

#[test]
fn collection_takes_the_longest_unused_first_and_stops_at_its_target() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let store = &fixture.store;
    let [oldest, in_use, pinned, newer, newest] = [
        ("a:v1", 1),
        ("b:v1", 2),
        ("c:v1", 3),
        ("d:v1", 4),
        ("e:v1", 5),
    ]
    .map(|(name, now)| build(store, name, 100_000, now));
    store.pin(&pinned.id, true).unwrap();
    let request = GcRequest {
        in_use: HashSet::from([in_use.id]),
        free_bytes: 1,
        unused_since: None,
    };
    let before = store.disk_usage().unwrap();
    let report = store.collect(&request).unwrap();
    assert_eq!(report.removed, ["docker.io/library/a:v1"]);
    let after = store.disk_usage().unwrap();
    let freed = before.blob_bytes + before.snapshot_bytes - after.blob_bytes - after.snapshot_bytes;
    assert_eq!(report.freed_bytes, freed);
    assert!(freed > 200_000, "blob and snapshot: {freed}");
    // A use makes an image young again.
    store.touch(&newer.id, time(9)).unwrap();
    store.touch(&newer.id, time(8)).unwrap();
    let report = store
        .collect(&GcRequest {
            free_bytes: u64::MAX,
            unused_since: Some(time(9)),
            ..request.clone()
        })
        .unwrap();
    assert_eq!(report.removed, ["docker.io/library/e:v1"]);
    let report = store
        .collect(&GcRequest {
            free_bytes: u64::MAX,
            ..request
        })
        .unwrap();
    assert_eq!(report.removed, ["docker.io/library/d:v1"]);
    let left: HashSet<_> = store.images().iter().map(|image| image.id).collect();
    assert_eq!(left, HashSet::from([in_use.id, pinned.id]));
    for gone in [oldest, newest] {
        assert!(
            !store
                .dir()
                .join("blobs/sha256")
                .join(gone.layers[0].blob.hex())
                .exists()
        );
    }
}

#[test]
fn layers_of_a_container_outlive_its_image() {
    if !needs_root() {
        return;
    }
    let mut fixture = Fixture::new();
    build(&fixture.store, "app:v1", 10, 1);
    let container = fixture.dir.path().join("container");
    let rootfs = fixture
        .store
        .prepare_rootfs("app:v1", &container, time(1))
        .unwrap();
    fixture.store.remove_image("app:v1").unwrap();
    let file = rootfs.lower[0].join("bin/app");
    assert!(file.exists());
    fixture.store = Fixture::new().store;
    fixture.store = reopen(&fixture).unwrap();
    fixture
        .store
        .collect(&GcRequest {
            free_bytes: u64::MAX,
            ..GcRequest::default()
        })
        .unwrap();
    assert!(
        file.exists(),
        "the container still stands on it after a restart"
    );
    fixture.store.remove_rootfs(&container).unwrap();
    fixture.store.remove_rootfs(&container).unwrap();
    fixture.store.collect(&GcRequest::default()).unwrap();
    assert!(!file.exists());
    fixture.assert_empty();
}

#[test]
fn preparing_again_keeps_the_containers_changes() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    build(&fixture.store, "app:v1", 10, 1);
    let container = fixture.dir.path().join("pods/uid/container");
    let first = fixture
        .store
        .prepare_rootfs("app:v1", &container, time(1))
        .unwrap();
    fs::write(first.upper.join("changed"), "x").unwrap();
    assert_eq!(
        fixture
            .store
            .prepare_rootfs("app:v1", &container, time(2))
            .unwrap(),
        first
    );
    assert!(first.upper.join("changed").exists());
    assert_eq!(
        fs::metadata(&first.upper).unwrap().mode() & 0o777,
        0o755,
        "every user may enter the root directory"
    );
    let error = fixture
        .store
        .prepare_rootfs("none:v1", &container, time(1))
        .unwrap_err();
    assert!(matches!(error, ImageError::NotPresent { .. }));
}

#[test]
fn an_image_without_layers_has_an_empty_lower_directory() {
    let fixture = Fixture::new();
    let lower = fixture.unpack(&[]).unwrap();
    assert_eq!(lower.len(), 1);
    assert_eq!(fs::read_dir(&lower[0]).unwrap().count(), 0);
}

#[test]
fn many_threads_unpack_an_image_once() {
    let fixture = Fixture::new();
    let mut archive = OciArchive::default();
    let layers: Vec<_> = (0..5)
        .map(|at| gzip(&tar(&[Item::file(&format!("f{at}"), &vec![at; 100_000])])))
        .collect();
    archive.image("app:v1", &layers, json!({}));
    let options = image::ImportOptions {
        unpack: false,
        ..image::ImportOptions::new(time(1))
    };
    fixture
        .store
        .import(archive.tar().as_slice(), &options)
        .unwrap();
    assert_eq!(fixture.store.disk_usage().unwrap().snapshot_bytes, 0);
    let lowers: HashSet<_> = std::thread::scope(|scope| {
        let prepare = |at: usize| {
            let container = fixture.dir.path().join(at.to_string());
            fixture
                .store
                .prepare_rootfs("app:v1", &container, time(1))
                .unwrap()
                .lower
        };
        let threads: Vec<_> = (0..8).map(|at| scope.spawn(move || prepare(at))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(lowers.len(), 1);
    assert_eq!(
        fs::read_dir(fixture.store.dir().join("l")).unwrap().count(),
        6
    );
}

#[test]
fn users_are_read_inside_the_image_through_its_links_and_whiteouts() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let below = tar(&[
        Item::file("etc/passwd", b"app:x:1000:1000::/home/app:/bin/sh\n"),
        Item::file("etc/group", b"app:x:1000:\nextra:x:7:app\n"),
    ]);
    let mut archive = OciArchive::default();
    archive.image(
        "plain:v1",
        std::slice::from_ref(&below),
        json!({"User": "app"}),
    );
    let gone = tar(&[Item::file("etc/.wh.passwd", b"")]);
    archive.image("gone:v1", &[below.clone(), gone], json!({}));
    let linked = tar(&[
        Item::symlink("etc/passwd", "/../nix/passwd"),
        Item::file("nix/passwd", b"app:x:55:55::/:\n"),
        Item::symlink("etc/group", "/etc/group"),
    ]);
    archive.image("linked:v1", &[below.clone(), linked], json!({}));
    let hidden = tar(&[
        Item::file("etc/.wh..wh..opq", b""),
        Item::file("etc/other", b""),
    ]);
    archive.image("hidden:v1", &[below, hidden], json!({}));
    fixture.import(&archive.tar()).unwrap();
    let resolve = |name: &str, user: &str| {
        fixture
            .store
            .resolve_user(&fixture.store.image(name).unwrap(), user)
    };
    let plain = fixture.store.image("plain:v1").unwrap();
    let app = fixture
        .store
        .resolve_user(&plain, plain.config.user())
        .unwrap();
    assert_eq!(
        (app.uid, app.gid, app.supplementary.as_slice()),
        (1000, 1000, [7].as_slice())
    );
    let linked = resolve("linked:v1", "app").unwrap();
    assert_eq!(
        (linked.uid, linked.supplementary.len()),
        (55, 0),
        "a link onto itself is no group file"
    );
    for name in ["gone:v1", "hidden:v1"] {
        let error = resolve(name, "app").unwrap_err().to_string();
        assert_eq!(
            error, "unable to find user \"app\" in the image: no matching entries in passwd file",
            "{name}"
        );
        assert_eq!(
            resolve(name, "12:13")
                .map(|user| (user.uid, user.gid))
                .unwrap(),
            (12, 13)
        );
    }
    let huge = Fixture::with_limits(Limits {
        user_file_bytes: 100,
        ..Limits::default()
    });
    let mut archive = OciArchive::default();
    archive.image(
        "huge:v1",
        &[tar(&[Item::file("etc/passwd", &[b'x'; 101])])],
        json!({}),
    );
    huge.import(&archive.tar()).unwrap();
    let error = huge
        .store
        .resolve_user(&huge.store.image("huge:v1").unwrap(), "app")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "/etc/passwd of the image exceeds the limit user_file_bytes of 100"
    );
}

#[test]
fn a_built_image_is_reproducible_and_has_its_files() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let source = fixture.dir.path().join("program");
    fs::write(&source, "#!program").unwrap();
    let file = |path: &str, mode, content| ImageFile {
        path: path.to_owned(),
        mode,
        content,
    };
    let files = [
        file("/bin/kogge", 0o755, FileContent::FromPath(source.clone())),
        file("bin/echo", 0, FileContent::Symlink("kogge".to_owned())),
        file(
            "etc/passwd",
            0o644,
            FileContent::Bytes(b"root:x:0:0::/:\n".to_vec()),
        ),
        file("tmp", 0o1777, FileContent::Directory),
    ];
    let defaults = ContainerDefaults {
        entrypoint: vec!["/bin/kogge".to_owned()],
        ..ContainerDefaults::default()
    };
    let config = ImageConfig::new(&Platform::host(), None, defaults);
    let name = Reference::parse("kogge.dev/toolbox").unwrap();
    let built = fixture
        .store
        .build_image(&name, &files, config.clone(), time(1))
        .unwrap();
    let again = fixture
        .store
        .build_image(&name, &files, config.clone(), time(2))
        .unwrap();
    assert_eq!((built.id, built.manifest), (again.id, again.manifest));
    assert_eq!(fixture.store.images().len(), 1);
    assert_eq!(built.config.entrypoint(), ["/bin/kogge"]);
    let root = &fixture
        .store
        .prepare_rootfs("kogge.dev/toolbox", &fixture.dir.path().join("c"), time(1))
        .unwrap()
        .lower[0];
    assert_eq!(read(&root.join("bin/echo")), "#!program");
    assert_eq!(
        fs::metadata(root.join("bin/kogge")).unwrap().mode() & 0o7777,
        0o755
    );
    assert_eq!(
        fs::metadata(root.join("tmp")).unwrap().mode() & 0o7777,
        0o1777
    );

    let fresh = Fixture::new();
    let bad = [file("../x", 0o644, FileContent::Bytes(Vec::new()))];
    let error = fresh
        .store
        .build_image(&name, &bad, config.clone(), time(1))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "image to build refused: entry \"../x\" has a path that is not plain"
    );
    let missing = [file(
        "x",
        0o644,
        FileContent::FromPath("/nonexistent/file".into()),
    )];
    let error = fresh
        .store
        .build_image(&name, &missing, config, time(1))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "cannot read /nonexistent/file");
    fresh.assert_empty();
}

#[test]
fn a_full_disk_is_told_apart_and_leaves_the_store_readable() {
    if !needs_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(&disk)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: cannot mount tmpfs here");
        return;
    }
    let outcome = std::panic::catch_unwind(|| fill(&disk));
    assert!(
        std::process::Command::new("umount")
            .arg(&disk)
            .status()
            .unwrap()
            .success()
    );
    outcome.unwrap();
}

fn fill(disk: &Path) {
    let store = ImageStore::open(&disk.join("images"), StoreOptions::default()).unwrap();
    let small = build(&store, "small:v1", 1000, 1);
    let noise = crate::support::noise(4_000_000);
    // Too large as a blob; small as a blob, too large unpacked.
    for content in [noise, vec![0; 4_000_000]] {
        let mut archive = OciArchive::default();
        archive.image(
            "big:v1",
            &[gzip(&tar(&[Item::file("big", &content)]))],
            json!({}),
        );
        let error = store
            .import(
                archive.tar().as_slice(),
                &image::ImportOptions::new(time(1)),
            )
            .unwrap_err();
        assert!(matches!(error, ImageError::NoSpace { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("no space left for "), "{text}");
        assert!(
            text.ends_with("; free space or let the image garbage collector run"),
            "{text}"
        );
    }
    assert_eq!(store.image("small:v1").unwrap().id, small.id);
    assert_eq!(store.images().len(), 1);
    assert_eq!(fs::read_dir(store.dir().join("ingest")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(store.dir().join("l")).unwrap().count(), 2);
    build(&store, "next:v1", 1000, 1);
}
