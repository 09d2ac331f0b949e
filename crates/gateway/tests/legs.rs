//! Answers that take more than one request: forms that were missed, searches, pauses.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod support;

use polywire_credentials::{KeySource, Secret};
use polywire_gateway::turn::{Accepted, Answer, run};
use polywire_gateway::{Client, ClientDialect, Configuration, SearchKind, SearchService};
use polywire_testkit::{ChatStream, Reply, ScriptedUpstream, Tokens, answer, within};
use serde_json::{Value, json};
use support::{
    asked, configuration, events, function, gateway, output_text, provider, responses, text,
};

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
async fn a_refusal_need_not_have_the_form() {
    let upstream = ScriptedUpstream::start(|_, _| {
        ChatStream::new()
            .event(&json!({"choices": [{"index": 0, "delta": {"refusal": "I will not."}}]}))
            .finish("stop")
            .done()
    });
    let gateway = gateway(configuration(vec![formless(&upstream)]));
    let response = responses(&gateway, titled(false)).await.unwrap();
    assert_eq!(
        response["output"][0]["content"][0]["refusal"],
        "I will not."
    );
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn a_pause_does_not_cost_the_first_half_of_an_answer_with_a_form() {
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new()
            .text("{\"title\":")
            .finish("pause_turn")
            .done(),
        _ => answer("\"Tea\"}"),
    });
    let gateway = gateway(configuration(vec![formless(&upstream)]));
    let response = responses(&gateway, titled(false)).await.unwrap();
    assert_eq!(output_text(&response), "{\"title\":\"Tea\"}");
    assert_eq!(upstream.received().len(), 2);
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

/// A service, the path it is asked on, what it answers, and a header that it gets.
type ServiceRow = (
    fn(String) -> SearchKind,
    &'static str,
    Value,
    [&'static str; 2],
);

#[tokio::test]
async fn each_search_service_is_asked_and_read_in_its_own_way() {
    let page = json!({"title": "Tea", "url": "https://tea.example", "content": "Hot.", "description": "Hot."});
    let rows: [ServiceRow; 3] = [
        (
            |url| SearchKind::Brave { url },
            "/res/v1/web/search?q=tea%20%26%20milk&count=3",
            json!({"web": {"results": [page]}}),
            ["x-subscription-token", "key-1"],
        ),
        (
            |url| SearchKind::Tavily { url },
            "/search",
            json!({"results": [page]}),
            ["authorization", "Bearer key-1"],
        ),
        (
            |url| SearchKind::Searxng { url },
            "/search?format=json&q=tea%20%26%20milk",
            json!({"results": [page]}),
            ["accept", "application/json"],
        ),
    ];
    for (kind, path, answer, header) in rows {
        let service = ScriptedUpstream::start(move |_, _| Reply::json(200, &answer));
        let kind = kind(service.base_url());
        let upstream = ScriptedUpstream::replies(Vec::new());
        let gateway = gateway(Configuration {
            search: Some(SearchService {
                kind,
                key: KeySource::Literal(Secret::new("key-1")),
                results_max: 3,
            }),
            ..configuration(vec![provider("one", &upstream)])
        });
        let body = json!({"commands": {"search_query": [{"q": "tea & milk"}]}}).to_string();
        let answer = polywire_gateway::search_web(&gateway, body.as_bytes()).await;
        let answer = String::from_utf8(answer.unwrap().unwrap()).unwrap();
        assert!(
            answer.contains("https://tea.example") && answer.contains("Hot."),
            "{answer}"
        );
        let asked = &service.received()[0];
        assert!(asked.path.ends_with(path), "{} for {path}", asked.path);
        assert_eq!(asked.headers.get(header[0]), Some(header[1]));
    }
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
    let body = json!({"model": "main", "stream": true, "input": "count", "tools": [{"type": "web_search"}, function("count")]});
    let events = events(asked(&gateway, ClientDialect::Responses, &body).await).await;
    assert_eq!(text(&events), "One, two.");
    let second = upstream.received()[1].messages();
    assert_eq!(second.last().unwrap()["role"], "assistant");
}

#[tokio::test]
async fn a_pause_without_a_reason_is_told() {
    let upstream =
        ScriptedUpstream::start(|_, _| ChatStream::new().text("One, ").finish("pause_turn").done());
    let gateway = gateway(configuration(vec![provider("one", &upstream)]));
    let body = json!({"model": "main", "input": "count"});
    let Answer::Whole { body, losses, .. } = asked(&gateway, ClientDialect::Responses, &body).await
    else {
        panic!("no answer");
    };
    let response: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((output_text(&response).as_str(), losses), ("One, ", 1));
    assert_eq!(upstream.received().len(), 1);
}

/// A search service that finds nothing.
fn searching(service: &ScriptedUpstream, configuration: Configuration) -> Configuration {
    Configuration {
        search: Some(SearchService {
            kind: SearchKind::Searxng {
                url: service.base_url(),
            },
            key: KeySource::None,
            results_max: 5,
        }),
        ..configuration
    }
}

/// A model that searches, under the same call id each time, and does nothing else.
fn searcher() -> Reply {
    ChatStream::new()
        .call("call_0", "web_search", &json!({"query": "tea"}))
        .finish("tool_calls")
        .usage(Tokens {
            prompt: 10,
            completion: 2,
            ..Tokens::default()
        })
        .done()
}

#[tokio::test]
async fn a_model_that_searches_without_end_has_just_stopped() {
    let service = ScriptedUpstream::start(|_, _| Reply::json(200, &json!({"results": []})));
    let upstream = ScriptedUpstream::start(|_, _| searcher());
    let gateway = gateway(searching(
        &service,
        configuration(vec![provider("one", &upstream)]),
    ));
    let body = json!({"input": "tea?", "stream": true, "tools": [{"type": "web_search"}, function("own")]});
    let response = responses(&gateway, body).await.unwrap();
    let output = response["output"].as_array().unwrap();
    let mut ids: Vec<&str> = output
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((count, ids.len()), (7, 7), "{response}");
    assert_eq!(response["status"], "completed");
    assert_eq!(response["usage"]["input_tokens"], 80);
    assert_eq!(upstream.received().len(), 8);
    let body = json!({"model": "main", "max_tokens": 100, "messages": [{"role": "user", "content": "tea?"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let Answer::Whole { body, .. } = asked(&gateway, ClientDialect::Messages, &body).await else {
        panic!("no answer");
    };
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["stop_reason"], "end_turn", "{answer}");
}

#[tokio::test]
async fn there_is_a_limit_to_the_searches_of_one_request() {
    let service = ScriptedUpstream::start(|_, _| Reply::json(200, &json!({"results": []})));
    let upstream = ScriptedUpstream::start(|index, _| {
        if index > 0 {
            return answer("fine");
        }
        let calls = (0..12).fold(ChatStream::new(), |stream, number| {
            stream.call(
                &format!("call_{number}"),
                "web_search",
                &json!({"query": "tea"}),
            )
        });
        calls.finish("tool_calls").done()
    });
    let gateway = gateway(searching(
        &service,
        configuration(vec![provider("one", &upstream)]),
    ));
    let body = json!({"input": "tea?", "tools": [{"type": "web_search"}]});
    let response = responses(&gateway, body).await.unwrap();
    assert_eq!(output_text(&response), "fine");
    assert_eq!(service.received().len(), 8);
    let told = upstream.received()[1].messages();
    let results = told.iter().filter(|message| message["role"] == "tool");
    assert_eq!(results.count(), 12);
}

#[tokio::test]
async fn a_summary_that_pauses_is_still_a_summary() {
    let upstream = ScriptedUpstream::start(|index, _| match index {
        0 => ChatStream::new().text("They ").finish("pause_turn").done(),
        _ => answer("agreed."),
    });
    let gateway = gateway(configuration(vec![provider("one", &upstream)]));
    let accepted = Accepted {
        turn_id: "turn".to_owned(),
        dialect: ClientDialect::Responses,
        client: Client::Sdk,
        body: json!({"model": "main", "input": "long talk"})
            .to_string()
            .into(),
        cwd: None,
        memory: None,
        compact: true,
    };
    let answer = within("a summary", run(&gateway, accepted)).await;
    assert!(matches!(answer, Answer::Whole { .. }));
    let second = upstream.received()[1].messages();
    let instruction = &second[second.len() - 2];
    assert!(
        instruction["content"]
            .as_str()
            .unwrap()
            .starts_with("Write a summary"),
        "{second:?}"
    );
    assert_eq!(second[second.len() - 1]["content"], "They ");
}
