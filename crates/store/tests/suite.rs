//! One suite for every store: the same promises, kept in memory and on disk.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;

use object::object::Fields;
use object::{Draft, Key, Resource};
use serde_json::{Value, json};
use store::{Change, CommitError, Expect, LocalStore, Op, OpenError, Store, Window};

const PODS: Resource = Resource::new("", "pods");

fn no_fields(_: Resource, _: &Value) -> Fields {
    Fields::default()
}

fn open(dir: &Path) -> LocalStore {
    LocalStore::open(dir, &[], no_fields, Window::default()).unwrap()
}

fn put(name: &str, text: &str, expect: Expect) -> Change {
    let value = json!({"metadata":{"name":name,"namespace":"n"},"data":text});
    let draft = Draft::new(PODS, &value, |_| Fields::default()).unwrap();
    Change {
        key: draft.key(),
        expect,
        op: Op::Put(Box::new(draft)),
    }
}

fn delete(name: &str, expect: Expect) -> Change {
    Change {
        key: Key::new(PODS, "n", name),
        expect,
        op: Op::Delete,
    }
}

/// Runs a check on each kind of store.
async fn each<F: Future<Output = ()>>(check: impl Fn(Arc<dyn Store>) -> F) {
    check(Arc::new(
        LocalStore::in_memory(&[], Window::default()).unwrap(),
    ))
    .await;
    let dir = tempfile::tempdir().unwrap();
    check(Arc::new(open(dir.path()))).await;
}

#[tokio::test]
async fn preconditions_decide_and_a_failed_transaction_changes_nothing() {
    each(|store| async move {
        let first = store
            .commit(vec![put("a", "1", Expect::Absent)])
            .await
            .unwrap();
        let taken = store
            .commit(vec![
                put("b", "1", Expect::Absent),
                put("a", "2", Expect::Absent),
            ])
            .await;
        assert!(matches!(
            taken,
            Err(CommitError::Conflict { found: Some(_), .. })
        ));
        assert_eq!(store.world().table(PODS).len(), 1, "b was not made either");
        let stale = store
            .commit(vec![put("a", "2", Expect::Revision(first.revision + 5))])
            .await;
        assert!(matches!(stale, Err(CommitError::Conflict { .. })));
        let second = store
            .commit(vec![put("a", "2", Expect::Revision(first.revision))])
            .await
            .unwrap();
        assert!(second.revision > first.revision);
        store
            .commit(vec![delete("a", Expect::Revision(second.revision))])
            .await
            .unwrap();
        assert!(store.world().table(PODS).is_empty());
    })
    .await;
}

#[tokio::test]
async fn concurrent_writers_never_lose_an_increment() {
    each(|store| async move {
        store
            .commit(vec![put("count", "0", Expect::Absent)])
            .await
            .unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                for _ in 0..25 {
                    loop {
                        let world = store.world();
                        let object = world.find(PODS, "n", "count").unwrap();
                        let next = object.value()["data"]
                            .as_str()
                            .unwrap()
                            .parse::<u32>()
                            .unwrap()
                            + 1;
                        let change = put(
                            "count",
                            &next.to_string(),
                            Expect::Revision(object.revision()),
                        );
                        match store.commit(vec![change]).await {
                            Ok(_) => break,
                            Err(CommitError::Conflict { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(
            store.world().find(PODS, "n", "count").unwrap().value()["data"],
            "200"
        );
    })
    .await;
}

#[tokio::test]
async fn a_reader_of_commits_misses_none_and_repeats_none() {
    each(|store| async move {
        let mut commits = store.commits(0).unwrap();
        let writer = tokio::spawn({
            let store = Arc::clone(&store);
            async move {
                for index in 0..500 {
                    store
                        .commit(vec![put(&format!("p{index}"), "x", Expect::Absent)])
                        .await
                        .unwrap();
                }
            }
        });
        for revision in 1..=500 {
            assert_eq!(commits.next().await.unwrap().unwrap().revision, revision);
        }
        writer.await.unwrap();
        let mut late = store.commits(499).unwrap();
        assert_eq!(late.next().await.unwrap().unwrap().revision, 500);
    })
    .await;
}

#[tokio::test]
async fn a_watch_sees_its_resource_alone_and_whole() {
    each(|store| async move {
        let mut watch = store.watch(PODS, 0).unwrap();
        let writer = tokio::spawn({
            let store = Arc::clone(&store);
            async move {
                for index in 0..200 {
                    let other = json!({"metadata":{"name":format!("o{index}")}});
                    let draft =
                        Draft::new(Resource::new("", "others"), &other, |_| Fields::default())
                            .unwrap();
                    let other = Change {
                        key: draft.key(),
                        expect: Expect::Absent,
                        op: Op::Put(Box::new(draft)),
                    };
                    let (a, b) = (format!("a{index}"), format!("b{index}"));
                    store
                        .commit(vec![
                            other,
                            put(&a, "x", Expect::Absent),
                            put(&b, "x", Expect::Absent),
                        ])
                        .await
                        .unwrap();
                }
            }
        });
        let mut seen = Vec::new();
        while seen.len() < 400 {
            seen.extend(watch.next().await.unwrap().unwrap());
        }
        writer.await.unwrap();
        let want: Vec<String> = (0..200)
            .flat_map(|i| [format!("a{i}"), format!("b{i}")])
            .collect();
        assert_eq!(
            seen.iter()
                .map(|e| e.object.meta().name.to_string())
                .collect::<Vec<_>>(),
            want
        );
    })
    .await;
}

#[tokio::test]
async fn an_older_world_is_as_it_was() {
    each(|store| async move {
        store
            .commit(vec![put("a", "1", Expect::Absent)])
            .await
            .unwrap();
        let second = store
            .commit(vec![put("a", "2", Expect::Any), put("b", "1", Expect::Any)])
            .await
            .unwrap();
        store.commit(vec![delete("a", Expect::Any)]).await.unwrap();
        let then = store.at(second.revision).unwrap();
        assert_eq!(then.revision(), second.revision);
        assert_eq!(then.find(PODS, "n", "a").unwrap().value()["data"], "2");
        let first = store.at(1).unwrap();
        assert_eq!(first.find(PODS, "n", "a").unwrap().value()["data"], "1");
        assert!(first.find(PODS, "n", "b").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_is_told_to_start_over() {
    let window = Window {
        commits: 10,
        bytes: usize::MAX,
    };
    let store = LocalStore::in_memory(&[], window).unwrap();
    let mut slow = store.commits(0).unwrap();
    for index in 0..20 {
        store
            .commit(vec![put(&format!("p{index}"), "x", Expect::Absent)])
            .await
            .unwrap();
    }
    let gone = slow.next().await.unwrap().unwrap_err();
    assert_eq!((gone.asked, gone.oldest), (0, 10));
    assert!(store.commits(9).is_err() && store.at(9).is_err() && store.watch(PODS, 9).is_err());
    let mut watch = store.watch(PODS, 10).unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap()[0].revision, 11);
    slow.skip_to(store.world().revision());
    store
        .commit(vec![put("last", "x", Expect::Absent)])
        .await
        .unwrap();
    assert_eq!(slow.next().await.unwrap().unwrap().revision, 21);
}

#[tokio::test]
async fn a_closed_store_ends_its_readers() {
    let store = LocalStore::in_memory(&[], Window::default()).unwrap();
    let mut commits = store.commits(0).unwrap();
    drop(store);
    assert!(commits.next().await.is_none());
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_and_revisions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit(vec![
            put("a", "1", Expect::Absent),
            put("b", "1", Expect::Absent),
        ])
        .await
        .unwrap();
    let last = store.commit(vec![delete("b", Expect::Any)]).await.unwrap();
    drop(store);
    let store = reopen(dir.path()).await;
    assert_eq!(
        store.world().revision(),
        last.revision,
        "the deletion's revision counts"
    );
    assert_eq!(store.world().find(PODS, "n", "a").unwrap().revision(), 1);
    assert!(store.world().find(PODS, "n", "b").is_none());
    assert!(
        store.commits(last.revision - 1).is_err(),
        "the past before the restart is gone"
    );
    let next = store
        .commit(vec![put("c", "1", Expect::Absent)])
        .await
        .unwrap();
    assert_eq!(next.revision, last.revision + 1);
}

/// Opens once the writer thread of the store before has let the lock go.
async fn reopen(dir: &Path) -> LocalStore {
    loop {
        match LocalStore::open(dir, &[], no_fields, Window::default()) {
            Ok(store) => return store,
            Err(OpenError::InUse { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_directory_in_use_or_of_a_later_version_or_damaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = LocalStore::open(dir.path(), &[], no_fields, Window::default())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains(&format!("in use by process {}", std::process::id())),
        "{error}"
    );
    drop(store);
    drop(reopen(dir.path()).await);
    let file = dir.path().join("state.db");

    let later = rusqlite::Connection::open(&file).unwrap();
    later.execute("UPDATE meta SET format = 99", []).unwrap();
    drop(later);
    loop {
        match LocalStore::open(dir.path(), &[], no_fields, Window::default())
            .err()
            .unwrap()
        {
            OpenError::InUse { .. } => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await
            }
            error => {
                assert!(error.to_string().contains("has format 99"), "{error}");
                break;
            }
        }
    }
    let damaged = tempfile::tempdir().unwrap();
    std::fs::write(damaged.path().join("state.db"), [b'x'; 8192]).unwrap();
    let error = LocalStore::open(damaged.path(), &[], no_fields, Window::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn the_state_is_private_and_an_oversized_object_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit(vec![put("a", "1", Expect::Absent)])
        .await
        .unwrap();
    for file in ["state.db", "state.db-wal", "lock"] {
        let mode = std::fs::metadata(dir.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let large = put(
        "large",
        &"x".repeat(store::MAX_OBJECT_BYTES),
        Expect::Absent,
    );
    assert!(matches!(
        store.commit(vec![large]).await,
        Err(CommitError::TooLarge { .. })
    ));
}
