//! A gateway for one provider, and turns that are played on it.
//!
//! It is the gateway that serves clients: same settings, key, proxy, profile. Only its stores differ, because the receipts of these
//! turns are looked at instead of being kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use polywire_catalog::{Kind, Model, Provider};
use polywire_gateway::turn::{Accepted, Answer, run};
use polywire_gateway::{
    Client, ClientDialect, Configuration, ConfigurationError, Endpoint, Fixed, Gateway,
    RetryLimits, Stores,
};
use polywire_sse::Decoder;
use polywire_store::{Outcome, Receipt, ReceiptSink};
use serde_json::Value;

/// How long one turn may take. Local servers load weights at the first one.
const TURN_TIMEOUT: Duration = Duration::from_mins(3);

/// The longest event that is read.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A gateway for one provider.
pub(crate) struct Bench {
    configuration: Configuration,
    gateway: Arc<Gateway>,
    receipts: Arc<Receipts>,
    provider: Arc<Provider>,
    model: String,
}

/// The receipts of the turns that were played.
#[derive(Default)]
struct Receipts(Mutex<Vec<Receipt>>);

impl ReceiptSink for Receipts {
    fn put_receipt(&self, receipt: Receipt) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(receipt);
    }
}

impl Receipts {
    fn take(&self) -> Option<Receipt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// What came of a turn.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// The items of the answer, in order, as a client of the Responses protocol gets them.
    pub(crate) items: Vec<Value>,
    /// The text of the answer.
    pub(crate) text: String,
    /// What the model showed of its thoughts.
    pub(crate) reasoning: String,
    /// When each piece of the text came, since the turn began.
    pub(crate) pieces: Vec<Duration>,
    /// Why it failed.
    pub(crate) fault: Option<PlayedFault>,
    /// The limit of the answer was reached.
    pub(crate) cut_off: bool,
    /// The gateway's record of it.
    pub(crate) receipt: Receipt,
}

/// Why a turn failed.
#[derive(Clone, Debug)]
pub(crate) struct PlayedFault {
    /// `auth`, `invalid_request` …, as [`polywire_conversation::FaultClass::name`] has it.
    pub(crate) class: String,
    /// In words; the provider's own as far as it said any.
    pub(crate) words: String,
}

impl Played {
    /// The calls in the answer.
    pub(crate) fn calls(&self) -> Vec<&Value> {
        self.items
            .iter()
            .filter(|item| item["type"] == "function_call")
            .collect()
    }

    /// Whether the provider refused the request for what stands in it.
    pub(crate) fn is_refused(&self) -> bool {
        let class = self.fault.as_ref().map(|fault| fault.class.as_str());
        matches!(
            class,
            Some("invalid_request" | "bad_tool_call" | "server" | "protocol")
        )
    }
}

impl Bench {
    /// A gateway for this provider and model of a configuration.
    ///
    /// # Errors
    /// The provider's settings cannot be used.
    pub(crate) fn new(
        configuration: &Configuration,
        provider: &Arc<Provider>,
        model: &str,
    ) -> Result<Self, ConfigurationError> {
        let mut configuration = configuration.clone();
        configuration.catalog.providers = vec![Arc::clone(provider)];
        configuration.catalog.aliases.clear();
        configuration.catalog.routes.clear();
        configuration.catalog.default_provider = None;
        configuration.engines.retain(|id, _| *id == provider.id);
        configuration.strict = false;
        // Somebody waits at a terminal, and a provider that fails is what is to be found out.
        configuration.patience = RetryLimits {
            failure_retries_max: 0,
            limit_retries_max: 2,
            ..RetryLimits::default()
        };
        let receipts = Arc::new(Receipts::default());
        let stores = Stores {
            responses: None,
            receipts: Some(Arc::clone(&receipts) as Arc<dyn ReceiptSink>),
        };
        let gateway = Gateway::new(configuration.clone(), Box::new(Fixed), stores)?;
        Ok(Self {
            configuration,
            gateway,
            receipts,
            provider: Arc::clone(provider),
            model: model.to_owned(),
        })
    }

    /// The same with a profile in which one switch stands otherwise. Nothing where the profile does not take it.
    pub(crate) fn with_switch(&self, key: &str, value: &toml::Value) -> Option<Self> {
        let mut provider = Provider::clone(&self.provider);
        provider.profile.insert(key.to_owned(), value.clone());
        for model in &mut provider.models {
            if model.profile.contains_key(key) {
                let mut other = Model::clone(model);
                other.profile.remove(key);
                *model = Arc::new(other);
            }
        }
        Self::new(&self.configuration, &Arc::new(provider), &self.model).ok()
    }

    /// The provider.
    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Whether it is a program on this machine, or the demo: there is no address to ask.
    pub(crate) fn is_local(&self) -> bool {
        self.provider.kind.is_engine() || self.provider.kind == Kind::Demo
    }

    /// What is known of the model, if it is listed.
    pub(crate) fn model(&self) -> Option<&Model> {
        self.provider.model(&self.model).map(AsRef::as_ref)
    }

    /// The provider's wire habits towards the model.
    pub(crate) fn profile(&self) -> toml::Table {
        self.provider.profile_for(self.model()).into_owned()
    }

    /// The provider made ready for use.
    pub(crate) fn endpoint(&self) -> Option<Arc<Endpoint>> {
        self.gateway.live().endpoints().first().cloned()
    }

    /// The gateway.
    pub(crate) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Plays a turn to its end. `body` is a request of the Responses protocol without its model.
    pub(crate) async fn play(&self, mut body: Value) -> Played {
        body["model"] = format!("{}/{}", self.provider.id, self.model).into();
        body["stream"] = true.into();
        body["store"] = false.into();
        let accepted = Accepted {
            turn_id: format!(
                "test{:08x}",
                self.receipts.0.lock().map_or(0, |all| all.len())
            ),
            dialect: ClientDialect::Responses,
            client: Client::Sdk,
            body: body.to_string().into(),
            cwd: None,
            memory: None,
            compact: false,
        };
        let mut played = Played::default();
        let in_time = tokio::time::timeout(TURN_TIMEOUT, Box::pin(self.run(accepted, &mut played)));
        let is_late = in_time.await.is_err();
        played.receipt = self.receipts.take().unwrap_or_default();
        played.fault = self.fault_of(&played.receipt);
        if is_late {
            played.fault = Some(PlayedFault {
                class: "timeout".to_owned(),
                words: format!("no end came within {} s", TURN_TIMEOUT.as_secs()),
            });
        }
        played
    }

    async fn run(&self, accepted: Accepted, played: &mut Played) {
        let began = Instant::now();
        let mut body = match run(&self.gateway, accepted).await {
            Answer::Stream { body, .. } => body,
            // The receipt tells why.
            Answer::FailedStream { .. } | Answer::Whole { .. } | Answer::Failed { .. } => return,
        };
        let mut decoder = Decoder::new(FRAME_BYTES_MAX);
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            let came = began.elapsed();
            let decoded = decoder.push(&chunk, |frame| {
                if let Ok(event) = serde_json::from_slice(frame.data) {
                    played.note(&event, came);
                }
            });
            if decoded.is_err() {
                return;
            }
        }
    }

    fn fault_of(&self, receipt: &Receipt) -> Option<PlayedFault> {
        match receipt.outcome {
            Outcome::Finished => None,
            Outcome::Failed | Outcome::ClientLeft => {
                let fault = receipt.fault.clone().unwrap_or_default();
                // The table is about one provider; its name in every line would only take room.
                let prefix = format!("provider `{}`: ", self.provider.id);
                let words = fault
                    .message
                    .strip_prefix(&prefix)
                    .unwrap_or(&fault.message);
                Some(PlayedFault {
                    class: fault.class,
                    words: words.to_owned(),
                })
            }
        }
    }

    /// Ends what the gateway has started.
    pub(crate) async fn close(self) {
        self.gateway.close().await;
    }
}

impl Played {
    fn note(&mut self, event: &Value, came: Duration) {
        let delta = event["delta"].as_str().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" if !delta.is_empty() => {
                self.text.push_str(delta);
                self.pieces.push(came);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.reasoning.push_str(delta);
            }
            "response.output_item.done" => self.items.push(event["item"].clone()),
            "response.incomplete" => self.cut_off = true,
            _ => {}
        }
    }
}
