//! Stored responses: what goes on from what, on any provider, and what can be asked of the store.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use polywire_testkit::{
    Answer, Call, ChatStream, Gateway, House, MessagesStream, Received, ResponsesStream,
    ScriptedUpstream, SseEvent, Tokens, answer,
};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";

fn house(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

/// A provider that says hello, and how often.
fn counting() -> House {
    house(ScriptedUpstream::start(|index, _| {
        answer(&format!("answer {index}"))
    }))
}

async fn ask(gateway: &Gateway, body: &Value) -> Answer {
    gateway.send(Call::post(RESPONSES, body)).await
}

async fn response(gateway: &Gateway, mut body: Value) -> Value {
    body["model"] = body["model"].as_str().unwrap_or("test-model").into();
    let answer = ask(gateway, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    gateway
        .send(Call::get(&format!("{RESPONSES}/{path}")))
        .await
}

fn id(response: &Value) -> &str {
    response["id"].as_str().unwrap()
}

fn error_code(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = answer.json()["error"].clone();
    error["code"].as_str().unwrap_or_default().to_owned()
}

/// Each message of a Chat Completions request: its role and its text.
fn told(request: &Received) -> Vec<String> {
    let said = |message: &Value| {
        let content = &message["content"];
        let text = content.as_str().or(content[0]["text"].as_str());
        format!(
            "{}: {}",
            message["role"].as_str().unwrap_or_default(),
            text.unwrap_or_default()
        )
    };
    request.messages().iter().map(said).collect()
}

#[tokio::test]
async fn responses_are_stored_unless_the_client_says_otherwise() {
    let house = counting();
    let gateway = house.gateway().await;
    for (store, stored) in [
        (json!(null), true),
        (json!(true), true),
        (json!(false), false),
    ] {
        let asked = json!({"input": "hi", "store": store});
        let given = response(&gateway, asked).await;
        assert_eq!(given["store"], stored, "{store}");
        let kept = get(&gateway, id(&given)).await;
        if stored {
            assert_eq!(kept.json(), given);
        } else {
            assert_eq!(error_code(&kept, 404), "response_not_found");
        }
    }
    // A stream leaves the same behind.
    let streamed = json!({"model": "test-model", "input": "hi", "stream": true});
    let events = ask(&gateway, &streamed).await.events();
    let last = events.last().unwrap().json();
    let kept = get(&gateway, id(&last["response"])).await;
    assert_eq!(kept.json(), last["response"]);
}

#[tokio::test]
async fn a_chain_goes_on_over_a_restart_of_the_gateway() {
    let house = counting();
    let gateway = house.gateway().await;
    let asked = json!({"input": "one", "instructions": "Be kind."});
    let first = response(&gateway, asked).await;
    gateway.stop().await;
    let gateway = house.gateway().await;
    let asked = json!({"input": "two", "previous_response_id": id(&first)});
    let second = response(&gateway, asked).await;
    assert_eq!(second["previous_response_id"], id(&first));
    let asked = json!({"input": [{"role": "user", "content": "three"}], "previous_response_id": id(&second)});
    response(&gateway, asked).await;
    // Instructions are of one request; they are not handed down.
    let chain = [
        "user: one",
        "assistant: answer 0",
        "user: two",
        "assistant: answer 1",
        "user: three",
    ];
    assert_eq!(told(&house.upstream.received()[2]), chain);
}

#[tokio::test]
async fn a_chain_goes_over_providers_of_every_kind() {
    let tokens = Tokens::default();
    let claude = ScriptedUpstream::start(move |index, _| {
        let stream = MessagesStream::new(tokens).thinking("Hm.", &format!("c2ln{index}"));
        stream.text("From messages.").stop("end_turn", tokens)
    });
    let gpt = ScriptedUpstream::start(move |index, _| {
        let stream = ResponsesStream::new(&format!("resp_theirs_{index}"));
        let stream = stream.reasoning(&format!("rs_{index}"), "Hm.", "gAAAA==");
        stream
            .text(&format!("msg_{index}"), "From responses.")
            .completed(tokens)
    });
    let house = house(ScriptedUpstream::start(|_, _| answer("From chat.")));
    let settings = house.home.config().join("polywire/config.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    let mut settings = vec![settings];
    for (name, kind, upstream) in [("claude", "messages", &claude), ("gpt", "responses", &gpt)] {
        settings.push(format!(
            "\n[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{}\"\nkey = \"sk-{name}\"\nmodels = [\"{name}-1\"]\n",
            upstream.base_url()
        ));
    }
    house
        .home
        .write("config/polywire/config.toml", settings.concat());
    let gateway = house.gateway().await;
    let mut previous = Value::Null;
    for (turn, model) in ["claude-1", "gpt-1", "test-model", "claude-1", "gpt-1"]
        .iter()
        .enumerate()
    {
        let asked = json!({"model": model, "input": format!("turn {turn}"), "previous_response_id": previous});
        let given = response(&gateway, asked).await;
        assert_eq!(given["previous_response_id"], previous, "{model}");
        assert_eq!(given["store"], true, "{model}");
        assert_ne!(given["id"], "resp_theirs_0");
        assert_eq!(get(&gateway, id(&given)).await.json(), given);
        previous = given["id"].clone();
    }
    // Where the provider's events pass as they are, each says the same of what is ours.
    let asked = json!({"model": "gpt-1", "input": "more", "previous_response_id": previous, "stream": true});
    let events = ask(&gateway, &asked).await.events();
    let events: Vec<Value> = events.iter().map(SseEvent::json).collect();
    let told: Vec<&Value> = events.iter().map(|event| &event["response"]).collect();
    let told: Vec<&Value> = told.into_iter().filter(|told| told.is_object()).collect();
    assert_eq!(told.len(), 3, "{events:#?}");
    for response in &told {
        assert_eq!(response["id"], told[0]["id"]);
        assert_eq!(response["store"], true);
        assert_eq!(response["previous_response_id"], previous);
    }
    assert_eq!(get(&gateway, id(told[2])).await.json(), *told[2]);
    // Each has heard everything that was said; its own state came back to each, and to nobody else.
    let at_claude = &claude.received()[1];
    let at_gpt = &gpt.received()[1];
    let at_house = &house.upstream.received()[0];
    for (request, turns) in [(at_claude, 3), (at_gpt, 4), (at_house, 2)] {
        for turn in 0..turns {
            assert!(
                request.text().contains(&format!("turn {turn}")),
                "{}",
                request.text()
            );
        }
        assert!(request.text().contains("From messages."));
        assert!(request.text().contains("From responses."));
    }
    assert!(
        at_claude.text().contains(r#""signature":"c2ln0""#),
        "{}",
        at_claude.text()
    );
    assert!(!at_claude.text().contains("gAAAA=="));
    assert!(
        at_gpt.text().contains(r#""encrypted_content":"gAAAA==""#),
        "{}",
        at_gpt.text()
    );
    assert!(!at_gpt.text().contains("c2ln0"));
    assert!(!at_house.text().contains("gAAAA==") && !at_house.text().contains("c2ln0"));
    for request in gpt.received() {
        assert!(request.json().get("previous_response_id").is_none());
        assert_eq!(request.json()["store"], false);
    }
}

#[tokio::test]
async fn unknown_responses_are_named() {
    let house = counting();
    let gateway = house.gateway().await;
    let asked = json!({"model": "test-model", "input": "hi", "previous_response_id": "resp_gone"});
    for stream in [false, true] {
        let mut asked = asked.clone();
        asked["stream"] = stream.into();
        let refused = ask(&gateway, &asked).await;
        assert_eq!(error_code(&refused, 404), "previous_response_not_found");
        assert!(refused.text().contains("resp_gone"), "{}", refused.text());
        assert_eq!(refused.json()["error"]["param"], "previous_response_id");
    }
    assert_eq!(
        error_code(&get(&gateway, "resp_gone").await, 404),
        "response_not_found"
    );
    let items = get(&gateway, "resp_gone/input_items").await;
    assert_eq!(error_code(&items, 404), "response_not_found");
    for (path, method) in [("resp_gone", "DELETE"), ("resp_gone/cancel", "POST")] {
        let call = Call::get(&format!("{RESPONSES}/{path}")).method(method);
        let refused = gateway.send(call).await;
        assert_eq!(error_code(&refused, 404), "response_not_found", "{path}");
    }
    assert!(house.upstream.received().is_empty());
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_chains_say_so() {
    let house = counting();
    let gateway = house.gateway().await;
    let first = response(&gateway, json!({"input": "one"})).await;
    let asked = json!({"input": "two", "previous_response_id": id(&first)});
    let second = response(&gateway, asked).await;
    let path = format!("{RESPONSES}/{}", id(&first));
    let deleted = gateway.send(Call::get(&path).method("DELETE")).await;
    let told = json!({"id": id(&first), "object": "response", "deleted": true});
    assert_eq!(deleted.json(), told);
    assert_eq!(
        error_code(&get(&gateway, id(&first)).await, 404),
        "response_not_found"
    );
    assert_eq!(get(&gateway, id(&second)).await.status, 200);
    let asked =
        json!({"model": "test-model", "input": "three", "previous_response_id": id(&second)});
    let refused = ask(&gateway, &asked).await;
    assert_eq!(error_code(&refused, 404), "previous_response_not_found");
    assert!(refused.text().contains(id(&first)), "{}", refused.text());
}

#[tokio::test]
async fn input_items_come_in_pages() {
    let house = counting();
    let gateway = house.gateway().await;
    let first = response(&gateway, json!({"input": "one"})).await;
    let asked = json!({
        "input": [
            {"role": "user", "content": "two"},
            {"id": "msg_mine", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "three"}]},
        ],
        "previous_response_id": id(&first),
    });
    let second = response(&gateway, asked).await;
    let path = format!("{}/input_items", id(&second));
    let page = get(&gateway, &format!("{path}?order=asc")).await.json();
    assert_eq!(page["object"], "list");
    assert_eq!(page["has_more"], false);
    let items = page["data"].as_array().unwrap();
    assert_eq!(items.len(), 4, "{page:#}");
    assert_eq!(
        items[0]["content"][0],
        json!({"type": "input_text", "text": "one"})
    );
    assert_eq!(items[1]["content"][0]["text"], "answer 0");
    assert_eq!(items[3]["id"], "msg_mine");
    assert_eq!(page["last_id"], "msg_mine");
    // Page after page, the newest first, gives the same.
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(&gateway, &format!("{path}?limit=3{after}"))
            .await
            .json();
        seen.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    seen.reverse();
    assert_eq!(&seen, items);
}

#[tokio::test]
async fn tokens_are_counted_with_the_conversation_before() {
    let house = counting();
    let gateway = house.gateway().await;
    let first = response(&gateway, json!({"input": "word ".repeat(500)})).await;
    let count = async |body: Value| {
        let call = Call::post("/v1/responses/input_tokens", &body);
        let answer = gateway.send(call).await;
        answer.json()["input_tokens"].as_u64().unwrap_or_default()
    };
    let alone = count(json!({"model": "test-model", "input": "hi"})).await;
    let with = json!({"model": "test-model", "input": "hi", "previous_response_id": first["id"]});
    let with = count(with).await;
    assert!(alone < 50 && with > 400, "{alone} {with}");
    let body = json!({"model": "test-model", "input": "hi", "previous_response_id": "resp_gone"});
    let call = Call::post("/v1/responses/input_tokens", &body);
    let refused = gateway.send(call).await;
    assert_eq!(error_code(&refused, 404), "previous_response_not_found");
}

#[tokio::test]
async fn only_what_is_in_progress_can_be_cancelled() {
    let house = counting();
    let gateway = house.gateway().await;
    let given = response(&gateway, json!({"input": "one"})).await;
    let path = format!("{RESPONSES}/{}/cancel", id(&given));
    let refused = gateway.send(Call::post(&path, &json!({}))).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("not in progress"));
    let background = json!({"model": "test-model", "input": "hi", "background": true});
    let refused = ask(&gateway, &background).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json()["error"]["param"], "background");
    assert_eq!(house.upstream.received().len(), 1);
}

#[tokio::test]
async fn truncation_that_is_not_done_is_a_loss() {
    let house = counting();
    let gateway = house.gateway().await;
    for (truncation, losses) in [("disabled", None), ("auto", Some("1"))] {
        let asked = json!({"model": "test-model", "input": "hi", "truncation": truncation});
        let answer = ask(&gateway, &asked).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.headers.get("x-polywire-losses"), losses);
    }
}

#[tokio::test]
async fn items_are_found_by_their_ids() {
    let house = house(ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new()
            .reasoning("Hm.")
            .text("I look.")
            .call("call_a", "look", &json!({"at": "it"}))
            .finish("tool_calls")
            .done(),
        _ => answer("Seen."),
    }));
    let gateway = house.gateway().await;
    let tools = json!([{"type": "function", "name": "look", "parameters": {"type": "object"}}]);
    let first = response(&gateway, json!({"input": "look", "tools": tools})).await;
    let reference = |item: &Value| json!({"type": "item_reference", "id": item["id"]});
    let output = first["output"].as_array().unwrap();
    assert_eq!(output.len(), 3, "{first:#}");
    let result = json!({"type": "function_call_output", "call_id": "call_a", "output": "a cat"});
    let mut input = vec![json!({"role": "user", "content": "look"})];
    input.extend(output.iter().map(reference));
    input.push(result.clone());
    let by_reference = json!({"input": input, "tools": tools});
    response(&gateway, by_reference.clone()).await;
    // Beside the response that holds them, they are not said twice.
    input.remove(0);
    let both = json!({"input": input, "tools": tools, "previous_response_id": id(&first)});
    let both = response(&gateway, both).await;
    let whole = [&output[..], &[result]].concat();
    let mut sent = vec![json!({"role": "user", "content": "look"})];
    sent.extend(whole);
    response(&gateway, json!({"input": sent, "tools": tools})).await;
    let requests = house.upstream.received();
    for request in &requests[1..] {
        assert_eq!(request.messages(), requests[3].messages());
    }
    // What was put in for a reference belongs to the response that was made of it.
    let items = get(&gateway, &format!("{}/input_items?order=asc", id(&both))).await;
    assert_eq!(items.json()["data"].as_array().unwrap().len(), 5);

    let unknown =
        json!({"model": "test-model", "input": [{"type": "item_reference", "id": "msg_gone"}]});
    let refused = ask(&gateway, &unknown).await;
    assert_eq!(error_code(&refused, 400), "item_not_found");
    assert!(refused.text().contains("msg_gone"), "{}", refused.text());
    assert_eq!(refused.json()["error"]["param"], "input[0].id");
}

#[tokio::test]
async fn an_answer_that_failed_is_not_stored_as_if_it_was_one() {
    let house = house(ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new().text("Half").cut(),
        _ => ChatStream::new().text("Cut by").finish("length").done(),
    }));
    let gateway = house.gateway().await;
    let streamed = json!({"model": "test-model", "input": "hi", "stream": true});
    let events = ask(&gateway, &streamed).await.events();
    let last = events.last().unwrap().json();
    assert_eq!(last["type"], "response.failed");
    let kept = get(&gateway, id(&last["response"])).await;
    assert_eq!(error_code(&kept, 404), "response_not_found");
    // One that ended early says so.
    let events = ask(&gateway, &streamed).await.events();
    let last = events.last().unwrap().json();
    let kept = get(&gateway, id(&last["response"])).await.json();
    assert_eq!(kept["status"], "incomplete");
    assert_eq!(kept["incomplete_details"]["reason"], "max_output_tokens");
}

#[tokio::test]
async fn the_limits_of_the_settings_are_kept() {
    let house = counting();
    let settings = house.home.config().join("polywire/config.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    let limited = format!("{settings}\n[store]\nmax_mb = 1\n");
    house.home.write("config/polywire/config.toml", limited);
    let gateway = house.gateway().await;
    let large = "x".repeat(400_000);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let given = response(&gateway, json!({"input": large})).await;
        ids.push(id(&given).to_owned());
    }
    let mut kept = Vec::new();
    for id in &ids {
        kept.push(get(&gateway, id).await.status);
    }
    assert_eq!(kept, [404, 404, 200, 200]);
    gateway.stop().await;

    let off = format!("{settings}\n[store]\nresponses = false\n");
    house.home.write("config/polywire/config.toml", off);
    let gateway = house.gateway().await;
    let given = response(&gateway, json!({"input": "hi"})).await;
    assert_eq!(given["store"], false);
    let asked = json!({"model": "test-model", "input": "hi", "previous_response_id": id(&given)});
    let refused = ask(&gateway, &asked).await;
    assert_eq!(error_code(&refused, 404), "previous_response_not_found");
    assert!(refused.text().contains("[store]"), "{}", refused.text());
}

#[tokio::test]
async fn clients_of_the_other_dialects_leave_nothing_behind() {
    let house = house(ScriptedUpstream::start(|_, _| answer("hello")));
    let gateway = house.gateway().await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (path, body) in [
        (
            "/v1/chat/completions",
            json!({"model": "test-model", "messages": messages, "store": true}),
        ),
        (
            "/v1/messages",
            json!({"model": "test-model", "messages": messages, "max_tokens": 50}),
        ),
    ] {
        let answer = gateway.send(Call::post(path, &body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kept = get(&gateway, answer.json()["id"].as_str().unwrap()).await;
        assert_eq!(error_code(&kept, 404), "response_not_found");
    }
}
