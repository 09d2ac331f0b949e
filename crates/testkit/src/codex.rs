//! The real Codex CLI.

use std::path::{Path, PathBuf};
use std::process::Command as BlockingCommand;
use std::sync::OnceLock;

use serde_json::Value;

use crate::home::TempHome;
use crate::process::Ended;
use crate::tools::{found_or_said, installed};

/// The version of the Codex CLI that the tests are made for.
pub const CODEX_VERSION: &str = "0.169.0";

/// An installed Codex CLI of version [`CODEX_VERSION`].
#[derive(Clone, Debug)]
pub struct CodexCli {
    program: PathBuf,
}

impl CodexCli {
    /// Finds it: at `POLYWIRE_TEST_CODEX`, else where `cargo xtask ci` installs it.
    ///
    /// Gives `None`, and says on the error stream that the test did not run, when there is none; with `CI` or
    /// `POLYWIRE_REQUIRE_CODEX` in the environment that is a failure.
    pub fn find() -> Option<Self> {
        // Asked once per test program: starting it costs more than most tests.
        static FOUND: OnceLock<Result<CodexCli, String>> = OnceLock::new();
        let what = format!("the Codex CLI {CODEX_VERSION}");
        let found = FOUND.get_or_init(Self::look);
        found_or_said(&what, "POLYWIRE_REQUIRE_CODEX", found)
    }

    fn look() -> Result<Self, String> {
        let program = match std::env::var_os("POLYWIRE_TEST_CODEX") {
            Some(path) => PathBuf::from(path),
            None => installed("codex").join("node_modules/.bin/codex"),
        };
        Self::check_version(&program)?;
        Ok(Self { program })
    }

    fn check_version(program: &Path) -> Result<(), String> {
        let output = BlockingCommand::new(program)
            .arg("--version")
            .output()
            .map_err(|error| format!("`{}`: {error}", program.display()))?;
        let version = String::from_utf8_lossy(&output.stdout);
        if version.trim().ends_with(&format!(" {CODEX_VERSION}")) {
            Ok(())
        } else {
            Err(format!("`{}` is `{}`", program.display(), version.trim()))
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The search path of this process with this Codex before all others.
    pub fn search_path(&self) -> std::ffi::OsString {
        let here = self.program.parent().unwrap_or(Path::new("."));
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(here.to_path_buf()).chain(std::env::split_paths(&rest));
        std::env::join_paths(folders).expect("a search path")
    }

    /// A command that runs Codex itself in a temporary home.
    pub fn command(&self, home: &TempHome) -> tokio::process::Command {
        home.command(&self.program)
    }
}

/// What a `codex exec --json` printed.
#[derive(Debug)]
pub struct CodexRun {
    /// How it ended.
    pub ended: Ended,
    /// Its events, one per line of standard output.
    pub events: Vec<Value>,
}

impl CodexRun {
    /// Reads the output of a finished run; every line of it must be JSON.
    pub fn read(ended: Ended) -> Self {
        let events = ended
            .stdout
            .iter()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| {
                    panic!("not JSON ({error}): {line}\nstderr: {:#?}", ended.stderr)
                })
            })
            .collect();
        Self { ended, events }
    }

    /// Events of one type.
    pub fn events(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|e| e["type"] == kind).collect()
    }

    /// Completed items of one type, in order.
    pub fn items(&self, kind: &str) -> Vec<&Value> {
        self.events("item.completed")
            .into_iter()
            .map(|event| &event["item"])
            .filter(|item| item["type"] == kind)
            .collect()
    }

    /// The texts that the model said, in order.
    pub fn messages(&self) -> Vec<&str> {
        self.items("agent_message")
            .into_iter()
            .filter_map(|item| item["text"].as_str())
            .collect()
    }

    /// The id to resume the conversation with.
    pub fn thread_id(&self) -> &str {
        self.events("thread.started")
            .first()
            .and_then(|event| event["thread_id"].as_str())
            .unwrap_or_else(|| panic!("no thread was started: {self:#?}"))
    }

    /// The token counts of the whole conversation.
    pub fn usage(&self) -> &Value {
        self.events("turn.completed").last().map_or_else(
            || panic!("no turn was completed: {self:#?}"),
            |event| &event["usage"],
        )
    }

    /// Fails unless the turn was completed with exit code 0, without a warning, an error or a retry.
    pub fn assert_clean(&self) {
        assert_eq!(self.ended.code(), Some(0), "{self:#?}");
        assert_eq!(self.events("turn.completed").len(), 1, "{self:#?}");
        assert!(self.items("error").is_empty(), "a warning: {self:#?}");
        for kind in ["error", "turn.failed"] {
            assert!(self.events(kind).is_empty(), "{kind}: {self:#?}");
        }
    }
}
