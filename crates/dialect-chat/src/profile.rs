//! The wire habits of a provider, as data.

use polywire_schema::Target;
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
    /// Whether the provider takes files as `file` parts. Files of plain text go as text to everybody.
    pub files: bool,
    /// Whether the provider takes sound as `input_audio` parts.
    pub audio: bool,

    /// The field that holds the most output tokens.
    pub output_limit_field: OutputLimitField,
    /// Whether `temperature` and `top_p` are passed on when the client set them.
    pub sampling: bool,
    /// Whether `top_k` is passed on when the client set it.
    pub top_k: bool,
    /// Whether `frequency_penalty` and `presence_penalty` are passed on.
    pub penalties: bool,
    /// Whether `seed` is passed on.
    pub seed: bool,
    /// Whether `logprobs` and `top_logprobs` are passed on.
    pub logprobs: bool,
    /// How many texts `stop` may hold; 0 when the provider does not know the field. Those that find no place are the
    /// gateway's to look for.
    pub stop_max: usize,
    /// Whether `stream_options.include_usage` is sent.
    pub usage_in_stream: bool,
    /// The field for the key of the prompt cache, such as `prompt_cache_key`; none is sent without it.
    pub cache_key_field: Option<String>,
    /// Whether `service_tier` is passed on.
    pub service_tier: bool,
    /// Whether `verbosity` is passed on.
    pub verbosity: bool,
    /// Whether `user` is passed on. It names a person, so it goes only where that is wanted.
    pub user: bool,
    /// Whether `metadata` is passed on.
    pub metadata: bool,

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
    /// What stands in for the signature of a call that another provider made.
    pub call_signature: CallSignature,
    /// Markup of the model that the provider is known to leave in the text, and that is to be read for what it means.
    pub leaks: Vec<Leak>,

    /// Whether `parallel_tool_calls` is passed on.
    pub parallel_tool_calls: bool,
    /// The forms of `tool_choice` that the provider knows.
    pub tool_choice: Vec<ChoiceForm>,
    /// Whether a call can be demanded while the model thinks.
    pub forced_choice_with_thinking: bool,
    /// Whether `strict` is passed on with functions.
    pub strict_tools: bool,
    /// Whether freeform tools are offered as what they are (`type: "custom"`), grammar and all.
    pub freeform_tools: bool,
    /// The subset of JSON Schema that the provider takes. Without it schemas pass as they are.
    pub schema: Option<Target>,
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
            files: false,
            audio: false,
            output_limit_field: OutputLimitField::MaxTokens,
            sampling: true,
            top_k: false,
            penalties: false,
            seed: false,
            logprobs: false,
            stop_max: 4,
            usage_in_stream: true,
            cache_key_field: None,
            service_tier: false,
            verbosity: false,
            user: false,
            metadata: false,
            reasoning_request: ReasoningForm::None,
            efforts: Vec::new(),
            thinking_extra: Map::new(),
            reasoning_back: ReasoningBack::None,
            reasoning_back_required: false,
            call_signature: CallSignature::None,
            leaks: Vec::new(),
            parallel_tool_calls: true,
            tool_choice: vec![
                ChoiceForm::Auto,
                ChoiceForm::None,
                ChoiceForm::Required,
                ChoiceForm::Named,
            ],
            forced_choice_with_thinking: true,
            strict_tools: false,
            freeform_tools: false,
            schema: None,
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
    /// `thinking: {"type": "adaptive"}`, and `reasoning_effort` beside it when efforts are listed.
    ThinkingAdaptive,
    /// `reasoning: {"effort": "high"}`, or `{"max_tokens": …}` when the client counted instead of naming an effort.
    ReasoningObject,
    /// `enable_thinking: true`, and `reasoning_effort` beside it when efforts are listed, or `thinking_budget` when the client
    /// counted.
    EnableThinking,
    /// `enable_thinking: true`, and always a `thinking_budget` beside it: the client's count, or the one that stands for the effort
    /// that it named.
    ThinkingBudget,
    /// `chat_template_kwargs` with both names that templates look for, `thinking` and `enable_thinking`; `reasoning_effort`
    /// beside it when efforts are listed.
    ChatTemplate,
}

/// The form in which earlier reasoning goes back with an assistant message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningBack {
    /// It does not go back.
    None,
    /// `reasoning_content`, as text.
    ReasoningContent,
    /// `reasoning`, as text.
    Reasoning,
    /// `reasoning_details`: the provider's own entries, in order. Reasoning that came from elsewhere is left out.
    Details,
    /// Parts of type `thinking` in the content, signatures and all.
    ContentParts,
    /// `reasoning_text`, and what the provider encrypted in `reasoning_opaque` beside it.
    TextAndOpaque,
    /// Between `<think>` tags at the start of the content.
    ThinkTags,
}

impl ReasoningBack {
    /// The name of the field, for the forms that are one field with text.
    pub(crate) const fn text_field(self) -> Option<&'static str> {
        match self {
            ReasoningBack::ReasoningContent => Some("reasoning_content"),
            ReasoningBack::Reasoning => Some("reasoning"),
            ReasoningBack::None
            | ReasoningBack::Details
            | ReasoningBack::ContentParts
            | ReasoningBack::TextAndOpaque
            | ReasoningBack::ThinkTags => None,
        }
    }

    /// Whether state of the provider has a place in this form, beside or instead of readable text.
    pub(crate) const fn takes_state(self) -> bool {
        match self {
            ReasoningBack::Details | ReasoningBack::ContentParts | ReasoningBack::TextAndOpaque => {
                true
            }
            ReasoningBack::None
            | ReasoningBack::ReasoningContent
            | ReasoningBack::Reasoning
            | ReasoningBack::ThinkTags => false,
        }
    }
}

/// What stands in for the signature of a call that another provider made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallSignature {
    /// Nothing: the provider asks for no signatures.
    None,
    /// The dummy value that Google documents for a foreign history. Its models refuse a call without any signature (400
    /// "Function call is missing a `thought_signature`").
    Placeholder,
}

/// Markup of a model that a server without the right parser leaves in the text.
///
/// Read only where it is switched on, because text may hold such markup for its own sake. `<think>` at the very start of an
/// answer is read without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// `<think>…</think>` further on in the text, too.
    ThinkTags,
    /// `<thought>…</thought>` at the start (Gemini's compatible endpoint).
    ThoughtTags,
    /// `◁think▷…◁/think▷` at the start (Kimi).
    KimiThink,
    /// `</think>` without an opening tag: the chat template has written that one (DeepSeek-R1 behind older servers). The text
    /// up to it waits until the tag is seen or [looked for far enough](crate::LOOK_AHEAD_BYTES_MAX).
    OrphanClose,
    /// `<|channel|>analysis<|message|>…` (gpt-oss): the channels of thoughts, calls and answers.
    Harmony,
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>` (Qwen, Hermes).
    ToolCallJson,
    /// `<tool_call>name<arg_key>…</arg_key><arg_value>…</arg_value></tool_call>` (GLM), and
    /// `<tool_call><function=name><parameter=key>…` (Qwen's coders).
    ToolCallXml,
    /// `<|tool_calls_section_begin|>…<|tool_calls_section_end|>` (Kimi).
    ToolCallSection,
    /// `<invoke name="…"><parameter name="…">…`, alone or in `<minimax:tool_call>` or `<function_calls>`.
    Invoke,
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
