//! What the tests of `polywire provider` share.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "each of the tests needs only a part of it; what goes wrong fails the test"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use polywire_testkit::TempHome;
use tokio::process::Command;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

/// A temporary home in which `polywire provider …` is run.
pub(crate) struct Desk {
    pub(crate) home: TempHome,
}

/// How a command ended: exit code, standard output, error stream.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// It did what was asked.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It failed with 1, and the error stream holds all of these.
    #[track_caller]
    pub(crate) fn failed(self, what: &[&str]) -> Self {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        for what in what {
            assert!(self.stderr.contains(what), "`{what}` is not in {self:?}");
        }
        self
    }

    /// The same for one that has done a part of it.
    #[track_caller]
    pub(crate) fn failed_after(self, what: &[&str]) {
        assert_eq!(self.code, 1, "{self:?}");
        for what in what {
            assert!(self.stderr.contains(what), "`{what}` is not in {self:?}");
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            home: TempHome::new(env!("CARGO_TARGET_TMPDIR")),
        }
    }

    /// One with this settings file.
    pub(crate) fn with(settings: &str) -> Self {
        let desk = Self::new();
        desk.home.write("config/polywire/config.toml", settings);
        desk
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.home.config().join("polywire/config.toml")
    }

    pub(crate) fn settings(&self) -> String {
        fs::read_to_string(self.file()).expect("a settings file")
    }

    pub(crate) fn key_file(&self, provider: &str) -> PathBuf {
        self.home.config().join("polywire/keys").join(provider)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(PROGRAM);
        command.arg("provider").args(arguments);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(self.command(arguments), "").await
    }

    /// The same with something on standard input.
    pub(crate) async fn piped(&self, arguments: &[&str], input: &str) -> Outcome {
        self.run_with(self.command(arguments), input).await
    }

    pub(crate) async fn run_with(&self, mut command: Command, input: &str) -> Outcome {
        let mut file = tempfile_with(input);
        file.flush().expect("an input");
        let input = fs::File::open(file.path()).expect("an input");
        let output = command
            .stdin(Stdio::from(input))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await
            .expect("a command");
        let home = self.home.config().display().to_string();
        let state = self.home.state().display().to_string();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.replace(&home, "CONFIG").replace(&state, "STATE")
        };
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

fn tempfile_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("an input");
    file.write_all(text.as_bytes()).expect("an input");
    file
}

pub(crate) fn mode(path: &std::path::Path) -> u32 {
    let about = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    about.permissions().mode() & 0o777
}
