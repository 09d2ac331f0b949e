//! A small MCP server on standard input and output, for tests that need a tool from outside.
//!
//! Speaks as much of the Model Context Protocol (revision 2025-06-18, stdio transport: one JSON-RPC message per line) as
//! Codex asks for. Tools: `add` {a, b}, `echo` {text}, `picture` {}, which answers with an image.

#![allow(
    clippy::print_stdout,
    reason = "standard output carries the protocol; this program serves tests only"
)]

use std::io::BufRead;

use polywire_testkit::RED_PNG_BASE64;
use serde_json::{Value, json};

fn main() {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        // Notifications have no id and get no answer.
        if let Some(id) = message.get("id") {
            println!("{}", answer(id, &message));
        }
    }
}

fn answer(id: &Value, message: &Value) -> Value {
    let params = &message["params"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "mcp-demo", "version": "1"},
        }),
        "ping" => json!({}),
        "tools/list" => json!({"tools": tools()}),
        "tools/call" => return call(id, params),
        method => return failure(id, -32601, &format!("unknown method `{method}`")),
    };
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn tools() -> Value {
    // Codex runs tools that say so without asking anybody; `exec` has nobody to ask.
    let annotations = json!({"readOnlyHint": true});
    let number = json!({"type": "number"});
    let schema = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
    json!([
        {
            "name": "add",
            "description": "Adds two numbers.",
            "inputSchema": schema(json!({"a": number, "b": number}), json!(["a", "b"])),
            "annotations": annotations,
        },
        {
            "name": "echo",
            "description": "Says a text again.",
            "inputSchema": schema(json!({"text": {"type": "string"}}), json!(["text"])),
            "annotations": annotations,
        },
        {
            "name": "picture",
            "description": "Shows a small red picture.",
            "inputSchema": schema(json!({}), json!([])),
            "annotations": annotations,
        },
    ])
}

fn call(id: &Value, params: &Value) -> Value {
    let arguments = &params["arguments"];
    let content = match params["name"].as_str().unwrap_or_default() {
        "add" => {
            let number = |name: &str| arguments[name].as_f64().unwrap_or_default();
            json!({"type": "text", "text": (number("a") + number("b")).to_string()})
        }
        "echo" => json!({"type": "text", "text": arguments["text"]}),
        "picture" => json!({"type": "image", "data": RED_PNG_BASE64, "mimeType": "image/png"}),
        name => return failure(id, -32602, &format!("unknown tool `{name}`")),
    };
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [content], "isError": false}})
}

fn failure(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}
