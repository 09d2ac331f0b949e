//! One provider as its preset describes it, at a scripted upstream.

use std::sync::{Arc, Mutex};

use polywire_catalog::{Kind, Preset};
use polywire_gateway::turn::Answer;
use polywire_gateway::{ClientDialect, Fixed, Gateway, Logins, Stores};
use polywire_store::{Receipt, ReceiptSink};
use polywire_testkit::{Received, Reply, ScriptedUpstream, TempHome};
use serde_json::{Value, json};

use crate::support::clients::{self, Reading};
use crate::support::{asked, configuration, impatient, logged_in, stream_bytes};

#[derive(Default)]
struct Receipts(Mutex<Vec<Receipt>>);

impl ReceiptSink for Receipts {
    fn put_receipt(&self, receipt: Receipt) {
        self.0.lock().unwrap().push(receipt);
    }
}

pub(crate) struct Bench {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    gateway: Arc<Gateway>,
    pub(crate) upstream: ScriptedUpstream,
    next: Arc<Mutex<Option<Reply>>>,
    receipts: Arc<Receipts>,
    model: String,
    _home: TempHome,
}

/// What came of one turn.
pub(crate) struct Turn {
    /// What the provider was sent.
    pub(crate) sent: Value,
    pub(crate) reading: Reading,
    losses: Vec<(String, String)>,
    id: String,
}

impl Bench {
    pub(crate) fn new(preset: &Preset) -> Self {
        let next: Arc<Mutex<Option<Reply>>> = Arc::default();
        let upstream = ScriptedUpstream::start({
            let next = Arc::clone(&next);
            move |_, _| {
                let reply = next.lock().unwrap().clone();
                reply.unwrap_or_else(|| Reply::error(400, "none", "nothing was expected"))
            }
        });
        let mut provider = preset.to_provider(&preset.id);
        provider.base_url = upstream.base_url();
        let first = provider.models.first().map(|model| model.id.clone());
        let model = preset.default_model.clone().or(first);
        let receipts: Arc<Receipts> = Arc::default();
        let stores = Stores {
            responses: None,
            receipts: Some(Arc::clone(&receipts) as Arc<dyn ReceiptSink>),
        };
        let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
        provider.model_list = None;
        let mut configuration = impatient(configuration(vec![provider]));
        let login = logged_in(&home, "account-1", "first");
        configuration.logins = Logins::from([(preset.id.clone(), login)]);
        let gateway = Gateway::new(configuration, Box::new(Fixed), stores)
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            id: preset.id.clone(),
            kind: preset.kind,
            gateway,
            upstream,
            next,
            receipts,
            _home: home,
            model: format!("{}/{}", preset.id, model.as_deref().unwrap_or("any")),
        }
    }

    /// What the provider will answer from here on.
    pub(crate) fn answers(&self, reply: Reply) {
        *self.next.lock().unwrap() = Some(reply);
    }

    /// A turn up to the beginning of its answer.
    pub(crate) async fn begin(&self, mut body: Value) -> Answer {
        body["model"] = json!(self.model);
        body["stream"] = json!(true);
        body["store"] = json!(false);
        asked(&self.gateway, ClientDialect::Responses, &body).await
    }

    /// A turn to its end.
    pub(crate) async fn turn(&self, body: Value) -> Turn {
        let answer = self.begin(body).await;
        self.end(answer).await
    }

    /// An answer to its end.
    pub(crate) async fn end(&self, answer: Answer) -> Turn {
        let Answer::Stream { body, .. } = answer else {
            let Answer::Failed { fault, .. } = answer else {
                panic!("{}: no stream", self.id);
            };
            panic!("{}: {fault:?}", self.id);
        };
        let bytes = stream_bytes(body).await;
        let reading = clients::streamed(
            ClientDialect::Responses,
            &bytes,
            matches!(self.kind, Kind::Responses | Kind::ChatGpt),
        );
        let receipt = self.receipts.0.lock().unwrap().pop().unwrap();
        let losses = receipt.losses.into_iter();
        Turn {
            sent: self.sent().json(),
            reading,
            losses: losses.map(|loss| (loss.what, loss.why)).collect(),
            id: self.id.clone(),
        }
    }

    pub(crate) fn sent(&self) -> Received {
        self.upstream.received().pop().unwrap()
    }
}

impl Turn {
    /// Why something is not as it was asked for: the words of the first loss that speaks of it. There must be one.
    pub(crate) fn why(&self, about: &[&str]) -> String {
        let speaks = |(what, why): &&(String, String)| {
            about
                .iter()
                .any(|word| what.contains(word) || why.contains(word))
        };
        let found = self.losses.iter().find(speaks);
        let (what, why) = found.unwrap_or_else(|| {
            panic!(
                "{}: {about:?} was lost in silence: {:?}, {:#}",
                self.id, self.losses, self.sent
            )
        });
        format!("{what}: {why}")
    }
}
