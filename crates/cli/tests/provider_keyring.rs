//! Keys in the keyring of a Linux desktop, and what happens when it is locked or does not answer.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use polywire_testkit::{Call, Gateway, Locked, Reply, ScriptedUpstream, SecretService, answer};
use provider::Desk;
use serde_json::json;
use tokio::process::Command;

#[path = "support/provider.rs"]
mod provider;

const KEY: &str = "sk-0123456789abcdef";

const IN_KEYRING: &str = "[providers.zai]\npreset = \"zai\"\nkey = { keyring = true }\n";

fn on(desk: &Desk, bus: &str, arguments: &[&str]) -> Command {
    let mut command = desk.command(arguments);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus);
    command
}

#[tokio::test]
async fn a_key_goes_into_the_keyring_and_out_again() {
    let Some(service) = SecretService::start(Locked::No) else {
        return;
    };
    let bus = service.address();
    let upstream =
        ScriptedUpstream::start(|_, _| Reply::json(200, &json!({ "data": [{ "id": "a" }] })));
    let desk = Desk::new();
    let add = [
        "add",
        "zai",
        "--key-stdin",
        "--base-url",
        &upstream.base_url(),
    ];
    let added = desk.run_with(on(&desk, bus, &add), KEY).await.done();
    assert!(
        added
            .stderr
            .contains("in the system's keyring, as `provider.zai` of polywire"),
        "{added:?}"
    );
    assert_eq!(
        service.secrets(),
        [("polywire: key of provider.zai".to_owned(), KEY.to_owned())]
    );
    assert!(
        desk.settings().ends_with("key = { keyring = true }\n"),
        "{}",
        desk.settings()
    );
    assert!(!desk.key_file("zai").exists());

    let listed = desk.run_with(on(&desk, bus, &["list"]), "").await.done();
    assert!(
        listed.stdout.contains("keyring provider.zai, present"),
        "{listed:?}"
    );
    let shown = desk
        .run_with(on(&desk, bus, &["show", "zai"]), "")
        .await
        .done();
    assert!(shown.stdout.contains("present: ***cdef"), "{shown:?}");
    desk.run_with(on(&desk, bus, &["models", "zai"]), "")
        .await
        .done();
    let asked = &upstream.received()[0];
    assert_eq!(
        asked.headers.get("authorization"),
        Some("Bearer sk-0123456789abcdef")
    );

    desk.run_with(
        on(&desk, bus, &["edit", "zai", "--key-stdin"]),
        "sk-another",
    )
    .await
    .done();
    assert_eq!(service.secrets()[0].1, "sk-another");
    let moved = desk
        .run_with(
            on(
                &desk,
                bus,
                &["edit", "zai", "--key-stdin", "--key-in", "file"],
            ),
            KEY,
        )
        .await
        .done();
    assert!(
        moved
            .stderr
            .contains("`provider.zai` is gone from the keyring"),
        "{moved:?}"
    );
    assert_eq!(service.secrets(), []);
    assert!(desk.settings().contains("key = { file = \"keys/zai\" }"));
    desk.run_with(on(&desk, bus, &["edit", "zai", "--key-stdin"]), KEY)
        .await
        .done();
    assert!(!desk.key_file("zai").exists());

    desk.run_with(on(&desk, bus, &["remove", "zai", "--keep-key"]), "")
        .await
        .done();
    assert_eq!(service.secrets().len(), 1);
    desk.run_with(on(&desk, bus, &add), KEY).await.done();
    let removed = desk
        .run_with(on(&desk, bus, &["remove", "zai"]), "")
        .await
        .done();
    assert!(
        removed.stderr.contains("is gone from the keyring"),
        "{removed:?}"
    );
    // The one that was to stay did.
    assert_eq!(service.secrets().len(), 1);
}

/// The name of a provider alone does not tell whose key it is: the keyring is the same for all settings files.
#[tokio::test]
async fn settings_files_do_not_take_each_others_keys_in_the_keyring() {
    let Some(service) = SecretService::start(Locked::No) else {
        return;
    };
    let bus = service.address();
    let desk = Desk::new();
    let one = desk.home.work().join("one.toml").display().to_string();
    let keys = || -> Vec<String> {
        let mut keys: Vec<String> = service.secrets().into_iter().map(|(_, key)| key).collect();
        keys.sort();
        keys
    };
    let add = ["add", "zai", "--key-stdin"];
    let add_one = ["--config", &one, "add", "zai", "--key-stdin"];
    desk.run_with(on(&desk, bus, &add), "sk-usual").await.done();
    desk.run_with(on(&desk, bus, &add_one), "sk-one")
        .await
        .done();
    assert_eq!(keys(), ["sk-one", "sk-usual"]);
    let written = std::fs::read_to_string(&one).unwrap();
    assert!(
        written.contains("key = { keyring = \"provider.zai@one-"),
        "{written}"
    );
    let shown = desk
        .run_with(on(&desk, bus, &["--config", &one, "list"]), "")
        .await
        .done();
    assert!(
        shown.stdout.contains("keyring provider.zai@one-"),
        "{shown:?}"
    );
    desk.run_with(on(&desk, bus, &["--config", &one, "remove", "zai"]), "")
        .await
        .done();
    assert_eq!(keys(), ["sk-usual"]);

    // A file that was written when all shared one name goes on working, and takes nothing from the others.
    std::fs::write(&one, IN_KEYRING).unwrap();
    let edit = ["--config", &one, "edit", "zai", "--key-stdin"];
    let edited = desk.run_with(on(&desk, bus, &edit), "sk-one").await.done();
    assert!(
        edited
            .stderr
            .contains("`provider.zai` in the keyring stays"),
        "{edited:?}"
    );
    assert_eq!(keys(), ["sk-one", "sk-usual"]);
}

#[tokio::test]
async fn a_change_that_fails_leaves_the_keyring_as_it_was() {
    let Some(service) = SecretService::start(Locked::No) else {
        return;
    };
    let desk = Desk::new();
    let refused = on(
        &desk,
        service.address(),
        &["add", "zai", "--key-stdin", "--set", "nonsense=1"],
    );
    desk.run_with(refused, KEY)
        .await
        .failed(&["nothing was changed"]);
    assert_eq!(service.secrets(), []);
}

#[tokio::test]
async fn a_locked_keyring_is_unlocked_or_left() {
    let Some(service) = SecretService::start(Locked::Unlocked) else {
        return;
    };
    let bus = service.address();
    let desk = Desk::new();
    desk.run_with(on(&desk, bus, &["add", "zai", "--key-stdin"]), KEY)
        .await
        .done();
    assert_eq!(service.secrets().len(), 1);
    service.lock(Locked::Dismissed);
    let shown = desk
        .run_with(on(&desk, bus, &["show", "zai"]), "")
        .await
        .done();
    assert!(
        shown
            .stderr
            .contains("the keyring is locked, and was not unlocked"),
        "{shown:?}"
    );
    let add = ["add", "other", "--preset", "groq", "--key-stdin"];
    let added = desk.run_with(on(&desk, bus, &add), "gsk-1").await.done();
    assert!(
        added
            .stderr
            .contains("the keyring is not used: the keyring is locked"),
        "{added:?}"
    );
    assert!(desk.key_file("other").exists());
    let add = [
        "add",
        "third",
        "--preset",
        "groq",
        "--key-stdin",
        "--key-in",
        "keyring",
    ];
    let refused = desk.run_with(on(&desk, bus, &add), "gsk-1").await;
    refused.failed(&["could not be kept in the keyring", "locked", "hint:"]);
    let removed = desk.run_with(on(&desk, bus, &["remove", "zai"]), "").await;
    removed.failed_after(&["could not be taken out of the keyring"]);
    service.lock(Locked::Unlocked);
    let shown = desk.run_with(on(&desk, bus, &["list"]), "").await.done();
    assert!(!shown.stdout.contains("zai"), "{shown:?}");
}

#[tokio::test]
async fn a_bus_without_a_keyring_is_no_keyring() {
    let desk = Desk::new();
    let gone = format!("unix:path={}/gone", desk.home.state().display());
    let added = desk
        .run_with(on(&desk, &gone, &["add", "zai", "--key-stdin"]), KEY)
        .await
        .done();
    assert!(
        added.stderr.contains("the keyring is not used"),
        "{added:?}"
    );
    assert!(desk.key_file("zai").exists());
}

/// A bus that takes connections and says nothing, as a Secret Service does that waits for a desktop which is not there.
#[tokio::test]
async fn a_keyring_that_hangs_holds_up_only_those_who_ask_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let _listener = UnixListener::bind(&socket).unwrap();
    let bus = format!("unix:path={}", socket.display());
    let begin = Instant::now();
    let (listing, adding) = (Desk::with(IN_KEYRING), Desk::new());
    let house = async {
        let upstream = ScriptedUpstream::start(|_, _| answer("hello"));
        let desk = Desk::with(&format!(
            "{IN_KEYRING}[providers.house]\nkind = \"chat\"\nbase_url = \"{}\"\nmodels = [\"m\"]\n",
            upstream.base_url()
        ));
        let mut serve = desk.home.command(provider::PROGRAM);
        serve
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("POLYWIRE_TOKEN", "pw-of-this-test-only")
            .env("DBUS_SESSION_BUS_ADDRESS", &bus);
        let gateway = Gateway::start(serve).await;
        let call = |model: &str| {
            let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
            let call = Call::post("/v1/chat/completions", &body).bearer("pw-of-this-test-only");
            let address = gateway.address();
            async move { call.send(address).await }
        };
        let asked = Instant::now();
        let hanging = async { (call("zai/glm-5.1").await, asked.elapsed()) };
        let other = async { (call("house/m").await, asked.elapsed()) };
        let ((hung, hung_for), (served, served_after)) = tokio::join!(hanging, other);
        assert_eq!(served.status, 200, "{served:?}");
        assert!(served_after < Duration::from_secs(10), "{served_after:?}");
        assert!(
            hung.text().contains("did not answer within 15 s"),
            "{hung:?}"
        );
        assert!(hung_for < Duration::from_secs(40), "{hung_for:?}");
    };
    let list = listing.run_with(on(&listing, &bus, &["list"]), "");
    let add = adding.run_with(on(&adding, &bus, &["add", "zai", "--key-stdin"]), KEY);
    let (listed, added, ()) = tokio::join!(list, add, house);
    assert!(
        listed
            .done()
            .stdout
            .contains("keyring provider.zai, missing")
    );
    let added = added.done();
    assert!(
        added
            .stderr
            .contains("the keyring is not used: the keyring did not answer within 15 s"),
        "{added:?}"
    );
    assert!(adding.key_file("zai").exists());
    assert!(
        begin.elapsed() < Duration::from_secs(50),
        "{:?}",
        begin.elapsed()
    );
}
