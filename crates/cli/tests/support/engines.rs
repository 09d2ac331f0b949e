//! A gateway in front of the real Codex, whose own model is a scripted upstream.

use std::path::{Path, PathBuf};

use polywire_testkit::{
    Answer, Call, CodexCli, Gateway, House, Reply, ResponsesStream, ScriptedUpstream, Tokens,
};
use serde_json::{Value, json};

pub(crate) const APP_SERVER: &str = "codex-app-server";
pub(crate) const EXEC: &str = "codex-exec";

/// What every scripted answer consumes.
pub(crate) const TOKENS: Tokens = Tokens {
    prompt: 25,
    cached: 10,
    completion: 7,
    reasoning: 3,
};

/// A gateway with an engine, and the home that both live in.
pub(crate) struct Engine {
    pub(crate) house: House,
    pub(crate) gateway: Gateway,
}

impl Engine {
    /// Starts a gateway whose provider is an engine; `None` when Codex is not installed.
    pub(crate) async fn start(kind: &str, upstream: ScriptedUpstream, more: &str) -> Option<Self> {
        let house = house(kind, upstream, more)?;
        let gateway = house.gateway().await;
        Some(Self { house, gateway })
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        self.gateway.send(call).await
    }

    /// Where the engine keeps what is its own.
    pub(crate) fn state(&self) -> PathBuf {
        state_of(&self.house)
    }

    /// The requests that the model received, as JSON.
    pub(crate) fn asked(&self) -> Vec<Value> {
        let received = self.house.upstream.received();
        let posts = received.iter().filter(|request| request.method == "POST");
        posts.map(polywire_testkit::Received::json).collect()
    }

    /// Ends the gateway and fails unless nothing is left of the engine.
    pub(crate) async fn stop(self) {
        let state = self.state();
        let ended = self.gateway.stop().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(processes_of(&state), Vec::<String>::new());
    }
}

/// Where the engine of a home keeps what is its own.
pub(crate) fn state_of(house: &House) -> PathBuf {
    house.home.state().join("polywire/engines/house")
}

/// A home for an engine; `None` when Codex is not installed.
pub(crate) fn house(kind: &str, upstream: ScriptedUpstream, more: &str) -> Option<House> {
    let codex = CodexCli::find()?;
    Some(House::of_engine(
        kind,
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        &codex,
        upstream,
        more,
    ))
}

/// The processes whose Codex home lies below `state`, each with its number and its command.
pub(crate) fn processes_of(state: &Path) -> Vec<String> {
    let wanted = format!("CODEX_HOME={}", state.display());
    let entries = std::fs::read_dir("/proc").unwrap();
    let mut found: Vec<String> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let process = folder.file_name()?.to_str()?.parse::<u32>().ok()?;
            let environment = std::fs::read(folder.join("environ")).ok()?;
            let environment = String::from_utf8_lossy(&environment);
            let is_of_engine = environment
                .split('\0')
                .any(|line| line.starts_with(&wanted));
            let command = std::fs::read(folder.join("cmdline")).ok()?;
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            is_of_engine.then(|| format!("{process} {command}"))
        })
        .collect();
    found.sort();
    found
}

/// An answer of one message.
pub(crate) fn says(text: &str) -> Reply {
    ResponsesStream::new("resp_1")
        .text("msg_1", text)
        .completed(TOKENS)
}

/// An answer of two calls of `weather`.
pub(crate) fn calls_twice() -> Reply {
    ResponsesStream::new("resp_1")
        .text("msg_1", "I look.")
        .call("fc_1", "call_oslo", "weather", &json!({"city": "Oslo"}))
        .call("fc_2", "call_rome", "weather", &json!({"city": "Rome"}))
        .completed(TOKENS)
}

/// A request of Chat Completions with one message of the user.
pub(crate) fn chat(prompt: &str) -> Value {
    json!({"model": "test-model", "messages": [{"role": "user", "content": prompt}]})
}

pub(crate) fn post_chat(body: &Value) -> Call {
    Call::post("/v1/chat/completions", body)
}

/// The tool that scripted models call.
pub(crate) fn weather() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
}

/// The text of a chat answer; fails the test when it is none.
pub(crate) fn text_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let message = &answer.json()["choices"][0]["message"]["content"];
    message
        .as_str()
        .map_or_else(|| panic!("{}", answer.text()), str::to_owned)
}
