//! Stored responses: chains, limits, what is pruned and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::time::Duration;

use polywire_store::{
    ChainError, Limits, ReceiptSink, Responses, Store, StoreError, StoredResponse, history,
};
use proptest::prelude::*;
use support::{DAY_S, now_unix_s, response, store};

mod support;

async fn ids(store: &Store, of: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    for id in of {
        kept.extend(store.get(id).await.unwrap().map(|response| response.id));
    }
    kept
}

#[tokio::test]
async fn a_response_comes_back_as_it_was_put() {
    let store = store();
    assert_eq!(store.get("resp_1").await.unwrap(), None);
    let first = StoredResponse {
        input_items: "[{\"b\":1.0,\"a\":\"\\ud83d\",\"c\":12345678901234567890}]".to_owned(),
        ..response("resp_1", None)
    };
    store.put(first.clone()).await.unwrap();
    assert_eq!(store.get("resp_1").await.unwrap(), Some(first));
    assert_eq!(store.get("resp_").await.unwrap(), None);

    // A background response is put again when it is complete.
    let complete = StoredResponse {
        response: "{\"status\":\"completed\"}".to_owned(),
        ..response("resp_1", None)
    };
    store.put(complete.clone()).await.unwrap();
    assert_eq!(store.get("resp_1").await.unwrap(), Some(complete.clone()));
    let totals = store.totals().await.unwrap();
    assert_eq!(
        (totals.responses, totals.responses_bytes),
        (1, complete.bytes())
    );
}

#[tokio::test]
async fn a_chain_is_whole_or_an_error_that_names_what_is_gone() {
    let store = store();
    for (id, parent) in [
        ("a", None),
        ("b", Some("a")),
        ("c", Some("b")),
        ("x", Some("b")),
    ] {
        store.put(response(id, parent)).await.unwrap();
    }
    let chain = store.chain("c").await.unwrap();
    assert_eq!(
        history(&chain),
        r#"["a in","a out","b in","b out","c in","c out"]"#
    );
    let branch = store.chain("x").await.unwrap();
    assert_eq!(branch.last().unwrap().id, "x");
    assert_eq!(branch[..2], chain[..2]);

    let unknown = store.chain("d").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no stored response `d`");
    assert!(matches!(unknown, ChainError::Unknown { .. }));

    assert!(store.delete("a").await.unwrap());
    assert!(!store.delete("a").await.unwrap());
    let broken = store.chain("c").await.unwrap_err();
    assert_eq!(
        broken.to_string(),
        "the response `a`, which `b` goes on from, is no longer stored"
    );
    assert!(matches!(broken, ChainError::Broken { .. }));
    assert!(store.get("c").await.unwrap().is_some(), "children stay");
    let orphan = store.put(response("e", Some("never"))).await;
    orphan.unwrap();
    let broken = store.chain("e").await.unwrap_err();
    assert!(matches!(broken, ChainError::Broken { missing, .. } if missing == "never"));
}

#[tokio::test]
async fn a_chain_has_its_limits() {
    let short = Store::in_memory(Limits {
        chain_length_max: 2,
        ..Limits::default()
    })
    .unwrap();
    for (id, parent) in [
        ("a", None),
        ("b", Some("a")),
        ("c", Some("b")),
        ("self", Some("self")),
    ] {
        short.put(response(id, parent)).await.unwrap();
    }
    assert_eq!(short.chain("b").await.unwrap().len(), 2);
    for id in ["c", "self"] {
        let error = short.chain(id).await.unwrap_err();
        assert!(
            matches!(error, ChainError::TooLong { length_max: 2, .. }),
            "{error}"
        );
    }

    let one = response("a", None);
    let narrow = Store::in_memory(Limits {
        chain_bytes_max: one.bytes(),
        ..Limits::default()
    })
    .unwrap();
    narrow.put(one).await.unwrap();
    narrow.put(response("b", Some("a"))).await.unwrap();
    assert_eq!(narrow.chain("a").await.unwrap().len(), 1);
    let error = narrow.chain("b").await.unwrap_err();
    assert!(matches!(error, ChainError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn what_could_not_be_used_is_refused() {
    let store = Store::in_memory(Limits {
        response_bytes_max: 2000,
        ..Limits::default()
    })
    .unwrap();
    let large = StoredResponse {
        response: "x".repeat(2000),
        ..response("large", None)
    };
    let error = store.put(large).await.unwrap_err();
    assert!(
        error.to_string().contains("no more than 2000 are stored"),
        "{error}"
    );
    for items in ["", "[", "[1,]", "{}", "[1] [2]", "null", "[1],[2]"] {
        let wrong = StoredResponse {
            output_items: items.to_owned(),
            ..response("wrong", None)
        };
        let error = store.put(wrong).await.unwrap_err();
        let expected = "the output items of the response `wrong` are not a JSON array";
        assert_eq!(error.to_string(), expected, "{items}");
    }
    assert_eq!(store.totals().await.unwrap().responses, 0);
}

/// How many responses fit; what is put, with its age in seconds; what is kept.
type Case<'a> = (u64, &'a [(&'a str, u64)], &'a [&'a str]);

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many_bytes() {
    let at = |id: &str, age_s: u64| StoredResponse {
        created_unix_s: now_unix_s() - age_s,
        ..response(id, None)
    };
    let each = response("a", None).bytes();
    let cases: &[Case<'_>] = &[
        (3, &[("a", 0), ("b", 0), ("c", 0)], &["a", "b", "c"]),
        (
            3,
            &[("a", 0), ("b", 0), ("c", 0), ("d", 0)],
            &["b", "c", "d"],
        ),
        (2, &[("a", 10), ("b", 30), ("c", 20)], &["a", "c"]),
        (1, &[("a", 3), ("b", 2), ("c", 1)], &["c"]),
        (2, &[("a", 3), ("a", 0), ("b", 2), ("c", 1)], &["a", "c"]),
    ];
    for &(fit, put, kept) in cases {
        let store = Store::in_memory(Limits {
            responses_bytes_max: fit * each,
            ..Limits::default()
        })
        .unwrap();
        for (id, age_s) in put {
            store.put(at(id, *age_s)).await.unwrap();
        }
        assert_eq!(
            ids(&store, &["a", "b", "c", "d"]).await,
            kept,
            "{fit} of {put:?}"
        );
        let totals = store.totals().await.unwrap();
        assert_eq!(totals.responses_bytes, kept.len() as u64 * each);
    }
}

#[tokio::test]
async fn what_is_too_old_is_gone_at_once_and_from_the_file_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let days = |days: u64| Limits {
        responses_age_max: Duration::from_secs(days * DAY_S),
        ..Limits::default()
    };
    let store = Store::open(&path, days(30)).unwrap();
    for (id, parent, age_days) in [("old", None, 20), ("young", Some("old"), 5)] {
        let aged = StoredResponse {
            created_unix_s: now_unix_s() - age_days * DAY_S,
            ..response(id, parent)
        };
        store.put(aged).await.unwrap();
    }
    let ancient = StoredResponse {
        created_unix_s: 0,
        ..response("ancient", None)
    };
    store.put(ancient).await.unwrap();
    assert_eq!(
        ids(&store, &["ancient", "old", "young"]).await,
        ["old", "young"]
    );
    assert_eq!(store.chain("young").await.unwrap().len(), 2);

    // Another process with other settings, while this one is at work.
    let strict = Store::open(&path, days(10)).unwrap();
    assert_eq!(strict.totals().await.unwrap().responses, 1);
    let broken = strict.chain("young").await.unwrap_err();
    assert!(matches!(broken, ChainError::Broken { missing, .. } if missing == "old"));
    assert!(!strict.delete("old").await.unwrap());
}

#[tokio::test]
async fn a_closed_store_says_so_and_holds_all_that_was_queued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path, Limits::default()).unwrap();
    let other = store.clone();
    store.put(response("a", None)).await.unwrap();
    for number in 0..100 {
        store.put_receipt(support::receipt(&format!("turn_{number}")));
    }
    store.close().await;
    store.close().await;
    for handle in [&store, &other] {
        let late = handle.put(response("b", None)).await.unwrap_err();
        assert!(matches!(late, StoreError::Closed), "{late}");
    }
    other.put_receipt(support::receipt("late"));
    assert_eq!(other.receipts_dropped(), 1);
    let again = Store::open(&path, Limits::default()).unwrap();
    let totals = again.totals().await.unwrap();
    assert_eq!((totals.responses, totals.receipts), (1, 100));

    // Without `close`, dropping the last handle does it.
    again.put_receipt(support::receipt("last"));
    drop(again);
    let again = Store::open(&path, Limits::default()).unwrap();
    assert_eq!(again.totals().await.unwrap().receipts, 101);
}

#[tokio::test]
async fn the_seam_leads_to_the_store() {
    let store = store();
    let responses: &dyn Responses = &store;
    responses.put(response("a", None)).await.unwrap();
    assert!(responses.get("a").await.unwrap().is_some());
    assert_eq!(responses.chain("a").await.unwrap().len(), 1);
    assert!(responses.delete("a").await.unwrap());
    let receipts: &dyn ReceiptSink = &store;
    receipts.put_receipt(support::receipt("turn_1"));
    assert_eq!(store.totals().await.unwrap().receipts, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However a conversation is cut into deltas, its chain is the whole conversation.
    #[test]
    fn the_chain_of_any_deltas_is_the_whole_history(
        turns in prop::collection::vec((prop::collection::vec(any::<String>(), 0..4), prop::collection::vec(any::<i64>(), 0..4)), 1..12),
        spaces in prop::collection::vec("[ \n\t]{0,2}", 4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = store();
        let mut whole = Vec::new();
        let array = |items: Vec<serde_json::Value>| {
            format!("{}[{}{}{}]{}", spaces[0], spaces[1], serde_json::to_string(&items).unwrap().trim_matches(['[', ']']), spaces[2], spaces[3])
        };
        for (number, (inputs, outputs)) in turns.iter().enumerate() {
            // Strings in a table, so that no bracket of theirs stands at an end.
            let inputs: Vec<serde_json::Value> = inputs.iter().map(|text| serde_json::json!({"text": text})).collect();
            let outputs: Vec<serde_json::Value> = outputs.iter().map(|number| serde_json::json!(number)).collect();
            whole.extend(inputs.iter().chain(&outputs).cloned());
            let parent = number.checked_sub(1).map(|parent| format!("resp_{parent}"));
            let turn = StoredResponse {
                input_items: array(inputs),
                output_items: array(outputs),
                ..response(&format!("resp_{number}"), parent.as_deref())
            };
            runtime.block_on(store.put(turn)).unwrap();
        }
        let last = format!("resp_{}", turns.len() - 1);
        let chain = runtime.block_on(store.chain(&last)).unwrap();
        let read: Vec<serde_json::Value> = serde_json::from_str(&history(&chain)).unwrap();
        prop_assert_eq!(read, whole);
    }
}

#[tokio::test]
async fn items_are_found_by_their_ids_as_long_as_a_response_has_them() {
    let store = store();
    let mut first = StoredResponse {
        input_items: r#"[{"id":"in_1","n":1.0},{"no":"id"},7,{"id":7}]"#.to_owned(),
        output_items: r#"[{"n":[{"id":"inner"}],"id":"out_\u0031"}]"#.to_owned(),
        ..response("a", None)
    };
    store.put(first.clone()).await.unwrap();
    let copies = StoredResponse {
        input_items: r#"[{"id":"out_1","copy":true}]"#.to_owned(),
        ..response("b", None)
    };
    store.put(copies).await.unwrap();
    let item = async |id: &str| store.item(id).await.unwrap();
    assert_eq!(
        item("in_1").await.as_deref(),
        Some(r#"{"id":"in_1","n":1.0}"#)
    );
    let out = r#"{"n":[{"id":"inner"}],"id":"out_\u0031"}"#;
    assert_eq!(item("out_1").await.as_deref(), Some(out));
    for unknown in ["inner", "7", "", "out_"] {
        assert_eq!(item(unknown).await, None, "{unknown}");
    }

    first.output_items = r#"[{"id":"out_2"}]"#.to_owned();
    store.put(first).await.unwrap();
    let copy = r#"{"id":"out_1","copy":true}"#;
    assert_eq!(item("out_1").await.as_deref(), Some(copy));
    assert!(item("out_2").await.is_some());
    store.delete("a").await.unwrap();
    assert_eq!(item("out_2").await, None);
    assert_eq!(item("in_1").await, None);
}
