//! What whoever runs the gateway is told: `/ready` and `/metrics`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use polywire_catalog::{Catalog, Kind, Model, Provider, demo_provider, presets};
use polywire_credentials::{KeySource, Secret};
use polywire_gateway::{
    Configuration, EngineState, Fixed, Gateway, LocalState, LocalStates, Problem, ProblemKind,
    Proxies, RetryLimits, Stores,
};
use polywire_server::{Access, App};
use polywire_testkit::{
    Answer, Call, ChatStream, Gate, Reply, ScriptedUpstream, Step, Tokens, Upgrade, answer, within,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "pw-test";

const TOKENS: Tokens = Tokens {
    prompt: 10,
    cached: 3,
    completion: 4,
    reasoning: 1,
};

/// A gateway behind its HTTP surface.
struct House {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    stop: CancellationToken,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl House {
    /// Of several providers that have something on this machine, the last is the default one.
    async fn new(providers: Vec<Provider>, local: LocalStates) -> Self {
        let keys = providers
            .iter()
            .map(|provider| (provider.id.clone(), KeySource::Literal(Secret::new("sk"))));
        let configuration = Configuration {
            engines: polywire_gateway::Engines::new(),
            logins: polywire_gateway::Logins::new(),
            keys: keys.collect(),
            catalog: Catalog {
                routes: [(
                    "both".to_owned(),
                    vec!["house/model".to_owned(), "demo/demo".to_owned()],
                )]
                .into(),
                default_provider: local.keys().last().cloned(),
                providers: providers.into_iter().map(Arc::new).collect(),
                ..Catalog::default()
            },
            proxies: Proxies::new(),
            local,
            variables: Arc::new(|_| None),
            strict: false,
            search: None,
            // A failed attempt is not repeated where it failed.
            patience: RetryLimits {
                limit_retries_max: 0,
                failure_retries_max: 0,
                ..RetryLimits::default()
            },
        };
        let gateway = Gateway::new(configuration, Box::new(Fixed), Stores::default()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Arc::new(App {
            gateway: Arc::clone(&gateway),
            access: Access::new(address, Some(Secret::new(TOKEN))),
        });
        let stop = CancellationToken::new();
        let serving = polywire_server::serve(listener, app, stop.clone());
        gateway.tasks.spawn(serving);
        Self {
            address,
            gateway,
            stop,
        }
    }

    /// The demo, and `house` at a scripted upstream.
    async fn with(upstream: &ScriptedUpstream) -> Self {
        let house = Provider {
            id: "house".to_owned(),
            kind: Kind::Chat,
            base_url: upstream.base_url(),
            models: vec![Arc::new(Model::named("model"))],
            ..presets()[0].to_provider("house")
        };
        Self::new(vec![demo_provider(), house], LocalStates::new()).await
    }

    async fn send(&self, call: Call) -> Answer {
        call.bearer(TOKEN).send(self.address).await
    }

    async fn counters(&self) -> Value {
        let call = Call::get("/metrics").header("accept", "application/json");
        self.send(call).await.json()
    }

    /// The samples of the page for Prometheus, without those that differ from run to run.
    async fn samples(&self) -> Vec<String> {
        let page = self.send(Call::get("/metrics")).await;
        assert_eq!(
            page.headers.get("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let text = page.text();
        let samples = text.lines().filter(|line| {
            !line.starts_with('#')
                && !line.starts_with("polywire_build_info")
                && !line.starts_with("polywire_uptime")
                && !line.starts_with("polywire_time_to_first_content_seconds_bucket")
                && !line.starts_with("polywire_time_to_first_content_seconds_sum")
        });
        samples.map(str::to_owned).collect()
    }

    /// Waits until nothing is at work: a turn is counted when its answer is dropped, which may be after the client has read it.
    async fn quiet(&self) {
        within("the turns to end", async {
            while self.gateway.turns_at_work() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn chat(model: &str, stream: bool) -> Call {
    let messages = json!([{"role": "user", "content": "hi"}]);
    Call::post(
        "/v1/chat/completions",
        &json!({"model": model, "messages": messages, "stream": stream}),
    )
}

#[tokio::test]
async fn a_gateway_without_engines_is_ready_and_has_counted_nothing() {
    let house = House::new(vec![demo_provider()], LocalStates::new()).await;
    let ready = Call::get("/ready").send(house.address).await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, r#"{"status":"ready"}"#)
    );
    let mut counters = house.counters().await;
    let uptime = counters["uptime_seconds"].take();
    assert!(uptime.as_f64().is_some_and(|seconds| seconds >= 0.0));
    assert_eq!(
        counters,
        json!({
            "requests_total": 0,
            "requests_ok": 0,
            "requests_error": 0,
            "requests_client_left": 0,
            "errors_by_status": {},
            "uptime_seconds": null,
            "turns_at_work": 0,
            "engine": null,
            "app_server_pool_started": false,
            "engines": [],
        })
    );
}

#[tokio::test]
async fn counters_are_private_and_readiness_is_not() {
    let house = House::new(vec![demo_provider()], LocalStates::new()).await;
    for (path, status) in [("/metrics", 401), ("/ready", 200), ("/health", 200)] {
        let answer = Call::get(path).send(house.address).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[tokio::test]
async fn successes_refusals_and_faults_are_counted_once() {
    let upstream = ScriptedUpstream::replies(vec![
        ChatStream::new()
            .text("hello")
            .usage(TOKENS)
            .finish("stop")
            .done(),
        answer("hello"),
        Reply::error(500, "internal", "Oops."),
        Reply::error(429, "rate_limit_exceeded", "Slow down."),
        Reply::error(401, "invalid_api_key", "No."),
        Reply::error(500, "internal", "Oops."),
        ChatStream::new().text("half").step(Step::Close).done(),
    ]);
    let house = House::with(&upstream).await;
    let asked = json!({"model": "house/model", "input": "hi", "wishful": 1});
    let calls = [
        (chat("house/model", true), 200),
        (Call::post("/v1/responses", &asked), 200),
        (chat("house/model", false), 502),
        (chat("house/model", true), 429),
        // What a provider says of our key is no news of the client's.
        (chat("house/model", true), 502),
        // The first target of the route fails, the demo answers.
        (chat("both", false), 200),
        // Told inside the stream, which had begun.
        (chat("house/model", true), 200),
        // Never becomes an attempt.
        (chat("nowhere/model", false), 404),
        (
            Call::post("/v1/messages", &json!({"model": "demo/demo"})),
            400,
        ),
        // Never becomes a turn.
        (
            chat("demo/demo", false).header("content-encoding", "br"),
            415,
        ),
        (Call::get("/v1/nothing"), 404),
        (chat("demo/demo", false).header("host", "evil.example"), 403),
        (Call::get("/v1/chat/completions"), 405),
    ];
    for (index, (call, status)) in calls.into_iter().enumerate() {
        let answer = house.send(call).await;
        assert_eq!(answer.status, status, "call {index}: {}", answer.text());
    }
    let without_token = chat("demo/demo", false).send(house.address).await;
    assert_eq!(without_token.status, 401);
    house.quiet().await;
    let counters = house.counters().await;
    assert_eq!(counters["requests_total"], 14);
    insta::assert_snapshot!(house.samples().await.join("\n"));
    assert_eq!(
        counters["errors_by_status"],
        json!({"400": 1, "401": 1, "403": 1, "404": 2, "405": 1, "415": 1, "429": 1, "502": 3})
    );
    let count = |name: &str| counters[name].as_u64().unwrap();
    assert_eq!(
        count("requests_total"),
        count("requests_ok") + count("requests_error") + count("requests_client_left")
    );
}

#[tokio::test]
async fn every_line_for_prometheus_belongs_to_a_family_and_histograms_add_up() {
    let upstream = ScriptedUpstream::start(|_, _| answer("hello"));
    let house = House::with(&upstream).await;
    for _ in 0..3 {
        house.send(chat("house/model", true)).await;
    }
    house.quiet().await;
    let text = house.send(Call::get("/metrics")).await.text();
    assert!(text.ends_with('\n'));
    let mut family = String::new();
    let mut buckets = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').unwrap().0.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} in {family}");
            let value: f64 = value.parse().unwrap();
            if name.contains("_bucket{") {
                buckets.push(value);
            }
        }
    }
    assert_eq!(buckets.len(), 14);
    assert!(buckets.is_sorted(), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&3.0));
}

#[tokio::test]
async fn clients_that_leave_are_neither_successes_nor_errors() {
    let gate = Gate::new();
    let held = ChatStream::new().text("hello").wait(&gate);
    let upstream = ScriptedUpstream::replies(vec![held.done(), Reply::silence()]);
    let house = House::with(&upstream).await;
    // In the middle of an answer.
    let mut exchange = chat("house/model", true)
        .bearer(TOKEN)
        .open(house.address)
        .await;
    exchange.next_event().await.unwrap();
    assert_eq!(house.counters().await["turns_at_work"], 1);
    drop(exchange);
    upstream.client_gone(0).await;
    // Before there was any.
    let sent = chat("house/model", false)
        .bearer(TOKEN)
        .dispatch(house.address)
        .await;
    upstream.requests(2).await;
    drop(sent);
    upstream.client_gone(1).await;
    gate.open();
    house.quiet().await;
    let counters = house.counters().await;
    assert_eq!(counters["requests_client_left"], 2);
    assert_eq!(counters["requests_total"], 2);
    assert_eq!(counters["errors_by_status"], json!({}));
    let samples = house.samples().await;
    let turn = r#"polywire_turns_total{provider="house",dialect="chat",outcome="client_left"} 2"#;
    assert!(samples.iter().any(|sample| sample == turn), "{samples:#?}");
}

#[tokio::test]
async fn refusals_on_a_websocket_count_too() {
    let house = House::new(vec![demo_provider()], LocalStates::new()).await;
    let upgrade = Upgrade::at("/v1/responses").bearer(TOKEN);
    let mut socket = upgrade.open(house.address).await;
    socket.send(&json!({"type": "response.cancel"})).await;
    assert_eq!(socket.event().await["type"], "error");
    let request = json!({"type": "response.create", "model": "demo/demo", "input": "hi"});
    socket.ask(&request).await;
    socket.close().await;
    house.quiet().await;
    let counters = house.counters().await;
    assert_eq!(counters["errors_by_status"], json!({"400": 1}));
    assert_eq!(counters["requests_ok"], 1);
}

#[tokio::test]
async fn the_engine_of_the_default_provider_is_told_first() {
    let engine = || {
        Arc::new(Scripted {
            engine: Some(EngineState::default()),
            ..Scripted::default()
        }) as Arc<dyn LocalState>
    };
    let provider = |id: &str, kind| Provider {
        id: id.to_owned(),
        kind,
        base_url: "http://127.0.0.1:9/v1".to_owned(),
        profile: presets()[0].to_provider("x").profile,
        ..demo_provider()
    };
    let house = House::new(
        vec![provider("a", Kind::Chat), demo_provider()],
        [("a".to_owned(), engine()), ("demo".to_owned(), engine())].into(),
    )
    .await;
    let counters = house.counters().await;
    assert_eq!(counters["engine"], "demo");
    assert_eq!(counters["engines"][1]["provider"], "a");
    assert_eq!(counters["engines"][1]["engine"], "chat");
}

/// An engine that says what the test wants.
#[derive(Default)]
struct Scripted {
    problems: Mutex<Vec<Problem>>,
    engine: Option<EngineState>,
}

impl LocalState for Scripted {
    fn problems(&self) -> Vec<Problem> {
        self.problems.lock().unwrap().clone()
    }

    fn engine(&self) -> Option<EngineState> {
        self.engine
    }
}

#[tokio::test]
async fn what_a_provider_lacks_on_this_machine_makes_the_gateway_not_ready_until_it_is_there() {
    let engine = Arc::new(Scripted {
        engine: Some(EngineState {
            started: 2,
            waiting_threads: 3,
            workers: 4,
            busy: 3,
            waiting: 2,
            queue: 64,
            executable_found: true,
            login_found: false,
            pool_started: true,
        }),
        ..Scripted::default()
    });
    let local: LocalStates = [(
        "mine".to_owned(),
        Arc::clone(&engine) as Arc<dyn LocalState>,
    )]
    .into();
    let mine = Provider {
        id: "mine".to_owned(),
        ..demo_provider()
    };
    let house = House::new(vec![demo_provider(), mine], local).await;
    let engines = json!([{
        "provider": "mine", "engine": "demo", "workers": 4, "busy": 3, "waiting": 2, "queue": 64,
        "started": 2, "waiting_threads": 3,
        "executable_found": true, "login_found": false, "pool_started": true,
    }]);
    let ready = Call::get("/ready").send(house.address).await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json(), json!({"status": "ready", "engines": engines}));

    *engine.problems.lock().unwrap() = vec![
        Problem {
            kind: ProblemKind::LoginMissing,
            hint: "run `polywire login`".to_owned(),
        },
        Problem {
            kind: ProblemKind::EngineFailed,
            hint: "run `polywire doctor`".to_owned(),
        },
    ];
    let ready = Call::get("/ready").send(house.address).await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json(),
        json!({
            "status": "not_ready",
            "problems": [
                {"provider": "mine", "problem": "login_missing", "hint": "run `polywire login`"},
                {"provider": "mine", "problem": "engine_failed", "hint": "run `polywire doctor`"},
            ],
            "engines": engines,
        })
    );
    let counters = house.counters().await;
    assert_eq!(counters["engine"], "demo");
    assert_eq!(counters["app_server_pool_started"], true);
    assert_eq!(counters["engines"], engines);
    let samples = house.samples().await;
    for sample in [
        r#"polywire_engine_workers{provider="mine",engine="demo"} 4"#,
        r#"polywire_engine_workers_busy{provider="mine",engine="demo"} 3"#,
        r#"polywire_engine_turns_waiting{provider="mine",engine="demo"} 2"#,
        r#"polywire_engine_queue_max{provider="mine",engine="demo"} 64"#,
        r#"polywire_engine_pool_started{provider="mine",engine="demo"} 1"#,
        r#"polywire_provider_problem{provider="mine",problem="login_missing"} 1"#,
        r#"polywire_provider_problem{provider="mine",problem="engine_failed"} 1"#,
    ] {
        assert!(samples.iter().any(|found| found == sample), "{samples:#?}");
    }

    engine.problems.lock().unwrap().clear();
    assert_eq!(Call::get("/ready").send(house.address).await.status, 200);
}
