//! A summary in the place of a conversation, by any model.
//!
//! The client asks for it with `compaction_trigger`, or on a path of its own, and gets one `compaction` item whose content is an
//! envelope with the summary. Sent back, it opens for every provider.

use std::borrow::Cow;

use polywire_conversation::{
    Item, Message, OutputFormat, Part, Request, Role, Text, ToolChoice, Usage,
};
use polywire_dialect_responses::{Compacted, render_compacted};
use serde_json::Value;

/// What the model is asked for. The next turns have nothing else of the conversation, so it says what must not be missing.
const INSTRUCTION: &str = "Write a summary of this conversation that can stand in its place. Whoever goes on with the work will see \
your summary and nothing of what came before it. Keep: what the user wants, in their own words where the words matter; what was \
decided and why; what has been done, with the names of files, functions, commands and their results; what was found out, errors \
included; what is still to be done, and the next step. Leave out what is settled and no longer matters. Answer with the summary \
only, and call no tool.";

/// A response that holds a `compaction` item, as the object that the path for compaction answers with.
pub(crate) fn compacted(response: &[u8]) -> Vec<u8> {
    let response: Value = serde_json::from_slice(response).unwrap_or_default();
    let count = |place: &str| response.pointer(place).and_then(Value::as_u64);
    render_compacted(&Compacted {
        response_id: response["id"].as_str().unwrap_or_default(),
        created_at: response["created_at"].as_u64().unwrap_or_default(),
        sealed: response
            .pointer("/output/0/encrypted_content")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        usage: Usage {
            input: count("/usage/input_tokens"),
            cached: count("/usage/input_tokens_details/cached_tokens"),
            cache_write: count("/usage/input_tokens_details/cache_write_tokens"),
            output: count("/usage/output_tokens"),
            reasoning: count("/usage/output_tokens_details/reasoning_tokens"),
            estimated: false,
        },
    })
}

/// Makes the request one for a summary.
pub(crate) fn ask(request: &mut Request<'_>) {
    request.tools.clear();
    for item in &mut request.items {
        match item {
            Item::ToolsAdded(tools) => tools.clear(),
            Item::Result(result) => result.tools_loaded.clear(),
            Item::Message(_)
            | Item::Reasoning(_)
            | Item::Call(_)
            | Item::HostedCall { .. }
            | Item::Compaction { .. }
            | Item::Unknown { .. } => {}
        }
    }
    request.tool_choice = ToolChoice::Unset;
    request.parallel_tool_calls = None;
    request.format = OutputFormat::Text;
    request.stop.clear();
    request.items.push(Item::Message(Message {
        role: Role::User,
        parts: vec![Part::Text(Text::Plain(Cow::Borrowed(INSTRUCTION)))],
        phase: None,
    }));
}
