//! A request as the body of a Chat Completions call.

mod calls;
mod choice;
mod extra;
mod files;
mod messages;
mod parts;
mod reasoning;
mod schema;
mod settings;
mod thinking;
mod tools;

use polywire_conversation::{
    Fault, Losses, ModelFacts, NameRule, Rendered, Request, history, tools as offered,
};
use polywire_wire::Object;

use crate::Profile;

/// Renders a request for one model of the provider. The answer is always asked for as a stream.
///
/// Images go out when both the model and the provider take them ([`Profile::images`]).
///
/// The messages come first in the body and depend on nothing that follows them, so that a longer conversation begins with the
/// same bytes as a shorter one and the provider's prompt cache holds.
///
/// # Errors
/// [`FaultClass::InvalidRequest`](polywire_conversation::FaultClass::InvalidRequest) when the request insists on something that
/// cannot be had: a tool that only another provider can carry out.
pub fn render(
    request: &Request<'_>,
    model: &ModelFacts<'_>,
    profile: &Profile,
) -> Result<Rendered, Fault> {
    let rule = NameRule {
        length_max: profile.name_length_max,
        ..NameRule::default()
    };
    let offered::Offer {
        tools,
        mut ledger,
        losses,
    } = offered::offer(request, rule);
    let mut losses = Losses(losses);
    let history = history::arrange(request.items.clone());
    losses.0.extend(history.losses);
    let chosen = choice::choose(request, tools, &ledger, profile, &mut losses)?;
    let format = settings::format(
        &request.format,
        !chosen.tools.is_empty(),
        profile,
        &mut losses,
    );

    let mut body = Vec::with_capacity(body_bytes_guess(request));
    let mut object = Object::open(&mut body);
    object.string("model", model.name);
    let conversation = messages::Conversation {
        instructions: request.instructions.as_ref(),
        turns: history.turns,
        answer_form: format.instruction.as_ref(),
    };
    messages::write(
        conversation,
        messages::Setting {
            profile,
            accepts_images: model.images && profile.images,
            ledger: &mut ledger,
            losses: &mut losses,
        },
        object.member("messages"),
    );
    tools::write(&chosen, &ledger, profile, &mut object, &mut losses);
    settings::write(request, &chosen, &format, profile, &mut object, &mut losses);
    object.close();
    let tools = tools::wire_names(&chosen, &ledger);
    Ok(Rendered {
        body,
        tools,
        format_in_words: format.instruction.is_some(),
        stops: request.stop.len() <= profile.stop_max,
        ledger,
        losses: losses.0,
    })
}

/// A capacity that most bodies fit into: growing a large body in steps copies it several times.
fn body_bytes_guess(request: &Request<'_>) -> usize {
    use polywire_conversation::{CallInput, FileContent, Item, Part, Text, Tool};
    fn text(text: &Text<'_>) -> usize {
        text.as_written().len()
    }
    fn parts(parts: &[Part<'_>]) -> usize {
        let length = |part: &Part<'_>| match part {
            Part::Text(body) | Part::Refusal(body) => text(body),
            Part::Image(image) => text(&image.url),
            Part::File(file) => match &file.content {
                FileContent::Base64(body)
                | FileContent::Text(body)
                | FileContent::Url(body)
                | FileContent::Stored(body) => text(body),
            },
            Part::Audio(json) => json.as_str().len(),
            Part::Unknown { .. } => 0,
        };
        parts.iter().map(length).sum()
    }
    fn tool(offered: &Tool<'_>) -> usize {
        match offered {
            Tool::Function(function) => {
                function.description.as_ref().map_or(0, text)
                    + function
                        .parameters
                        .as_ref()
                        .map_or(0, |json| json.as_str().len())
            }
            Tool::Freeform {
                description,
                grammar,
                ..
            } => {
                description.as_ref().map_or(0, text)
                    + grammar
                        .as_ref()
                        .map_or(0, |grammar| text(&grammar.definition))
            }
            Tool::Namespace { tools, .. } => tools.iter().map(tool).sum(),
            Tool::Search { .. } | Tool::Hosted { .. } | Tool::Unknown { .. } => 0,
        }
    }
    let items = request.items.iter().map(|item| match item {
        Item::Message(message) => parts(&message.parts),
        Item::Result(result) => parts(&result.parts),
        Item::Call(call) => match &call.input {
            CallInput::Arguments(input) | CallInput::Freeform(input) => text(input) * 5 / 4,
            CallInput::Search(json) => json.as_str().len(),
        },
        Item::Reasoning(reasoning) => reasoning.visible.parts().iter().map(text).sum(),
        Item::ToolsAdded(_)
        | Item::HostedCall { .. }
        | Item::Compaction { .. }
        | Item::Unknown { .. } => 0,
    });
    let overhead_bytes = 2_048 + 160 * (request.items.len() + request.tools.len());
    overhead_bytes
        + request.instructions.as_ref().map_or(0, text)
        + items.sum::<usize>()
        + request.all_tools().map(tool).sum::<usize>()
}
