//! What has to be true of each scenario, for the client and for the model.

use polywire_testkit::{RED_PNG_BASE64, Speaks};
use serde_json::{Value, json};

use super::guest::{Guest, Played};
use super::model::{SCRIPT, SEALED, THOUGHT, items_of, opera};
use crate::clients::play::{TEXT, usage};

/// What a library calls what it sees.
pub(crate) struct Words {
    /// The end of an answer.
    pub(crate) stop: Value,
    /// The end of one that was too long.
    pub(crate) too_long: &'static str,
    /// What it tells of the thoughts of an answer.
    pub(crate) thought: Value,
    /// What it has the model think with.
    pub(crate) effort: &'static str,
}

/// The words of the official libraries.
pub(crate) fn words(speaks: Speaks) -> Words {
    let (stop, too_long, thought, effort) = match speaks {
        Speaks::Chat => ("stop", "length", json!({"reasoning_tokens": 3}), "high"),
        Speaks::Responses => {
            let thought = json!({"reasoning_tokens": 3});
            ("completed", "max_output_tokens", thought, "high")
        }
        // A budget of 2000 tokens is a small one.
        Speaks::Messages => ("end_turn", "max_tokens", json!({"signed": true}), "low"),
    };
    Words {
        stop: stop.into(),
        too_long,
        thought,
        effort,
    }
}

pub(crate) fn text(played: &Played, stop: &Value) {
    played.assert_saw(&json!([{"text": TEXT.concat(), "stop": stop, "usage": usage()}]));
    assert_eq!(
        played.texts(0),
        ["Be brief.", "Say hello."],
        "{}",
        played.told
    );
}

pub(crate) fn stream(played: &Played, pieces: &Value, stop: &Value) {
    let seen = json!({"pieces": pieces, "text": TEXT.concat(), "stop": stop, "usage": usage()});
    played.assert_saw(&json!([seen]));
    assert_eq!(
        played.texts(0),
        ["Be brief.", "Say hello."],
        "{}",
        played.told
    );
}

pub(crate) fn parse(played: &Played) {
    played.assert_saw(&json!([{"parsed": opera(), "type": "City"}]));
    let format = &played.asked[0]["text"]["format"];
    assert_eq!(format["type"], "json_schema", "{}: {format}", played.told);
    let properties = &format["schema"]["properties"];
    assert_eq!(
        properties["name"]["type"], "string",
        "{}: {format}",
        played.told
    );
    assert_eq!(
        properties["people"]["type"], "integer",
        "{}: {format}",
        played.told
    );
}

pub(crate) fn image(played: &Played) {
    played.assert_saw(&json!([{"text": "Red."}]));
    let asked = played.asked[0]["input"].to_string();
    let picture = format!("data:image/png;base64,{RED_PNG_BASE64}");
    assert!(asked.contains(&picture), "{}: {asked}", played.told);
}

/// Two calls at once end the first answer; the thread waits, and goes on in the second request.
pub(crate) fn tools(played: &Played, stop: &Value) {
    let seen = json!([
        {"call": "weather", "arguments": {"city": "Oslo"}},
        {"call": "weather", "arguments": {"city": "Rome"}},
        {"text": "Snow there, sun here.", "stop": stop},
    ]);
    played.assert_saw(&seen);
    played.assert_one_thread();
    for asked in &played.asked {
        let tools = &asked["tools"];
        assert_eq!(
            tools.as_array().map(Vec::len),
            Some(1),
            "{}: {tools}",
            played.told
        );
        assert_eq!(tools[0]["name"], "weather", "{}: {tools}", played.told);
        let city = &tools[0]["parameters"]["properties"]["city"];
        assert_eq!(city["type"], "string", "{}: {tools}", played.told);
    }
    assert_results_came_back(played);
}

fn assert_results_came_back(played: &Played) {
    let asked = &played.asked[1];
    let calls: Vec<_> = items_of(asked, "function_call")
        .iter()
        .map(|call| (call["call_id"].clone(), call["arguments"].clone()))
        .collect();
    let expected = [("call_oslo", "Oslo"), ("call_rome", "Rome")]
        .map(|(id, city)| (json!(id), json!(json!({"city": city}).to_string())));
    assert_eq!(calls, expected, "{}", played.told);
    let mut results: Vec<_> = items_of(asked, "function_call_output")
        .iter()
        .map(|result| format!("{} {}", result["call_id"], result["output"]))
        .collect();
    // In the order in which Codex has taken them.
    results.sort();
    let expected = [r#""call_oslo" "snow""#, r#""call_rome" "sun""#];
    assert_eq!(results, expected, "{}", played.told);
    let thoughts = items_of(asked, "reasoning");
    assert_eq!(thoughts[0]["encrypted_content"], SEALED, "{}", played.told);
}

/// Thoughts are shown, and come back to the model where the dialect has a place for what only its provider can read.
pub(crate) fn reasoning(played: &Played, words: &Words, speaks: Speaks) {
    let first = json!({"thoughts": [THOUGHT], "reasoning": THOUGHT, "text": "Done."});
    let last = json!({"text": TEXT.concat()});
    played.assert_saw(&json!([first, words.thought, last]));
    assert_eq!(
        played.texts(1),
        [
            "You are a helpful assistant.",
            "Think first.",
            "Done.",
            "And now?"
        ],
        "{}",
        played.told
    );
    let thoughts = items_of(&played.asked[1], "reasoning");
    let states: Vec<_> = thoughts
        .iter()
        .map(|item| &item["encrypted_content"])
        .collect();
    match speaks {
        // Its assistant messages hold no such thing.
        Speaks::Chat => assert!(states.is_empty(), "{}: {states:?}", played.told),
        Speaks::Responses | Speaks::Messages => assert_eq!(states, [SEALED], "{}", played.told),
    }
    let effort = &played.asked[0]["reasoning"]["effort"];
    assert_eq!(effort, words.effort, "{}", played.told);
}

/// A stream that breaks off is no success.
pub(crate) async fn cut(guest: &Guest) {
    guest.mood.breaks_off();
    let played = guest.play_while("cut", async |_| {}).await;
    assert_eq!(played.seen.len(), 2, "{}: {:#?}", played.told, played.seen);
    assert_eq!(played.seen[0], json!({"piece": "one"}), "{}", played.told);
    let broken = played.seen[1]["broken"].as_str().unwrap_or_default();
    assert!(
        broken.contains("stream disconnected"),
        "{}: {broken}",
        played.told
    );
}

pub(crate) fn length(played: &Played, stop: &str) {
    played.assert_saw(&json!([{"text": "1, 2, 3", "stop": stop}]));
}

/// A client that leaves in the middle of an answer ends the model's work at once, and is served again.
pub(crate) async fn cancel(guest: &Guest) {
    leaves(guest, "cancel", json!({"piece": "one"})).await;
}

/// So does one that loses patience before anything has come.
pub(crate) async fn timeout(guest: &Guest) {
    leaves(guest, "timeout", json!({"error": "APITimeoutError"})).await;
}

async fn leaves(guest: &Guest, scenario: &str, first: Value) {
    let gate = guest.mood.gate();
    let upstream = &guest.engine.house.upstream;
    let played = guest.play_while(scenario, async |before| {
        // The second answer comes only once the first connection is closed, so that not the script's end closes it.
        upstream.client_gone(before).await;
        gate.open();
    });
    let played = played.await;
    played.assert_saw(&json!([first, {"text": "Here again."}]));
    assert_eq!(played.asked.len(), 2, "{}", played.told);
}

/// Failures of the model reach the client as what they are, through Codex.
pub(crate) fn errors(played: &Played) {
    let expected = [
        ("InternalServerError", 502, "`polywire login`"),
        ("RateLimitError", 429, "429"),
        ("BadRequestError", 400, "context window"),
        ("BadRequestError", 400, "at most 2"),
    ];
    assert_eq!(
        played.seen.len(),
        expected.len(),
        "{}: {:#?}",
        played.told,
        played.seen
    );
    for (seen, (class, status, message)) in played.seen.iter().zip(expected) {
        assert_eq!(seen["error"], class, "{}: {seen}", played.told);
        assert_eq!(seen["status"], status, "{}: {seen}", played.told);
        let said = seen["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{}: {seen}", played.told);
    }
    assert_eq!(played.seen[1]["retry_after"], "30", "{}", played.told);
}

/// A tool that takes free text, which Codex is offered as one with arguments.
pub(crate) fn custom(played: &Played) {
    let call =
        json!({"kind": "custom_tool_call", "call": "run", "input": SCRIPT, "streamed": SCRIPT});
    played.assert_saw(&json!([call, {"text": "It ran."}]));
    played.assert_one_thread();
}

/// A conversation that the gateway remembers.
pub(crate) fn stored(played: &Played) {
    let told = &played.told;
    assert_eq!(played.seen.len(), 6, "{told}: {:#?}", played.seen);
    assert_eq!(played.seen[0], json!({"text": TEXT.concat()}), "{told}");
    assert_eq!(
        played.seen[1],
        json!({"retrieved": TEXT.concat()}),
        "{told}"
    );
    for error in &played.seen[3..] {
        assert_eq!(error["status"], 404, "{told}: {error}");
    }
    assert_went_on(played);
}

/// Several turns on one WebSocket.
pub(crate) fn socket(played: &Played) {
    let turn = json!({"kind": "response.completed", "text": TEXT.concat()});
    let refused = json!({"kind": "error", "code": "previous_response_not_found"});
    played.assert_saw(&json!([turn, turn, refused]));
    assert_went_on(played);
}

/// The model was given the whole conversation, of which the client has sent the last question only.
fn assert_went_on(played: &Played) {
    let greeting = TEXT.concat();
    let conversation = ["Say hello.", greeting.as_str(), "And now?"];
    assert_eq!(played.texts(1)[1..], conversation, "{}", played.told);
}
