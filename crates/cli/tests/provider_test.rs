//! `polywire provider test` on providers of several habits: what the table says, what is proven, what is written.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use polywire_testkit::{
    ChatStream, Ended, Reply, Running, ScriptedUpstream, TempHome, Terminal, Tokens,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const KEY: &str = "sk-house-0123456789";

/// What a provider does otherwise than a good one.
#[derive(Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent habit"
)]
struct Habits {
    /// Every request with tools is refused.
    refuses_tools: bool,
    /// A schema is taken and ignored; `json_object` is honoured.
    ignores_schemas: bool,
    /// The whole text comes in one piece.
    in_one_piece: bool,
    /// Counts tokens only when `stream_options` asks for it, as OpenAI does.
    counts_on_demand: bool,
    /// `max_tokens` is refused.
    wants_completion_tokens: bool,
    /// `tool_choice: "required"` is refused.
    refuses_demands: bool,
    /// Reasoning must not come back.
    refuses_reasoning: bool,
}

/// A provider with these habits and a model that does as it is told.
fn provider(habits: Habits) -> ScriptedUpstream {
    ScriptedUpstream::start(move |_, request| {
        if request.method == "GET" {
            return Reply::json(
                200,
                &json!({"object": "list", "data": [{"id": "test-model"}, {"id": "other"}]}),
            );
        }
        assert_eq!(
            request.headers.get("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        reply(habits, &request.json())
    })
}

fn reply(habits: Habits, body: &Value) -> Reply {
    let refused = |message: &str| Reply::error(400, "invalid_request_error", message);
    let has_tools = body["tools"].is_array();
    if habits.refuses_tools && has_tools {
        return refused("This model does not support tools.");
    }
    if habits.wants_completion_tokens && body.get("max_tokens").is_some() {
        return refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
    }
    if habits.refuses_demands && body["tool_choice"] == "required" {
        return refused("tool_choice 'required' is not supported");
    }
    let messages = body["messages"].as_array().unwrap();
    let thinks_back = messages
        .iter()
        .any(|message| message.get("reasoning_content").is_some());
    if habits.refuses_reasoning && thinks_back {
        return refused("reasoning_content must not be part of the input");
    }
    let text = body["messages"].to_string();
    let stream = ChatStream::new();
    let stream = if text.contains("numbers from 1 to 40") {
        numbers(stream, habits.in_one_piece)
    } else if messages.last().unwrap()["role"] == "tool" {
        stream.text("The value is ").text("48613.").finish("stop")
    } else if text.contains("both at once") {
        stream
            .call("call_1", "look_up", &json!({"name": "alpha"}))
            .call("call_2", "look_up", &json!({"name": "beta"}))
            .finish("tool_calls")
    } else if has_tools && (text.contains("alpha") || body["tool_choice"] == "required") {
        stream
            .reasoning("The tool knows.")
            .call("call_1", "look_up", &json!({"name": "alpha"}))
            .finish("tool_calls")
    } else if text.contains("PINEAPPLE") {
        stream.text("PINEAPPLE").finish("stop")
    } else if text.contains("colour") {
        stream.text("Red.").finish("stop")
    } else {
        stream.text(&greeting(habits, body)).finish("stop")
    };
    let asks = body["stream_options"]["include_usage"] == true;
    if habits.counts_on_demand && !asks {
        return stream.done();
    }
    stream
        .usage(Tokens {
            prompt: 50,
            cached: 0,
            completion: 20,
            reasoning: 0,
        })
        .done()
}

fn numbers(mut stream: ChatStream, in_one_piece: bool) -> ChatStream {
    let all: Vec<String> = (1..=40).map(|number| format!("{number} ")).collect();
    if in_one_piece {
        return stream.text(&all.concat()).finish("stop");
    }
    for number in &all {
        stream = stream.text(number);
    }
    stream.finish("stop")
}

fn greeting(habits: Habits, body: &Value) -> String {
    let json = r#"{"sentence": "Hello there.", "language": "en", "words": 2}"#;
    let honoured = match body["response_format"]["type"].as_str() {
        Some("json_schema") => !habits.ignores_schemas,
        Some("json_object") => true,
        _ => false,
    };
    if honoured {
        json.to_owned()
    } else {
        "Hello there!".to_owned()
    }
}

/// Settings with a comment and a layout that nobody else would choose, to see that they stay.
fn settings(base_url: &str, profile: &str) -> String {
    format!(
        r#"# my providers
default_provider = "house"

[providers.house]   # at home
kind = "chat"
base_url = "{base_url}"
key = "{KEY}"
models = [
    {{ id = "test-model", images = true, context_window = 200000, reasoning_efforts = ["low", "high"], default_effort = "high" }},
]

[providers.house.profile]
reasoning_request = "reasoning_effort"
{profile}

[providers.other]
kind = "chat"
base_url = "http://127.0.0.1:9/v1"
"#
    )
}

struct House {
    home: TempHome,
    upstream: ScriptedUpstream,
}

impl House {
    fn new(habits: Habits, profile: &str) -> Self {
        Self::with(provider(habits), profile)
    }

    fn with(upstream: ScriptedUpstream, profile: &str) -> Self {
        let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
        let settings = settings(&upstream.base_url(), profile);
        home.write("config/polywire/config.toml", settings);
        Self { home, upstream }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = self.home.command(PROGRAM);
        command.args(["provider", "test", "house"]).args(arguments);
        let ended = Running::start(command).ended().await;
        let all = [ended.stdout.join("\n"), ended.stderr.join("\n")].concat();
        assert!(!all.contains(KEY), "{all}");
        ended
    }

    fn file(&self) -> String {
        fs::read_to_string(self.home.config().join("polywire/config.toml")).unwrap()
    }
}

/// How a check came out, and what is said of it, hint included.
#[track_caller]
fn row(ended: &Ended, title: &str) -> String {
    let rows = &ended.stdout;
    let at = rows
        .iter()
        .position(|row| row.trim_start().starts_with(title));
    let at = at.unwrap_or_else(|| panic!("no `{title}` in {ended:?}"));
    let hint = rows.get(at + 1).filter(|row| row.contains("hint: "));
    let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
    let row = words(&rows[at]);
    match hint {
        Some(hint) => format!("{row} | {}", words(hint)),
        None => row,
    }
}

#[track_caller]
fn assert_row(ended: &Ended, title: &str, holds: &str) {
    let row = row(ended, title);
    assert!(
        row.contains(holds),
        "`{holds}` is not in `{row}`\n{ended:?}"
    );
}

const BACK: &str = r#"reasoning_back = "reasoning_content""#;

#[tokio::test]
async fn a_good_provider() {
    let house = House::new(Habits::default(), BACK);
    let before = house.file();
    let ended = house.run(&[]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(
        ended.stdout[0],
        format!("house/test-model at {}", house.upstream.base_url())
    );
    for title in [
        "reachable",
        "key accepted",
        "list of models",
        "answer",
        "streaming",
        "token counts",
        "tool call",
        "tool result taken back",
        "two calls at once",
        "call on demand",
        "answer by a schema",
        "later instructions",
        "reasoning shown",
        "reasoning taken back",
        "picture",
    ] {
        assert_row(&ended, title, &format!("{title} works"));
    }
    assert_row(&ended, "list of models", "2 listed");
    assert_row(&ended, "reachable", "tcp");
    assert_row(&ended, "streaming", "40 pieces");
    assert_row(&ended, "token counts", "50 in, 20 out");
    let turns = house.upstream.received().len() - 1;
    let cost = format!(
        "{turns} turns, {} tokens in, {} tokens out",
        50 * turns,
        20 * turns
    );
    assert_eq!(ended.stdout.last(), Some(&cost));
    // The way of every turn: the thought went back, and each request had a limit.
    let posts = &house.upstream.received()[1..];
    assert!(
        posts
            .iter()
            .all(|post| post.json()["max_tokens"].as_u64().unwrap() <= 2048)
    );
    assert!(posts.iter().any(|post| {
        post.json()["messages"]
            .to_string()
            .contains("The tool knows.")
    }));
    // Nothing was asked for that writes.
    assert_eq!(house.file(), before);
    assert!(!house.home.state().join("polywire/provider-tests").exists());
}

#[tokio::test]
async fn as_json() {
    let house = House::new(Habits::default(), "");
    let ended = house.run(&["--json", "-m", "house/other"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    assert_eq!(
        (&report["provider"], &report["model"]),
        (&json!("house"), &json!("other"))
    );
    assert_eq!(report["works"], true);
    assert_eq!(report["reach"]["finding"], "works");
    assert_eq!(report["checks"].as_array().unwrap().len(), 15);
    assert_eq!(report["proven"], json!({}));
    let schema = json!({"check": "structured_output", "key": "structured_output", "value": "json_schema", "speaks": "for", "in_force": true});
    assert!(
        report["evidence"].as_array().unwrap().contains(&schema),
        "{report}"
    );
}

#[tokio::test]
async fn a_provider_without_tools() {
    let house = House::new(
        Habits {
            refuses_tools: true,
            ..Habits::default()
        },
        "",
    );
    let ended = house.run(&[]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_row(
        &ended,
        "tool call",
        "tool call does not work This model does not support tools.",
    );
    assert_row(&ended, "tool result", "skipped there was no tool call");
    assert_row(&ended, "answer by", "works");
}

#[tokio::test]
async fn a_provider_that_ignores_schemas_is_proven_to() {
    let habits = Habits {
        ignores_schemas: true,
        ..Habits::default()
    };
    let house = House::new(habits, BACK);
    let before = house.file();
    let ended = house.run(&[]).await;
    // No coding client needs it.
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_row(
        &ended,
        "answer by",
        "the schema is ignored: the answer is no JSON: “Hello there!”",
    );
    assert_row(&ended, "answer by", "structured_output = \"json_object\"");
    assert!(ended.stderr.join("\n").contains("--write"), "{ended:?}");
    assert_eq!(house.file(), before);

    let ended = house.run(&["--write"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let line = "structured_output = \"json_object\"\n";
    let written = house.file();
    assert_eq!(written.replacen(line, "", 1), before);
    let profile = written.find("[providers.house.profile]").unwrap();
    assert!(written.find(line).unwrap() > profile, "{written}");
    let record = house
        .home
        .state()
        .join("polywire/provider-tests/house.json");
    assert_eq!(
        fs::metadata(&record).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let kept: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert_eq!(
        kept["tests"][0]["proven"],
        json!({"structured_output": "json_object"})
    );
    assert!(
        kept["tests"][0]["tested_at"]
            .as_str()
            .unwrap()
            .starts_with("20")
    );
    assert!(!kept.to_string().contains(KEY));

    // With what was written it works, and there is nothing more to write.
    let ended = house.run(&["--write"]).await;
    assert_row(
        &ended,
        "answer by",
        "works the schema is told in words, and polywire checks the answer",
    );
    assert_eq!(house.file(), written);
    let kept: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert_eq!(kept["tests"].as_array().unwrap().len(), 2);
    assert_eq!(kept["tests"][0]["proven"], json!({}));
}

#[tokio::test]
async fn a_provider_that_streams_in_one_piece() {
    let house = House::new(
        Habits {
            in_one_piece: true,
            ..Habits::default()
        },
        "",
    );
    let ended = house.run(&[]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_row(
        &ended,
        "streaming",
        "does not work the whole text came in 1 piece",
    );
    assert_row(&ended, "tool call", "works");
}

/// Three switches at once: each is proven by the check that it concerns, and together they make the provider work.
#[tokio::test]
async fn switches_are_found_by_trying() {
    let habits = Habits {
        wants_completion_tokens: true,
        refuses_demands: true,
        refuses_reasoning: true,
        counts_on_demand: true,
        ..Habits::default()
    };
    let profile = format!("{BACK}\nusage_in_stream = false");
    let house = House::new(habits, &profile);
    let ended = house.run(&["--write"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_row(&ended, "answer", "Unsupported parameter: 'max_tokens'");
    assert_row(
        &ended,
        "answer",
        "output_limit_field = \"max_completion_tokens\"",
    );
    assert_row(&ended, "token counts", "usage_in_stream = true");
    assert_row(
        &ended,
        "call on demand",
        "tool_choice = [\"auto\", \"none\"]",
    );
    assert_row(
        &ended,
        "reasoning taken back",
        "reasoning_back = \"reasoning\"",
    );
    let written = house.file();
    for line in [
        "output_limit_field = \"max_completion_tokens\"\n",
        "usage_in_stream = true\n",
        "reasoning_back = \"reasoning\"\n",
        "tool_choice = [\"auto\", \"none\"]\n",
    ] {
        assert!(written.contains(line), "{written}");
    }
    let ended = house.run(&[]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for title in ["answer", "token counts", "reasoning taken back"] {
        assert_row(&ended, title, "works");
    }
    assert_row(&ended, "call on demand", "not supported");
}

#[tokio::test]
async fn a_key_that_is_refused() {
    let upstream = ScriptedUpstream::start(|_, _| {
        Reply::error(
            401,
            "invalid_api_key",
            &format!("Incorrect API key provided: {KEY}"),
        )
    });
    let house = House::with(upstream, "");
    let ended = house.run(&[]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_row(&ended, "reachable", "works");
    assert_row(
        &ended,
        "key accepted",
        "does not work Incorrect API key provided: ***",
    );
    assert_row(
        &ended,
        "tool call",
        "skipped not even a plain question is answered",
    );
    assert!(house.upstream.received().len() <= 2);
}

#[tokio::test]
async fn a_filter_in_front() {
    let page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
    let upstream =
        ScriptedUpstream::start(|_, _| Reply::html(403, page).header("server", "cloudflare"));
    let house = House::with(upstream, "");
    let ended = house.run(&[]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_row(&ended, "reachable", "does not work Cloudflare's filter");
    assert_row(&ended, "reachable", "hint: the key is not at fault");
    assert_row(&ended, "answer", "skipped the provider was not reached");
    assert_eq!(house.upstream.received().len(), 1);
}

#[tokio::test]
async fn providers_that_cannot_be_tested() {
    let house = House::new(Habits::default(), "");
    let run = |arguments: &[&str]| {
        let mut command = house.home.command(PROGRAM);
        command.args(["provider", "test"]).args(arguments);
        Running::start(command).ended()
    };
    let ended = run(&["nobody"]).await;
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended
            .stderr
            .join("\n")
            .contains("there is no provider `nobody`\nhint: "),
        "{ended:?}"
    );
    let ended = run(&["other"]).await;
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended
            .stderr
            .join("\n")
            .contains("hint: `polywire provider test other -m MODEL`"),
        "{ended:?}"
    );
    // Nobody listens there.
    let ended = run(&["other", "-m", "x"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_row(
        &ended,
        "reachable",
        "does not work 127.0.0.1:9 does not take the connection",
    );
    // A preset needs no line in the settings, and its key is asked for by name.
    let ended = run(&["zai"]).await;
    assert_eq!(ended.code(), Some(1));
    assert_row(&ended, "key accepted", "hint: set ZAI_API_KEY");
    let ended = run(&[]).await;
    assert_eq!(ended.code(), Some(2));
}

/// A server that offers both versions of HTTP, as all large ones do, and whose certificate this machine trusts.
#[tokio::test]
async fn a_provider_behind_tls() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let body = r#"{"data":[{"id":"m"}]}"#;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()) {
                // It has a list of models by HTTP/1.1, and nothing else.
                continue;
            }
            let Ok(1..) = stream.read(&mut [0; 4096]).await else {
                continue;
            };
            stream.write_all((head + body).as_bytes()).await.ok();
            stream.shutdown().await.ok();
        }
    };
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    let settings = format!(
        "[providers.house]\nkind = \"chat\"\nbase_url = \"https://localhost:{port}/v1\"\nmodels = [\"m\"]\n"
    );
    home.write("config/polywire/config.toml", settings);
    let certificate = home.write("work/root.pem", signed.cert.pem());
    let run = |trusted: bool| {
        let mut command = home.command(PROGRAM);
        command.args(["provider", "test", "house"]);
        if trusted {
            command.env("SSL_CERT_FILE", &certificate);
        }
        Running::start(command).ended()
    };
    let both = async { (run(true).await, run(false).await) };
    let (trusted, untrusted) = tokio::select! {
        ended = both => ended,
        () = serving => panic!("the server ended"),
    };
    assert_row(&trusted, "reachable", "reachable works");
    assert_row(&trusted, "reachable", "tls");
    assert_row(&trusted, "list of models", "1 listed");
    assert_row(&untrusted, "reachable", "nobody whom this machine trusts");
    assert_row(&untrusted, "reachable", "hint: ");
}

/// The built-in model needs nothing, and what it cannot do does not count.
#[tokio::test]
async fn the_demo() {
    let home = TempHome::new(env!("CARGO_TARGET_TMPDIR"));
    let mut command = home.command(PROGRAM);
    command.args(["provider", "test", "demo"]);
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_row(&ended, "reachable", "it is on this machine");
    assert_row(&ended, "tool result", "works");
}

#[tokio::test]
async fn progress_on_a_terminal() {
    let house = House::new(Habits::default(), "");
    let mut command = house.home.command(PROGRAM);
    command.args(["provider", "test", "house"]);
    let mut terminal = Terminal::start(command);
    terminal.shows("… tool call").await;
    terminal.shows("tokens out").await;
    assert_eq!(terminal.ended().await, Some(0));
}
