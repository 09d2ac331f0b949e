//! Scripts that use a client library as its users do, and tell what they see.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::gateway::Gateway;
use crate::home::TempHome;
use crate::process::{Ended, Running};
use crate::tools::{found_or_said, installed, repository};

/// The variable that makes a missing client a failure.
const REQUIRE: &str = "POLYWIRE_REQUIRE_CLIENTS";

/// What a [`Script`] is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `clients/python/*.py`, with the packages of `requirements.txt`.
    Python,
    /// `clients/node/*.mjs`, with the packages of `package-lock.json`.
    Node,
}

/// The dialect that a client is to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
}

impl Speaks {
    /// As the scripts know it.
    fn name(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Chat => "chat",
            Self::Messages => "messages",
        }
    }
}

impl Language {
    /// What is installed where, or what is wrong with it; looked up once per test program.
    fn found(self) -> &'static Result<PathBuf, String> {
        static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static NODE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match self {
            Self::Python => PYTHON.get_or_init(|| current("python", "requirements.txt")),
            Self::Node => NODE.get_or_init(|| current("node", "package-lock.json")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Python => "the Python clients of `clients/python`",
            Self::Node => "the Node clients of `clients/node`",
        }
    }
}

/// The folder in which the packages of `clients/NAME` are installed as its lock file says.
///
/// The installation keeps a copy of the lock file that it was made from.
fn current(name: &str, lock: &str) -> Result<PathBuf, String> {
    let folder = installed(name);
    let wanted = read(&repository().join("clients").join(name).join(lock))?;
    let made_from = read(&folder.join("installed-from.lock"))?;
    if wanted == made_from {
        Ok(folder)
    } else {
        Err(format!(
            "`{}` was made from another `{lock}`",
            folder.display()
        ))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// A program among the Node packages, when it is installed; else see [`Script::find`].
pub(crate) fn node_program(what: &str, path: &str) -> Option<PathBuf> {
    let found = Language::Node.found().clone().and_then(|folder| {
        let program = folder.join("node_modules").join(path);
        if program.exists() {
            Ok(program)
        } else {
            Err(format!("there is no `{}`", program.display()))
        }
    });
    found_or_said(what, REQUIRE, &found)
}

/// A script in `clients/` that plays scenarios with one client library.
#[derive(Clone, Debug)]
pub struct Script {
    language: Language,
    name: &'static str,
    speaks: Speaks,
    tools: PathBuf,
}

impl Script {
    /// Finds the script `name`, without its ending, and the client it needs, which shall speak `speaks`.
    ///
    /// Gives `None`, and says on the error stream that the test did not run, when the client is not installed as the lock
    /// files say; with `CI` or `POLYWIRE_REQUIRE_CLIENTS` in the environment that is a failure.
    pub fn find(language: Language, name: &'static str, speaks: Speaks) -> Option<Self> {
        let tools = found_or_said(language.name(), REQUIRE, language.found())?;
        Some(Self {
            language,
            name,
            speaks,
            tools,
        })
    }

    /// For messages: the script's file name.
    pub fn file(&self) -> String {
        match self.language {
            Language::Python => format!("{}.py", self.name),
            Language::Node => format!("{}.mjs", self.name),
        }
    }

    /// Starts one of its scenarios, as a client of `gateway` that lives in `home`.
    pub fn start(&self, scenario: &str, home: &TempHome, gateway: &Gateway) -> Running {
        self.start_all(&[scenario], home, gateway)
    }

    /// Starts several of its scenarios, which it plays one after the other: loading a library takes longer than most of them.
    /// See [`Observations::by_scenario`].
    pub fn start_all(&self, scenarios: &[&str], home: &TempHome, gateway: &Gateway) -> Running {
        let mut command = match self.language {
            Language::Python => {
                let mut command = home.command(self.tools.join("bin/python"));
                // Without byte code in the source folder, and whatever modules the user has for himself.
                command.args(["-B", "-s"]);
                command.arg(repository().join("clients/python").join(self.file()));
                command
            }
            Language::Node => {
                let mut command = home.command("node");
                // Reached through a link beside `node_modules`, where Node then looks for packages.
                command.args(["--preserve-symlinks", "--preserve-symlinks-main"]);
                command.arg(self.tools.join("scripts").join(self.file()));
                command
            }
        };
        command
            .args(scenarios)
            .env("POLYWIRE_URL", format!("http://{}", gateway.address()))
            .env("POLYWIRE_TOKEN", gateway.token())
            .env("POLYWIRE_MODEL", "test-model")
            .env("POLYWIRE_DIALECT", self.speaks.name());
        Running::start(command)
    }
}

/// What a finished script saw.
#[derive(Debug)]
pub struct Observations {
    /// Its observations, one per line of standard output.
    pub seen: Vec<Value>,
    /// How it ended.
    pub ended: Ended,
}

impl Observations {
    /// Reads the output of a finished script, which must have ended well and printed nothing but JSON.
    pub fn read(ended: Ended) -> Self {
        assert_eq!(ended.code(), Some(0), "the script failed: {ended:#?}");
        let seen = ended
            .stdout
            .iter()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("not JSON ({error}): {line}\n{ended:#?}"))
            })
            .collect();
        Self { seen, ended }
    }

    /// What was seen in each of several scenarios, in their order.
    pub fn by_scenario(self) -> Vec<(String, Vec<Value>)> {
        let mut scenarios: Vec<(String, Vec<Value>)> = Vec::new();
        for seen in self.seen {
            match (seen["scenario"].as_str(), scenarios.last_mut()) {
                (Some(name), _) => scenarios.push((name.to_owned(), Vec::new())),
                (None, Some((_, all))) => all.push(seen),
                (None, None) => panic!("seen before any scenario: {seen}"),
            }
        }
        scenarios
    }
}
