//! Clients that leave, providers that fail, and requests that nobody can answer.

use polywire_testkit::{ChatStream, Gate, Observations, Reply, ScriptedUpstream};
use serde_json::{Value, json};

use super::play::*;

/// A client that leaves in the middle of an answer ends the provider's work at once, and goes on to ask something else.
pub(crate) async fn cancel(clients: &[Client]) {
    for client in clients {
        let Some(script) = find(*client) else {
            continue;
        };
        // The second answer comes only once the first connection is closed, so that not the script's end closes it.
        let gate = Gate::new();
        let second = ChatStream::new().wait(&gate).text("Here again.");
        let first = ChatStream::new().text("one").stall();
        let house = house(replies(&[first, end(second, "stop")]));
        let gateway = house.gateway().await;
        let running = script.start("cancel", &house.home, &gateway);
        house.upstream.client_gone(0).await;
        gate.open();
        let seen = Observations::read(running.ended().await).seen;
        let expected = json!([{"piece": "one"}, {"text": "Here again."}]);
        assert_eq!(Value::from(seen), expected, "{}", script.file());
    }
}

/// A client that loses patience before the first byte ends the provider's work as well.
pub(crate) async fn timeout(clients: &[Client]) {
    for client in clients {
        let Some(script) = find(*client) else {
            continue;
        };
        let gate = Gate::new();
        let second = ChatStream::new().wait(&gate).text("Here again.");
        let house = house(replies(&[Reply::silence(), end(second, "stop")]));
        let gateway = house.gateway().await;
        let running = script.start("timeout", &house.home, &gateway);
        house.upstream.client_gone(0).await;
        gate.open();
        let seen = Observations::read(running.ended().await).seen;
        let expected = json!([{"error": "APITimeoutError"}, {"text": "Here again."}]);
        assert_eq!(Value::from(seen), expected, "{}", script.file());
    }
}

/// A stream that the provider breaks off is no success for any client.
pub(crate) async fn cut(clients: &[Client]) {
    let reply = ChatStream::new().text("one").cut();
    for played in play_each(clients, "cut", || replies(std::slice::from_ref(&reply))).await {
        let broken = "the provider's answer broke off before its end";
        played.assert_saw(&json!([{"piece": "one"}, {"broken": broken}]));
    }
}

/// An error that the provider sends in the middle of its answer reaches the client in the provider's words.
pub(crate) async fn late(clients: &[Client]) {
    let broken = ChatStream::new().text("one");
    let reply = broken
        .error("engine_error", "The engine stopped.")
        .open_ended();
    for played in play_each(clients, "cut", || replies(std::slice::from_ref(&reply))).await {
        let client = &played.client;
        assert_eq!(played.seen.len(), 2, "{client}: {:#?}", played.seen);
        assert_eq!(played.seen[0], json!({"piece": "one"}), "{client}");
        let message = played.seen[1]["broken"].as_str().unwrap_or_default();
        assert!(
            message.contains("The engine stopped."),
            "{client}: {message}"
        );
    }
}

/// The ways in which the upstream fails in [`errors`], by the prompt.
fn failing() -> ScriptedUpstream {
    ScriptedUpstream::start(|_, request| {
        let prompt = request.messages().last().map(text_of).unwrap_or_default();
        let parameter = json!({"error": {
            "message": "Temperature must be at most 2.", "type": "invalid_request_error",
            "param": "temperature", "code": "invalid_value",
        }});
        match prompt.as_str() {
            "wrong key" => Reply::error(401, "invalid_api_key", "Incorrect API key."),
            "slow down" => {
                Reply::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "3600")
            }
            "too long" => Reply::error(
                400,
                "context_length_exceeded",
                "The maximum context length is 9.",
            ),
            _ => Reply::json(400, &parameter),
        }
    })
}

/// What the classes of errors are that a client raises for the provider's failures, and what it can read from them.
pub(crate) async fn errors(client: Client, expected: &[Value]) {
    for played in play_each(&[client], "errors", failing).await {
        played.assert_requests(expected.len());
        assert_errors(&played, expected);
    }
}

/// The same for what the gateway refuses, without asking the provider.
pub(crate) async fn refused(client: Client, expected: &[Value]) {
    for played in play_each(&[client], "refused", || replies(&[])).await {
        played.assert_requests(0);
        assert_errors(&played, expected);
    }
}

/// Compares what `expected` names; a message needs only to hold the expected words.
fn assert_errors(played: &Played, expected: &[Value]) {
    let (client, seen) = (&played.client, &played.seen);
    assert_eq!(seen.len(), expected.len(), "{client}: {seen:#?}");
    for (seen, expected) in seen.iter().zip(expected) {
        for (name, value) in expected.as_object().into_iter().flatten() {
            if name == "message" {
                let words = value.as_str().unwrap_or_default();
                let message = seen["message"].as_str().unwrap_or_default();
                assert!(message.contains(words), "{client}: {seen}");
            } else {
                assert_eq!(seen[name], *value, "{client}: {name} of {seen}");
            }
        }
    }
}
