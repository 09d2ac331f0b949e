//! The wire habits of a provider, as data.

use polywire_schema::Target;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a Messages provider wants in a request, wherever providers differ.
///
/// Read from preset files; every field has a default, and the defaults together describe a provider of which nothing is known
/// but that it is compatible: they ask for nothing that a strict validator might refuse.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent habit with a name of its own in the preset files"
)]
pub struct Profile {
    /// How thinking is asked for.
    pub thinking: ThinkingForm,
    /// Whether thinking can be switched off.
    pub thinking_can_be_off: bool,
    /// The efforts that the provider knows, by name. The field is not sent when there are none.
    pub efforts: Vec<String>,
    /// Whether thinking blocks without a signature, or with an empty one, are taken back.
    pub unsigned_thinking: bool,

    /// The most output tokens when neither the client nor the model names a limit. The protocol insists on one.
    pub max_tokens_default: u64,
    /// Whether `temperature` and `top_p` are passed on when the client set them.
    pub sampling: bool,
    /// Whether `top_k` is passed on.
    pub top_k: bool,
    /// Whether `service_tier` is passed on.
    pub service_tier: bool,
    /// Whether the client's name for its user is passed on as `metadata.user_id`.
    pub metadata_user: bool,
    /// Whether prefixes are marked for the prompt cache.
    pub cache_marks: bool,

    /// What becomes of instructions that come after the conversation has begun.
    pub late_instructions: LateInstructions,
    /// Whether the provider takes images at all. The model must take them too.
    pub images: bool,
    /// Whether the provider takes documents.
    pub documents: bool,

    /// Whether `disable_parallel_tool_use` is known.
    pub parallel_control: bool,
    /// Whether a call can be demanded while the model thinks.
    pub forced_choice_with_thinking: bool,
    /// Whether `strict` is passed on with tools.
    pub strict_tools: bool,
    /// The most characters of a tool name.
    pub name_length_max: usize,
    /// The subset of JSON Schema that the provider takes for the input of tools.
    pub schema: Target,
    /// The dated type under which the web search that the provider carries out is offered, such as `web_search_20250305`;
    /// without one it is left out.
    pub hosted_web_search: Option<String>,
    /// How an answer in JSON is asked for.
    pub structured_output: StructuredOutput,

    /// Fields that are added to every body as they are. A field that the renderer writes itself cannot be replaced.
    pub extra_body: Map<String, Value>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            thinking: ThinkingForm::None,
            thinking_can_be_off: true,
            efforts: Vec::new(),
            unsigned_thinking: false,
            max_tokens_default: 32_000,
            sampling: true,
            top_k: true,
            service_tier: false,
            metadata_user: false,
            cache_marks: false,
            late_instructions: LateInstructions::Note,
            images: true,
            documents: true,
            parallel_control: true,
            forced_choice_with_thinking: false,
            strict_tools: false,
            name_length_max: 64,
            schema: Target::Anthropic,
            hosted_web_search: None,
            structured_output: StructuredOutput::Prompt,
            extra_body: Map::new(),
        }
    }
}

/// How thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingForm {
    /// Not at all.
    None,
    /// With a budget of tokens: `{"type": "enabled", "budget_tokens": 4096}`.
    Manual,
    /// As the model sees fit: `{"type": "adaptive"}`, steered by the effort.
    Adaptive,
}

/// What becomes of instructions that come after the conversation has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateInstructions {
    /// Text of the user in their place, marked `<system-note>`.
    Note,
    /// A message of the role `system` in their place, which only the newest models take.
    Inline,
}

/// How an answer in JSON is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// `output_config.format` with the schema.
    OutputConfig,
    /// The schema in the instructions, nothing else.
    Prompt,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The presets are written against these names.
    #[test]
    fn keys() {
        let every = r#"{
            "thinking": "adaptive", "thinking_can_be_off": false, "efforts": ["low"], "max_tokens_default": 1,
            "cache_marks": true, "images": false, "documents": false, "sampling": false, "top_k": false,
            "parallel_control": false, "forced_choice_with_thinking": true, "structured_output": "prompt",
            "strict_tools": true, "late_instructions": "inline", "unsigned_thinking": true, "name_length_max": 128,
            "service_tier": true, "metadata_user": true, "hosted_web_search": "web_search_20250305",
            "schema": "permissive", "extra_body": {"a": 1}
        }"#;
        let profile: Profile = serde_json::from_str(every).unwrap();
        assert_eq!(profile.late_instructions, LateInstructions::Inline);
        assert_eq!(profile.extra_body.len(), 1);
    }

    #[test]
    fn every_key_has_a_default_and_unknown_keys_are_refused() {
        let read = |json: &str| serde_json::from_str::<Profile>(json);
        assert_eq!(read("{}").unwrap(), Profile::default());
        let profile = read(r#"{"thinking":"manual","structured_output":"output_config"}"#).unwrap();
        assert_eq!(profile.thinking, ThinkingForm::Manual);
        assert_eq!(profile.structured_output, StructuredOutput::OutputConfig);
        assert!(read(r#"{"thinkin":"manual"}"#).is_err());
    }
}
