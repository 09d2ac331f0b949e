//! A gateway whose one provider is the service behind Codex.

use std::sync::{Arc, Mutex};

use polywire_catalog::{Provider, preset};
use polywire_gateway::turn::{Accepted, Answer, run};
use polywire_gateway::{Client, ClientDialect, Fixed, Gateway, Logins, Stores};
use polywire_login::CodexLogin;
use polywire_store::{Receipt, ReceiptSink};
use polywire_testkit::{
    Received, Reply, ScriptedUpstream, TempHome, Tokens, codex_back_end, within,
};
use serde_json::{Value, json};

use crate::support::clients::{self, Reading, Told};
use crate::support::{configuration, impatient, logged_in, stream_bytes};

pub(crate) const TOKENS: Tokens = Tokens {
    prompt: 100,
    cached: 60,
    completion: 7,
    reasoning: 3,
};

/// The models that the bench knows without asking.
pub(crate) const MODEL: &str = "gpt-5.5";

pub(crate) struct Bench {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) upstream: ScriptedUpstream,
    pub(crate) home: TempHome,
    receipts: Arc<Receipts>,
}

#[derive(Default)]
struct Receipts(Mutex<Vec<Receipt>>);

impl ReceiptSink for Receipts {
    fn put_receipt(&self, receipt: Receipt) {
        self.0.lock().unwrap().push(receipt);
    }
}

/// What a client got.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    Answer(Box<Reading>),
    Error { status: u16, told: Told },
}

impl Got {
    pub(crate) fn answer(self) -> Reading {
        match self {
            Got::Answer(reading) => *reading,
            Got::Error { status, told } => panic!("{status}: {told:?}"),
        }
    }

    pub(crate) fn error(self) -> (u16, Told) {
        match self {
            Got::Error { status, told } => (status, told),
            Got::Answer(reading) => panic!("{reading:?}"),
        }
    }
}

impl Bench {
    /// With the account `account-1` and the token `first`, and without a list of models.
    pub(crate) fn new(script: impl FnMut(usize, &Received) -> Reply + Send + 'static) -> Self {
        Self::of(codex_back_end(None, script), |provider| {
            provider.model_list = None;
        })
    }

    pub(crate) fn of(upstream: ScriptedUpstream, change: impl FnOnce(&mut Provider)) -> Self {
        let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
        let login = logged_in(&home, "account-1", "first");
        Self::with_login(upstream, change, home, login)
    }

    pub(crate) fn with_login(
        upstream: ScriptedUpstream,
        change: impl FnOnce(&mut Provider),
        home: TempHome,
        login: CodexLogin,
    ) -> Self {
        let mut provider = preset("chatgpt").unwrap().to_provider("plan");
        provider.base_url = upstream.base_url();
        change(&mut provider);
        let mut configuration = impatient(configuration(vec![provider]));
        configuration.catalog.default_provider = Some("plan".to_owned());
        configuration.logins = Logins::from([("plan".to_owned(), login)]);
        let receipts: Arc<Receipts> = Arc::default();
        let stores = Stores {
            responses: None,
            receipts: Some(Arc::clone(&receipts) as Arc<dyn ReceiptSink>),
        };
        let gateway = Gateway::new(configuration, Box::new(Fixed), stores)
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            gateway,
            upstream,
            home,
            receipts,
        }
    }

    pub(crate) async fn begin(
        &self,
        dialect: ClientDialect,
        client: Client,
        body: &Value,
    ) -> Answer {
        let mut body = body.clone();
        if body.get("model").is_none() {
            body["model"] = json!(MODEL);
        }
        let accepted = Accepted {
            turn_id: "turn".to_owned(),
            dialect,
            client,
            body: body.to_string().into(),
            memory: None,
            compact: false,
        };
        within("a turn to begin", run(&self.gateway, accepted)).await
    }

    /// A turn of an SDK to its end.
    pub(crate) async fn ask(&self, dialect: ClientDialect, body: &Value) -> Got {
        match self.begin(dialect, Client::Sdk, body).await {
            Answer::Stream { body, .. } => {
                let bytes = stream_bytes(body).await;
                Got::Answer(Box::new(clients::streamed(dialect, &bytes, false)))
            }
            Answer::Whole { body, .. } => Got::Answer(Box::new(clients::whole(dialect, &body))),
            Answer::Failed { fault, .. } => Got::Error {
                status: dialect.http_status(&fault),
                told: clients::error(dialect, &dialect.render_error(&fault, "turn")),
            },
            Answer::FailedStream { .. } => panic!("only Codex is told of failures so"),
        }
    }

    /// The requests for answers, in order.
    pub(crate) fn sent(&self) -> Vec<Received> {
        let received = self.upstream.received();
        received
            .into_iter()
            .filter(|request| request.method == "POST")
            .collect()
    }

    pub(crate) fn last_sent(&self) -> Received {
        self.sent().pop().unwrap()
    }

    /// What the last turn has lost, as `severity what`.
    pub(crate) fn losses(&self) -> Vec<String> {
        let receipts = self.receipts.0.lock().unwrap();
        let losses = receipts.last().unwrap().losses.iter();
        losses
            .map(|loss| {
                let loss = serde_json::to_value(loss).unwrap();
                let word = |key: &str| loss[key].as_str().unwrap().to_owned();
                format!("{} {}", word("severity"), word("what"))
            })
            .collect()
    }
}

/// Every way to ask: the dialect, and whether a stream is wanted.
pub(crate) fn ways() -> impl Iterator<Item = (ClientDialect, bool)> {
    clients::DIALECTS
        .into_iter()
        .flat_map(|dialect| [true, false].map(|stream| (dialect, stream)))
}

/// A short question in this dialect.
pub(crate) fn hello(dialect: ClientDialect, stream: bool) -> Value {
    let mut body = match dialect {
        ClientDialect::Responses => json!({"input": "Hello"}),
        ClientDialect::Chat => json!({"messages": [{"role": "user", "content": "Hello"}]}),
        ClientDialect::Messages => {
            json!({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4096})
        }
    };
    body["stream"] = json!(stream);
    if stream && dialect == ClientDialect::Chat {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

/// A provider whose models are those that are known without asking.
pub(crate) fn without_list(provider: &mut Provider) {
    provider.model_list = None;
}
