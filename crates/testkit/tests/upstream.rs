//! The scripted upstream does on the wire what its script says.

use std::time::Instant;

use polywire_testkit::{
    Answer, Call, ChatStream, Framing, Gate, Reply, ScriptedUpstream, Step, answer,
};
use serde_json::{Value, json};

const PATH: &str = "/v1/chat/completions";

async fn get(reply: Reply) -> Answer {
    let upstream = ScriptedUpstream::replies(vec![reply]);
    Call::get(PATH).send(upstream.address()).await
}

fn two_bytes(end: Step) -> Reply {
    Reply::stream(vec![Step::Bytes(b"ab".to_vec()), end])
}

#[tokio::test]
async fn a_request_is_recorded_and_answered() {
    let upstream = ScriptedUpstream::replies(vec![answer("hi")]);
    let body = json!({"messages": [{"role": "user", "content": "hello"}]});
    let call = Call::post(PATH, &body).header("x-one", "1").in_chunks(3);
    let answer = call.send(upstream.address()).await;
    let received = upstream.requests(1).await.remove(0);
    assert_eq!(
        (received.method.as_str(), received.path.as_str()),
        ("POST", PATH)
    );
    assert_eq!(received.headers.get("X-One"), Some("1"));
    assert_eq!(received.json(), body);
    assert_eq!(received.messages()[0]["content"], "hello");
    upstream.answered(0).await;
    let events = answer.events();
    assert!(answer.whole);
    assert_eq!(events[1].json()["choices"][0]["delta"]["content"], "hi");
    assert_eq!(events.last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn a_script_that_is_used_up_says_so() {
    let upstream = ScriptedUpstream::replies(vec![answer("first")]);
    Call::get(PATH).send(upstream.address()).await;
    let second = Call::get(PATH).send(upstream.address()).await;
    assert_eq!(second.status, 400);
    assert!(second.text().contains("no reply for request 2"));
}

#[tokio::test]
async fn a_call_is_streamed_in_pieces_that_join() {
    let arguments = json!({"text": "größer"});
    let stream = ChatStream::new()
        .call("c1", "echo", &arguments)
        .finish("tool_calls");
    let events = get(stream.done()).await.events();
    let pieces: String = events
        .iter()
        .filter_map(|event| {
            let call = &event.json()["choices"][0]["delta"]["tool_calls"][0];
            call["function"]["arguments"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(serde_json::from_str::<Value>(&pieces).unwrap(), arguments);
}

#[tokio::test]
async fn bodies_end_as_the_framing_says() {
    let page = || Reply::html(200, "<p>");
    let table = [
        (page(), "<p>", true),
        (page().framing(Framing::Chunked), "<p>", true),
        (page().framing(Framing::UntilClose), "<p>", true),
        (page().trickled(), "<p>", true),
        (two_bytes(Step::Close), "ab", false),
        (two_bytes(Step::Reset), "ab", false),
        (
            two_bytes(Step::Close).framing(Framing::Claimed(9)),
            "ab",
            false,
        ),
    ];
    for (reply, text, whole) in table {
        let note = format!("{reply:?}");
        let answer = get(reply).await;
        assert_eq!(
            (answer.text().as_str(), answer.whole),
            (text, whole),
            "{note}"
        );
    }
}

#[tokio::test]
async fn a_gate_holds_the_answer_until_it_is_opened() {
    let gate = Gate::new();
    let reply = Reply::stream(vec![
        Step::Bytes(b"data: 1\n\n".to_vec()),
        Step::Wait(gate.clone()),
        Step::Bytes(b"data: 2\n\n".to_vec()),
    ]);
    let upstream = ScriptedUpstream::replies(vec![reply]);
    let mut exchange = Call::get(PATH).open(upstream.address()).await;
    assert_eq!(exchange.next_event().await.unwrap().data, "1");
    gate.open();
    assert_eq!(exchange.next_event().await.unwrap().data, "2");
    assert_eq!(exchange.next_event().await, None);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_before_and_after_the_head() {
    let stalled = ChatStream::new().stall();
    let upstream = ScriptedUpstream::replies(vec![Reply::silence(), stalled]);
    let sent = Call::get(PATH).dispatch(upstream.address()).await;
    upstream.requests(1).await;
    let left = Instant::now();
    drop(sent);
    assert!(upstream.client_gone(0).await >= left);

    let mut exchange = Call::get(PATH).open(upstream.address()).await;
    exchange.next_event().await.unwrap();
    drop(exchange);
    upstream.client_gone(1).await;
    assert_eq!(upstream.connections(), 2);
}
