//! What every stream must be, whatever is in it.

use polywire_dialect_responses::Client;
use serde_json::Value;

type Frame = (String, Value);

const TERMINALS: [&str; 3] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
];

/// Checks one whole stream.
pub(crate) fn check(frames: &[Frame], client: Client) {
    numbers(frames);
    let names: Vec<&str> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["response.created", "response.in_progress"]);
    let ends = names.iter().filter(|name| TERMINALS.contains(name)).count();
    assert_eq!(ends, 1, "{names:?}");
    let (end, last) = frames.last().unwrap();
    assert!(TERMINALS.contains(&end.as_str()), "{names:?}");
    let errors = names.iter().filter(|name| **name == "error").count();
    let expected = usize::from(client == Client::Sdk && end == "response.failed");
    assert_eq!(errors, expected, "{names:?}");
    if client == Client::Codex {
        assert_ne!(end, "response.incomplete");
    }
    let done = items(frames, end == "response.failed", client);
    assert_eq!(last["response"]["output"], Value::Array(done));
    let status = end.strip_prefix("response.").unwrap();
    assert_eq!(last["response"]["status"], status);
    assert_eq!(last["response"]["error"].is_null(), status != "failed");
    assert_eq!(
        last["response"]["incomplete_details"].is_null(),
        status != "incomplete"
    );
}

/// The numbers have no gaps, and names and types agree.
fn numbers(frames: &[Frame]) {
    for (number, (name, data)) in frames.iter().enumerate() {
        assert_eq!(data["sequence_number"], number, "{data}");
        assert_eq!(data["type"], name.as_str());
    }
}

/// Items come one at a time, in order, each with an end unless it is a call that was cut. Gives the finished ones.
fn items(frames: &[Frame], failed: bool, client: Client) -> Vec<Value> {
    let mut done = Vec::new();
    let mut begun = 0;
    let mut open: Option<OpenItem> = None;
    for (name, data) in frames {
        match name.as_str() {
            "response.output_item.added" => {
                if let Some(item) = open.take() {
                    assert!(
                        client == Client::Codex && item.is_call(),
                        "left open: {data}"
                    );
                }
                assert_eq!(data["output_index"], begun);
                begun += 1;
                open = Some(OpenItem::new(&data["item"]));
            }
            "response.output_item.done" => {
                assert_eq!(data["output_index"], begun - 1);
                open.take().unwrap().finish(&data["item"]);
                done.push(data["item"].clone());
            }
            "error" => {}
            name if data.get("response").is_some() => assert!(name.starts_with("response.")),
            name => {
                assert_eq!(data["output_index"], begun - 1);
                open.as_mut().unwrap().event(name, data);
            }
        }
    }
    if let Some(item) = open {
        let forgiven = failed || client == Client::Codex;
        assert!(forgiven && item.is_call(), "left open at the end");
    }
    done
}

struct OpenItem {
    started: Value,
    text: String,
    deltas: usize,
    part_open: bool,
    text_done: bool,
    annotations: Vec<Value>,
    logprobs: Vec<Value>,
    /// How far a search has come.
    steps: Vec<String>,
}

impl OpenItem {
    fn new(started: &Value) -> Self {
        Self {
            started: started.clone(),
            text: String::new(),
            deltas: 0,
            part_open: false,
            text_done: false,
            annotations: Vec::new(),
            logprobs: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn tag(&self) -> &str {
        self.started["type"].as_str().unwrap()
    }

    fn is_call(&self) -> bool {
        self.tag().ends_with("_call")
    }

    fn event(&mut self, name: &str, data: &Value) {
        assert_eq!(data["item_id"], self.started["id"], "{name}");
        let expected = match self.tag() {
            "message" => ["content_part", "output_text", "refusal"].as_slice(),
            "reasoning" => &["reasoning_summary_part", "reasoning_summary_text"],
            "function_call" => &["function_call_arguments"],
            "custom_tool_call" => &["custom_tool_call_input"],
            "web_search_call" => {
                self.steps.push(name.rsplit_once('.').unwrap().1.to_owned());
                return;
            }
            other => panic!("{name} in {other}"),
        };
        if name == "response.output_text.annotation.added" {
            assert!(self.part_open && !self.text_done);
            assert_eq!(data["annotation_index"], self.annotations.len());
            self.annotations.push(data["annotation"].clone());
            return;
        }
        let (kind, step) = name
            .strip_prefix("response.")
            .and_then(|rest| rest.rsplit_once('.'))
            .unwrap();
        assert!(expected.contains(&kind), "{name} in {}", self.tag());
        match (kind.ends_with("_part"), step) {
            (true, "added") => {
                assert!(!self.part_open && self.deltas == 0);
                self.part_open = true;
            }
            (true, "done") => {
                assert!(self.part_open && self.text_done);
                assert_eq!(part_text(&data["part"]), self.text);
                self.part_open = false;
            }
            (false, "delta") => {
                assert!(!self.text_done);
                assert!(self.part_open || self.is_call(), "{name} outside of a part");
                let delta = data["delta"].as_str().unwrap();
                assert!(!delta.is_empty());
                self.text.push_str(delta);
                self.logprobs
                    .extend(data["logprobs"].as_array().into_iter().flatten().cloned());
                self.deltas += 1;
            }
            (false, "done") => {
                assert!(!self.text_done);
                let whole = ["text", "refusal", "arguments", "input"]
                    .iter()
                    .find_map(|key| data[key].as_str());
                assert_eq!(whole.unwrap(), self.text);
                self.text_done = true;
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    fn finish(self, item: &Value) {
        assert_eq!(item["id"], self.started["id"]);
        assert_eq!(item["type"], self.started["type"]);
        assert!(!self.part_open, "{item}");
        let text = match self.tag() {
            "message" => {
                let part = &item["content"][0];
                if part["type"] == "output_text" {
                    assert_eq!(part["annotations"], Value::Array(self.annotations.clone()));
                    assert_eq!(part["logprobs"], Value::Array(self.logprobs.clone()));
                }
                part_text(part).to_owned()
            }
            "web_search_call" => {
                let whole = item["status"] == "completed";
                assert_eq!(self.steps[..2], ["in_progress", "searching"]);
                assert_eq!(self.steps.len(), if whole { 3 } else { 2 });
                String::new()
            }
            "compaction" => {
                assert!(item["encrypted_content"].is_string());
                String::new()
            }
            "reasoning" => {
                let parts = item["summary"].as_array().unwrap();
                parts.iter().map(part_text).collect()
            }
            "function_call" => item["arguments"].as_str().unwrap().to_owned(),
            "custom_tool_call" => item["input"].as_str().unwrap().to_owned(),
            "tool_search_call" => {
                assert!(item["arguments"].is_object());
                String::new()
            }
            other => panic!("{other}"),
        };
        assert_eq!(text, self.text);
        let whole = item["status"] != "incomplete";
        let announced = matches!(self.tag(), "function_call" | "custom_tool_call");
        if announced {
            assert_eq!(
                self.text_done, whole,
                "only whole calls have a done event: {item}"
            );
        }
    }
}

fn part_text(part: &Value) -> &str {
    part["text"].as_str().or(part["refusal"].as_str()).unwrap()
}
