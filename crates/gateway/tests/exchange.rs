//! What a turn does beyond passing on: state that goes home, tools that are refused, texts that end an answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod support;

use polywire_conversation::FaultClass;
use polywire_gateway::turn::Answer;
use polywire_gateway::{ClientDialect, Configuration};
use polywire_testkit::{ChatStream, Reply, ScriptedUpstream, answer};
use serde_json::{Value, json};
use support::{asked, bodies, configuration, function, gateway, output_text, provider, responses};

/// A model whose reasoning has a part that only its provider can read.
fn thinker(answer: &str) -> Reply {
    ChatStream::new()
        .event(
            &json!({"choices": [{"index": 0, "delta": {"reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "sig-1", "index": 0},
            ]}}]}),
        )
        .text(answer)
        .finish("stop")
        .done()
}

fn with_details(id: &str, upstream: &ScriptedUpstream) -> polywire_catalog::Provider {
    let mut provider = provider(id, upstream);
    provider
        .profile
        .insert("reasoning_back".to_owned(), "details".into());
    provider
}

#[tokio::test]
async fn reasoning_state_goes_home_and_nowhere_else() {
    let home = ScriptedUpstream::start(|_, _| thinker("yes"));
    let abroad = ScriptedUpstream::start(|_, _| answer("no"));
    let gateway = gateway(configuration(vec![
        with_details("home", &home),
        with_details("abroad", &abroad),
    ]));
    let first = responses(&gateway, json!({"input": "why?"})).await.unwrap();
    let thought = &first["output"][0];
    assert_eq!(thought["type"], "reasoning");
    let sealed = thought["encrypted_content"].as_str().unwrap();
    assert!(!sealed.contains("sig-1"), "{sealed}");
    let thread = |model: &str| {
        let mut input = vec![json!({"role": "user", "content": "why?"})];
        input.extend(first["output"].as_array().unwrap().clone());
        input.push(json!({"role": "user", "content": "and?"}));
        json!({"model": model, "input": input})
    };
    for model in ["home/model", "abroad/model", "home/other"] {
        asked(&gateway, ClientDialect::Responses, &thread(model)).await;
    }
    let details = |upstream: &ScriptedUpstream, index: usize| {
        let messages = upstream.received()[index].messages();
        let said = messages
            .into_iter()
            .find(|message| message["role"] == "assistant");
        said.unwrap()["reasoning_details"].clone()
    };
    assert_eq!(details(&home, 1)[0]["signature"], "sig-1");
    assert_eq!(details(&home, 1)[0]["text"], "hm");
    // Another account, and another model of the same one: the state stays in its envelope.
    for (upstream, index) in [(&abroad, 0), (&home, 2)] {
        let body = upstream.received()[index].text();
        assert!(!body.contains("sig-1") && !body.contains("pw1."), "{body}");
    }
}

#[tokio::test]
async fn a_tool_that_the_provider_refuses_is_left_out_once() {
    let upstream = ScriptedUpstream::start(|index, request| {
        let refuses = request.text().contains("\"bad\"");
        match (index, refuses) {
            (_, true) => Reply::error(
                400,
                "invalid_request_error",
                "Invalid schema for function 'bad': no such keyword",
            ),
            (_, false) => answer("fine"),
        }
    });
    let gateway = gateway(configuration(vec![provider("one", &upstream)]));
    let body = json!({"input": "hi", "tools": [function("good"), function("bad")]});
    let response = responses(&gateway, body).await.unwrap();
    assert_eq!(output_text(&response), "fine");
    let second = &upstream.received()[1];
    assert_eq!(second.json()["tools"].as_array().unwrap().len(), 1);
    // Without any tool left, nothing is asked: an answer without tools would look like success.
    let fault = responses(&gateway, json!({"input": "hi", "tools": [function("bad")]}))
        .await
        .unwrap_err();
    assert_eq!(fault.code.as_deref(), Some("refused_tools"));
    assert!(fault.message.contains("`bad`"), "{fault}");
    assert_eq!(upstream.received().len(), 3);
}

#[tokio::test]
async fn strict_mode_names_what_would_be_lost() {
    let upstream = ScriptedUpstream::start(|_, _| answer("fine"));
    let body = || json!({"input": "hi", "tools": [function("good"), {"type": "telepathy"}]});
    let lenient = gateway(configuration(vec![provider("one", &upstream)]));
    assert!(responses(&lenient, body()).await.is_ok());
    let strict = gateway(Configuration {
        strict: true,
        ..configuration(vec![provider("one", &upstream)])
    });
    let fault = responses(&strict, body()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::InvalidRequest);
    assert!(fault.message.contains("tools[1] `telepathy`"), "{fault}");
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn stop_texts_cut_the_answer_where_the_provider_knows_none() {
    let upstream = ScriptedUpstream::start(|_, _| {
        ChatStream::new()
            .text("one EN")
            .text("D two")
            .finish("stop")
            .done()
    });
    let mut provider = provider("one", &upstream);
    provider.profile.insert("stop_max".to_owned(), 0.into());
    let gateway = gateway(configuration(vec![provider]));
    let body =
        json!({"model": "main", "stop": ["END"], "messages": [{"role": "user", "content": "hi"}]});
    let Answer::Whole { body, .. } = asked(&gateway, ClientDialect::Chat, &body).await else {
        panic!("no answer");
    };
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "one ");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert!(upstream.received()[0].json().get("stop").is_none());
}

#[tokio::test]
async fn usage_is_estimated_where_the_provider_sends_none() {
    let upstream = ScriptedUpstream::start(|_, _| {
        ChatStream::new()
            .text("four words of text")
            .finish("stop")
            .done()
    });
    let gateway = gateway(configuration(vec![provider("one", &upstream)]));
    let response = responses(&gateway, json!({"input": "hi"})).await.unwrap();
    assert_eq!(response["usage"]["output_tokens"], 5);
    assert!(response["usage"]["input_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn nothing_comes_after_the_text_that_ended_an_answer() {
    // Both arrive in one write: the stop text, then a failure or a pause.
    for after in [
        json!({"error": {"message": "broken", "code": "server_error"}}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "pause_turn"}]}),
    ] {
        let said = json!({"choices": [{"index": 0, "delta": {"content": "one END two"}}]});
        let bytes = format!("data: {said}\n\ndata: {after}\n\n");
        let upstream =
            ScriptedUpstream::start(move |_, _| ChatStream::new().bytes(bytes.clone()).done());
        let mut provider = provider("one", &upstream);
        provider.profile.insert("stop_max".to_owned(), 0.into());
        let gateway = gateway(configuration(vec![provider]));
        let body = json!({"model": "main", "stop": ["END"], "stream": true, "messages": [{"role": "user", "content": "hi"}]});
        let bodies = bodies(asked(&gateway, ClientDialect::Chat, &body).await).await;
        assert!(!bodies.contains("error"), "{bodies}");
        assert_eq!(
            bodies.matches("\"finish_reason\":\"stop\"").count(),
            1,
            "{bodies}"
        );
        assert_eq!(upstream.received().len(), 1);
    }
}

#[tokio::test]
async fn losses_count_again_when_the_bytes_of_a_request_no_longer_stand() {
    let first = ScriptedUpstream::start(|_, _| Reply::error(401, "invalid_api_key", "no"));
    let second = ScriptedUpstream::start(|_, _| answer("fine"));
    let same = polywire_catalog::Provider {
        kind: polywire_catalog::Kind::Messages,
        ..provider("same", &first)
    };
    let gateway = gateway(configuration(vec![same, provider("other", &second)]));
    let body = json!({"model": "main", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "unheard_of": 1});
    let Answer::Whole { losses, .. } = asked(&gateway, ClientDialect::Messages, &body).await else {
        panic!("no answer");
    };
    assert_eq!(first.received()[0].json()["unheard_of"], 1);
    // As it was read, and as it was written.
    assert_eq!(losses, 2);
}

#[tokio::test]
async fn a_tool_that_is_refused_by_its_place_is_left_out_on_the_way_of_bytes_too() {
    let upstream = ScriptedUpstream::start(|_, request| {
        let tools = request.json()["tools"].as_array().unwrap().len();
        if tools == 2 {
            return Reply::error(
                400,
                "invalid_request_error",
                "tools.1.input_schema: bad schema",
            );
        }
        Reply::json(
            200,
            &json!({"id": "m", "type": "message", "role": "assistant", "model": "model", "content": [{"type": "text", "text": "fine"}],
                "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}),
        )
    });
    let same = polywire_catalog::Provider {
        kind: polywire_catalog::Kind::Messages,
        ..provider("same", &upstream)
    };
    let gateway = gateway(configuration(vec![same]));
    let tool =
        |name: &str| json!({"name": name, "input_schema": {"type": "object", "properties": {}}});
    let body = json!({"model": "main", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}],
        "tools": [tool("good"), tool("bad")]});
    let Answer::Whole { body, .. } = asked(&gateway, ClientDialect::Messages, &body).await else {
        panic!("no answer");
    };
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["content"][0]["text"], "fine");
    let offered = upstream.received()[1].json()["tools"].clone();
    assert_eq!(
        (offered.as_array().unwrap().len(), &offered[0]["name"]),
        (1, &json!("good"))
    );
}
