//! The wire habits of a provider, as data.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What a Chat Completions provider wants in a request, wherever providers differ.
///
/// Read from preset files; every field has a default, and the defaults together describe a provider of which nothing is known
/// but that it is OpenAI-compatible: they ask for nothing that a strict validator might refuse.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent habit with a name of its own in the preset files"
)]
pub struct Profile {
    /// The role of messages that instruct the model.
    pub system_role: SystemRole,
    /// What becomes of instructions that come after the conversation has begun.
    pub late_instructions: LateInstructions,
    /// Whether neighbouring user messages are sent as one. Some chat templates insist that roles alternate.
    pub merge_user_messages: bool,
    /// Whether several texts of one message are joined into a string instead of being sent as an array of parts.
    pub text_parts_as_string: bool,
    /// What stands in `content` of an assistant message that only calls.
    pub assistant_content_with_calls: EmptyContent,
    /// Whether the provider takes images at all. The model must take them too.
    pub images: bool,

    /// The field that holds the most output tokens.
    pub output_limit_field: OutputLimitField,
    /// Whether `temperature` and `top_p` are passed on when the client set them.
    pub sampling: bool,
    /// Whether `top_logprobs` is passed on.
    pub logprobs: bool,
    /// Whether `stream_options.include_usage` is sent.
    pub usage_in_stream: bool,
    /// The field for the key of the prompt cache, such as `prompt_cache_key`; none is sent without it.
    pub cache_key_field: Option<String>,
    /// Whether `service_tier` is passed on.
    pub service_tier: bool,
    /// Whether `verbosity` is passed on.
    pub verbosity: bool,

    /// How thinking is asked for.
    pub reasoning_request: ReasoningForm,
    /// The efforts that the provider knows, by name. With [`ReasoningForm::ReasoningEffort`] and
    /// [`ReasoningForm::ReasoningObject`] an empty list means `low`, `medium` and `high`; with the switches it means that
    /// there is nothing but on and off.
    pub efforts: Vec<String>,
    /// Further members of the object that [`ReasoningForm::ThinkingToggle`] sends while thinking is on.
    pub thinking_extra: Map<String, Value>,
    /// The field of an assistant message in which earlier reasoning goes back.
    pub reasoning_back: ReasoningBack,
    /// Whether every assistant message with calls must have that field, empty if need be.
    pub reasoning_back_required: bool,

    /// Whether `parallel_tool_calls` is passed on.
    pub parallel_tool_calls: bool,
    /// The forms of `tool_choice` that the provider knows.
    pub tool_choice: Vec<ChoiceForm>,
    /// Whether a call can be demanded while the model thinks.
    pub forced_choice_with_thinking: bool,
    /// Whether `strict` is passed on with functions.
    pub strict_tools: bool,
    /// The most characters of a tool name.
    pub name_length_max: usize,
    /// The form of call ids.
    pub call_ids: CallIds,
    /// How an answer in JSON is asked for.
    pub structured_output: StructuredOutput,
    /// Whether that works in a request that has tools.
    pub structured_output_with_tools: bool,

    /// Fields that are added to every body as they are. A field that the renderer writes itself cannot be replaced.
    pub extra_body: Map<String, Value>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            system_role: SystemRole::System,
            late_instructions: LateInstructions::Note,
            merge_user_messages: false,
            text_parts_as_string: true,
            assistant_content_with_calls: EmptyContent::Null,
            images: true,
            output_limit_field: OutputLimitField::MaxTokens,
            sampling: true,
            logprobs: false,
            usage_in_stream: true,
            cache_key_field: None,
            service_tier: false,
            verbosity: false,
            reasoning_request: ReasoningForm::None,
            efforts: Vec::new(),
            thinking_extra: Map::new(),
            reasoning_back: ReasoningBack::None,
            reasoning_back_required: false,
            parallel_tool_calls: true,
            tool_choice: vec![
                ChoiceForm::Auto,
                ChoiceForm::None,
                ChoiceForm::Required,
                ChoiceForm::Named,
            ],
            forced_choice_with_thinking: true,
            strict_tools: false,
            name_length_max: 64,
            call_ids: CallIds::AsGiven,
            structured_output: StructuredOutput::JsonSchema,
            structured_output_with_tools: true,
            extra_body: Map::new(),
        }
    }
}

/// The role of messages that instruct the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// `system`, which everybody knows.
    System,
    /// `developer`.
    Developer,
}

/// What becomes of instructions that come after the conversation has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateInstructions {
    /// A user message in their place, marked `<system-note>`.
    Note,
    /// A message of the instructing role in their place.
    Inline,
    /// Moved to the first message. Costs the prompt cache whenever one is added.
    Hoist,
}

/// What stands in `content` of an assistant message that only calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyContent {
    /// `null`.
    Null,
    /// An empty string, for chat templates that add strings.
    Empty,
}

/// The field that holds the most output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimitField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningForm {
    /// Not at all.
    None,
    /// `reasoning_effort: "high"`.
    ReasoningEffort,
    /// `thinking: {"type": "enabled"}`, and `reasoning_effort` beside it when efforts are listed.
    ThinkingToggle,
    /// `reasoning: {"effort": "high"}`.
    ReasoningObject,
    /// `enable_thinking: true`, and `reasoning_effort` beside it when efforts are listed.
    EnableThinking,
    /// `chat_template_kwargs` with both names that templates look for, `thinking` and `enable_thinking`; `reasoning_effort`
    /// beside it when efforts are listed.
    ChatTemplate,
}

/// The field of an assistant message in which earlier reasoning goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningBack {
    /// It does not go back.
    None,
    /// `reasoning_content`.
    ReasoningContent,
    /// `reasoning`.
    Reasoning,
}

impl ReasoningBack {
    /// The name of the field.
    pub(crate) const fn field(self) -> Option<&'static str> {
        match self {
            ReasoningBack::None => None,
            ReasoningBack::ReasoningContent => Some("reasoning_content"),
            ReasoningBack::Reasoning => Some("reasoning"),
        }
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
    /// `"any"`: another spelling of `"required"`.
    Any,
    /// One function, by name.
    Named,
}

/// The form of call ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallIds {
    /// As the history has them, unless they are empty, longer than 64 characters or hold unusual ones.
    AsGiven,
    /// Nine letters and digits, made by hashing: what older Mistral models insist on.
    Alphanumeric9,
}

/// How an answer in JSON is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// `response_format` with the schema.
    JsonSchema,
    /// `response_format` of type `json_object`, and the schema in the instructions.
    JsonObject,
    /// The schema in the instructions, nothing else.
    Prompt,
}
