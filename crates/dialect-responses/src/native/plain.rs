//! Which requests can go to the provider as they are.

use polywire_conversation::{
    CallInput, Dialect, Instruction, Item, OutputFormat, Part, Request, Role, Tool, ToolChoice,
    history,
};

use polywire_schema::Target;

use crate::Profile;
use crate::profile::{ChoiceForm, StructuredOutput, SystemRole};

/// Whether the bytes of a request can go to a provider of this profile, but for what [`edit`](super::edit()) changes.
///
/// `false` as soon as anything in it would have to be lowered, mended, summed up or left out for the provider: such a request is
/// rendered, which knows how.
pub fn is_plain(request: &Request<'_>, profile: &Profile) -> bool {
    let check = Check { profile };
    request.dialect == Dialect::Responses
        && !request.compact
        && request.tools_refused.is_empty()
        && request.tools.iter().all(|tool| check.tool(tool, false))
        && (request.tools.is_empty() || profile.schema == Target::Permissive)
        && check.choice(&request.tool_choice)
        && check.settings(request)
        && request.items.iter().all(|item| check.item(item))
        && needs_no_mending(request)
}

/// Whether every call has its result in its place, and nothing is empty that providers refuse.
fn needs_no_mending(request: &Request<'_>) -> bool {
    // Calls that the provider carried out are told in words by whoever arranges, and pass here as they are.
    let items = request.items.iter();
    let items = items.filter(|item| match item {
        Item::HostedCall { .. } | Item::Unknown { .. } => false,
        Item::Message(_)
        | Item::Reasoning(_)
        | Item::Call(_)
        | Item::Result(_)
        | Item::ToolsAdded(_)
        | Item::Compaction { .. } => true,
    });
    history::arrange(items.cloned().collect()).losses.is_empty()
}

fn has_extra(request: &Request<'_>, name: &str) -> bool {
    request.extra.iter().any(|(key, _)| key == name)
}

struct Check<'p> {
    profile: &'p Profile,
}

impl Check<'_> {
    /// A field is no obstacle when the provider knows it, or when it is dropped on the way.
    fn field(&self, name: &str, is_set: bool, is_known: bool) -> bool {
        let profile = self.profile;
        let is_dropped = || profile.drop.iter().any(|dropped| dropped == name);
        !is_set || is_known || !profile.takes_field(name) || is_dropped()
    }

    fn settings(&self, request: &Request<'_>) -> bool {
        let profile = self.profile;
        let sampling = &request.sampling;
        let knows_key = profile.cache_key_field.as_deref() == Some("prompt_cache_key");
        let asks_format = request.format != OutputFormat::Text;
        let takes_format =
            profile.structured_output == StructuredOutput::JsonSchema && self.takes_schema(request);
        [
            (
                "instructions",
                request.instructions.is_some(),
                profile.instructions_field,
            ),
            (
                "parallel_tool_calls",
                request.parallel_tool_calls.is_some(),
                profile.parallel_tool_calls,
            ),
            (
                "temperature",
                sampling.temperature.is_some(),
                profile.sampling,
            ),
            ("top_p", sampling.top_p.is_some(), profile.sampling),
            (
                "top_logprobs",
                sampling.logprobs || sampling.top_logprobs.is_some(),
                profile.logprobs,
            ),
            ("prompt_cache_key", request.cache_key.is_some(), knows_key),
            (
                "service_tier",
                request.service_tier.is_some(),
                profile.service_tier,
            ),
            ("user", request.user.is_some(), profile.user),
            (
                "safety_identifier",
                has_extra(request, "safety_identifier"),
                profile.user,
            ),
            ("metadata", request.metadata.is_some(), profile.metadata),
            ("text", asks_format, takes_format),
            ("text", request.verbosity.is_some(), profile.verbosity),
            (
                "reasoning",
                request.reasoning.effort.is_some() || request.reasoning.summary.is_some(),
                self.knows_reasoning(request),
            ),
        ]
        .into_iter()
        .all(|(name, is_set, is_known)| self.field(name, is_set, is_known))
    }

    fn takes_schema(&self, request: &Request<'_>) -> bool {
        match request.format {
            OutputFormat::JsonSchema { .. } => self.profile.schema == Target::Permissive,
            OutputFormat::Text | OutputFormat::JsonObject => true,
        }
    }

    fn knows_reasoning(&self, request: &Request<'_>) -> bool {
        let profile = self.profile;
        let effort = request.reasoning.effort.as_deref();
        let summary = request.reasoning.summary.as_deref();
        profile.reasoning
            && effort.is_none_or(|effort| profile.known_efforts().contains(&effort))
            && (summary.is_none() || profile.reasoning_summary)
    }

    fn tool(&self, tool: &Tool<'_>, grouped: bool) -> bool {
        let profile = self.profile;
        match tool {
            Tool::Function(function) => {
                self.name(&function.name)
                    && (function.strict != Some(true) || profile.strict_tools)
                    && (!function.deferred || profile.tool_search)
            }
            Tool::Freeform { name, .. } => profile.freeform_tools && self.name(name),
            Tool::Namespace { name, tools, .. } => {
                !grouped
                    && profile.namespaces
                    && self.name(name)
                    && tools.iter().all(|tool| self.tool(tool, true))
            }
            Tool::Search { .. } => profile.tool_search,
            Tool::Hosted { tag, .. } | Tool::Unknown { tag, .. } => profile.passes_hosted(tag),
        }
    }

    /// Letters, digits, `_` and `-`, up to the provider's length.
    fn name(&self, name: &str) -> bool {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        (1..=self.profile.name_length_max).contains(&name.len()) && name.bytes().all(is_legal)
    }

    fn choice(&self, choice: &ToolChoice<'_>) -> bool {
        let knows = |form| self.profile.tool_choice.contains(&form);
        match choice {
            ToolChoice::Unset => true,
            ToolChoice::Auto => knows(ChoiceForm::Auto),
            ToolChoice::None => knows(ChoiceForm::None),
            ToolChoice::Required => knows(ChoiceForm::Required),
            ToolChoice::Named { .. } => knows(ChoiceForm::Named),
            ToolChoice::Allowed { .. } => knows(ChoiceForm::Allowed),
            ToolChoice::Hosted(tag) => self.profile.passes_hosted(tag),
        }
    }

    fn item(&self, item: &Item<'_>) -> bool {
        let profile = self.profile;
        match item {
            Item::Message(message) => {
                let knows_role = match message.role {
                    Role::Instructor(Instruction::Developer) => {
                        profile.system_role == SystemRole::Developer
                    }
                    Role::Instructor(Instruction::System) => profile.system_messages,
                    Role::User | Role::Assistant => true,
                };
                knows_role && message.parts.iter().all(|part| self.part(part))
            }
            // What cannot go back is left out on the way, and is a loss either way.
            Item::Reasoning(_) => true,
            Item::Call(call) => {
                let knows_input = match call.input {
                    CallInput::Arguments(_) => true,
                    CallInput::Freeform(_) => profile.freeform_tools,
                    CallInput::Search(_) => profile.tool_search,
                };
                knows_input && (call.namespace.is_none() || profile.namespaces)
            }
            Item::Result(result) => {
                let loads = !result.tools_loaded.is_empty();
                (!loads || profile.tool_search)
                    && result.parts.iter().all(|part| self.part(part))
                    && result
                        .tools_loaded
                        .iter()
                        .all(|tool| self.tool(tool, false))
            }
            Item::ToolsAdded(_) => profile.passes_hosted("additional_tools"),
            Item::HostedCall { tag, .. } | Item::Unknown { tag, .. } => {
                profile.passes_hosted(tag) || profile.passes_hosted(tag.trim_end_matches("_call"))
            }
            Item::Compaction { .. } => false,
        }
    }

    fn part(&self, part: &Part<'_>) -> bool {
        match part {
            Part::Text(_) | Part::Refusal(_) => true,
            Part::Image(_) => self.profile.images,
            Part::File(_) => self.profile.files,
            Part::Audio(_) | Part::Unknown { .. } => false,
        }
    }
}
