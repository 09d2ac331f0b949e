//! Several users of one file, processes that are killed, and who may read it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use polywire_store::{Limits, Store, StoreError, StoredResponse, history};
use rusqlite::Connection;
use support::{receipt, response};

mod support;

fn open(path: &Path) -> Store {
    Store::open(path, Limits::default()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// The text that a response of the child holds: long enough to take several pages, and told by its id.
fn long_text(id: &str) -> String {
    format!("\"{}\"", id.repeat(3000))
}

/// Where the child process below writes. Not set in an ordinary run of the tests.
const CHILD_STORE: &str = "POLYWIRE_TEST_STORE";

/// Not a test: what the child process does, until it is killed. Each id is told once its response is stored.
#[test]
fn child_that_writes() {
    let Some(path) = std::env::var_os(CHILD_STORE) else {
        return;
    };
    let store = open(Path::new(&path));
    let process = std::process::id();
    let mut parent = None;
    for number in 0..100_000 {
        let id = format!("resp_{process}_{number}");
        let turn = StoredResponse {
            response: long_text(&id),
            ..response(&id, parent.as_deref())
        };
        block_on(store.put(turn)).unwrap();
        store.put_receipt(receipt(&format!("turn_{process}_{number}")));
        println!("stored {id}");
        parent = Some(id);
    }
}

fn child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes", "--nocapture"])
        .env(CHILD_STORE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child after it told of `count` responses; gives all ids that it told.
fn killed_after(mut child: Child, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, id)) = line.split_once("stored ") {
            told.push(id.to_owned());
        }
        if told.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    told
}

#[test]
fn killed_processes_leave_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut told = Vec::new();
    for count in [1, 7, 40] {
        // Two at a time, so that one dies while the other writes.
        let children = [child(&path), child(&path)];
        let killed = children.map(|child| thread::spawn(move || killed_after(child, count)));
        for killed in killed {
            let ids = killed.join().unwrap();
            assert!(ids.len() >= count, "{ids:?}");
            told.push(ids);
        }
        let store = open(&path);
        for ids in &told {
            let chain = block_on(store.chain(ids.last().unwrap())).unwrap();
            let found: Vec<&String> = chain.iter().map(|response| &response.id).collect();
            assert_eq!(found, ids.iter().collect::<Vec<_>>());
            for response in &chain {
                assert_eq!(response.response, long_text(&response.id));
            }
        }
    }
    let connection = Connection::open(&path).unwrap();
    let sound: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    let (counted, tallied, bytes, tallied_bytes): (i64, i64, i64, i64) = connection
        .query_row(
            "SELECT count(*), responses_count, sum(bytes), responses_bytes FROM responses, tally",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    assert_eq!((counted, bytes), (tallied, tallied_bytes));
}

#[test]
fn many_open_and_write_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/store");
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let path = path.clone();
            thread::spawn(move || {
                let store = open(&path);
                block_on(async {
                    for number in 0..30 {
                        let id = format!("resp_{writer}_{number}");
                        let parent = (number > 0).then(|| format!("resp_{writer}_{}", number - 1));
                        store.put(response(&id, parent.as_deref())).await.unwrap();
                        store.put_receipt(receipt(&format!("turn_{writer}_{number}")));
                    }
                    store.close().await;
                    store.receipts_dropped()
                })
            })
        })
        .collect();
    for writer in writers {
        assert_eq!(writer.join().unwrap(), 0);
    }
    let store = open(&path);
    let totals = block_on(store.totals()).unwrap();
    assert_eq!((totals.responses, totals.receipts), (180, 180));
    let chain = block_on(store.chain("resp_5_29")).unwrap();
    assert_eq!(history(&chain).matches(" out").count(), 30);
}

#[test]
fn what_one_handle_writes_the_other_reads_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (one, other) = (open(&path), open(&path));
    block_on(async {
        one.put(response("a", None)).await.unwrap();
        other.put(response("b", Some("a"))).await.unwrap();
        assert_eq!(one.chain("b").await.unwrap().len(), 2);
        assert!(one.delete("b").await.unwrap());
        assert_eq!(other.get("b").await.unwrap(), None);
    });
}

#[test]
fn a_full_queue_drops_receipts_and_makes_responses_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path);
    // Another process that is in the middle of a write.
    let holding = Connection::open(&path).unwrap();
    holding.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sent = 3000u64;
    for number in 0..sent {
        store.put_receipt(receipt(&format!("turn_{number}")));
    }
    let dropped = store.receipts_dropped();
    assert!(dropped > 0 && dropped < sent, "{dropped}");
    block_on(async {
        let put = store.put(response("a", None));
        tokio::pin!(put);
        let mut yields = 0;
        // The queue is full: nothing comes of it however often it is asked.
        while yields < 10 {
            tokio::select! {
                biased;
                _ = &mut put => panic!("the response did not wait"),
                () = tokio::task::yield_now() => yields += 1,
            }
        }
        holding.execute_batch("ROLLBACK").unwrap();
        put.await.unwrap();
        let totals = store.totals().await.unwrap();
        assert_eq!((totals.responses, totals.receipts), (1, sent - dropped));
    });
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "not a database, but something that somebody needs\n".repeat(50);
    std::fs::write(&path, &text).unwrap();
    let error = Store::open(&path, Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(error.to_string().contains("hint:"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let error = Store::open(folder.path(), Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::MakeFile { .. }), "{error}");
    let error = Store::open(&path.join("store"), Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::MakeFolder { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/store.sqlite3");
    let store = open(&path);
    block_on(store.put(response("a", None))).unwrap();
    let check = || {
        let files: Vec<_> = path.parent().unwrap().read_dir().unwrap().collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            let file = file.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    };
    check();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    block_on(store.close());

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = open(&path);
    block_on(store.put(response("b", None))).unwrap();
    check();
}

#[test]
fn what_is_deleted_is_gone_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path);
    let secret = "the-prompt-that-nobody-should-find";
    let turn = StoredResponse {
        response: secret.repeat(1000),
        ..response("a", None)
    };
    block_on(async {
        store.put(turn).await.unwrap();
        assert!(store.delete("a").await.unwrap());
        store.close().await;
    });
    for file in folder.path().read_dir().unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found);
    }
}
