//! What the tests of `polywire doctor` have in common.

#![allow(dead_code, reason = "every test program uses a part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use polywire_testkit::{House, Reply, Running, ScriptedUpstream, TempHome};
use serde_json::{Value, json};
use tokio::process::Command;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
pub(crate) const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// A search path without Codex.
pub(crate) const BARE_PATH: &str = "/usr/bin:/bin";

pub(crate) fn home() -> TempHome {
    TempHome::new(HOMES)
}

/// `polywire doctor --json` where no Codex is found.
pub(crate) fn command(home: &TempHome, arguments: &[&str]) -> Command {
    let mut command = home.command(PROGRAM);
    command
        .env("PATH", BARE_PATH)
        // The usual port may be taken on this machine.
        .env("POLYWIRE_LISTEN", "127.0.0.1:0")
        .args(["doctor", "--json"])
        .args(arguments);
    command
}

/// What doctor said, and its exit code.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) findings: Vec<Value>,
    pub(crate) all: String,
}

impl Told {
    pub(crate) async fn by(command: Command) -> Self {
        let ended = Running::start(command).ended().await;
        assert!(ended.stderr.is_empty(), "{ended:?}");
        let all = ended.stdout.join("\n");
        let json: Value =
            serde_json::from_str(&all).unwrap_or_else(|error| panic!("{error}: {all}"));
        let checks = json["checks"].as_array().unwrap();
        let findings = checks
            .iter()
            .flat_map(|check| check["findings"].as_array().unwrap().clone())
            .collect();
        let told = Self {
            code: ended.code(),
            findings,
            all,
        };
        let worst = json["worst"].as_str();
        assert_eq!(told.code == Some(1), worst == Some("problem"), "{told:#?}");
        told.assert_helpful();
        told
    }

    pub(crate) async fn of(home: &TempHome, arguments: &[&str]) -> Self {
        Self::by(command(home, arguments)).await
    }

    /// Whatever is not as it should be comes with what to do, and stands in the documentation.
    pub(crate) fn assert_helpful(&self) {
        let page = include_str!("../../../../docs/doctor.md");
        for finding in &self.findings {
            let id = format!("`{}`", finding["id"].as_str().unwrap());
            assert!(page.contains(&id), "{id} is not in docs/doctor.md");
            let severity = finding["severity"].as_str().unwrap();
            let helped = finding["hint"].as_str().is_some_and(|hint| hint.len() > 5);
            assert!(helped || matches!(severity, "ok" | "notice"), "{finding:#}");
        }
    }

    pub(crate) fn all_of(&self, id: &str) -> Vec<&Value> {
        self.findings
            .iter()
            .filter(|finding| finding["id"] == id)
            .collect()
    }

    /// The only finding of this kind.
    #[track_caller]
    pub(crate) fn one(&self, id: &str) -> &Value {
        let found = self.all_of(id);
        assert_eq!(found.len(), 1, "`{id}` in {:#?}", self.findings);
        found[0]
    }

    #[track_caller]
    pub(crate) fn assert(&self, id: &str, severity: &str, place: &str, what: &str) {
        let finding = self.one(id);
        assert_eq!(finding["severity"], severity, "{finding:#}");
        let found = finding["place"].as_str().unwrap_or_default();
        assert!(found.contains(place), "`{place}` in {finding:#}");
        let found = finding["what"].as_str().unwrap();
        assert!(found.contains(what), "`{what}` in {finding:#}");
    }
}

/// A date as HTTP writes it, so many seconds from now.
pub(crate) fn date(seconds: i64) -> String {
    let now = SystemTime::now();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let then = if seconds < 0 {
        now - distance
    } else {
        now + distance
    };
    httpdate::fmt_http_date(then)
}

pub(crate) fn models() -> Reply {
    Reply::json(
        200,
        &json!({"object": "list", "data": [{"id": "test-model"}]}),
    )
}

pub(crate) fn house(reply: Reply) -> House {
    House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(move |_, _| reply.clone()),
    )
}

/// A program named `codex`.
pub(crate) fn fake_codex(home: &TempHome, script: &str) -> PathBuf {
    let path = home.write("bin/codex", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}
