//! The model of an engine in the scenarios of `clients/`: it knows the questions of the scripts, and answers in the Responses protocol.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polywire_testkit::{Gate, Received, Reply, ResponsesStream, ScriptedUpstream};
use serde_json::{Value, json};

use crate::clients::play::TEXT;
use crate::engines::TOKENS;

/// What the model thinks before it answers, and the state that only its provider can read.
pub(crate) const THOUGHT: &str = "Let me think.";
pub(crate) const SEALED: &str = "gAAAA/sealed+==";

/// What the test decides while the model is at work.
#[derive(Clone)]
pub(crate) struct Mood(Arc<Mutex<State>>);

struct State {
    /// Opened when the client that was to leave has left.
    gate: Gate,
    breaks_off: bool,
}

impl Mood {
    pub(crate) fn new() -> Self {
        let state = State {
            gate: Gate::new(),
            breaks_off: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Has long answers break off from now on, which else say nothing more until their client leaves.
    pub(crate) fn breaks_off(&self) {
        self.state().breaks_off = true;
    }

    /// Has clients that come back wait until the gate is opened.
    pub(crate) fn gate(&self) -> Gate {
        let mut state = self.state();
        state.gate = Gate::new();
        state.gate.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the model answers to a question that holds these words.
type Lesson = (&'static str, fn(&Value, &Mood) -> Reply);

/// The questions of the scripts. A later one of a conversation stands before the earlier one, which may stand in the same text.
const LESSONS: [Lesson; 15] = [
    ("And now?", |_, _| greets()),
    ("Say hello.", |_, _| greets()),
    ("Where is the opera?", |_, _| says(&opera().to_string())),
    ("How is the weather", weather),
    ("Think first.", |_, _| thinks()),
    ("Which colour?", |_, _| says("Red.")),
    ("Talk on.", |_, mood| talks(mood)),
    ("Take your time.", |_, _| Reply::silence()),
    ("Again.", |_, mood| returns(mood)),
    ("Count to a million.", |_, _| counts()),
    ("Run it.", script),
    ("wrong key", |_, _| {
        Reply::error(401, "invalid_api_key", "Incorrect API key.")
    }),
    ("slow down", |_, _| {
        Reply::error(429, "rate_limit_exceeded", "Slow down.").header("retry-after", "3600")
    }),
    ("too long", |_, _| {
        let message = "The maximum context length is 9.";
        Reply::error(400, "context_length_exceeded", message)
    }),
    ("bad parameter", |_, _| {
        let error = json!({"error": {
            "message": "Temperature must be at most 2.", "type": "invalid_request_error",
            "param": "temperature", "code": "invalid_value",
        }});
        Reply::json(400, &error)
    }),
];

/// A model that answers as [`LESSONS`] say.
pub(crate) fn model(mood: &Mood) -> ScriptedUpstream {
    let mood = mood.clone();
    ScriptedUpstream::start(move |_, request| answer(request, &mood))
}

fn answer(request: &Received, mood: &Mood) -> Reply {
    let request = request.json();
    let asked = question(&request);
    let lesson = LESSONS.iter().find(|(words, _)| asked.contains(words));
    lesson.map_or_else(
        || Reply::error(400, "not_in_the_script", &format!("`{asked}`?")),
        |(_, answer)| answer(&request, mood),
    )
}

/// The text of the last message of the user.
fn question(request: &Value) -> String {
    let items = request["input"].as_array().into_iter().flatten();
    let last = items.rev().find(|item| item["role"] == "user");
    let parts = last.and_then(|item| item["content"].as_array());
    let texts = parts
        .into_iter()
        .flatten()
        .filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// The items of a type in a request.
pub(crate) fn items_of<'a>(request: &'a Value, kind: &str) -> Vec<&'a Value> {
    let items = request["input"].as_array().into_iter().flatten();
    items.filter(|item| item["type"] == kind).collect()
}

/// What the model says where the opera is.
pub(crate) fn opera() -> Value {
    json!({"name": "Sydney", "people": 5_500_000})
}

fn begun() -> ResponsesStream {
    ResponsesStream::new("resp_1")
}

fn says(text: &str) -> Reply {
    begun().text("msg_1", text).completed(TOKENS)
}

fn greets() -> Reply {
    begun().text_pieces("msg_1", &TEXT).completed(TOKENS)
}

fn thinks() -> Reply {
    let thought = begun().reasoning("rs_1", THOUGHT, SEALED);
    thought.text("msg_1", "Done.").completed(TOKENS)
}

fn talks(mood: &Mood) -> Reply {
    let stream = begun().text_begins("msg_1", "one");
    if mood.state().breaks_off {
        stream.cut()
    } else {
        stream.stall()
    }
}

fn returns(mood: &Mood) -> Reply {
    let gate = mood.state().gate.clone();
    begun()
        .wait(&gate)
        .text("msg_1", "Here again.")
        .completed(TOKENS)
}

fn counts() -> Reply {
    begun()
        .text("msg_1", "1, 2, 3")
        .incomplete("max_output_tokens", TOKENS)
}

/// Two calls at once, then what came of them.
fn weather(request: &Value, _: &Mood) -> Reply {
    if !items_of(request, "function_call_output").is_empty() {
        return says("Snow there, sun here.");
    }
    begun()
        .reasoning("rs_1", "Oslo and Rome.", SEALED)
        .text("msg_1", "I look.")
        .call("fc_1", "call_oslo", "weather", &json!({"city": "Oslo"}))
        .call("fc_2", "call_rome", "weather", &json!({"city": "Rome"}))
        .completed(TOKENS)
}

/// What the model calls the tool with that takes free text.
pub(crate) const SCRIPT: &str = "print(\"größer\")\n";

fn script(request: &Value, _: &Mood) -> Reply {
    if !items_of(request, "function_call_output").is_empty() {
        return says("It ran.");
    }
    let input = json!({"input": SCRIPT});
    begun()
        .call("fc_1", "call_run", "run", &input)
        .completed(TOKENS)
}
