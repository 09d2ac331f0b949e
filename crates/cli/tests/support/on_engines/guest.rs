//! Client libraries that ask an engine.

use std::collections::HashMap;

use polywire_testkit::{Observations, Received, Script};
use serde_json::Value;

use super::model::{Mood, items_of, model};
use crate::clients::Client;
use crate::clients::play::find;
use crate::engines::Engine;

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

    /// Plays scenarios one after the other. Each is given with the number of requests that it makes.
    pub(crate) async fn play(
        &self,
        scenarios: &[(&'static str, usize)],
    ) -> HashMap<&'static str, Played> {
        let Engine { house, gateway } = &self.engine;
        let names: Vec<_> = scenarios.iter().map(|(name, _)| *name).collect();
        let before = house.upstream.received().len();
        let running = self.script.start_all(&names, &house.home, gateway);
        let seen = Observations::read(running.ended().await).by_scenario();
        let mut asked = house.upstream.received().split_off(before).into_iter();
        let mut all = HashMap::new();
        for ((name, count), (played, seen)) in scenarios.iter().zip(seen) {
            assert_eq!(played, *name, "{}", self.told(name));
            let asked: Vec<_> = asked.by_ref().take(*count).collect();
            assert_eq!(asked.len(), *count, "requests of {}", self.told(name));
            all.insert(*name, self.played(name, seen, &asked));
        }
        assert_eq!(
            asked.count(),
            0,
            "requests too many of {}",
            self.told("all")
        );
        all
    }

    /// Plays one scenario while `meanwhile` is done; it is given the number of requests before.
    pub(crate) async fn play_while(
        &self,
        scenario: &str,
        meanwhile: impl AsyncFnOnce(usize),
    ) -> Played {
        let Engine { house, gateway } = &self.engine;
        let before = house.upstream.received().len();
        let running = self.script.start(scenario, &house.home, gateway);
        meanwhile(before).await;
        let seen = Observations::read(running.ended().await).seen;
        self.played(scenario, seen, &house.upstream.received()[before..])
    }

    fn played(&self, scenario: &str, seen: Vec<Value>, asked: &[Received]) -> Played {
        Played {
            told: self.told(scenario),
            seen,
            asked: asked.iter().map(Received::json).collect(),
        }
    }

    fn told(&self, scenario: &str) -> String {
        format!("`{scenario}` of {} on {}", self.script.file(), self.kind)
    }
}

impl Played {
    /// Fails unless the client saw exactly this.
    pub(crate) fn assert_saw(&self, expected: &Value) {
        let seen = Value::from(self.seen.clone());
        assert_eq!(seen, *expected, "{}", self.told);
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
