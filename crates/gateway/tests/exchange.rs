//! What a turn does beyond passing on: state that goes home, tools that are refused, answers of several legs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::sync::Arc;

use polywire_conversation::{Fault, FaultClass};
use polywire_credentials::{KeySource, Secret};
use polywire_gateway::turn::Answer;
use polywire_gateway::{ClientDialect, Configuration, Gateway, SearchKind, SearchService};
use polywire_testkit::{ChatStream, Reply, ScriptedUpstream, Tokens, answer};
use serde_json::{Value, json};
use support::{asked, configuration, events, gateway, provider, text};

async fn responses(gateway: &Arc<Gateway>, mut body: Value) -> Result<Value, Fault> {
    body["model"] = json!("main");
    match asked(gateway, ClientDialect::Responses, &body).await {
        Answer::Whole { body, .. } => Ok(serde_json::from_slice(&body).unwrap()),
        Answer::Failed { fault, .. } => Err(fault),
        answer @ (Answer::Stream { .. } | Answer::FailedStream { .. }) => {
            let events = events(answer).await;
            Ok(events.last().unwrap()["response"].clone())
        }
    }
}

fn output_text(response: &Value) -> String {
    let output = response["output"].as_array().unwrap().iter();
    let messages = output.filter(|item| item["type"] == "message");
    messages
        .map(|item| item["content"][0]["text"].as_str().unwrap())
        .collect()
}

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}})
}

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

/// A provider that cannot enforce a schema.
fn formless(upstream: &ScriptedUpstream) -> polywire_catalog::Provider {
    let mut provider = provider("one", upstream);
    provider
        .profile
        .insert("structured_output".to_owned(), "prompt".into());
    provider
}

fn titled(stream: bool) -> Value {
    json!({"input": "hi", "stream": stream, "text": {"format": {
        "type": "json_schema", "name": "t", "strict": true,
        "schema": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
    }}})
}

#[tokio::test]
async fn an_answer_without_its_form_is_asked_for_once_more() {
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => answer("Sure! The title is: Tea"),
        _ => ChatStream::new()
            .text("```json\n{\"title\":")
            .text("\"Tea\"}\n```")
            .finish("stop")
            .usage(Tokens {
                prompt: 30,
                completion: 5,
                ..Tokens::default()
            })
            .done(),
    });
    let gateway = gateway(configuration(vec![formless(&upstream)]));
    let response = responses(&gateway, titled(true)).await.unwrap();
    assert_eq!(output_text(&response), "{\"title\":\"Tea\"}");
    let again = upstream.received()[1].messages();
    let said = &again[again.len() - 2];
    assert_eq!(said["content"], "Sure! The title is: Tea");
    assert_eq!(again[again.len() - 1]["role"], "user");
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn an_answer_that_never_has_its_form_is_passed_on_as_it_is() {
    let upstream = ScriptedUpstream::start(|_, _| answer("I will not."));
    let gateway = gateway(configuration(vec![formless(&upstream)]));
    let response = responses(&gateway, titled(false)).await.unwrap();
    assert_eq!(output_text(&response), "I will not.");
    assert_eq!(upstream.received().len(), 2);
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
async fn searches_are_carried_out_between_two_requests() {
    let service = ScriptedUpstream::start(|_, request| {
        assert_eq!(request.headers.get("authorization"), Some("Bearer key-1"));
        Reply::json(
            200,
            &json!({"results": [{"title": "Tea", "url": "https://tea.example", "content": "Hot."}]}),
        )
    });
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new()
            .text("Let me look.")
            .call("call_s", "web_search", &json!({"query": "what is tea"}))
            .finish("tool_calls")
            .done(),
        _ => answer("Tea is hot, says https://tea.example."),
    });
    let gateway = gateway(Configuration {
        search: Some(SearchService {
            kind: SearchKind::Tavily {
                url: service.base_url(),
            },
            key: KeySource::Literal(Secret::new("key-1")),
            results_max: 5,
        }),
        ..configuration(vec![provider("one", &upstream)])
    });
    let body = json!({
        "input": "tea?", "stream": true, "tools": [{"type": "web_search"}],
        "tool_choice": {"type": "web_search"},
    });
    let response = responses(&gateway, body).await.unwrap();
    assert_eq!(
        output_text(&response),
        "Let me look.Tea is hot, says https://tea.example."
    );
    let said = response["output"].as_array().unwrap().last().unwrap();
    let cited = &said["content"][0]["annotations"][0];
    assert_eq!(
        (&cited["url"], &cited["title"]),
        (&json!("https://tea.example"), &json!("Tea"))
    );
    assert_eq!(
        (&cited["start_index"], &cited["end_index"]),
        (&json!(17), &json!(36))
    );
    let search = response["output"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["type"] == "web_search_call")
        .unwrap_or_else(|| panic!("no search item in {response}"));
    assert_eq!(search["action"]["query"], "what is tea");
    let calls = response["output"].as_array().unwrap().iter();
    assert_eq!(
        calls.filter(|item| item["type"] == "function_call").count(),
        0
    );
    let choice = upstream.received()[0].json()["tool_choice"].clone();
    assert_eq!(choice["function"]["name"], "web_search");
    let second = upstream.received()[1].messages();
    let result = second.last().unwrap();
    assert_eq!(result["role"], "tool");
    assert!(
        result["content"]
            .as_str()
            .unwrap()
            .contains("https://tea.example")
    );
    assert_eq!(service.received()[0].json()["query"], "what is tea");
}

#[tokio::test]
async fn codex_searches_beside_its_turns() {
    let service = ScriptedUpstream::start(|_, request| {
        assert!(
            request.path.contains("q=tea%20site%3Atea.example"),
            "{}",
            request.path
        );
        Reply::json(
            200,
            &json!({"results": [{"title": "Tea", "url": "https://tea.example", "content": "Hot."}]}),
        )
    });
    let upstream = ScriptedUpstream::replies(Vec::new());
    let gateway = gateway(Configuration {
        search: Some(SearchService {
            kind: SearchKind::Searxng {
                url: service.base_url(),
            },
            key: KeySource::None,
            results_max: 5,
        }),
        ..configuration(vec![provider("one", &upstream)])
    });
    let body = json!({"commands": {
        "search_query": [{"q": "tea", "domains": ["tea.example"]}],
        "open": [{"ref_id": "https://tea.example"}],
        "response_length": "short",
    }});
    let answer = polywire_gateway::search_web(&gateway, body.to_string().as_bytes()).await;
    let answer: Value = serde_json::from_slice(&answer.unwrap().unwrap()).unwrap();
    let output = answer["output"].as_str().unwrap();
    assert!(output.contains("https://tea.example"), "{output}");
    assert!(output.contains("`open` is not available"), "{output}");
    let fault = polywire_gateway::search_web(&gateway, b"{}")
        .await
        .unwrap_err();
    assert_eq!(fault.param.as_deref(), Some("commands"));
}

#[tokio::test]
async fn a_failed_search_is_told_to_the_model() {
    let service = ScriptedUpstream::start(|_, _| Reply::error(500, "server_error", "down"));
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new()
            .call("call_s", "web_search", &json!({"query": "tea"}))
            .finish("tool_calls")
            .done(),
        _ => answer("I could not look."),
    });
    let gateway = gateway(Configuration {
        search: Some(SearchService {
            kind: SearchKind::Searxng {
                url: service.base_url(),
            },
            key: KeySource::None,
            results_max: 5,
        }),
        ..configuration(vec![provider("one", &upstream)])
    });
    let body = json!({"input": "tea?", "tools": [{"type": "web_search_preview"}]});
    let response = responses(&gateway, body).await.unwrap();
    assert_eq!(output_text(&response), "I could not look.");
    let told = upstream.received()[1].messages();
    assert!(
        told.last().unwrap()["content"]
            .as_str()
            .unwrap()
            .contains("failed")
    );
}

#[tokio::test]
async fn a_provider_that_pauses_is_asked_to_go_on() {
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new().text("One, ").finish("pause_turn").done(),
        _ => answer("two."),
    });
    let gateway = gateway(configuration(vec![provider("one", &upstream)]));
    let body = json!({"model": "main", "stream": true, "input": "count"});
    let events = events(asked(&gateway, ClientDialect::Responses, &body).await).await;
    assert_eq!(text(&events), "One, two.");
    let second = upstream.received()[1].messages();
    assert_eq!(second.last().unwrap()["role"], "assistant");
}
