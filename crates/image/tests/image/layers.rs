//! Unpacking: what layers hold arrives whole, what hostile layers try is refused and leaves nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use image::{ImageError, Limits};

use crate::support::{Fixture, Item, MTIME, gzip, needs_root, read, tar, zstd};

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    Some(value[..length].to_vec())
}

/// What a file capability looks like (version 2, `cap_net_bind_service=ep`).
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn files_links_devices_and_their_attributes_arrive() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let layer = tar(&[
        Item::dir("./", 0o711),
        Item::dir("bin/", 0o1777),
        Item {
            mode: 0o4755,
            owner: (7, 8),
            ..Item::file("bin/tool", b"program")
        },
        Item {
            xattrs: &[("security.capability", CAPABILITY)],
            owner: (5, 5),
            ..Item::file("bin/caps", b"")
        },
        Item::symlink("bin/link", "/etc/passwd"),
        Item::hard_link("bin/hard", "bin/tool"),
        Item {
            mode: 0o600,
            ..Item::special("pipe", b'6', (0, 0))
        },
        Item {
            mode: 0o666,
            ..Item::special("null", b'3', (1, 3))
        },
    ]);
    let lower = fixture.unpack(&[gzip(&layer)]).unwrap();
    let root = &lower[0];
    let tool = fs::metadata(root.join("bin/tool")).unwrap();
    assert_eq!(
        (tool.mode() & 0o7777, tool.uid(), tool.gid()),
        (0o4755, 7, 8)
    );
    assert_eq!(tool.mtime().cast_unsigned(), MTIME);
    assert_eq!(tool.nlink(), 2);
    assert_eq!(read(&root.join("bin/hard")), "program");
    assert_eq!(
        fs::read_link(root.join("bin/link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(
        xattr(&root.join("bin/caps"), "security.capability").as_deref(),
        Some(CAPABILITY)
    );
    let bin = fs::metadata(root.join("bin")).unwrap();
    assert_eq!(
        (bin.mode() & 0o7777, bin.mtime().cast_unsigned()),
        (0o1777, MTIME)
    );
    assert_eq!(fs::metadata(root).unwrap().mode() & 0o7777, 0o711);
    assert!(
        fs::metadata(root.join("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    let null = fs::metadata(root.join("null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!(
        (null.rdev(), null.mode() & 0o7777),
        (rustix::fs::makedev(1, 3), 0o666)
    );
}

#[test]
fn gzip_zstd_and_plain_layers_unpack_alike() {
    let fixture = Fixture::new();
    let layers = [
        tar(&[Item::file("a", b"1")]),
        gzip(&tar(&[Item::file("a", b"2")])),
        zstd(&tar(&[Item::file("a", b"3")])),
    ];
    let lower = fixture.unpack(&layers).unwrap();
    let content: Vec<_> = lower.iter().map(|layer| read(&layer.join("a"))).collect();
    assert_eq!(content, ["3", "2", "1"], "topmost first");
    let longest = lower
        .iter()
        .map(|path| path.as_os_str().len() - fixture.store.dir().as_os_str().len())
        .max();
    assert!(longest <= Some("/l/zz".len()), "{lower:?}");
}

#[test]
fn whiteouts_become_what_overlayfs_reads() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let below = tar(&[
        Item::file("etc/gone", b""),
        Item::file("etc/kept", b""),
        Item::file("opaque/old", b""),
        Item::file("replaced/old", b""),
        Item::file("late/old", b""),
    ]);
    let above = tar(&[
        Item::file("etc/.wh.gone", b""),
        Item::file("etc/.wh.never-there", b""),
        Item::file("opaque/new", b""),
        Item::file("opaque/.wh..wh..opq", b""),
        Item::file(".wh.replaced", b""),
        Item::file("replaced/new", b""),
        Item::file("late/new", b""),
        Item::file(".wh.late", b""),
        Item::file(".wh..wh.plnk/1.2", b""),
    ]);
    let lower = fixture.unpack(&[below, above]).unwrap();
    let top = &lower[0];
    let gone = fs::symlink_metadata(top.join("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(
        !top.join("etc/never-there").exists(),
        "a whiteout of nothing would show in listings"
    );
    assert!(!top.join(".wh..wh.plnk").exists());
    for dir in ["opaque", "replaced", "late"] {
        assert_eq!(
            xattr(&top.join(dir), "trusted.overlay.opaque").as_deref(),
            Some(b"y".as_slice()),
            "{dir}"
        );
        assert!(top.join(dir).join("new").exists());
    }
    assert_eq!(xattr(&top.join("etc"), "trusted.overlay.opaque"), None);
}

#[test]
fn a_mounted_rootfs_shows_the_merged_image() {
    if !needs_root() {
        return;
    }
    let fixture = Fixture::new();
    let below = tar(&[
        Item::dir("./", 0o751),
        Item::file("etc/gone", b""),
        Item::file("etc/kept", b"below"),
        Item::file("d/old", b""),
    ]);
    let above = tar(&[
        Item::file("etc/.wh.gone", b""),
        Item::file(".wh.d", b""),
        Item::file("d/new", b""),
        Item::dir("./", 0o751),
    ]);
    fixture.unpack(&[below, above]).unwrap();
    let container = fixture.dir.path().join("container");
    let rootfs = fixture
        .store
        .prepare_rootfs("test.example/app:v1", &container, crate::support::time(1))
        .unwrap();
    let lower: Vec<_> = rootfs
        .lower
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        rootfs.upper.display(),
        rootfs.work.display()
    );
    let mount = std::process::Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &options])
        .arg(&rootfs.merged)
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        println!("skipped: cannot mount overlayfs here");
        return;
    }
    let list = |dir: &str| {
        let mut names: Vec<_> = fs::read_dir(rootfs.merged.join(dir))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let (etc, d, mode) = (
        list("etc"),
        list("d"),
        fs::metadata(&rootfs.merged).unwrap().mode() & 0o7777,
    );
    fs::write(rootfs.merged.join("etc/kept"), "changed").unwrap();
    let mounted = fixture.store.remove_rootfs(&container);
    assert!(
        std::process::Command::new("umount")
            .arg(&rootfs.merged)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        (etc, d, mode),
        (vec!["kept".into()], vec!["new".into()], 0o751)
    );
    assert!(
        mounted
            .unwrap_err()
            .to_string()
            .ends_with("merged is still mounted: unmount it before removing the root file system")
    );
    assert_eq!(read(&rootfs.lower[1].join("etc/kept")), "below");
    fixture.store.remove_rootfs(&container).unwrap();
    assert_eq!(fs::read_dir(&container).unwrap().count(), 0);
}

#[test]
fn directories_that_a_layer_leaves_out_keep_what_they_have_below() {
    let fixture = Fixture::new();
    let below = tar(&[
        Item::dir("tmp/", 0o1777),
        Item::dir("usr/", 0o755),
        Item::dir("usr/lib/", 0o750),
        Item::symlink("lib", "usr/lib"),
        Item::symlink("abs", "/usr/lib"),
        Item::symlink("up", "../../usr"),
    ]);
    let above = tar(&[
        Item::file("tmp/x", b""),
        Item::file("lib/a", b""),
        Item::file("abs/b", b""),
        Item::file("up/c", b""),
    ]);
    let lower = fixture.unpack(&[below, above]).unwrap();
    let mode = |path: &str| fs::symlink_metadata(lower[0].join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("tmp"), mode("usr/lib")), (0o1777, 0o750));
    for path in ["usr/lib/a", "usr/lib/b", "usr/c"] {
        assert!(lower[0].join(path).exists(), "{path}");
    }
    assert!(
        !lower[0].join("lib").exists(),
        "a directory here would hide the link below"
    );
}

#[test]
fn odd_but_harmless_layers_unpack() {
    let fixture = Fixture::new();
    let layer = tar(&[
        Item::file("/absolute/name", b"inside"),
        Item::symlink("lib", "./usr/lib"),
        Item::file("lib/through", b"own link"),
        Item::file("again", b"first"),
        Item::file("again", b"second"),
        Item::file("was-file", b""),
        Item::dir("was-file/", 0o755),
        Item::file("was-dir/inner", b""),
        Item::file("was-dir", b"file"),
        Item::hard_link("again", "./again"),
        Item::symlink("dangling", "../../../../outside"),
    ]);
    let lower = fixture.unpack(&[layer]);
    // The link's target does not exist yet when the entry below it comes: it is made.
    let root = &lower.unwrap()[0];
    assert_eq!(read(&root.join("absolute/name")), "inside");
    assert_eq!(read(&root.join("usr/lib/through")), "own link");
    assert_eq!(read(&root.join("again")), "second");
    assert!(root.join("was-file").is_dir());
    assert_eq!(read(&root.join("was-dir")), "file");
}

#[test]
fn a_layer_that_reaches_outside_is_refused_and_leaves_nothing() {
    let file = |path| Item::file(path, b"evil");
    let table: Vec<(Vec<Item>, &str)> = vec![
        (
            vec![file("../escape")],
            r#"entry "../escape" leaves the image by its name"#,
        ),
        (
            vec![file("a/../../escape")],
            r#"entry "a/../../escape" leaves the image by its name"#,
        ),
        (
            vec![file("/../escape")],
            r#"entry "/../escape" leaves the image by its name"#,
        ),
        (
            vec![Item::dir("..", 0o777)],
            r#"entry ".." leaves the image by its name"#,
        ),
        (
            vec![Item::hard_link("stolen", "/etc/shadow")],
            r#"entry "stolen" is a hard link to "/etc/shadow", which is an absolute path"#,
        ),
        (
            vec![Item::hard_link("stolen", "../../../../etc/shadow")],
            r#"entry "stolen" is a hard link to "../../../../etc/shadow", which leaves the image"#,
        ),
        (
            vec![Item::hard_link("stolen", "etc/shadow")],
            r#"entry "stolen" is a hard link to "etc/shadow", which is not in this layer"#,
        ),
        (
            vec![
                Item::symlink("out", "/tmp"),
                Item::hard_link("stolen", "out/x"),
            ],
            r#"entry "stolen" leaves the image through a symbolic link made by an earlier entry"#,
        ),
        (
            vec![Item::dir("d/", 0o755), Item::hard_link("e", "d")],
            r#"entry "e" is a hard link to "d", which is a directory"#,
        ),
        (
            vec![file("d/f"), Item::hard_link("d", "d/f")],
            r#"entry "d" is a hard link to "d/f", which lies below the link"#,
        ),
        (
            vec![Item::symlink("out", "/tmp"), file("out/escape")],
            r#"entry "out/escape" leaves the image through a symbolic link made by an earlier entry"#,
        ),
        (
            vec![Item::symlink("a/out", "../../.."), file("a/out/escape")],
            r#"entry "a/out/escape" leaves the image through a symbolic link made by an earlier entry"#,
        ),
        (
            vec![
                Item::symlink("one", "two"),
                Item::symlink("two", "one"),
                file("one/x"),
            ],
            r#"entry "one/x" leads through too many symbolic links"#,
        ),
        (
            vec![file("file"), file("file/x")],
            r#"entry "file/x" lies below "file", which is no directory"#,
        ),
        (
            vec![file("d/.wh...")],
            r#"entry "d/.wh..." is a whiteout of no file"#,
        ),
        (
            vec![file(".wh.")],
            r#"entry ".wh." is a whiteout of no file"#,
        ),
        (
            vec![Item {
                xattrs: &[("trusted.overlay.redirect", b"/x")],
                ..file("x")
            }],
            r#"entry "x" sets the overlay attribute trusted.overlay.redirect"#,
        ),
        (
            vec![Item::special("x", b'Z', (0, 0))],
            r#"entry "x" has the unknown type 'Z'"#,
        ),
        (
            vec![file("./")],
            r#"entry "./" would replace the root directory"#,
        ),
    ];
    for (items, message) in table {
        let fixture = Fixture::new();
        // A file entry for the root needs a name that does not read as a directory.
        let items: Vec<_> = items
            .into_iter()
            .map(|item| {
                if item.path == "./" {
                    Item { path: ".", ..item }
                } else {
                    item
                }
            })
            .collect();
        let message = message.replace(r#""./" would"#, r#""." would"#);
        let error = fixture.unpack(&[gzip(&tar(&items))]).expect_err(&message);
        assert!(matches!(error, ImageError::UnsafeEntry { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with("layer sha256:") && text.ends_with(&format!(" refused: {message}")),
            "{text}"
        );
        assert_eq!(error.reason(), "ErrImagePull");
        fixture.assert_empty();
        assert!(!Path::new("/tmp/escape").exists());
        let outside: Vec<_> = fs::read_dir(fixture.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(outside, ["images"]);
    }
}

#[test]
fn times_are_not_set_through_a_directory_that_became_a_link() {
    let fixture = Fixture::new();
    let outside = fixture.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let before = fs::metadata(&outside).unwrap().mtime();
    let target = fixture.dir.path().to_str().unwrap();
    let layer = tar(&[Item::dir("a/outside/", 0o700), Item::symlink("a", target)]);
    let lower = fixture.unpack(&[layer]).unwrap();
    assert!(lower[0].join("a").is_symlink());
    assert_eq!(fs::metadata(&outside).unwrap().mtime(), before);
}

#[test]
fn bombs_stop_at_the_named_limit_and_leave_nothing() {
    let zeros = vec![0; 8 << 20];
    let bomb = tar(&[Item::file("zeros", &zeros)]);
    for packed in [gzip(&bomb), zstd(&bomb)] {
        assert!(packed.len() < 100_000);
        let fixture = Fixture::with_limits(Limits {
            unpacked_layer_bytes: 1 << 20,
            ..Limits::default()
        });
        let error = fixture.unpack(&[packed]).unwrap_err().to_string();
        assert!(
            error.starts_with("unpacked size of layer sha256:"),
            "{error}"
        );
        assert!(
            error.ends_with(" exceeds the limit unpacked_layer_bytes of 1048576"),
            "{error}"
        );
        fixture.assert_empty();
    }
    let names: Vec<_> = (0..50).map(|at| format!("f{at}")).collect();
    let many: Vec<_> = names.iter().map(|name| Item::file(name, b"")).collect();
    let fixture = Fixture::with_limits(Limits {
        layer_entries: 49,
        ..Limits::default()
    });
    let error = fixture.unpack(&[tar(&many)]).unwrap_err().to_string();
    assert!(
        error.starts_with("number of entries of layer")
            && error.ends_with("the limit layer_entries of 49"),
        "{error}"
    );
    fixture.assert_empty();
    let deep = "d/".repeat(49);
    let links = [
        Item::symlink("d", "e"),
        Item::dir("e/", 0o755),
        Item::symlink("e/d", "."),
    ];
    let mut items = links.to_vec();
    items.push(Item::file(&deep, b""));
    let error = Fixture::new()
        .unpack(&[tar(&items)])
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("leads through too many symbolic links"),
        "{error}"
    );
}

#[test]
fn a_cut_off_or_altered_layer_is_told_apart_and_leaves_nothing() {
    // Bytes that do not compress, so that a cut falls into the data.
    let noise = crate::support::noise(100_000);
    let whole = tar(&[Item::file("noise", &noise)]);
    for packed in [gzip(&whole), zstd(&whole), whole.clone()] {
        let fixture = Fixture::new();
        let error = fixture
            .unpack(&[packed[..packed.len() / 2].to_vec()])
            .unwrap_err();
        assert!(matches!(error, ImageError::Truncated { .. }), "{error:?}");
        assert!(error.to_string().contains(" is truncated: "), "{error}");
        fixture.assert_empty();
    }
    let fixture = Fixture::new();
    let error = fixture
        .unpack(&[b"BZh91AY&SY".to_vec()])
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with(
            "is not supported: it is compressed with bzip2 or xz; use gzip, zstd or none"
        ),
        "{error}"
    );
    fixture.assert_empty();
}
