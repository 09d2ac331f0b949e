//! Asking a gateway, and what its answer says.

use polywire_testkit::{Answer, Call};
use serde_json::{Value, json};

/// A request of one prompt.
pub(crate) fn ask(prompt: &str, stream: bool) -> Call {
    let body = json!({"model": "test-model", "input": prompt, "stream": stream});
    Call::post("/v1/responses", &body)
}

/// What a client was told, on one line, and the message.
pub(crate) fn told(answer: &Answer) -> (String, String) {
    let text = |value: &Value| value.as_str().map_or("null".to_owned(), str::to_owned);
    if answer.status != 200 {
        let error = &answer.json()["error"];
        let wait = answer
            .headers
            .get("retry-after")
            .map(|wait| format!(", wait {wait}"));
        let wait = wait.unwrap_or_default();
        let line = format!(
            "{} {}/{}{wait}",
            answer.status,
            text(&error["type"]),
            text(&error["code"])
        );
        return (line, text(&error["message"]));
    }
    let last = answer
        .events()
        .pop()
        .unwrap_or_else(|| panic!("{answer:?}"));
    let error = &last.json()["response"]["error"];
    (
        format!("{}/{}", last.kind(), text(&error["code"])),
        text(&error["message"]),
    )
}
