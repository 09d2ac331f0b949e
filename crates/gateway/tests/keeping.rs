//! What is kept of a turn: its answer, and its receipt.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polywire_catalog::{Model, Price, Provider};
use polywire_credentials::KeySource;
use polywire_gateway::turn::{Accepted, Answer, run};
use polywire_gateway::{
    Client, ClientDialect, Configuration, ConnectionMemory, Fixed, Gateway, SearchKind,
    SearchService, Stores,
};
use polywire_store::{
    ChainError, Pending, Receipt, ReceiptSink, Responses, StoreError, StoredResponse,
};
use polywire_testkit::{ChatStream, Reply, ScriptedUpstream, Tokens, answer, within};
use serde_json::{Value, json};
use support::{asked, bodies, configuration, gateway, provider};

/// A store that takes its time.
#[derive(Default)]
struct Slow(Mutex<Vec<StoredResponse>>);

impl Slow {
    fn kept(&self) -> Vec<StoredResponse> {
        self.0.lock().unwrap().clone()
    }
}

impl Responses for Slow {
    fn put(&self, response: StoredResponse) -> Pending<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.0.lock().unwrap().push(response);
            Ok(())
        })
    }

    fn get<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Option<StoredResponse>, StoreError>> {
        Box::pin(async move { Ok(self.kept().into_iter().find(|kept| kept.id == id)) })
    }

    fn chain<'a>(&'a self, id: &'a str) -> Pending<'a, Result<Vec<StoredResponse>, ChainError>> {
        Box::pin(async move {
            if id == "resp_on_a_bad_disk" {
                let refused = StoreError::TooLarge {
                    id: id.to_owned(),
                    bytes: 1,
                    bytes_max: 0,
                };
                return Err(ChainError::Store(refused));
            }
            let unknown = ChainError::Unknown { id: id.to_owned() };
            let found = self.kept().into_iter().find(|kept| kept.id == id);
            found.map(|kept| vec![kept]).ok_or(unknown)
        })
    }

    fn item<'a>(&'a self, _id: &'a str) -> Pending<'a, Result<Option<String>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn delete<'a>(&'a self, _id: &'a str) -> Pending<'a, Result<bool, StoreError>> {
        Box::pin(async { Ok(false) })
    }
}

#[derive(Default)]
struct Receipts(Mutex<Vec<Receipt>>);

impl ReceiptSink for Receipts {
    fn put_receipt(&self, receipt: Receipt) {
        self.0.lock().unwrap().push(receipt);
    }
}

#[tokio::test]
async fn an_answer_ends_when_it_is_stored() {
    let upstream = ScriptedUpstream::start(|_, _| answer("fine"));
    let store = Arc::new(Slow::default());
    let stores = Stores {
        responses: Some(Arc::clone(&store) as _),
        receipts: None,
    };
    let gateway = Gateway::new(
        configuration(vec![provider("one", &upstream)]),
        Box::new(Fixed),
        stores,
    )
    .unwrap();
    for (stream, count) in [(true, 1), (false, 2)] {
        let body = json!({"model": "main", "input": "hi", "stream": stream});
        let answer = asked(&gateway, ClientDialect::Responses, &body).await;
        if stream {
            let bodies = bodies(answer).await;
            assert!(bodies.contains("response.completed"), "{bodies}");
        }
        assert_eq!(store.kept().len(), count);
    }
    let next =
        json!({"model": "main", "input": "and?", "previous_response_id": store.kept()[0].id});
    asked(&gateway, ClientDialect::Responses, &next).await;
    let messages = upstream.received()[2].messages();
    let contents: Vec<&Value> = messages.iter().map(|message| &message["content"]).collect();
    assert_eq!(contents, ["hi", "fine", "and?"]);
    // A store that fails has not said that the response is gone.
    for (id, status) in [("resp_on_a_bad_disk", 500), ("resp_gone", 404)] {
        let next = json!({"model": "main", "input": "and?", "previous_response_id": id});
        let Answer::Failed { fault, .. } = asked(&gateway, ClientDialect::Responses, &next).await
        else {
            panic!("it went on");
        };
        assert_eq!(
            ClientDialect::Responses.http_status(&fault),
            status,
            "{fault}"
        );
    }
}

#[tokio::test]
async fn nothing_goes_on_from_an_answer_that_failed_at_its_end() {
    let upstream =
        ScriptedUpstream::start(|_, _| ChatStream::new().text("half").finish("length").done());
    let gateway = gateway(configuration(vec![provider("one", &upstream)]));
    let memory = ConnectionMemory::default();
    let turn = async |body: Value| {
        let accepted = Accepted {
            turn_id: "turn".to_owned(),
            dialect: ClientDialect::Responses,
            client: Client::Codex,
            body: body.to_string().into(),
            cwd: None,
            memory: Some(memory.clone()),
            compact: false,
        };
        within("a turn", run(&gateway, accepted)).await
    };
    let first =
        bodies(turn(json!({"type": "response.create", "model": "main", "input": [{"type": "compaction_trigger"}]})).await).await;
    assert!(first.contains("response.failed"), "{first}");
    let next = json!({"type": "response.create", "model": "main", "input": [], "previous_response_id": "resp_turn"});
    let Answer::Failed { fault, .. } = turn(next).await else {
        panic!("it went on");
    };
    assert_eq!(fault.code.as_deref(), Some("previous_response_not_found"));
}

#[tokio::test]
async fn a_turn_that_fails_late_tells_what_it_has_consumed() {
    let service = ScriptedUpstream::start(|_, _| Reply::json(200, &json!({"results": []})));
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new()
            .text("Let me look.")
            .call("call_0", "web_search", &json!({"query": "tea"}))
            .finish("tool_calls")
            .usage(Tokens {
                prompt: 10,
                completion: 2,
                ..Tokens::default()
            })
            .done(),
        _ => Reply::error(400, "invalid_request_error", "no"),
    });
    let receipts = Arc::new(Receipts::default());
    let stores = Stores {
        responses: None,
        receipts: Some(Arc::clone(&receipts) as _),
    };
    let configuration = Configuration {
        search: Some(SearchService {
            kind: SearchKind::Searxng {
                url: service.base_url(),
            },
            key: KeySource::None,
            results_max: 5,
        }),
        ..configuration(vec![provider("one", &upstream)])
    };
    let gateway = Gateway::new(configuration, Box::new(Fixed), stores).unwrap();
    let body = json!({"model": "main", "input": "tea?", "stream": true, "tools": [{"type": "web_search"}]});
    let told = bodies(asked(&gateway, ClientDialect::Responses, &body).await).await;
    assert_eq!(told.matches("event: response.failed").count(), 1, "{told}");
    let receipts = receipts.0.lock().unwrap();
    let usage = receipts[0].usage.as_ref().unwrap();
    assert_eq!((usage.input, usage.output), (Some(10), Some(2)));
}

#[tokio::test]
async fn a_turn_has_its_price_where_it_is_known() {
    let upstream = ScriptedUpstream::start(|_, _| {
        ChatStream::new()
            .text("Tea.")
            .finish("stop")
            .usage(Tokens {
                prompt: 1_000,
                completion: 100,
                ..Tokens::default()
            })
            .done()
    });
    for (price, cost) in [
        (None, None),
        (
            Some(Price {
                input: 2.0,
                cached: None,
                cache_write: None,
                output: 10.0,
            }),
            Some(0.003),
        ),
    ] {
        let receipts = Arc::new(Receipts::default());
        let stores = Stores {
            responses: None,
            receipts: Some(Arc::clone(&receipts) as _),
        };
        let priced = Model {
            price,
            ..Model::named("model")
        };
        let provider = Provider {
            models: vec![Arc::new(priced)],
            ..provider("one", &upstream)
        };
        let gateway = Gateway::new(configuration(vec![provider]), Box::new(Fixed), stores).unwrap();
        let body = json!({"model": "main", "input": "tea?", "stream": true});
        bodies(asked(&gateway, ClientDialect::Responses, &body).await).await;
        let told = receipts.0.lock().unwrap()[0].cost_usd;
        assert_eq!(
            told.map(|told| (told * 1e6).round()),
            cost.map(|cost: f64| (cost * 1e6).round())
        );
    }
}
