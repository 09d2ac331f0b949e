//! Turns that the real Codex serves, by both of its forms, on a scripted model.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

#[path = "support/engines.rs"]
#[allow(dead_code, reason = "each test program needs some of it")]
mod engines;

use engines::*;
use polywire_testkit::{Answer, Call, RED_PNG_BASE64, Reply, ResponsesStream, ScriptedUpstream};
use serde_json::{Value, json};

fn replies(replies: Vec<Reply>) -> ScriptedUpstream {
    ScriptedUpstream::replies(replies)
}

/// The messages of a request, each as its role and its texts.
fn messages(request: &Value) -> Vec<(String, String)> {
    let items = request["input"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .filter(|item| item["type"] == "message")
        .map(|item| {
            let parts = item["content"].as_array().cloned().unwrap_or_default();
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            let role = item["role"].as_str().unwrap_or_default();
            (role.to_owned(), texts.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

fn tool_names(request: &Value) -> Vec<String> {
    let tools = request["tools"].as_array().cloned().unwrap_or_default();
    tools
        .iter()
        .map(|tool| {
            tool["name"]
                .as_str()
                .or(tool["type"].as_str())
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn text_and_usage_in_every_protocol() {
    for kind in [APP_SERVER, EXEC] {
        let upstream = ScriptedUpstream::start(|_, _| says("Hello there."));
        let Some(engine) = Engine::start(kind, upstream, "").await else {
            return;
        };
        let answer = engine
            .send(post_chat(&json!({"model": "test-model", "messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."},
            ]})))
            .await;
        assert_eq!(text_of(&answer), "Hello there.", "{kind}");
        let usage = &answer.json()["usage"];
        assert_eq!(usage["prompt_tokens"], 25, "{kind}: {usage}");
        assert_eq!(usage["completion_tokens"], 7, "{kind}: {usage}");
        assert_eq!(
            usage["prompt_tokens_details"]["cached_tokens"], 10,
            "{kind}"
        );
        assert_eq!(
            usage["completion_tokens_details"]["reasoning_tokens"], 3,
            "{kind}"
        );

        let answer = engine
            .send(Call::post(
                "/v1/responses",
                &json!({
                    "model": "test-model", "instructions": "Be brief.", "input": "Say hello.",
                }),
            ))
            .await;
        let response = answer.json();
        assert_eq!(
            response["output"][0]["content"][0]["text"], "Hello there.",
            "{kind}: {response}"
        );
        assert_eq!(response["usage"]["total_tokens"], 32, "{kind}");

        let answer = engine
            .send(Call::post(
                "/v1/messages",
                &json!({
                    "model": "test-model", "max_tokens": 99, "system": "Be brief.",
                    "messages": [{"role": "user", "content": "Say hello."}],
                }),
            ))
            .await;
        let message = answer.json();
        assert_eq!(
            message["content"][0]["text"], "Hello there.",
            "{kind}: {message}"
        );
        assert_eq!(message["stop_reason"], "end_turn", "{kind}");
        assert_eq!(message["usage"]["input_tokens"], 15, "{kind}");

        for request in engine.asked() {
            let expected = [("developer", "Be brief."), ("user", "Say hello.")]
                .map(|(role, text)| (role.to_owned(), text.to_owned()));
            assert_eq!(messages(&request), expected, "{kind}: {request:#}");
            assert_eq!(tool_names(&request), Vec::<String>::new(), "{kind}");
        }
        engine.stop().await;
    }
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece() {
    let upstream = replies(vec![
        ResponsesStream::new("resp_1")
            .reasoning("rs_1", "Let me think.", "SEALED")
            .text("msg_1", "Hello there.")
            .completed(TOKENS),
    ]);
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let mut body = chat("Say hello.");
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let answer = engine.send(post_chat(&body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let chunks: Vec<Value> = answer
        .events()
        .iter()
        .filter(|event| event.data != "[DONE]")
        .map(polywire_testkit::SseEvent::json)
        .collect();
    let text: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Hello there.");
    let thought: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].as_str())
        .collect();
    assert_eq!(thought, "Let me think.");
    let usage = chunks.iter().find_map(|chunk| chunk["usage"].as_object());
    assert_eq!(usage.unwrap()["prompt_tokens"], 25);
    engine.stop().await;
}

/// A request with the tool, and the conversation after its two calls, in each protocol.
struct ToolLoop {
    path: &'static str,
    first: Value,
    /// The request that goes on, made from the first answer and what the tools answered.
    second: fn(Value, &Answer, [&str; 2]) -> Value,
    text: fn(&Answer) -> Value,
}

fn tool_loops() -> [ToolLoop; 3] {
    let function =
        json!({"name": "weather", "description": "Tells the weather.", "parameters": weather()});
    let mut flat = function.clone();
    flat["type"] = "function".into();
    [
        ToolLoop {
            path: "/v1/chat/completions",
            first: json!({"model": "test-model", "tools": [{"type": "function", "function": function}],
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]}),
            second: |mut body, answer, results| {
                let message = answer.json()["choices"][0]["message"].clone();
                let calls = message["tool_calls"].as_array().unwrap().clone();
                let said = body["messages"].as_array_mut().unwrap();
                said.push(message);
                for (call, result) in calls.iter().zip(results) {
                    said.push(
                        json!({"role": "tool", "tool_call_id": call["id"], "content": result}),
                    );
                }
                body
            },
            text: |answer| answer.json()["choices"][0]["message"]["content"].clone(),
        },
        ToolLoop {
            path: "/v1/responses",
            first: json!({"model": "test-model", "tools": [flat], "instructions": "Be brief.",
                "input": [{"role": "user", "content": "Weather?"}]}),
            second: |mut body, answer, results| {
                let output = answer.json()["output"].as_array().unwrap().clone();
                let said = body["input"].as_array_mut().unwrap();
                said.extend(output.iter().cloned());
                let calls = output.iter().filter(|item| item["type"] == "function_call");
                for (call, result) in calls.zip(results) {
                    said.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": result}));
                }
                body
            },
            text: |answer| {
                let output = answer.json()["output"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                output
                    .iter()
                    .find(|item| item["type"] == "message")
                    .unwrap()["content"][0]["text"]
                    .clone()
            },
        },
        ToolLoop {
            path: "/v1/messages",
            first: json!({"model": "test-model", "max_tokens": 99, "system": "Be brief.",
                "tools": [{"name": "weather", "description": "Tells the weather.", "input_schema": weather()}],
                "messages": [{"role": "user", "content": "Weather?"}]}),
            second: |mut body, answer, results| {
                let content = answer.json()["content"].clone();
                let blocks = content.as_array().unwrap().clone();
                let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
                let answers: Vec<Value> = calls
                    .zip(results)
                    .map(|(call, result)| json!({"type": "tool_result", "tool_use_id": call["id"], "content": result}))
                    .collect();
                let said = body["messages"].as_array_mut().unwrap();
                said.push(json!({"role": "assistant", "content": content}));
                said.push(json!({"role": "user", "content": answers}));
                body
            },
            text: |answer| answer.json()["content"][0]["text"].clone(),
        },
    ]
}

/// The items of a conversation that are calls and results, in brief.
fn calls_and_results(request: &Value) -> Vec<String> {
    let items = request["input"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .filter_map(|item| match item["type"].as_str()? {
            "function_call" => Some(format!("call {} {}", item["call_id"], item["arguments"])),
            "function_call_output" => {
                Some(format!("result {} {}", item["call_id"], item["output"]))
            }
            _ => None,
        })
        .collect()
}

const LOOPED: [&str; 4] = [
    r#"call "call_oslo" "{\"city\":\"Oslo\"}""#,
    r#"call "call_rome" "{\"city\":\"Rome\"}""#,
    r#"result "call_oslo" "snow""#,
    r#"result "call_rome" "sun""#,
];

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Two calls at once end the answer; their results go to the thread that waits, which asks the model once more.
#[tokio::test]
async fn tools_are_carried_out_by_the_client() {
    for ToolLoop {
        path,
        first,
        second,
        text,
    } in tool_loops()
    {
        let upstream = replies(vec![calls_twice(), says("Snow there, sun here.")]);
        let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
            return;
        };
        let answer = engine.send(Call::post(path, &first)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let asked = engine.asked();
        assert_eq!(tool_names(&asked[0]), ["weather"]);
        assert_eq!(asked[0]["tools"][0]["parameters"], weather(), "{path}");
        let body = second(first, &answer, ["snow", "sun"]);
        let answer = engine.send(Call::post(path, &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(text(&answer), "Snow there, sun here.", "{path}");
        let asked = engine.asked();
        assert_eq!(asked.len(), 2, "{path}");
        assert_eq!(
            sorted(calls_and_results(&asked[1])),
            sorted(LOOPED.map(str::to_owned).to_vec()),
            "{path}"
        );
        // The same thread: Codex names its threads to the model's provider.
        let thread = |request: &Value| request["client_metadata"]["thread_id"].clone();
        assert!(thread(&asked[0]).is_string(), "{}", asked[0]);
        assert_eq!(thread(&asked[0]), thread(&asked[1]), "{path}");
        engine.stop().await;
    }
}

/// A thread that is gone is rebuilt from the conversation, and so is one whose conversation the client has changed.
#[tokio::test]
async fn a_thread_that_is_gone_is_rebuilt() {
    for (what, more, change) in [
        ("none may wait", "max_waiting = 0", None),
        (
            "another text before it",
            "",
            Some(("Weather?", "Weather, please?")),
        ),
        ("other instructions", "", Some(("Be brief.", "Be long."))),
        ("another call", "", Some(("Oslo", "Bergen"))),
    ] {
        let [
            ToolLoop {
                path,
                first,
                second,
                text,
            },
            ..,
        ] = tool_loops();
        let upstream = replies(vec![calls_twice(), says("Snow there, sun here.")]);
        let Some(engine) = Engine::start(APP_SERVER, upstream, more).await else {
            return;
        };
        let answer = engine.send(Call::post(path, &first)).await;
        let mut body = second(first, &answer, ["snow", "sun"]);
        if let Some((from, to)) = change {
            body = serde_json::from_str(&body.to_string().replace(from, to)).unwrap();
        }
        let answer = engine.send(Call::post(path, &body)).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert_eq!(text(&answer), "Snow there, sun here.", "{what}");
        let asked = engine.asked();
        assert_eq!(asked.len(), 2, "{what}");
        let (from, to) = change.unwrap_or_default();
        let looped = LOOPED.map(|line| line.replace(from, to));
        assert_eq!(calls_and_results(&asked[1]), looped, "{what}");
        let thread = |request: &Value| request["client_metadata"]["thread_id"].clone();
        assert_ne!(thread(&asked[0]), thread(&asked[1]), "{what}");
        if let Some((_, to)) = change {
            assert!(asked[1].to_string().contains(to), "{what}: {}", asked[1]);
        }
        engine.stop().await;
    }
}

/// A call without arguments, which Codex refuses and asks the model again for, is the client's all the same, and no thread is at work
/// while the client is.
#[tokio::test]
async fn a_call_without_arguments_is_carried_out() {
    let upstream = ScriptedUpstream::start(|index, request| {
        let stream = ResponsesStream::new("resp_1");
        if request.text().contains("snow") {
            return stream.text("msg_1", "Snow.").completed(TOKENS);
        }
        if index > 0 {
            return stream.stall();
        }
        let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": ""});
        stream
            .event(json!({"type": "response.output_item.added", "output_index": 0, "item": call}))
            .event(json!({"type": "response.output_item.done", "output_index": 0, "item": call}))
            .completed(TOKENS)
    });
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let tool = json!({"type": "function", "name": "weather", "parameters": {"type": "object"}});
    let mut body = json!({"model": "test-model", "tools": [tool], "input": [{"role": "user", "content": "Weather?"}]});
    let answer = engine.send(Call::post("/v1/responses", &body)).await;
    let call = answer.json()["output"][0].clone();
    assert_eq!(call["arguments"], "{}", "{}", answer.text());
    let ready = engine.send(Call::get("/ready")).await.json();
    assert_eq!(ready["engines"][0]["waiting_threads"], 0, "{ready}");
    let result = json!({"type": "function_call_output", "call_id": "call_1", "output": "snow"});
    let said = body["input"].as_array_mut().unwrap();
    said.extend([call, result]);
    let answer = engine.send(Call::post("/v1/responses", &body)).await;
    let text = &answer.json()["output"][0]["content"][0]["text"];
    assert_eq!(text, "Snow.", "{}", answer.text());
    let asked = engine.asked();
    assert!(asked.len() <= 3, "{} requests", asked.len());
    let called = [r#"call "call_1" "{}""#, r#"result "call_1" "snow""#];
    assert_eq!(calls_and_results(asked.last().unwrap()), called);
    // Codex has asked the model again, for nobody, before it was interrupted.
    if asked.len() == 3 {
        engine.house.upstream.client_gone(1).await;
    }
    engine.stop().await;
}

/// A model that counts its calls anew in every answer gets each result for the call that it belongs to.
#[tokio::test]
async fn ids_of_calls_may_come_again() {
    let calls = |city: &str| {
        ResponsesStream::new("resp_1")
            .call("fc_1", "call_1", "weather", &json!({"city": city}))
            .completed(TOKENS)
    };
    let upstream = replies(vec![calls("Oslo"), calls("Rome"), says("Done.")]);
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let tool = json!({"type": "function", "name": "weather", "parameters": weather()});
    let mut body = json!({"model": "test-model", "tools": [tool],
        "input": [{"role": "user", "content": "Weather?"}]});
    for result in ["snow", "sun"] {
        let answer = engine.send(Call::post("/v1/responses", &body)).await;
        let output = answer.json()["output"].as_array().unwrap().clone();
        let said = body["input"].as_array_mut().unwrap();
        said.extend(output);
        said.push(json!({"type": "function_call_output", "call_id": "call_1", "output": result}));
    }
    let answer = engine.send(Call::post("/v1/responses", &body)).await;
    assert_eq!(answer.json()["output"][0]["content"][0]["text"], "Done.");
    let asked = engine.asked();
    assert_eq!(
        calls_and_results(&asked[2]),
        [
            r#"call "call_1" "{\"city\":\"Oslo\"}""#,
            r#"result "call_1" "snow""#,
            r#"call "call_1_2" "{\"city\":\"Rome\"}""#,
            r#"result "call_1_2" "sun""#,
        ]
    );
    engine.stop().await;
}

/// Names that Codex keeps for itself go out under others and come back under their own.
#[tokio::test]
async fn tools_with_names_of_codex_are_offered_too() {
    let names = [
        "exec_command",
        "shell_command",
        "mcp__demo__add",
        "apply_patch",
        "view_image",
        "plain.name",
    ];
    let upstream = ScriptedUpstream::start(|_, request| {
        let request = request.json();
        let mut stream = ResponsesStream::new("resp_1");
        for (index, name) in tool_names(&request).iter().enumerate() {
            stream = stream.call(
                &format!("fc_{index}"),
                &format!("call_{index}"),
                name,
                &json!({"city": "Oslo"}),
            );
        }
        stream.completed(TOKENS)
    });
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let tools: Vec<Value> = names
        .iter()
        .map(|name| json!({"type": "function", "name": name, "parameters": weather()}))
        .collect();
    let body = json!({"model": "test-model", "input": "Go.", "tools": tools});
    let answer = engine.send(Call::post("/v1/responses", &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let output = answer.json()["output"].as_array().unwrap().clone();
    let called: Vec<&str> = output
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    assert_eq!(called, names);
    engine.stop().await;
}

/// Codex rebuilds schemas from what it knows of them; what it does not know is told in words before it gets there.
#[tokio::test]
async fn nothing_of_a_schema_is_lost_on_the_way() {
    let given = json!({"type": "object", "properties": {
        "day": {"type": "string", "description": "A day.", "format": "date", "minLength": 10},
        "size": {"enum": [1, 2]},
        "only": {"const": "k"},
        "list": {"type": "array"},
        "any": {},
        "open": {"type": "object", "additionalProperties": {"type": "number"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "named": {"$ref": "#/$defs/named"},
    }, "required": ["day"], "$defs": {"named": {"type": "object", "properties": {"x": {"type": "boolean"}}}}});
    let expected = json!({"type": "object", "properties": {
        "day": {"type": "string", "description": "A day. (format: \"date\", minLength: 10)"},
        "size": {"type": "integer", "enum": [1, 2]},
        "only": {"type": "string", "enum": ["k"]},
        "list": {"type": "array", "items": {}},
        "any": {},
        "open": {"type": "object", "properties": {}, "additionalProperties": {"type": "number"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "named": {"type": "object", "properties": {"x": {"type": "boolean"}}},
    }, "required": ["day"]});
    let upstream = replies(vec![says("Fine.")]);
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let mut body = chat("Go.");
    body["tools"] =
        json!([{"type": "function", "function": {"name": "tool", "parameters": given}}]);
    assert_eq!(text_of(&engine.send(post_chat(&body)).await), "Fine.");
    assert_eq!(engine.asked()[0]["tools"][0]["parameters"], expected);
    engine.stop().await;
}

#[tokio::test]
async fn an_answer_follows_a_schema() {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": false});
    for kind in [APP_SERVER, EXEC] {
        let upstream = replies(vec![says(r#"{"name":"Oslo"}"#)]);
        let Some(engine) = Engine::start(kind, upstream, "").await else {
            return;
        };
        let mut body = chat("Which city?");
        body["response_format"] =
            json!({"type": "json_schema", "json_schema": {"name": "city", "schema": schema}});
        assert_eq!(
            text_of(&engine.send(post_chat(&body)).await),
            r#"{"name":"Oslo"}"#,
            "{kind}"
        );
        let format = &engine.asked()[0]["text"]["format"];
        assert_eq!(format["type"], "json_schema", "{kind}: {format}");
        assert_eq!(format["schema"], schema, "{kind}: {format}");
        engine.stop().await;
    }
}

#[tokio::test]
async fn a_picture_reaches_the_model() {
    let url = format!("data:image/png;base64,{RED_PNG_BASE64}");
    for kind in [APP_SERVER, EXEC] {
        let upstream = replies(vec![says("Red.")]);
        let Some(engine) = Engine::start(kind, upstream, "").await else {
            return;
        };
        let body = json!({"model": "test-model", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Which colour?"}, {"type": "image_url", "image_url": {"url": url}},
        ]}]});
        assert_eq!(
            text_of(&engine.send(post_chat(&body)).await),
            "Red.",
            "{kind}"
        );
        let asked = engine.asked()[0].to_string();
        assert!(
            asked.contains("Which colour?") && asked.contains(r#""type":"input_image""#),
            "{kind}: {asked}"
        );
        assert!(asked.contains("data:image/png;base64,"), "{kind}: {asked}");
        engine.stop().await;
    }
}

/// What is too long for Codex's own habits stays whole: results of tools, and conversations that it would replace by a summary.
#[tokio::test]
async fn nothing_is_shortened_on_the_way() {
    let upstream = ScriptedUpstream::start(|_, _| says("Long."));
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let result = "r".repeat(400_000);
    let prompt = "p".repeat(2_000_000);
    let body = json!({"model": "gpt-5.5", "input": [
        {"role": "user", "content": prompt},
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": result},
        {"role": "user", "content": "And?"},
    ]});
    let answer = engine.send(Call::post("/v1/responses", &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked = engine.asked();
    assert_eq!(asked.len(), 1, "no summary is asked for");
    let items = asked[0]["input"].to_string();
    assert!(items.contains(&prompt) && items.contains(&result));
    engine.stop().await;
}

/// Everything of the user's that Codex would put into a turn. Each holds a word that must not reach the model.
fn furnish(engine: &Engine, workspace: &std::path::Path) {
    let home = &engine.house.home;
    home.write("codex/AGENTS.md", "LEAK-agents-of-home");
    home.write(
        "codex/skills/mine/SKILL.md",
        "---\nname: mine\ndescription: LEAK-skill\n---\nLEAK",
    );
    home.write(
        "codex/rules/default.rules",
        "prefix_rule(pattern=[\"LEAK-rule\"], decision=\"allow\")",
    );
    home.write("codex/prompts/mine.md", "LEAK-prompt");
    home.write(
        "codex/config.toml",
        "developer_instructions = \"LEAK-config\"\nmodel = \"LEAK-model\"\n[mcp_servers.leak]\ncommand = \"LEAK-mcp\"\n",
    );
    home.write(
        "home/.agents/skills/other/SKILL.md",
        "---\nname: other\ndescription: LEAK-skill-2\n---\nLEAK",
    );
    std::fs::create_dir_all(workspace.join(".codex")).unwrap();
    std::fs::create_dir_all(workspace.join(".agents/skills/third")).unwrap();
    std::fs::write(workspace.join("AGENTS.md"), "LEAK-agents-of-project").unwrap();
    std::fs::write(
        workspace.join(".codex/config.toml"),
        "developer_instructions = \"LEAK-project\"",
    )
    .unwrap();
    std::fs::write(
        workspace.join(".agents/skills/third/SKILL.md"),
        "---\nname: third\ndescription: LEAK-skill-3\n---\nLEAK",
    )
    .unwrap();
}

#[tokio::test]
async fn nothing_of_the_users_reaches_the_model() {
    for kind in [APP_SERVER, EXEC] {
        for agent in [false, true] {
            let upstream = ScriptedUpstream::start(|_, _| says("Fine."));
            let more = format!("agent = {agent}");
            let Some(engine) = Engine::start(kind, upstream, &more).await else {
                return;
            };
            let workspace = engine.state().join("workspace");
            furnish(&engine, &workspace);
            for model in ["gpt-5.5", "gpt-6.1-sol", "test-model"] {
                for cwd in [None, Some(workspace.display().to_string())] {
                    let mut body = chat("hi");
                    body["model"] = format!("house/{model}").into();
                    let mut call = post_chat(&body);
                    if let Some(cwd) = &cwd {
                        call = call.header("x-polywire-cwd", cwd);
                    }
                    assert_eq!(text_of(&engine.send(call).await), "Fine.");
                    let received = engine.house.upstream.received();
                    let last = received.last().unwrap();
                    let told = format!("{kind}, agent {agent}, {model}, {cwd:?}");
                    assert!(!last.text().contains("LEAK"), "{told}: {}", last.text());
                    assert_eq!(last.json()["model"], model, "{told}");
                    let tools = tool_names(&last.json());
                    if agent || cwd.is_some() {
                        assert_eq!(tools, ["exec_command", "write_stdin"], "{told}");
                    } else {
                        assert_eq!(tools, Vec::<String>::new(), "{told}");
                    }
                }
            }
            engine.stop().await;
        }
    }
}

/// A model that runs a command in the working directory, and says what came of it.
fn runs(command: &'static str) -> ScriptedUpstream {
    ScriptedUpstream::start(move |index, request| {
        if index == 0 {
            let arguments = json!({"cmd": command, "yield_time_ms": 5000});
            return ResponsesStream::new("resp_1")
                .call("fc_1", "call_1", "exec_command", &arguments)
                .completed(TOKENS);
        }
        let request = request.json();
        let items = request["input"].as_array().unwrap();
        let output = items
            .iter()
            .rfind(|item| item["type"] == "function_call_output");
        says(&format!(
            "It said: {}",
            output.unwrap()["output"].as_str().unwrap()
        ))
    })
}

/// Only an agent may write, and only below its working directory; what Codex does by itself is no call of the client's.
#[tokio::test]
async fn an_agent_works_in_the_directory_that_it_is_given() {
    for kind in [APP_SERVER, EXEC] {
        for (agent, written) in [(true, true), (false, false)] {
            let more = format!("agent = {agent}\nallowed_roots = ['~/roots']");
            let upstream = runs("cat note.txt; echo done > made.txt; ls");
            let Some(house) = house(kind, upstream, &more) else {
                return;
            };
            let note = house.home.write("home/roots/project/note.txt", "the note");
            let project = note.parent().unwrap().to_owned();
            let gateway = house.gateway().await;
            let engine = Engine { house, gateway };
            let mut body = chat("Work.");
            body["metadata"] = json!({"cwd": project, "ticket": "1"});
            let answer = engine.send(post_chat(&body)).await;
            let told = format!("{kind}, agent {agent}");
            let text = text_of(&answer);
            assert!(text.contains("the note"), "{told}: {text}");
            assert_eq!(project.join("made.txt").exists(), written, "{told}: {text}");
            let message = &answer.json()["choices"][0]["message"];
            assert!(message["tool_calls"].is_null(), "{told}: {message}");
            assert_eq!(
                answer.json()["usage"]["prompt_tokens"],
                50,
                "{told}: two requests were made"
            );
            engine.stop().await;
        }
    }
}

#[tokio::test]
async fn other_directories_are_refused() {
    let Some(engine) = Engine::start(
        APP_SERVER,
        replies(vec![]),
        "allowed_roots = ['/nowhere-at-all']",
    )
    .await
    else {
        return;
    };
    for cwd in ["/", "/etc", "relative", "/nowhere-at-all/../etc"] {
        let mut body = chat("hi");
        body["metadata"] = json!({"cwd": cwd});
        for call in [
            post_chat(&body),
            post_chat(&chat("hi")).header("x-polywire-cwd", cwd),
        ] {
            let answer = engine.send(call).await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["param"], "metadata.cwd", "{error}");
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains("/nowhere-at-all`"),
                "{error}"
            );
        }
    }
    assert!(engine.asked().is_empty());
    engine.stop().await;
}

/// What an engine cannot honour is a loss, and refused in strict mode.
#[tokio::test]
async fn what_codex_cannot_do_is_told() {
    let function =
        json!({"type": "function", "function": {"name": "weather", "parameters": weather()}});
    let settings: [(&str, Value); 4] = [
        ("temperature", json!({"temperature": 0.5})),
        ("top_p", json!({"top_p": 0.5})),
        ("max_output_tokens", json!({"max_completion_tokens": 5})),
        (
            "tool_choice",
            json!({"tools": [function], "tool_choice": "required"}),
        ),
    ];
    for strict in [false, true] {
        let upstream = ScriptedUpstream::start(|_, _| says("Fine."));
        let Some(house) = house(APP_SERVER, upstream, "") else {
            return;
        };
        let strictness: &[(&str, &str)] = if strict {
            &[("POLYWIRE_STRICT", "true")]
        } else {
            &[]
        };
        let gateway = house.gateway_with(strictness).await;
        let engine = Engine { house, gateway };
        for (name, extra) in &settings {
            let mut body = chat("hi");
            for (key, value) in extra.as_object().unwrap() {
                body[key] = value.clone();
            }
            let answer = engine.send(post_chat(&body)).await;
            if strict {
                assert_eq!(answer.status, 400, "{name}: {}", answer.text());
                let message = answer.json()["error"]["message"].clone();
                assert!(
                    message.as_str().unwrap().contains(name),
                    "{name}: {message}"
                );
            } else {
                assert_eq!(text_of(&answer), "Fine.", "{name}");
                assert_eq!(answer.headers.get("x-polywire-losses"), Some("1"), "{name}");
            }
        }
        engine.stop().await;
    }
}

/// A stop text ends the answer where it stands, though Codex knows none.
#[tokio::test]
async fn a_stop_text_is_honoured() {
    let upstream = replies(vec![says("One. STOP Two.")]);
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let mut body = chat("Count.");
    body["stop"] = "STOP".into();
    assert_eq!(text_of(&engine.send(post_chat(&body)).await), "One. ");
    engine.stop().await;
}

/// Tools are none of `codex exec`'s: a request that needs them is refused, and says where they are.
#[tokio::test]
async fn exec_takes_no_tools() {
    let Some(engine) = Engine::start(EXEC, replies(vec![]), "").await else {
        return;
    };
    let mut body = chat("Weather?");
    body["tools"] =
        json!([{"type": "function", "function": {"name": "weather", "parameters": weather()}}]);
    let answer = engine.send(post_chat(&body)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(
        answer.text().contains("takes no tools"),
        "{}",
        answer.text()
    );
    engine.stop().await;
}

/// A failed turn is an error of the right kind, and never an empty answer.
#[tokio::test]
async fn failures_are_errors() {
    let failed = |code: &str, message: &str| ResponsesStream::new("resp_1").failed(code, message);
    let limit = json!({"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached",
        "plan_type": "plus", "resets_at": 4_000_000_000_u64, "resets_in_seconds": 5400}});
    let cases = [
        (
            Reply::error(401, "token_expired", "Expired."),
            502,
            "polywire login",
        ),
        (Reply::error(429, "slow_down", "Slow down."), 429, "429"),
        (Reply::json(429, &limit), 429, "usage limit"),
        (
            failed("context_length_exceeded", "Too long."),
            400,
            "context window",
        ),
        (
            failed("invalid_prompt", "The prompt is bad."),
            502,
            "The prompt is bad.",
        ),
        (
            Reply::error(400, "invalid_value", "No such field."),
            400,
            "No such field.",
        ),
    ];
    for kind in [APP_SERVER, EXEC] {
        for (reply, status, words) in &cases {
            let reply = reply.clone();
            let upstream = ScriptedUpstream::start(move |_, _| reply.clone());
            let Some(engine) = Engine::start(kind, upstream, "").await else {
                return;
            };
            for stream in [false, true] {
                let mut body = chat("hi");
                body["stream"] = stream.into();
                let answer = engine.send(post_chat(&body)).await;
                let told = format!("{kind}, {words}, stream {stream}: {}", answer.text());
                assert_eq!(answer.status, *status, "{told}");
                assert!(answer.text().contains(words), "{told}");
            }
            engine.stop().await;
        }
    }
}

/// A provider of the model that cannot be reached is an error, and nothing that is waited for without an end.
#[tokio::test]
async fn a_network_that_is_down_is_an_error() {
    for kind in [APP_SERVER, EXEC] {
        let Some(house) = house(kind, replies(vec![]), "") else {
            return;
        };
        let file = house.home.config().join("polywire/config.toml");
        let settings = std::fs::read_to_string(file).unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1", nobody.local_addr().unwrap());
        drop(nobody);
        let settings = settings.replace(&house.upstream.base_url(), &address);
        house.home.write("config/polywire/config.toml", settings);
        let gateway = house.gateway().await;
        let engine = Engine { house, gateway };
        let answering = engine.send(post_chat(&chat("hi")));
        let answer = polywire_testkit::within("the error", answering).await;
        assert_eq!(answer.status, 502, "{kind}: {}", answer.text());
        engine.stop().await;
    }
}

/// Codex keeps refusals to itself. An empty answer would look as if there was nothing to say.
#[tokio::test]
async fn a_refusal_is_no_empty_answer() {
    let refusal = || {
        let part = json!({"type": "refusal", "refusal": "I would rather not."});
        let item =
            json!({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]});
        let begun = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []});
        ResponsesStream::new("resp_1")
            .reasoning("rs_1", "Should I?", "SEALED")
            .event(json!({"type": "response.output_item.added", "output_index": 1, "item": begun}))
            .event(json!({"type": "response.output_item.done", "output_index": 1, "item": item}))
            .completed(TOKENS)
    };
    for kind in [APP_SERVER, EXEC] {
        let upstream = ScriptedUpstream::start(move |_, _| refusal());
        let Some(engine) = Engine::start(kind, upstream, "").await else {
            return;
        };
        let answer = engine.send(post_chat(&chat("Do it."))).await;
        assert_eq!(answer.status, 400, "{kind}: {}", answer.text());
        assert!(
            answer.text().contains("refuses to answer"),
            "{kind}: {}",
            answer.text()
        );
        assert_eq!(engine.asked().len(), 1, "{kind}");
        engine.stop().await;
    }
}

/// An answer that the model's provider cut short keeps its text.
#[tokio::test]
async fn an_answer_that_was_too_long_keeps_its_text() {
    let upstream = replies(vec![
        ResponsesStream::new("resp_1")
            .text("msg_1", "1, 2, 3")
            .incomplete("max_output_tokens", TOKENS),
    ]);
    let Some(engine) = Engine::start(APP_SERVER, upstream, "").await else {
        return;
    };
    let answer = engine.send(post_chat(&chat("Count."))).await;
    assert_eq!(text_of(&answer), "1, 2, 3");
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "length");
    engine.stop().await;
}

/// An answer that breaks off in the middle, and that Codex would begin anew, is no success.
#[tokio::test]
async fn a_stream_that_breaks_off_is_no_success() {
    let begun = || ResponsesStream::new("resp_1").text_begins("msg_1", "Half an");
    let upstream = ScriptedUpstream::start(move |_, _| begun().cut());
    let Some(house) = house(APP_SERVER, upstream, "") else {
        return;
    };
    let settings =
        std::fs::read_to_string(house.home.config().join("polywire/config.toml")).unwrap();
    let settings = settings.replace("stream_max_retries = 0", "stream_max_retries = 3");
    house.home.write("config/polywire/config.toml", settings);
    let gateway = house.gateway().await;
    let engine = Engine { house, gateway };
    let mut body = chat("hi");
    body["stream"] = true.into();
    let answer = engine.send(post_chat(&body)).await;
    assert!(answer.text().contains("Half an"), "{}", answer.text());
    assert_eq!(
        answer.text().matches("Half an").count(),
        1,
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("\"error\""), "{}", answer.text());
    assert!(
        !answer.text().contains("\"finish_reason\":\"stop\""),
        "{}",
        answer.text()
    );
    engine.stop().await;
}
