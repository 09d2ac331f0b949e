//! Coding agents that work on files: Claude Code and opencode, without a screen.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::gateway::{Gateway, House};
use crate::process::{Ended, Running};
use crate::script::{Speaks, node_program};

/// An installed Claude Code, in the version that `clients/node` pins.
#[derive(Clone, Debug)]
pub struct ClaudeCode {
    program: PathBuf,
}

impl ClaudeCode {
    /// Finds it, as [`crate::Script::find`] finds its clients.
    pub fn find() -> Option<Self> {
        let program = node_program("Claude Code", ".bin/claude")?;
        Some(Self { program })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Gives it a task in the work folder, where it may edit files, and waits for its end.
    pub async fn run(&self, house: &House, gateway: &Gateway, task: &str) -> Ended {
        let mut command = house.home.command(&self.program);
        command
            .args(["-p", task, "--model", "test-model"])
            .args(["--permission-mode", "acceptEdits"])
            .args(["--output-format", "json"])
            .env(
                "ANTHROPIC_BASE_URL",
                format!("http://{}", gateway.address()),
            )
            .env("ANTHROPIC_AUTH_TOKEN", gateway.token())
            // Else it also asks for updates, experiments and its own status page.
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        Running::start(command).ended().await
    }

    /// The one object that it prints at its end.
    pub fn result(ended: &Ended) -> Value {
        let last = ended.stdout.last().map(String::as_str).unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
    }
}

/// An installed opencode, in the version that `clients/node` pins.
#[derive(Clone, Debug)]
pub struct OpenCode {
    program: PathBuf,
}

impl OpenCode {
    /// Finds it, as [`crate::Script::find`] finds its clients.
    pub fn find() -> Option<Self> {
        // The program for x86-64 of any age; see `clients/README.md`.
        let path = "opencode-linux-x64-baseline/bin/opencode";
        let program = node_program("opencode", path)?;
        Some(Self { program })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Gives it a task in the work folder and waits for its end.
    pub async fn run(&self, house: &House, gateway: &Gateway, speaks: Speaks, task: &str) -> Ended {
        let configuration = Self::configuration(gateway, speaks);
        let path = "config/opencode/opencode.json";
        house.home.write(path, configuration.to_string());
        let mut command = house.home.command(&self.program);
        command
            .args(["run", "--format", "json", task])
            .env("POLYWIRE_TOKEN", gateway.token())
            // Nothing from the network: neither its list of models nor programs that it would bring along.
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1")
            .env("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1")
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1");
        Running::start(command).ended().await
    }

    fn configuration(gateway: &Gateway, speaks: Speaks) -> Value {
        json!({
            "autoupdate": false,
            "share": "disabled",
            "model": "polywire/test-model",
            "small_model": "polywire/test-model",
            "provider": {"polywire": {
                "npm": package(speaks),
                "name": "polywire",
                "options": {
                    "baseURL": format!("http://{}/v1", gateway.address()),
                    "apiKey": "{env:POLYWIRE_TOKEN}",
                },
                "models": {"test-model": {
                    "name": "A model for tests",
                    "limit": {"context": 200_000, "output": 8_000},
                }},
            }},
        })
    }

    /// The texts that it printed, from its events.
    pub fn texts(ended: &Ended) -> Vec<String> {
        let events = ended.stdout.iter().map(|line| {
            serde_json::from_str::<Value>(line)
                .unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
        });
        events
            .filter(|event| event["type"] == "text")
            .filter_map(|event| event["part"]["text"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The package of the Vercel AI SDK that opencode, which has all three, speaks a dialect with.
fn package(speaks: Speaks) -> &'static str {
    match speaks {
        Speaks::Chat => "@ai-sdk/openai-compatible",
        Speaks::Responses => "@ai-sdk/openai",
        Speaks::Messages => "@ai-sdk/anthropic",
    }
}
