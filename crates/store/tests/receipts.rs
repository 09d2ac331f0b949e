//! Receipts: kept, found, filtered and pruned.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::time::Duration;

use polywire_conversation::{Fault, FaultClass, Loss, Usage};
use polywire_store::{
    Found, Limits, Outcome, Receipt, ReceiptAttempt, ReceiptFilter, ReceiptUsage, Store, Timings,
};
use support::{DAY_S, now_unix_s, receipt, store};

mod support;

/// A receipt with something in every field.
fn full() -> Receipt {
    let fault = Fault::new(FaultClass::RateLimit, "house asks to wait").with_code("1302");
    Receipt {
        client: Some("codex".to_owned()),
        outcome: Outcome::Failed,
        finish: Some("stop".to_owned()),
        status: Some(429),
        fault: Some((&fault).into()),
        attempts: vec![
            ReceiptAttempt {
                target: "zai/glm".to_owned(),
                outcome: Outcome::Failed,
                fault: Some((&fault).into()),
            },
            ReceiptAttempt {
                target: "house/small/one".to_owned(),
                outcome: Outcome::ClientLeft,
                fault: None,
            },
        ],
        losses: vec![
            (&Loss::note("tools[8]", "renamed")).into(),
            (&Loss::degraded("text.verbosity", "the provider has none")).into(),
            (&Loss::severe("input[3]", "no pictures")).into(),
        ],
        losses_left_out: 2,
        lowered_tools: 3,
        usage: Some(ReceiptUsage::from(Usage {
            input: Some(1200),
            cached: Some(1000),
            cache_write: Some(5),
            output: Some(30),
            reasoning: Some(20),
            estimated: true,
        })),
        cost_usd: Some(0.001_25),
        timings: Timings {
            first_ms: Some(250),
            total_ms: 1900,
        },
        request_bytes: 10_000,
        answer_bytes: 2_000,
        strict: true,
        ..receipt("turn_full")
    }
}

#[tokio::test]
async fn a_receipt_comes_back_as_it_was_put() {
    let store = store();
    let put = full();
    store.put_receipt(put.clone());
    let Found::One(found) = store.receipt("turn_full").await.unwrap() else {
        panic!("not found");
    };
    assert_eq!(*found, put);
    let listed = store.receipts(ReceiptFilter::default()).await.unwrap();
    let summary = &listed[0];
    assert_eq!(*summary, put.summary());
    assert_eq!(summary.reason.as_deref(), Some("rate_limit"));
    assert_eq!((summary.losses, summary.worst_loss), (5, Some("severe")));
    assert_eq!(
        (summary.input_tokens, summary.cost_usd),
        (Some(1200), Some(0.001_25))
    );
    let words = serde_json::to_value(put).unwrap();
    assert_eq!(words["outcome"], "failed");
    assert_eq!(words["losses"][1]["severity"], "degraded");
    assert_eq!(words["usage"]["cache_write"], 5);
}

#[tokio::test]
async fn the_beginning_of_an_id_is_enough_when_it_is_the_only_one() {
    let store = store();
    for id in ["turn_1", "turn_12", "turn_123", "other", "50%_x"] {
        store.put_receipt(receipt(id));
    }
    let found = async |prefix: &str| match store.receipt(prefix).await.unwrap() {
        Found::One(receipt) => receipt.id,
        Found::Nothing => "nothing".to_owned(),
        Found::Several(ids) => ids.join(" or "),
    };
    for (prefix, expected) in [
        ("turn_1", "turn_1"),
        ("turn_123", "turn_123"),
        ("turn_12", "turn_12"),
        ("turn", "turn_123 or turn_12 or turn_1"),
        ("o", "other"),
        ("turn_2", "nothing"),
        ("%", "nothing"),
        ("50%", "50%_x"),
    ] {
        assert_eq!(found(prefix).await, expected, "{prefix}");
    }
    // The whole id is found however many begin with it.
    for number in 100..120 {
        store.put_receipt(receipt(&format!("turn_1{number}")));
    }
    assert_eq!(found("turn_1").await, "turn_1");
    assert_eq!(found("turn_11").await.split(" or ").count(), 5);
}

#[tokio::test]
async fn filters_and_order() {
    let store = store();
    let now_ms = now_unix_s() * 1000;
    for (id, age_ms, model_asked, target, outcome) in [
        ("a", 5000, "fast", "house/small/one", Outcome::Finished),
        (
            "b",
            3000,
            "house/small/one",
            "house/small/one",
            Outcome::Failed,
        ),
        ("c", 4000, "large", "zai/large", Outcome::ClientLeft),
        ("d", 3000, "fast", "zai/glm", Outcome::Finished),
    ] {
        store.put_receipt(Receipt {
            began_unix_ms: now_ms - age_ms,
            model_asked: model_asked.to_owned(),
            target: target.to_owned(),
            outcome,
            ..receipt(id)
        });
    }
    let model = |model: &str| ReceiptFilter {
        model: Some(model.to_owned()),
        ..ReceiptFilter::default()
    };
    let cases = [
        (ReceiptFilter::default(), "dbca"),
        (
            ReceiptFilter {
                limit: 2,
                ..ReceiptFilter::default()
            },
            "db",
        ),
        (model("fast"), "da"),
        (model("house/small/one"), "ba"),
        (model("small/one"), "ba"),
        (model("one"), "ba"),
        (model("large"), "c"),
        (model("arge"), ""),
        (model(""), ""),
        (
            ReceiptFilter {
                outcome: Some(Outcome::Finished),
                ..ReceiptFilter::default()
            },
            "da",
        ),
        (
            ReceiptFilter {
                outcome: Some(Outcome::ClientLeft),
                ..ReceiptFilter::default()
            },
            "c",
        ),
        (
            ReceiptFilter {
                since_unix_ms: Some(now_ms - 4000),
                ..ReceiptFilter::default()
            },
            "dbc",
        ),
        (
            ReceiptFilter {
                limit: 1,
                outcome: Some(Outcome::Finished),
                ..model("fast")
            },
            "d",
        ),
    ];
    for (filter, expected) in cases {
        let found = store.receipts(filter.clone()).await.unwrap();
        let ids: String = found.iter().map(|summary| summary.id.as_str()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn the_oldest_go_by_number_and_by_age() {
    let store = Store::in_memory(Limits {
        receipts_count_max: 3,
        receipts_age_max: Duration::from_secs(10 * DAY_S),
        ..Limits::default()
    })
    .unwrap();
    let kept = async |store: &Store| {
        let found = store.receipts(ReceiptFilter::default()).await.unwrap();
        let ids: Vec<String> = found.into_iter().map(|summary| summary.id).collect();
        ids.join(" ")
    };
    for (id, age_days, expected) in [
        ("a", 9, "a"),
        ("b", 11, "a"),
        ("c", 1, "c a"),
        ("d", 2, "c d a"),
        ("e", 3, "c d e"),
        ("f", 8, "c d e"),
        ("c", 0, "c d e"),
        ("g", 0, "g c d"),
    ] {
        store.put_receipt(Receipt {
            began_unix_ms: (now_unix_s() - age_days * DAY_S) * 1000,
            ..receipt(id)
        });
        assert_eq!(kept(&store).await, expected, "after {id}");
    }
    assert_eq!(store.totals().await.unwrap().receipts, 3);
    assert_eq!(store.receipts_dropped(), 0);
}
