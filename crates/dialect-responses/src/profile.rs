//! The wire habits of a provider, as data.

use std::collections::BTreeMap;

use polywire_schema::Target;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a provider of the Responses protocol takes, wherever providers differ.
///
/// Read from preset files; every field has a default, and the defaults together describe a provider of which nothing is known
/// but that it serves the subset that Open Responses publishes: functions, text, images, reasoning.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent habit with a name of its own in the preset files"
)]
pub struct Profile {
    /// Whether tools of the client are taken at all.
    pub tools: bool,
    /// Whether tools that take free text (`custom`) are known. Elsewhere each is offered as a function with one string.
    pub freeform_tools: bool,
    /// Whether groups of tools (`namespace`) are known. Elsewhere their tools are offered one by one, under joined names.
    pub namespaces: bool,
    /// Whether a search for tools that the client carries out (`tool_search`) is known. Elsewhere it is offered as a function.
    pub tool_search: bool,
    /// Wire types of tools that the provider carries out, such as `web_search`; they pass as they are. Others are left out.
    pub hosted_tools: Vec<String>,
    /// Older names of such tools, and under which of the names above each goes out.
    pub hosted_aliases: BTreeMap<String, String>,

    /// Whether the `reasoning` object is known.
    pub reasoning: bool,
    /// The efforts that the provider knows, by name; an empty list means `low`, `medium` and `high`.
    pub efforts: Vec<String>,
    /// Whether `reasoning.summary` is passed on.
    pub reasoning_summary: bool,
    /// Whether encrypted reasoning is asked for, and goes back with the next turn.
    pub encrypted_reasoning: bool,
    /// Whether readable reasoning must go back, as `content` of reasoning items.
    pub reasoning_content_back: bool,

    /// Whether `text.verbosity` is passed on.
    pub verbosity: bool,
    /// Whether `service_tier` is passed on.
    pub service_tier: bool,
    /// The tiers that the provider knows besides its usual one; an empty list means that any is passed on.
    pub service_tiers: Vec<String>,
    /// The field for the key of the prompt cache, such as `prompt_cache_key`; none is sent without it.
    pub cache_key_field: Option<String>,
    /// Headers that repeat the key of the prompt cache.
    pub cache_key_headers: Vec<String>,
    /// Whether `temperature` and `top_p` are passed on when the client set them.
    pub sampling: bool,
    /// Whether probabilities of tokens can be asked for.
    pub logprobs: bool,

    /// Whether `parallel_tool_calls` is passed on.
    pub parallel_tool_calls: bool,
    /// Whether it is refused in a request without tools. What is rendered here never has it then.
    pub parallel_with_tools_only: bool,
    /// Whether `strict` is passed on with functions.
    pub strict_tools: bool,
    /// The forms of `tool_choice` that the provider knows.
    pub tool_choice: Vec<ChoiceForm>,
    /// How an answer in JSON is asked for.
    pub structured_output: StructuredOutput,

    /// Whether the provider takes images at all. The model must take them too.
    pub images: bool,
    /// Whether the provider takes files.
    pub files: bool,
    /// Whether `user` is passed on: who the person behind the client is.
    pub user: bool,
    /// Whether `metadata` is passed on.
    pub metadata: bool,

    /// The role of messages that instruct the model.
    pub system_role: SystemRole,
    /// Whether messages of role `system` are taken when a request passes as it is.
    pub system_messages: bool,
    /// Whether instructions at the beginning go into `instructions` rather than into messages.
    pub instructions_field: bool,
    /// The instructions of a request that has none, for a provider that insists on some.
    pub instructions_default: Option<String>,
    /// Whether `input` must be a list of items, never a text.
    pub input_list: bool,
    /// What becomes of the ids of items when a request passes as it is. What is rendered here has none.
    pub item_ids: ItemIds,
    /// Members of content parts that are removed when a request passes as it is.
    pub part_drop: Vec<String>,
    /// The most characters of a tool name.
    pub name_length_max: usize,
    /// Tool names that the provider keeps for itself; one that ends in `*` stands for all that begin so.
    pub reserved_names: Vec<String>,
    /// The subset of JSON Schema that the provider takes; `permissive` takes all.
    pub schema: Target,
    /// The subset for the schema of an answer, where it is another one.
    pub format_schema: Option<Target>,

    /// Whether every answer must be asked for as a stream.
    pub stream_only: bool,
    /// The one value that `include` may have; an empty list leaves it to the request.
    pub include_only: Vec<String>,
    /// The only top-level fields that the provider takes; an empty list means all.
    pub fields: Vec<String>,
    /// Top-level fields that are removed when a request passes as it is.
    pub drop: Vec<String>,
    /// Fields that are added to every body as they are. A field that the request decides about cannot be replaced.
    pub extra_body: Map<String, Value>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            tools: true,
            freeform_tools: false,
            namespaces: false,
            tool_search: false,
            hosted_tools: Vec::new(),
            hosted_aliases: BTreeMap::new(),
            reasoning: true,
            efforts: Vec::new(),
            reasoning_summary: true,
            encrypted_reasoning: true,
            reasoning_content_back: false,
            verbosity: false,
            service_tier: false,
            service_tiers: Vec::new(),
            cache_key_field: None,
            cache_key_headers: Vec::new(),
            sampling: true,
            logprobs: false,
            parallel_tool_calls: true,
            parallel_with_tools_only: false,
            strict_tools: false,
            tool_choice: vec![
                ChoiceForm::Auto,
                ChoiceForm::None,
                ChoiceForm::Required,
                ChoiceForm::Named,
            ],
            structured_output: StructuredOutput::JsonSchema,
            images: true,
            files: false,
            user: false,
            metadata: false,
            system_role: SystemRole::System,
            system_messages: true,
            instructions_field: true,
            instructions_default: None,
            input_list: false,
            item_ids: ItemIds::Kept,
            part_drop: Vec::new(),
            name_length_max: 64,
            reserved_names: Vec::new(),
            schema: Target::Permissive,
            format_schema: None,
            stream_only: false,
            include_only: Vec::new(),
            fields: Vec::new(),
            drop: Vec::new(),
            extra_body: Map::new(),
        }
    }
}

impl Profile {
    /// The efforts that can be asked for.
    pub(crate) fn known_efforts(&self) -> Vec<&str> {
        if self.efforts.is_empty() {
            return vec!["low", "medium", "high"];
        }
        self.efforts.iter().map(String::as_str).collect()
    }

    /// Whether a tool of this wire type passes as it is.
    pub(crate) fn passes_hosted(&self, tag: &str) -> bool {
        self.hosted_tools.iter().any(|known| known == tag)
    }

    /// Whether the provider carries out tools of this wire type, under this name or another.
    pub fn carries_out(&self, tag: &str) -> bool {
        self.passes_hosted(self.hosted_aliases.get(tag).map_or(tag, String::as_str))
    }

    /// Whether the provider takes a top-level field of this name.
    pub(crate) fn takes_field(&self, name: &str) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|known| known == name)
    }

    /// The tier as the provider calls it; nothing for one that it does not know.
    pub(crate) fn tier<'t>(&self, wanted: &'t str) -> Option<&'t str> {
        // Codex's settings and some clients say `fast` for what the wire calls `priority`.
        let name = if wanted == "fast" { "priority" } else { wanted };
        let knows = |name: &str| self.service_tiers.iter().any(|known| known == name);
        if self.service_tiers.is_empty() || knows(wanted) {
            return Some(wanted);
        }
        knows(name).then_some(name)
    }

    /// `include` as JSON, when only one value of it is taken.
    pub(crate) fn include_json(&self) -> Option<String> {
        let names: Vec<String> = self
            .include_only
            .iter()
            .map(|name| in_quotes(name))
            .collect();
        (!names.is_empty()).then(|| format!("[{}]", names.join(",")))
    }
}

fn in_quotes(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len() + 2);
    polywire_wire::write_string(name, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// What becomes of the ids of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemIds {
    /// They pass as they are.
    Kept,
    /// Those that begin with the letters of their kind of item and are not too long pass; others are removed.
    Checked,
}

/// A form of `tool_choice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChoiceForm {
    /// `"auto"`.
    Auto,
    /// `"none"`.
    None,
    /// `"required"`.
    Required,
    /// One tool, by name.
    Named,
    /// Some of the tools (`allowed_tools`).
    Allowed,
}

/// How an answer in JSON is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// `text.format` with the schema.
    JsonSchema,
    /// `text.format` with the schema; an answer that must be JSON of any shape is asked for in words.
    SchemaOnly,
    /// The schema in the instructions, nothing else.
    Prompt,
}

/// The role of messages that instruct the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// `developer`.
    Developer,
    /// `system`, which everybody knows.
    System,
}

impl SystemRole {
    /// The word on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            SystemRole::Developer => "developer",
            SystemRole::System => "system",
        }
    }
}
