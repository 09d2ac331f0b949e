//! The wire habits of a provider, as data.

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
    /// The field for the key of the prompt cache, such as `prompt_cache_key`; none is sent without it.
    pub cache_key_field: Option<String>,
    /// Whether `temperature` and `top_p` are passed on when the client set them.
    pub sampling: bool,
    /// Whether probabilities of tokens can be asked for.
    pub logprobs: bool,

    /// Whether `parallel_tool_calls` is passed on.
    pub parallel_tool_calls: bool,
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
    /// Whether instructions at the beginning go into `instructions` rather than into messages.
    pub instructions_field: bool,
    /// The most characters of a tool name.
    pub name_length_max: usize,
    /// Tool names that the provider keeps for itself; one that ends in `*` stands for all that begin so.
    pub reserved_names: Vec<String>,
    /// The subset of JSON Schema that the provider takes; `permissive` takes all.
    pub schema: Target,

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
            reasoning: true,
            efforts: Vec::new(),
            reasoning_summary: true,
            encrypted_reasoning: true,
            reasoning_content_back: false,
            verbosity: false,
            service_tier: false,
            cache_key_field: None,
            sampling: true,
            logprobs: false,
            parallel_tool_calls: true,
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
            instructions_field: true,
            name_length_max: 64,
            reserved_names: Vec::new(),
            schema: Target::Permissive,
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
