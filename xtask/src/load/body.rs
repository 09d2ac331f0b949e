//! Requests as Codex sends them, at any size, and their Chat Completions equivalents for the paths that do not translate.
//!
//! The shape is the one Codex 0.169.0 sends: no `instructions`, the base prompt as a `developer` message, function and
//! freeform tools, the whole history of calls and outputs, `store: false`. The outputs grow until the size is reached.

use serde_json::{Value, json};
use std::net::SocketAddr;

/// Below this a request has no tools and no base prompt: 1 kB is not enough for them.
const TOOLS_FROM_BYTES: usize = 30_000;
/// The text of one command output; what Codex returns after a usual `ls` or `cargo check`.
const OUTPUT_BYTES: usize = 6_000;

/// One conversation, to be written in either dialect.
#[derive(Clone)]
pub(super) struct Conversation {
    items: Vec<Item>,
    tools: Vec<Tool>,
}

#[derive(Clone)]
enum Item {
    Developer(String),
    User(String),
    Assistant(String),
    Call { id: String, arguments: String },
    Output { id: String, text: String },
}

#[derive(Clone)]
struct Tool {
    name: &'static str,
    description: String,
    parameters: Value,
}

/// What every call is made with.
const ARGUMENTS: &str = r#"{"cmd":"rg -n \"fn main\" src","workdir":"/home/user/project"}"#;

/// A call of `exec_command`, by the name under which a model behind Codex knows it, and what comes of it.
pub(super) struct Call {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) arguments: String,
    pub(super) output: String,
}

impl Call {
    /// A usual one.
    pub(super) fn usual() -> Self {
        Self {
            id: "call_load",
            name: "tool_exec_command",
            arguments: ARGUMENTS.to_owned(),
            output: command_output(OUTPUT_BYTES),
        }
    }
}

impl Conversation {
    /// A conversation whose Responses request has about `bytes` bytes, within some hundred.
    pub(super) fn of_size(bytes: usize) -> Self {
        let mut conversation = Self {
            items: Vec::new(),
            tools: Vec::new(),
        };
        if bytes >= TOOLS_FROM_BYTES {
            conversation.tools = tools();
            conversation.items.push(Item::Developer(prose(9_000)));
            conversation.items.push(Item::Developer(prose(4_000)));
        }
        conversation.items.push(Item::User(prose(60)));
        while let Some(room) = room_for_turn(bytes, conversation.responses_body().len()) {
            // Measuring means writing, so several turns are added at once.
            for _ in 0..(room / (OUTPUT_BYTES + 1_000)).clamp(1, 200) {
                conversation.add_turn();
            }
        }
        let missing = bytes.saturating_sub(conversation.responses_body().len() + 200);
        conversation.items.push(Item::User(prose(missing)));
        conversation
    }

    /// A conversation whose items have about `bytes` bytes, with ten tools beside them or none.
    pub(super) fn with_tools(bytes: usize, has_tools: bool) -> Self {
        let mut conversation = Self::of_size(bytes);
        conversation.tools = if has_tools { tools() } else { Vec::new() };
        conversation
    }

    /// The conversation after a call was made and its result is there.
    pub(super) fn answered(&self, call: &Call) -> Self {
        let mut conversation = self.clone();
        conversation.items.push(Item::Call {
            id: call.id.to_owned(),
            arguments: call.arguments.clone(),
        });
        conversation.items.push(Item::Output {
            id: call.id.to_owned(),
            text: call.output.clone(),
        });
        conversation
    }

    /// The items in the Responses dialect.
    pub(super) fn responses_items(&self) -> Value {
        self.items.iter().map(Item::responses).collect()
    }

    /// The tools as `codex app-server` takes them.
    pub(super) fn dynamic_tools(&self) -> Value {
        self.tools.iter().map(Tool::dynamic).collect()
    }

    fn add_turn(&mut self) {
        let id = format!("call_{:06}", self.items.len());
        self.items.push(Item::Assistant(prose(120)));
        self.items.push(Item::Call {
            id: id.clone(),
            arguments: ARGUMENTS.to_owned(),
        });
        self.items.push(Item::Output {
            id,
            text: command_output(OUTPUT_BYTES),
        });
    }

    /// The request in the Responses dialect.
    pub(super) fn responses_body(&self) -> Vec<u8> {
        let input: Vec<Value> = self.items.iter().map(Item::responses).collect();
        let tools: Vec<Value> = self.tools.iter().map(Tool::responses).collect();
        let body = json!({
            "model": "load",
            "stream": true,
            "input": input,
            "tools": tools,
            "tool_choice": "auto",
            "parallel_tool_calls": true,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "store": false,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "01a1fcb8-0000-7000-8000-000000000001",
            "client_metadata": {"session_id": "01a1fcb8-0000-7000-8000-000000000001"},
        });
        body.to_string().into_bytes()
    }

    /// The request in the Chat Completions dialect, as a gateway would send it on.
    pub(super) fn chat_body(&self) -> Vec<u8> {
        let messages: Vec<Value> = self.items.iter().map(Item::chat).collect();
        let tools: Vec<Value> = self.tools.iter().map(Tool::chat).collect();
        let body = json!({
            "model": "load",
            "stream": true,
            "stream_options": {"include_usage": true},
            "messages": messages,
            "tools": tools,
            "tool_choice": "auto",
            "parallel_tool_calls": true,
            "reasoning_effort": "medium",
        });
        body.to_string().into_bytes()
    }
}

fn room_for_turn(bytes: usize, written: usize) -> Option<usize> {
    let room = bytes.checked_sub(written)?;
    (room > OUTPUT_BYTES + 2_000).then_some(room)
}

impl Item {
    fn responses(&self) -> Value {
        let message = |role: &str, part: &str, text: &str| {
            json!({
                "type": "message", "id": "msg_01a1fcb8-f324-7e90-af7a-fdba584ddae0", "role": role,
                "content": [{"type": part, "text": text}],
            })
        };
        match self {
            Self::Developer(text) => message("developer", "input_text", text),
            Self::User(text) => message("user", "input_text", text),
            Self::Assistant(text) => message("assistant", "output_text", text),
            Self::Call { id, arguments } => json!({
                "type": "function_call", "id": "fc_1", "name": "exec_command", "arguments": arguments, "call_id": id,
            }),
            Self::Output { id, text } => json!({
                "type": "function_call_output", "id": "fco_1", "call_id": id, "output": text,
            }),
        }
    }

    fn chat(&self) -> Value {
        match self {
            Self::Developer(text) => json!({"role": "system", "content": text}),
            Self::User(text) => json!({"role": "user", "content": text}),
            Self::Assistant(text) => json!({"role": "assistant", "content": text}),
            Self::Call { id, arguments } => {
                let function = json!({"name": "exec_command", "arguments": arguments});
                let call = json!({"id": id, "type": "function", "function": function});
                json!({"role": "assistant", "content": null, "tool_calls": [call]})
            }
            Self::Output { id, text } => {
                json!({"role": "tool", "tool_call_id": id, "content": text})
            }
        }
    }
}

impl Tool {
    fn responses(&self) -> Value {
        let mut function = self.function();
        function["type"] = json!("function");
        function["strict"] = json!(false);
        function
    }

    /// Under the name that polywire gives a tool when Codex has one of the same name, which would take its place.
    fn dynamic(&self) -> Value {
        json!({
            "type": "function", "name": format!("tool_{}", self.name), "description": self.description, "inputSchema": self.parameters,
        })
    }

    fn chat(&self) -> Value {
        json!({"type": "function", "function": self.function()})
    }

    fn function(&self) -> Value {
        json!({"name": self.name, "description": self.description, "parameters": self.parameters})
    }
}

fn tools() -> Vec<Tool> {
    let names = [
        "exec_command",
        "write_stdin",
        "view_image",
        "request_user_input",
        "get_goal",
        "create_goal",
        "update_goal",
        "list_mcp_resources",
        "read_mcp_resource",
        "update_plan",
    ];
    names.into_iter().map(tool).collect()
}

fn tool(name: &'static str) -> Tool {
    let property = |bytes| json!({"type": "string", "description": prose(bytes)});
    let properties = json!({
        "cmd": property(80),
        "workdir": property(120),
        "justification": property(200),
        "mode": {"type": "string", "enum": ["read", "write"], "description": prose(60)},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"text": property(40)}}},
    });
    Tool {
        name,
        description: prose(300),
        parameters: json!({
            "type": "object", "properties": properties, "required": ["cmd"], "additionalProperties": false,
        }),
    }
}

/// Plain sentences with the odd line break, cut at `bytes`.
fn prose(bytes: usize) -> String {
    repeat(
        "The build reads every file once, then it writes what has changed. Say what you did in a few words.\n",
        bytes,
    )
}

/// What a command prints: many lines, quotes, tabs and paths, so one byte in twenty needs an escape in JSON.
fn command_output(bytes: usize) -> String {
    repeat(
        "src/main.rs:12:\tlet name = \"value\";\nsrc/lib.rs:340:\tpub fn read(&self) -> Result<()> {\n",
        bytes,
    )
}

fn repeat(text: &str, bytes: usize) -> String {
    text.bytes().cycle().take(bytes).map(char::from).collect()
}

/// The bytes of a `POST` with the headers of Codex.
pub(super) fn request(address: SocketAddr, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\n\
         x-codex-beta-features: remote_compaction_v2\r\n\
         x-codex-window-id: 01a1fcb8-0000-7000-8000-000000000001:0\r\n\
         x-codex-turn-metadata: {{\"session_id\":\"01a1fcb8-0000-7000-8000-000000000001\",\"request_kind\":\"turn\",\
         \"sandbox\":\"seccomp\",\"sandbox_mode\":\"read-only\",\"thread_source\":\"user\"}}\r\n\
         x-client-request-id: 01a1fcb8-0000-7000-8000-000000000001\r\n\
         session-id: 01a1fcb8-0000-7000-8000-000000000001\r\n\
         thread-id: 01a1fcb8-0000-7000-8000-000000000001\r\n\
         Accept: text/event-stream\r\n\
         Content-Type: application/json\r\n\
         Authorization: Bearer load\r\n\
         originator: codex_exec\r\n\
         User-Agent: codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)\r\n\
         Host: {address}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_met_and_both_forms_tell_the_same() {
        for bytes in [1_000, 40_000, 100_000, 400_000, 1_000_000] {
            let conversation = Conversation::of_size(bytes);
            let responses = conversation.responses_body();
            let off = responses.len().abs_diff(bytes);
            assert!(off < 400, "{} for {bytes}", responses.len());
            let chat = conversation.chat_body();
            let responses: Value = serde_json::from_slice(&responses).unwrap();
            let chat: Value = serde_json::from_slice(&chat).unwrap();
            let length = |value: &Value| value.as_array().map(Vec::len);
            assert_eq!(length(&responses["input"]), length(&chat["messages"]));
            assert_eq!(length(&responses["tools"]), length(&chat["tools"]));
        }
    }

    #[test]
    fn every_call_has_its_output() {
        let conversation = Conversation::of_size(100_000);
        let calls = conversation.items.windows(2).filter_map(|pair| match pair {
            [Item::Call { id, .. }, next] => Some((id, next)),
            _ => None,
        });
        let mut count = 0;
        for (call, next) in calls {
            assert!(matches!(next, Item::Output { id, .. } if id == call));
            count += 1;
        }
        assert!(count > 5);
    }
}
