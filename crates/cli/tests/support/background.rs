//! A home in which a gateway may run in the background, and is gone in the end.

#![allow(dead_code, reason = "each test file uses what it needs of it")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use polywire_testkit::{Call, Ended, House, Running, ScriptedUpstream, answer};
use serde_json::{Value, json};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

/// A home with a provider. What runs in its background when it is dropped is stopped.
pub(crate) struct Background {
    pub(crate) house: House,
}

impl Background {
    /// `more` stands in front of the tables of the settings.
    pub(crate) fn new(upstream: ScriptedUpstream, more: &str) -> Self {
        let house = House::new(PROGRAM, env!("CARGO_TARGET_TMPDIR"), upstream);
        let path = house.home.config().join("polywire/config.toml");
        let settings = std::fs::read_to_string(path).unwrap();
        let settings = settings.replace("[server]\n", &format!("[server]\n{more}\n"));
        house.home.write("config/polywire/config.toml", settings);
        Self { house }
    }

    /// One whose provider answers, with no settings but that.
    pub(crate) fn with_answers() -> Self {
        Self::new(ScriptedUpstream::start(|_, _| answer("hello")), "")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.house.polywire();
        command.args(arguments);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    /// Runs a command that must do well; gives its answer.
    pub(crate) async fn done(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code(), Some(0), "{arguments:?}: {ended:?}");
        ended.stdout.join("\n")
    }

    /// A file of polywire's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.house.home.state().join("polywire").join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        self.file(name).metadata().unwrap().permissions().mode() & 0o777
    }

    /// The state file.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.text("gateway.json")).unwrap()
    }

    /// Writes the state file.
    pub(crate) fn write_state(&self, state: &Value) {
        self.house
            .home
            .write("state/polywire/gateway.json", state.to_string());
    }

    /// The number of the gateway that the state file tells of.
    pub(crate) fn pid(&self) -> i32 {
        let pid = self.state()["running"]["process"]["pid"].as_i64().unwrap();
        pid.try_into().unwrap()
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        let state = self.state();
        state["running"]["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// A question to the gateway that runs.
    pub(crate) fn ask(&self, stream: bool) -> Call {
        let body = json!({"model": "test-model", "input": "hi", "stream": stream});
        Call::post("/v1/responses", &body).bearer(self.text("token").trim())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let mut stop = self.command(&["stop", "--timeout", "0"]);
        let stopped = stop.as_std_mut().output();
        // A test that fails has told enough.
        assert!(
            std::thread::panicking() || stopped.is_ok_and(|stopped| stopped.status.success()),
            "the gateway in the background could not be stopped"
        );
    }
}

pub(crate) async fn ended(command: Command) -> Ended {
    Running::start(command).ended().await
}

/// Fails unless each of these is in it.
#[track_caller]
pub(crate) fn assert_says(said: &str, what: &[&str]) {
    for what in what {
        assert!(said.contains(what), "`{what}` is not in:\n{said}");
    }
}
