//! What the response object repeats of the request.

use polywire_conversation::{Function, Json, OutputFormat, Request, Text, Tool};
use serde_json::value::RawValue;

use crate::failure::write_optional;

/// Members of the response object that come from the request, rendered once.
///
/// The two published descriptions of the response object disagree on what may be null, so numbers that the client left out are
/// given with their documented defaults, as OpenAI gives them. `background`, `truncation` and `service_tier` say what was done
/// rather than what was asked: nothing is put off or shortened, and the tier is the provider's affair. What
/// `previous_response_id` and `store` say is decided by whoever keeps responses, and told to the writer.
#[derive(Clone, Debug)]
pub struct Echo {
    /// `"name":value` pairs, separated by commas; two of them without their values.
    members: Vec<u8>,
    /// Where the value of `previous_response_id` belongs.
    previous_at: usize,
    /// Where the value of `store` belongs, further on.
    store_at: usize,
}

/// What the neutral request does not hold, checked but as written.
#[derive(Default)]
pub(crate) struct Repeated<'a> {
    pub(crate) metadata: Option<Json<'a>>,
    pub(crate) user: Option<Text<'a>>,
    pub(crate) safety_identifier: Option<Text<'a>>,
    pub(crate) max_tool_calls: Option<u64>,
    pub(crate) presence_penalty: Option<Json<'a>>,
    pub(crate) frequency_penalty: Option<Json<'a>>,
    pub(crate) tool_choice: Option<Json<'a>>,
    pub(crate) tools: Vec<&'a RawValue>,
}

impl Default for Echo {
    /// What repeats nothing: for Codex, which never looks, so that events stay small.
    fn default() -> Self {
        Self::new(&Request::default(), &Repeated::default())
    }
}

impl Echo {
    pub(crate) fn new(request: &Request<'_>, repeated: &Repeated<'_>) -> Self {
        let mut writer = Members(Vec::with_capacity(640));
        writer.json("background", "false");
        writer.as_written(
            "frequency_penalty",
            repeated.frequency_penalty.as_ref(),
            "0",
        );
        writer.text("instructions", request.instructions.as_ref());
        writer.count("max_output_tokens", request.output_tokens_max);
        writer.count("max_tool_calls", repeated.max_tool_calls);
        writer.as_written("metadata", repeated.metadata.as_ref(), "{}");
        let parallel = request.parallel_tool_calls.unwrap_or(true);
        writer.json(
            "parallel_tool_calls",
            if parallel { "true" } else { "false" },
        );
        writer.as_written("presence_penalty", repeated.presence_penalty.as_ref(), "0");
        let previous_at = writer.key("previous_response_id").len();
        writer.text("prompt_cache_key", request.cache_key.as_ref());
        writer.reasoning(request);
        writer.text("safety_identifier", repeated.safety_identifier.as_ref());
        writer.json("service_tier", "\"auto\"");
        let store_at = writer.key("store").len();
        writer.as_written("temperature", request.sampling.temperature.as_ref(), "1");
        writer.format(request);
        writer.as_written("tool_choice", repeated.tool_choice.as_ref(), "\"auto\"");
        writer.tools(request, &repeated.tools);
        let logprobs = request.sampling.top_logprobs.unwrap_or(0).to_string();
        writer.json("top_logprobs", &logprobs);
        writer.as_written("top_p", request.sampling.top_p.as_ref(), "1");
        writer.json("truncation", "\"disabled\"");
        if let Some(user) = &repeated.user {
            writer.text("user", Some(user));
        }
        Self {
            members: writer.0,
            previous_at,
            store_at,
        }
    }

    /// All members, with what is in force of the two that the request does not decide.
    pub(crate) fn members(&self, previous_response_id: Option<&str>, store: bool) -> Vec<u8> {
        let (head, rest) = self.members.split_at(self.previous_at);
        let (middle, tail) = rest.split_at(self.store_at - self.previous_at);
        let mut members = Vec::with_capacity(self.members.len() + 64);
        members.extend_from_slice(head);
        write_optional(previous_response_id, &mut members);
        members.extend_from_slice(middle);
        members.extend_from_slice(literal(store));
        members.extend_from_slice(tail);
        members
    }
}

/// Writes members of an object.
struct Members(Vec<u8>);

impl Members {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
        &mut self.0
    }

    fn json(&mut self, key: &str, value: &str) {
        self.key(key).extend_from_slice(value.as_bytes());
    }

    fn as_written(&mut self, key: &str, value: Option<&Json<'_>>, default: &str) {
        write_in_one_line(value.map_or(default, Json::as_str), self.key(key));
    }

    fn count(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(value) => self.json(key, &value.to_string()),
            None => self.json(key, "null"),
        }
    }

    fn text(&mut self, key: &str, value: Option<&Text<'_>>) {
        match value {
            Some(text) => text.write_string(self.key(key)),
            None => self.json(key, "null"),
        }
    }

    fn reasoning(&mut self, request: &Request<'_>) {
        let out = self.key("reasoning");
        out.extend_from_slice(b"{\"effort\":");
        write_optional(request.reasoning.effort.as_deref(), out);
        out.extend_from_slice(b",\"summary\":");
        write_optional(request.reasoning.summary.as_deref(), out);
        out.push(b'}');
    }

    fn format(&mut self, request: &Request<'_>) {
        let out = self.key("text");
        out.extend_from_slice(b"{\"format\":");
        write_format(&request.format, out);
        if let Some(verbosity) = &request.verbosity {
            out.extend_from_slice(b",\"verbosity\":");
            Text::from(&**verbosity).write_string(out);
        }
        out.push(b'}');
    }

    fn tools(&mut self, request: &Request<'_>, as_written: &[&RawValue]) {
        let out = self.key("tools");
        out.push(b'[');
        for (index, (tool, raw)) in request.tools.iter().zip(as_written).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match tool {
                Tool::Function(function) => write_function(function, out),
                Tool::Freeform { .. }
                | Tool::Namespace { .. }
                | Tool::Search { .. }
                | Tool::Hosted { .. }
                | Tool::Unknown { .. } => write_in_one_line(raw.get(), out),
            }
        }
        out.push(b']');
    }
}

fn write_format(format: &OutputFormat<'_>, out: &mut Vec<u8>) {
    match format {
        OutputFormat::Text => out.extend_from_slice(b"{\"type\":\"text\"}"),
        OutputFormat::JsonObject => out.extend_from_slice(b"{\"type\":\"json_object\"}"),
        OutputFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            out.extend_from_slice(b"{\"type\":\"json_schema\",\"name\":");
            Text::from(&**name).write_string(out);
            if let Some(description) = description {
                out.extend_from_slice(b",\"description\":");
                description.write_string(out);
            }
            out.extend_from_slice(b",\"schema\":");
            write_in_one_line(schema.as_str(), out);
            out.extend_from_slice(b",\"strict\":");
            out.extend_from_slice(literal(strict.unwrap_or(false)));
            out.push(b'}');
        }
    }
}

/// A function with every member that the descriptions require, null where the client left it out.
fn write_function(function: &Function<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"function\",\"name\":");
    Text::from(&*function.name).write_string(out);
    out.extend_from_slice(b",\"description\":");
    match &function.description {
        Some(description) => description.write_string(out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"parameters\":");
    let parameters = function.parameters.as_ref();
    write_in_one_line(parameters.map_or("null", Json::as_str), out);
    out.extend_from_slice(b",\"strict\":");
    out.extend_from_slice(function.strict.map_or(b"null", literal));
    if function.deferred {
        out.extend_from_slice(b",\"defer_loading\":true");
    }
    out.push(b'}');
}

const fn literal(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

/// Appends JSON as it was written, but in one line, because a line break would end the `data:` line of an event. In JSON one
/// can only stand between tokens.
pub(crate) fn write_in_one_line(json: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
