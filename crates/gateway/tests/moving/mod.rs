//! Providers that judge what they get.

pub(crate) mod answers;
pub(crate) mod client;
pub(crate) mod judges;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use polywire_catalog::{Provider, presets};
use polywire_gateway::Gateway;
use polywire_testkit::{Received, Reply, ScriptedUpstream};
use serde_json::Value;

use crate::support::{configuration, gateway};

/// State of reasoning that one provider has minted.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// What it stands for.
    pub(crate) readable: String,
    pub(crate) secret: String,
    /// In which request of the thread.
    pub(crate) turn: usize,
}

/// What has happened everywhere.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// By provider.
    pub(crate) minted: BTreeMap<String, Vec<State>>,
    pub(crate) complaints: Vec<String>,
    /// How many requests there were.
    pub(crate) turns: usize,
    /// The next answer calls tools.
    pub(crate) calls: bool,
    bodies: BTreeMap<String, String>,
}

/// All providers of a journey.
pub(crate) struct Places {
    pub(crate) gateway: Arc<Gateway>,
    models: BTreeMap<String, String>,
    world: Arc<Mutex<World>>,
    _upstreams: Vec<ScriptedUpstream>,
}

impl World {
    pub(crate) fn last_body(&self, place: &str) -> &str {
        &self.bodies[place]
    }

    /// State that is nobody's here.
    pub(crate) fn mint_elsewhere(&mut self, secret: &str) {
        let state = State {
            readable: String::new(),
            secret: secret.to_owned(),
            turn: 0,
        };
        self.minted
            .entry("elsewhere".to_owned())
            .or_default()
            .push(state);
    }

    fn is_minted_by(&self, place: &str, secret: &str) -> bool {
        let states = self.minted.get(place).into_iter().flatten();
        states.into_iter().any(|state| state.secret == secret)
    }

    fn mint(&mut self, place: &str, readable: &str, kind: &str) -> String {
        let turn = self.turns;
        let secret = format!("{kind}-of-{place}-{turn}==");
        self.minted
            .entry(place.to_owned())
            .or_default()
            .push(State {
                readable: readable.to_owned(),
                secret: secret.clone(),
                turn,
            });
        secret
    }

    /// State of others has no business in a request, nor has an envelope of the gateway.
    fn foreign_state(&self, place: &str, body: &str) -> Result<(), String> {
        for (minter, states) in &self.minted {
            for state in states.iter().filter(|_| minter != place) {
                if body.contains(&state.secret) {
                    return Err(format!("`{}` is not of this place", state.secret));
                }
            }
        }
        for ours in ["pw1.", "pw9.", "polywire"] {
            if body.contains(ours) {
                return Err(format!("what is `{ours}`?"));
            }
        }
        Ok(())
    }

    fn answer(&mut self, place: &str, request: &Received) -> Reply {
        let body = request.json();
        let text = request.text();
        let judged = self
            .foreign_state(place, &text)
            .and_then(|()| judges::judge(self, place, &body));
        self.bodies.insert(place.to_owned(), text);
        if let Err(complaint) = judged {
            self.complaints
                .push(format!("{place}: {complaint}: {body:#}"));
            return Reply::error(400, "invalid_request_error", &complaint);
        }
        let reply = answers::answer(self, place, &body);
        self.turns += 1;
        reply
    }
}

impl Places {
    pub(crate) fn new(journey: &[&str]) -> Self {
        let world: Arc<Mutex<World>> = Arc::default();
        let places: BTreeSet<&str> = journey.iter().copied().collect();
        let mut upstreams = Vec::new();
        let mut models = BTreeMap::new();
        let mut providers: Vec<Provider> = Vec::new();
        for place in places {
            let preset = presets().iter().find(|preset| preset.id == place).unwrap();
            let upstream = ScriptedUpstream::start({
                let (world, place) = (Arc::clone(&world), place.to_owned());
                move |_, request| world.lock().unwrap().answer(&place, request)
            });
            let mut provider = preset.to_provider(place);
            provider.base_url = upstream.base_url();
            let model = preset
                .default_model
                .clone()
                .unwrap_or_else(|| "any".to_owned());
            models.insert(place.to_owned(), format!("{place}/{model}"));
            providers.push(provider);
            upstreams.push(upstream);
        }
        Self {
            gateway: gateway(configuration(providers)),
            models,
            world,
            _upstreams: upstreams,
        }
    }

    pub(crate) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn model(&self, place: &str) -> &str {
        &self.models[place]
    }
}

/// The members of an object that are not among those known.
pub(crate) fn unknown<'v>(object: &'v Value, known: &[&str]) -> Option<&'v str> {
    let members = object.as_object().unwrap().keys();
    members.map(String::as_str).find(|key| !known.contains(key))
}
