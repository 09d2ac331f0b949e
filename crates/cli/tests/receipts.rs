//! `polywire receipts`: what people and scripts see of turns.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::path::PathBuf;
use std::time::Duration;

use polywire_conversation::{Fault, FaultClass, Loss};
use polywire_store::{
    Limits, Outcome, Receipt, ReceiptAttempt, ReceiptUsage, Store, StoredResponse, Timings,
};
use polywire_testkit::{Ended, Running, TempHome};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

/// 2026-11-25 14:30:00 UTC.
const NOON_MS: u64 = 1_795_617_000_000;

/// A century: the dates in these tests are fixed.
const KEPT_DAYS: u32 = 36_500;

/// A home whose settings keep receipts for a century.
fn home() -> TempHome {
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    let settings = format!("[receipts]\nmax_age_days = {KEPT_DAYS}\n");
    home.write("config/polywire/config.toml", settings);
    home
}

fn store_path(home: &TempHome) -> PathBuf {
    home.state().join("polywire/polywire.sqlite3")
}

async fn keep(home: &TempHome, receipts: Vec<Receipt>) {
    let limits = Limits {
        receipts_age_max: Duration::from_hours(24) * KEPT_DAYS,
        ..Limits::default()
    };
    let store = Store::open(&store_path(home), limits).unwrap();
    for receipt in receipts {
        store.put_receipt(receipt);
    }
    store.close().await;
}

async fn polywire(home: &TempHome, arguments: &[&str]) -> Ended {
    let mut command = home.command(PROGRAM);
    command.args(arguments).env("TZ", "UTC");
    Running::start(command).ended().await
}

/// What a command says that works.
async fn said(home: &TempHome, arguments: &[&str]) -> String {
    let ended = polywire(home, arguments).await;
    assert_eq!(ended.code(), Some(0), "{arguments:?}: {ended:?}");
    assert!(ended.stderr.is_empty(), "{arguments:?}: {ended:?}");
    ended.stdout.join("\n")
}

fn receipts() -> Vec<Receipt> {
    let wait = Fault::new(FaultClass::RateLimit, "the provider asks to wait").with_code("1302");
    let cut = Fault::new(
        FaultClass::NetworkCut,
        "the connection ended\u{1b}[2J too early",
    );
    vec![
        Receipt {
            id: "turn_0a11".to_owned(),
            began_unix_ms: NOON_MS,
            dialect: "responses".to_owned(),
            client: Some("codex".to_owned()),
            model_asked: "main".to_owned(),
            target: "house/small/one".to_owned(),
            outcome: Outcome::Finished,
            finish: Some("stop".to_owned()),
            status: Some(200),
            attempts: vec![
                ReceiptAttempt {
                    target: "zai/glm-5.1".to_owned(),
                    outcome: Outcome::Failed,
                    fault: Some((&wait).into()),
                },
                ReceiptAttempt {
                    target: "house/small/one".to_owned(),
                    outcome: Outcome::Finished,
                    fault: None,
                },
            ],
            losses: vec![
                (&Loss::note("tools[8] web_search", "answered by polywire")).into(),
                (&Loss::degraded("text.verbosity", "the provider has no such thing")).into(),
            ],
            lowered_tools: 2,
            usage: Some(ReceiptUsage {
                input: Some(12_000),
                cached: Some(11_000),
                output: Some(250),
                reasoning: Some(90),
                ..ReceiptUsage::default()
            }),
            cost_usd: Some(0.012_345),
            timings: Timings {
                first_ms: Some(420),
                total_ms: 3100,
            },
            request_bytes: 48_000,
            answer_bytes: 2100,
            ..Receipt::default()
        },
        Receipt {
            id: "turn_0b22".to_owned(),
            began_unix_ms: NOON_MS + 61_000,
            dialect: "chat".to_owned(),
            model_asked: "zai/evil\u{1b}]0;title\u{7}\u{9b}31m\nname".to_owned(),
            target: "zai/glm-5.1".to_owned(),
            outcome: Outcome::Failed,
            status: Some(502),
            fault: Some((&cut).into()),
            strict: true,
            ..Receipt::default()
        },
        Receipt {
            id: "turn_1c33".to_owned(),
            began_unix_ms: NOON_MS + 122_000,
            dialect: "messages".to_owned(),
            model_asked: "demo/demo".to_owned(),
            target: "demo/demo".to_owned(),
            usage: Some(ReceiptUsage {
                input: Some(7),
                estimated: true,
                ..ReceiptUsage::default()
            }),
            ..Receipt::default()
        },
    ]
}

#[tokio::test]
async fn turns_are_listed_and_shown() {
    let home = home();
    keep(&home, receipts()).await;
    insta::assert_snapshot!("list", said(&home, &["receipts"]).await);
    for (name, id) in [
        ("finished", "turn_0a"),
        ("failed", "turn_0b22"),
        ("left", "turn_1"),
    ] {
        let page = said(&home, &["receipts", "show", id]).await;
        insta::assert_snapshot!(format!("show_{name}"), page);
    }
}

#[tokio::test]
async fn lists_can_be_narrowed() {
    let home = home();
    keep(&home, receipts()).await;
    for (arguments, expected) in [
        (vec!["--limit", "1"], "turn_1c33"),
        (vec!["-n", "2"], "turn_1c33 turn_0b22"),
        (vec!["--model", "main"], "turn_0a11"),
        (vec!["-m", "glm-5.1"], "turn_0b22"),
        (vec!["-m", "demo/demo", "-n", "5"], "turn_1c33"),
        (vec!["--outcome", "failed"], "turn_0b22"),
        (vec!["--outcome", "client-left"], "turn_1c33"),
    ] {
        let all: Vec<&str> = ["receipts", "--json"]
            .into_iter()
            .chain(arguments)
            .collect();
        let listed: Value = serde_json::from_str(&said(&home, &all).await).unwrap();
        let ids: Vec<&str> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|receipt| receipt["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.join(" "), expected, "{all:?}");
    }
}

#[tokio::test]
async fn scripts_get_everything_and_terminals_get_no_orders() {
    let home = home();
    let kept = receipts();
    keep(&home, kept.clone()).await;
    let shown = said(&home, &["receipts", "show", "turn_0b22", "--json"]).await;
    let read: Receipt = serde_json::from_str(&shown).unwrap();
    assert_eq!(read, kept[1]);
    for arguments in [
        vec!["receipts"],
        vec!["receipts", "--json"],
        vec!["receipts", "show", "turn_0b22"],
        vec!["receipts", "show", "turn_0b22", "--json"],
    ] {
        let said = said(&home, &arguments).await;
        let orders = said
            .chars()
            .filter(|letter| letter.is_control() && *letter != '\n');
        assert_eq!(orders.count(), 0, "{said:?}");
    }
}

#[tokio::test]
async fn nothing_to_show_comes_with_a_way_out() {
    let home = home();
    let empty = async |arguments: &[&str], expected: &[&str]| {
        let ended = polywire(&home, arguments).await;
        assert_eq!(
            (ended.code(), ended.stdout.len()),
            (Some(0), 0),
            "{ended:?}"
        );
        let said = ended.stderr.join("\n");
        for expected in expected {
            assert!(said.contains(expected), "`{expected}` is not in:\n{said}");
        }
    };
    empty(
        &["receipts"],
        &["no receipts yet", "hint:", "polywire demo"],
    )
    .await;
    assert!(!store_path(&home).exists(), "looking makes no store");
    assert_eq!(said(&home, &["receipts", "--json"]).await, "[]");
    keep(&home, receipts()).await;
    empty(&["receipts", "-m", "none"], &["no receipt fits", "hint:"]).await;
    home.write(
        "config/polywire/config.toml",
        "[receipts]\nenabled = false\nmax_count = 1\n",
    );
    empty(
        &["receipts", "-m", "none"],
        &["none are kept", "enabled = true"],
    )
    .await;
}

#[tokio::test]
async fn an_id_that_leads_nowhere_is_told_with_a_way_out() {
    let home = home();
    let complaint = async |id: &str, expected: &[&str]| {
        let ended = polywire(&home, &["receipts", "show", id]).await;
        assert_eq!(
            (ended.code(), ended.stdout.len()),
            (Some(1), 0),
            "{ended:?}"
        );
        let said = ended.stderr.join("\n");
        for expected in expected {
            assert!(said.contains(expected), "`{expected}` is not in:\n{said}");
        }
    };
    let unknown = ["error: there is no receipt", "hint: `polywire receipts`"];
    complaint("turn_9", &unknown).await;
    keep(&home, receipts()).await;
    complaint("turn_9", &unknown).await;
    complaint(
        "turn_0",
        &["more than one", "`turn_0b22`, `turn_0a11`", "hint:"],
    )
    .await;
    complaint("\u{1b}[2J", &["`\u{fffd}[2J`"]).await;
}

#[tokio::test]
async fn a_store_that_is_none_is_told() {
    let home = home();
    let elsewhere = home.write("state/polywire/polywire.sqlite3", "not a database");
    let ended = polywire(&home, &["receipts"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(said.contains(elsewhere.to_str().unwrap()), "{said}");
    assert!(said.contains("hint:"), "{said}");
}

#[tokio::test]
async fn settings_say_where_the_store_is() {
    let home = home();
    let settings =
        format!("[store]\npath = \"turns.sqlite3\"\n[receipts]\nmax_age_days = {KEPT_DAYS}\n");
    home.write("config/polywire/config.toml", settings);
    let path = home.config().join("polywire/turns.sqlite3");
    let store = Store::open(&path, Limits::default()).unwrap();
    let response = StoredResponse {
        id: "resp_1".to_owned(),
        parent: None,
        created_unix_s: 0,
        input_items: "[]".to_owned(),
        output_items: "[]".to_owned(),
        response: "{}".to_owned(),
        model: "main".to_owned(),
    };
    store.put(response).await.unwrap();
    let young = Receipt {
        id: "turn_here".to_owned(),
        began_unix_ms: u64::MAX / 4,
        ..Receipt::default()
    };
    store.put_receipt(young);
    // The gateway that has it open goes on.
    assert!(said(&home, &["receipts"]).await.contains("turn_here"));
    let shown = said(&home, &["config", "show"]).await;
    assert!(shown.contains(path.to_str().unwrap()), "{shown}");
    for row in [
        "strict",
        "store.max_mb",
        "receipts.enabled",
        "search.provider",
    ] {
        assert!(shown.contains(row), "{shown}");
    }
}
