//! Client libraries that ask an engine.

use polywire_testkit::{Observations, Received, Script};
use serde_json::Value;

use crate::clients::{Client, play::find};
use crate::engines::Engine;
use crate::scripted_model::{Mood, items_of, model};

/// A client library and the engine that it asks. All of its scenarios are played on one gateway.
pub(crate) struct Guest {
    script: Script,
    pub(crate) kind: &'static str,
    pub(crate) engine: Engine,
    pub(crate) mood: Mood,
}

/// What became of one scenario.
pub(crate) struct Played {
    /// Who played what where, for messages.
    pub(crate) told: String,
    pub(crate) seen: Vec<Value>,
    /// What the model was asked.
    pub(crate) asked: Vec<Value>,
}

impl Guest {
    /// `None` when the client or Codex is not installed.
    pub(crate) async fn at(kind: &'static str, client: Client) -> Option<Self> {
        let script = find(client)?;
        let mood = Mood::new();
        let engine = Engine::start(kind, model(&mood), "").await?;
        Some(Self {
            script,
            kind,
            engine,
            mood,
        })
    }

    pub(crate) async fn play(&self, scenario: &str) -> Played {
        self.play_and(scenario, async |_| {}).await
    }

    /// Plays a scenario while `meanwhile` is done; it is given the number of requests before.
    pub(crate) async fn play_and(
        &self,
        scenario: &str,
        meanwhile: impl AsyncFnOnce(usize),
    ) -> Played {
        let Engine { house, gateway } = &self.engine;
        let before = house.upstream.received().len();
        let running = self.script.start(scenario, &house.home, gateway);
        meanwhile(before).await;
        let seen = Observations::read(running.ended().await).seen;
        let asked = house.upstream.received().split_off(before);
        Played {
            told: format!("{} of {} on {}", scenario, self.script.file(), self.kind),
            seen,
            asked: asked.iter().map(Received::json).collect(),
        }
    }
}

impl Played {
    /// Fails unless the client saw exactly this, and the model was asked so often.
    pub(crate) fn assert(&self, expected: &Value, requests: usize) {
        let seen = Value::from(self.seen.clone());
        assert_eq!(seen, *expected, "{}", self.told);
        assert_eq!(
            self.asked.len(),
            requests,
            "{}: {:#?}",
            self.told,
            self.asked
        );
    }

    /// The texts of the messages of a request.
    pub(crate) fn texts(&self, request: usize) -> Vec<String> {
        let messages = items_of(&self.asked[request], "message");
        let texts = messages.iter().map(|message| {
            let parts = message["content"].as_array().into_iter().flatten();
            parts.filter_map(|part| part["text"].as_str()).collect()
        });
        texts.collect()
    }

    /// Fails unless all requests came from one thread of Codex, which names its threads to the model's provider.
    pub(crate) fn assert_one_thread(&self) {
        let threads = self
            .asked
            .iter()
            .map(|request| &request["client_metadata"]["thread_id"]);
        let threads: Vec<_> = threads.collect();
        assert!(threads[0].is_string(), "{}: {threads:?}", self.told);
        assert!(
            threads.iter().all(|thread| *thread == threads[0]),
            "{}: {threads:?}",
            self.told
        );
    }
}
