//! Playing a scenario with a client, and what the scripted answers have in common.

use polywire_testkit::{
    ChatStream, House, Language, Observations, Received, Reply, Script, ScriptedUpstream, Speaks,
    Tokens,
};
use serde_json::{Value, json};

/// A client's script.
pub(crate) type Client = (Language, &'static str, Speaks);

/// What became of one scenario with one client.
pub(super) struct Played {
    /// The client, for messages.
    pub(super) client: String,
    pub(super) seen: Vec<Value>,
    pub(super) received: Vec<Received>,
}

impl Played {
    /// Fails unless the client saw exactly this.
    pub(super) fn assert_saw(&self, expected: &Value) {
        let seen = Value::from(self.seen.clone());
        assert_eq!(seen, *expected, "{}", self.client);
    }

    /// Fails unless the upstream received this many requests, each in good form.
    pub(super) fn assert_requests(&self, count: usize) {
        assert_eq!(self.received.len(), count, "{}", self.client);
        for request in &self.received {
            assert_eq!(request.path, "/v1/chat/completions", "{}", self.client);
            assert_eq!(
                request.headers.get("authorization"),
                Some("Bearer sk-house")
            );
            assert_eq!(request.json()["model"], "test-model", "{}", self.client);
        }
    }
}

pub(super) fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

/// The client's script, when the client is installed.
pub(crate) fn find((language, name, speaks): Client) -> Option<Script> {
    Script::find(language, name, speaks)
}

/// Plays a scenario with a client; `None` when the client is not installed.
pub(super) async fn play(
    client: Client,
    scenario: &str,
    upstream: ScriptedUpstream,
) -> Option<Played> {
    let script = find(client)?;
    let house = house(upstream);
    let gateway = house.gateway().await;
    let running = script.start(scenario, &house.home, &gateway);
    Some(Played {
        client: script.file(),
        seen: Observations::read(running.ended().await).seen,
        received: house.upstream.received(),
    })
}

/// Plays a scenario with several clients, each on an upstream of its own.
pub(super) async fn play_each(
    clients: &[Client],
    scenario: &str,
    upstream: impl Fn() -> ScriptedUpstream,
) -> Vec<Played> {
    let mut all = Vec::new();
    for client in clients {
        all.extend(play(*client, scenario, upstream()).await);
    }
    all
}

pub(super) fn replies(replies: &[Reply]) -> ScriptedUpstream {
    ScriptedUpstream::replies(replies.to_vec())
}

/// 25 input tokens of which 10 came from a cache: Anthropic's clients are told 15 and 10.
pub(super) const TOKENS: Tokens = Tokens {
    prompt: 25,
    cached: 10,
    completion: 7,
    reasoning: 3,
};

pub(super) fn end(stream: ChatStream, reason: &str) -> Reply {
    stream.finish(reason).usage(TOKENS).done()
}

/// A text with what readers of lines and of JSON stumble over.
pub(crate) const TEXT: [&str; 3] = ["Grüß \"dich\",", " \u{2028}\u{2029}\u{85}", "Welt 🌍\n"];

pub(super) fn greeting() -> Reply {
    let stream = TEXT
        .iter()
        .fold(ChatStream::new(), |s, piece| s.text(piece));
    end(stream, "stop")
}

pub(crate) fn usage() -> Value {
    json!({"input": 25, "cached": 10, "output": 7})
}

/// The text of a message's content, in either of its forms.
pub(super) fn text_of(message: &Value) -> String {
    let content = &message["content"];
    let texts = content.as_array().map(|parts| {
        let texts = parts.iter().filter_map(|part| part["text"].as_str());
        texts.collect::<String>()
    });
    texts.unwrap_or_else(|| content.as_str().unwrap_or_default().to_owned())
}
