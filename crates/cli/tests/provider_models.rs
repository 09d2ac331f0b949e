//! `polywire provider models`: lists from providers, page by page, kept, pasted, and written into the settings.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;

use polywire_testkit::{Reply, ScriptedUpstream, Terminal};
use provider::{Desk, mode};
use serde_json::{Value, json};

#[path = "support/provider.rs"]
mod provider;

fn list(models: &[&str]) -> Reply {
    let data: Vec<Value> = models
        .iter()
        .map(|id| json!({ "id": id, "object": "model" }))
        .collect();
    Reply::json(200, &json!({ "object": "list", "data": data }))
}

fn house(upstream: &ScriptedUpstream) -> Desk {
    Desk::with(&format!(
        "[providers.house]\nkind = \"chat\"\nbase_url = \"{}\"\nkey = \"sk-0123456789abcdef\"\n",
        upstream.base_url()
    ))
}

#[tokio::test]
async fn a_list_is_fetched_once_a_day() {
    let upstream = ScriptedUpstream::replies(vec![
        list(&["zai-org/GLM-5", "qwen3:30B-a3b"]),
        list(&["new"]),
    ]);
    let desk = house(&upstream);
    let shown = desk.run(&["models", "house"]).await.done();
    insta::assert_snapshot!(shown.stdout);
    insta::assert_snapshot!(shown.stderr);
    let again = desk.run(&["models", "house"]).await.done();
    assert_eq!(again.stdout, shown.stdout);
    let asked = upstream.received();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("GET", "/v1/models")
    );
    assert_eq!(
        asked[0].headers.get("authorization"),
        Some("Bearer sk-0123456789abcdef")
    );
    let kept = desk.home.state().join("polywire/models/house.json");
    assert_eq!(mode(&kept), 0o600);
    assert!(!fs::read_to_string(&kept).unwrap().contains("sk-"));
    let refreshed = desk.run(&["models", "house", "--refresh"]).await.done();
    assert!(refreshed.stdout.contains("new"), "{refreshed:?}");
    // Half a list, as a full disk leaves it, is none.
    fs::write(&kept, "{\"url\":").unwrap();
    desk.run(&["models", "house"])
        .await
        .failed(&["the script has no reply"]);
}

#[tokio::test]
async fn an_old_list_serves_when_no_new_one_comes() {
    let upstream =
        ScriptedUpstream::replies(vec![list(&["a"]), Reply::error(500, "down", "we are down")]);
    let desk = house(&upstream);
    desk.run(&["models", "house"]).await.done();
    let kept = desk.home.state().join("polywire/models/house.json");
    let mut old: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    old["unix_s"] = json!(old["unix_s"].as_i64().unwrap() - 3 * 86400 - 60);
    fs::write(&kept, old.to_string()).unwrap();
    let shown = desk.run(&["models", "house"]).await.done();
    assert!(shown.stdout.contains("  a  "), "{shown:?}");
    assert!(shown.stderr.contains("warning: "), "{shown:?}");
    assert!(shown.stderr.contains("we are down"), "{shown:?}");
    assert!(
        shown.stderr.contains("this is the list of 3 days ago"),
        "{shown:?}"
    );
    // Who asks for a new one gets a new one or an error.
    desk.run(&["models", "house", "--refresh"])
        .await
        .failed(&["hint: "]);
    // The list of another address is another list.
    desk.run(&["edit", "house", "--base-url", "http://127.0.0.1:9/v1"])
        .await
        .done();
    desk.run(&["models", "house"])
        .await
        .failed(&["cannot be reached", "hint: "]);
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let page = |from: usize, more: bool| {
        let data: Vec<Value> = (from..from + 2)
            .map(|n| json!({ "id": format!("claude-{n}"), "display_name": format!("Claude {n}"), "type": "model", "max_input_tokens": 200_000, "max_tokens": 64_000 }))
            .collect();
        let last = format!("claude-{}", from + 1);
        Reply::json(
            200,
            &json!({ "data": data, "has_more": more, "first_id": "x", "last_id": last }),
        )
    };
    let upstream = ScriptedUpstream::replies(vec![page(1, true), page(3, true), page(5, false)]);
    let desk = Desk::with(&format!(
        "[providers.claude]\nkind = \"messages\"\nbase_url = \"{}\"\nauth = {{ header = \"x-api-key\" }}\nkey = \"sk-0123456789abcdef\"\n",
        upstream.base_url()
    ));
    let shown = desk
        .run(&["models", "claude", "--json"])
        .await
        .done()
        .json();
    let models = shown["models"].as_array().unwrap();
    assert_eq!(models.len(), 6);
    assert_eq!(models[5]["id"], "claude-6");
    assert_eq!(models[5]["context_window"], 200_000);
    assert_eq!(
        (&shown["source"], &shown["missing"]),
        (&json!("provider"), &Value::Null)
    );
    let paths: Vec<String> = upstream
        .received()
        .into_iter()
        .map(|asked| asked.path)
        .collect();
    assert_eq!(
        paths,
        [
            "/v1/models?limit=1000",
            "/v1/models?limit=1000&after_id=claude-2",
            "/v1/models?limit=1000&after_id=claude-4",
        ]
    );
    let first = &upstream.received()[0];
    assert_eq!(first.headers.get("x-api-key"), Some("sk-0123456789abcdef"));
    assert_eq!(first.headers.get("anthropic-version"), Some("2023-06-01"));
}

#[tokio::test]
async fn a_provider_that_repeats_its_page_is_told_on() {
    let upstream = ScriptedUpstream::start(|_, _| {
        Reply::json(
            200,
            &json!({ "data": [{ "id": "a b/c" }], "has_more": true }),
        )
    });
    let desk = house(&upstream);
    let shown = desk.run(&["models", "house"]).await.done();
    assert!(
        shown
            .stderr
            .contains("warning: the provider says that there are more"),
        "{shown:?}"
    );
    assert_eq!(upstream.received()[1].path, "/v1/models?after=a%20b%2Fc");
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn a_page_that_fails_leaves_no_half_list() {
    let upstream = ScriptedUpstream::replies(vec![
        Reply::json(200, &json!({ "data": [{ "id": "a" }], "has_more": true })),
        Reply::error(500, "x", "no second page"),
    ]);
    let desk = house(&upstream);
    desk.run(&["models", "house"])
        .await
        .failed(&["no second page", "hint:"]);
    assert!(
        !desk
            .home
            .state()
            .join("polywire/models/house.json")
            .exists()
    );
}

#[tokio::test]
async fn a_missing_list_is_told_and_what_is_known_serves() {
    let upstream = ScriptedUpstream::start(|_, _| Reply::html(404, "<h1>nothing here</h1>"));
    let desk = Desk::with(&format!(
        "[providers.mine]\npreset = \"zai\"\nbase_url = \"{}\"\nkey = \"sk-0123456789abcdef\"\n",
        upstream.base_url()
    ));
    let shown = desk.run(&["models", "mine"]).await.done();
    assert!(shown.stdout.contains("*  glm-5.1 "), "{shown:?}");
    let url = format!(
        "there is no list of models at {}/models (HTTP 404)",
        upstream.base_url()
    );
    assert!(shown.stderr.contains(&url), "{shown:?}");
    for flag in ["--refresh", "--save"] {
        desk.run(&["models", "mine", flag])
            .await
            .failed(&[&url, "hint: name its models yourself"]);
    }
}

#[tokio::test]
async fn what_goes_wrong_has_a_way_out_and_no_key_in_it() {
    let replies = [
        (
            Reply::error(
                401,
                "invalid_api_key",
                "Incorrect API key: sk-0123456789abcdef",
            ),
            "hint: change `key` of `[providers.house]` in CONFIG/polywire/config.toml, or take another one in with `polywire provider edit house --key-stdin`",
        ),
        (
            Reply::html(200, "<html>log in first</html>"),
            "the list of models cannot be read: it is not JSON",
        ),
        (
            Reply::json(200, &json!({ "object": "list" })),
            "there is no list in it",
        ),
    ];
    for (reply, what) in replies {
        let upstream = ScriptedUpstream::replies(vec![reply]);
        let desk = house(&upstream);
        let failed = desk.run(&["models", "house"]).await.failed(&[what]);
        assert!(!failed.stderr.contains("sk-0123456789abcdef"), "{failed:?}");
        assert!(failed.stderr.contains("\nhint: "), "{failed:?}");
    }
    let desk = Desk::with("[providers.groq]\npreset = \"groq\"\n");
    desk.run(&["models", "groq"])
        .await
        .failed(&["GROQ_API_KEY", "hint: "]);
    desk.run(&["models", "gone"])
        .await
        .failed(&["there is no provider `gone`", "hint: "]);
    let demo = desk.run(&["models", "demo"]).await.done();
    assert!(demo.stdout.contains("*  demo "), "{demo:?}");
    desk.run(&["models", "demo", "--save"])
        .await
        .failed(&["gives out no list"]);
}

/// Providers repeat more than keys: some give back every header of a request that they do not like.
#[tokio::test]
async fn secret_headers_do_not_come_back_in_a_providers_words() {
    let echo = "denied: x-extra-token=tok-0123456789; authorization-2=Bearer tok-9876543210";
    let denied = || Reply::error(403, "denied", echo);
    let upstream = ScriptedUpstream::start(move |_, _| denied());
    let desk = Desk::with(&format!(
        "[providers.house]\nkind = \"chat\"\nbase_url = \"{}\"\nmodels = [\"a\"]\nheaders = {{ x-extra-token = \"tok-0123456789\", authorization-2 = \"Bearer tok-9876543210\" }}\n",
        upstream.base_url()
    ));
    for arguments in [
        &["models", "house", "--refresh"][..],
        &["test", "house"],
        &["test", "house", "--json"],
    ] {
        let failed = desk.run(arguments).await;
        assert_eq!(failed.code, 1, "{failed:?}");
        let all = format!("{failed:?}");
        assert!(all.contains("denied: x-extra-token=***"), "{failed:?}");
        assert!(!all.contains("tok-"), "{failed:?}");
    }
    let headers = &upstream.received()[0].headers;
    assert_eq!(headers.get("x-extra-token"), Some("tok-0123456789"));
}

#[tokio::test]
async fn progress_is_shown_at_a_terminal() {
    let gate = polywire_testkit::Gate::new();
    let behind = gate.clone();
    let upstream = ScriptedUpstream::start(move |index, _| match index {
        0 => Reply::json(
            200,
            &json!({ "data": [{ "id": "a" }, { "id": "b" }], "has_more": true }),
        ),
        _ => list(&["c"]).before(polywire_testkit::Step::Wait(behind.clone())),
    });
    let desk = house(&upstream);
    let mut terminal = Terminal::start(desk.command(&["models", "house"]));
    terminal
        .shows("fetching the models of `house`: 2 so far")
        .await;
    gate.open();
    terminal.shows("3 models, fetched just now").await;
    assert_eq!(terminal.ended().await, Some(0));
}

const MINE: &str = r#"[providers.house] # mine
kind = "chat"
base_url = "http://127.0.0.1:9/v1"
models = [
    "Qwen/Qwen3-Coder", # the good one
    { id = "small", context_window = 8_192 }, # for titles
    # more to come
]

[aliases]
fast = "house/small"
"#;

#[tokio::test]
async fn pasted_lists_are_taken_as_they_are() {
    let desk = Desk::with(MINE);
    let said = desk
        .piped(
            &["models", "house", "--import", "-"],
            "zai-org/GLM-5, Qwen/Qwen3-Coder,\r\n\n  moonshotai/Kimi-K2.6:free\nzai-org/GLM-5\n",
        )
        .await
        .done();
    insta::assert_snapshot!(said.stdout, @"provider `house` lists 4 models in CONFIG/polywire/config.toml: 2 added, 0 taken out");
    insta::assert_snapshot!(desk.settings());
    desk.run(&[
        "models",
        "house",
        "--remove",
        "zai-org/GLM-5",
        "--remove",
        "moonshotai/Kimi-K2.6:free",
    ])
    .await
    .done();
    assert_eq!(desk.settings(), MINE);
    desk.run(&["models", "house", "--remove", "qwen/qwen3-coder"])
        .await
        .failed(&["lists no model `qwen/qwen3-coder`", "capitals and all"]);
    let file = desk.home.write("work/models.txt", "\u{feff}One\nTwo/2\n");
    desk.run(&[
        "models",
        "house",
        "--import",
        &file.display().to_string(),
        "--replace",
    ])
    .await
    .done();
    let shown = desk.run(&["show", "house", "--json"]).await.done().json();
    let names: Vec<&Value> = shown["models"]["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(names, ["One", "Two/2"]);
    desk.run(&["models", "house", "--import", " ,\n"])
        .await
        .failed(&["there is no model in the list", "hint:"]);
    desk.run(&["models", "house", "--replace"])
        .await
        .failed(&["hint: add --save or --import"]);
}

#[tokio::test]
async fn a_list_that_is_not_there_is_no_model() {
    let desk = Desk::with(MINE);
    for list in [
        "no-such-file.txt",
        "/nowhere/models",
        "./models",
        "~/models",
        "List.CSV",
    ] {
        desk.run(&["models", "house", "--import", list])
            .await
            .failed(&[&format!("there is no file `{list}`"), "hint:", "--add"]);
    }
    desk.run(&["models", "house", "--import", "/tmp"])
        .await
        .failed(&["`/tmp` is a folder"]);
    let long = "model-of-the-house,\n".repeat(300_000);
    let file = desk.home.write("work/long.txt", &long);
    for list in ["-", file.to_str().unwrap()] {
        desk.piped(&["models", "house", "--import", list], &long)
            .await
            .failed(&["has more than 4 MiB", "hint:"]);
    }
    assert_eq!(desk.settings(), MINE);
    // What has several names is a list, whatever they look like.
    desk.run(&["models", "house", "--import", "notes.txt,b"])
        .await
        .done();
}

#[tokio::test]
async fn one_odd_name_does_not_keep_the_others_out() {
    let upstream = ScriptedUpstream::start(|_, _| list(&["a", "bad\u{1b}[2J", "b"]));
    let desk = house(&upstream);
    let saved = desk.run(&["models", "house", "--save"]).await.done();
    assert!(saved.stdout.contains("lists 2 models"), "{saved:?}");
    assert!(
        saved.stderr.contains("left out: `bad\\u{1b}[2J`"),
        "{saved:?}"
    );
}

#[tokio::test]
async fn an_edited_list_keeps_what_is_noted_in_it() {
    let desk = Desk::with(MINE);
    let edit = |list: &'static str| ["edit", "house", "--models", list];
    desk.run(&edit("Qwen/Qwen3-Coder,small,new")).await.done();
    let longer = MINE.replace("    # more to come", "    \"new\",\n    # more to come");
    assert_eq!(desk.settings(), longer);
    desk.run(&edit("Qwen/Qwen3-Coder,small")).await.done();
    assert_eq!(desk.settings(), MINE);
    let kept = desk.run(&edit("small,Qwen/Qwen3-Coder")).await.done();
    assert!(kept.stderr.contains("keep their order"), "{kept:?}");
    assert_eq!(desk.settings(), MINE);
    // Where nothing is noted, the order is the one that is wanted.
    let plain = Desk::with("[providers.zai]\npreset = \"zai\"\nmodels = [\"a\", \"b\"]\n");
    plain.run(&["edit", "zai", "--models", "b,a"]).await.done();
    assert!(plain.settings().contains("models = [\"b\", \"a\"]"));
}

#[tokio::test]
async fn what_the_preset_knows_stays_when_a_model_is_added() {
    let desk = Desk::with("[providers.cerebras]\npreset = \"cerebras\"\n");
    let known: Vec<String> = polywire_catalog::preset("cerebras")
        .unwrap()
        .models
        .iter()
        .map(|model| model.id.clone())
        .collect();
    desk.run(&["models", "cerebras", "--add", "brand-New/model"])
        .await
        .done();
    let shown = desk
        .run(&["show", "cerebras", "--json"])
        .await
        .done()
        .json();
    let models = shown["models"]["value"].as_array().unwrap();
    let names: Vec<&str> = models
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(names[..known.len()], known);
    assert_eq!(names[known.len()..], ["brand-New/model"]);
    assert!(models[0]["context_window"].is_number(), "{shown}");
    let removed = desk
        .run(&[
            "models",
            "cerebras",
            "--remove",
            &known[0],
            "--remove",
            "brand-New/model",
        ])
        .await
        .done();
    assert!(removed.stdout.contains("2 taken out"), "{removed:?}");
}

#[tokio::test]
async fn a_fetched_list_is_written_with_what_it_tells() {
    let upstream = ScriptedUpstream::start(|_, _| {
        Reply::json(
            200,
            &json!({ "data": [
                { "id": "glm-5.1", "context_length": 1 },
                { "id": "Big/Model", "name": "Big \"one\"", "context_length": 262_144, "top_provider": { "max_completion_tokens": 32_000 }, "architecture": { "input_modalities": ["text"] } },
                { "id": "plain" },
            ] }),
        )
    });
    let desk = Desk::with(&format!(
        "[providers.mine]\npreset = \"zai\"\nbase_url = \"{}\"\nkey = \"sk-0123456789abcdef\"\nmodels = [\"own\", \"plain\"] # mine\n",
        upstream.base_url()
    ));
    let mask = |text: String| text.replace(&upstream.base_url(), "URL");
    desk.run(&["models", "mine", "--save"]).await.done();
    insta::assert_snapshot!(mask(desk.settings()));
    let page = desk.run(&["models", "mine"]).await.done();
    insta::assert_snapshot!(page.stdout);
    let said = desk
        .run(&["models", "mine", "--save", "--replace"])
        .await
        .done();
    assert!(said.stdout.contains("lists 3 models"), "{said:?}");
    assert!(said.stdout.contains("0 added, 1 taken out"), "{said:?}");
    assert!(!desk.settings().contains("\"own\""));
}

#[tokio::test]
async fn models_below_headers_of_their_own_are_left_to_an_editor() {
    let settings = "[providers.house]\nkind = \"chat\"\nbase_url = \"http://127.0.0.1:9/v1\"\n[[providers.house.models]]\nid = \"a\"\n";
    let desk = Desk::with(settings);
    desk.run(&["models", "house", "--add", "b"])
        .await
        .failed(&["`providers.house.models` are written as tables", "hint:"]);
    assert_eq!(desk.settings(), settings);
}
