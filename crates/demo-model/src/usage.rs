//! What a turn would cost, by estimate.

use polywire_conversation::{CallInput, Item, Part, Request, Text, Tool};

/// Bytes of English text or code in a token, as a rule of thumb.
const BYTES_PER_TOKEN: usize = 4;

/// The tokens of some text.
pub(crate) fn tokens(text: &str) -> u64 {
    tokens_of_bytes(text.len())
}

/// The tokens of a request: its texts, calls, results and tools.
pub(crate) fn input_tokens(request: &Request<'_>) -> u64 {
    let instructions = request.instructions.as_ref().map_or(0, length);
    let items: usize = request.items.iter().map(item_bytes).sum();
    let tools: usize = request.tools.iter().map(tool_bytes).sum();
    tokens_of_bytes(instructions + items + tools)
}

fn tokens_of_bytes(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

fn length(text: &Text<'_>) -> usize {
    text.as_written().len()
}

fn item_bytes(item: &Item<'_>) -> usize {
    match item {
        Item::Message(message) => parts_bytes(&message.parts),
        Item::Reasoning(reasoning) => reasoning.visible.parts().iter().map(length).sum(),
        Item::Call(call) => {
            call.name.len()
                + match &call.input {
                    CallInput::Arguments(text) | CallInput::Freeform(text) => length(text),
                    CallInput::Search(json) => json.as_str().len(),
                }
        }
        Item::Result(result) => {
            let loaded: usize = result.tools_loaded.iter().map(tool_bytes).sum();
            parts_bytes(&result.parts) + loaded
        }
        Item::ToolsAdded(tools) => tools.iter().map(tool_bytes).sum(),
        Item::HostedCall { summary, .. } => length(summary),
        Item::Compaction { .. } => 0,
        Item::Unknown { raw, .. } => raw.as_str().len(),
    }
}

fn parts_bytes(parts: &[Part<'_>]) -> usize {
    let bytes = parts.iter().map(|part| match part {
        Part::Text(text) | Part::Refusal(text) => length(text),
        // Pictures, files and sound are counted by other rules, which a demo need not know.
        Part::Image(_) | Part::File(_) | Part::Audio(_) | Part::Unknown { .. } => 0,
    });
    bytes.sum()
}

fn tool_bytes(tool: &Tool<'_>) -> usize {
    match tool {
        Tool::Function(function) => {
            let description = function.description.as_ref().map_or(0, length);
            let parameters = function.parameters.as_ref();
            function.name.len() + description + parameters.map_or(0, |json| json.as_str().len())
        }
        Tool::Freeform {
            name,
            description,
            grammar,
        } => {
            let definition = grammar
                .as_ref()
                .map_or(0, |grammar| length(&grammar.definition));
            name.len() + description.as_ref().map_or(0, length) + definition
        }
        Tool::Namespace {
            name,
            description,
            tools,
        } => {
            let inner: usize = tools.iter().map(tool_bytes).sum();
            name.len() + description.as_ref().map_or(0, length) + inner
        }
        Tool::Search {
            description,
            parameters,
        } => {
            let parameters = parameters.as_ref().map_or(0, |json| json.as_str().len());
            description.as_ref().map_or(0, length) + parameters
        }
        Tool::Hosted { raw, .. } | Tool::Unknown { raw, .. } => raw.as_str().len(),
    }
}
