//! A request as the body of a Responses call.

mod choice;
mod format;
mod hosted;
mod items;
mod parts;
mod reasoning;
mod results;
mod settings;
mod tools;

use polywire_conversation::{
    Dialect, Fault, Losses, ModelFacts, NameRule, Rendered, Request, Tool, history,
    tools as offered,
};
use polywire_wire::Object;

use crate::Profile;

pub(crate) use items::default_instructions;
pub(crate) use settings::tier_left_out;

/// Renders a request for one model of the provider. The answer is always asked for as a stream, and never to be stored.
///
/// Images go out when both the model and the provider take them ([`Profile::images`]). The conversation comes first in the body
/// and depends on nothing that follows it, so that a longer one begins with the same bytes as a shorter one.
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
        reserved: profile.reserved_names.clone(),
    };
    let mut renamed = Losses::default();
    let request = &*hosted::renamed(request, profile, &mut renamed);
    let known = without_passing(request, profile);
    let offered::Offer {
        mut ledger, losses, ..
    } = offered::offer(&known, rule);
    if profile.tool_search {
        tools::declare_deferred(request, &mut ledger);
    }
    let mut losses = Losses(losses);
    losses.0.extend(renamed.0);
    let history = history::arrange(request.items.clone());
    losses.0.extend(history.losses);
    let tools = tools::collect(request, &ledger, profile, &mut losses);
    let chosen = choice::choose(request, tools, &ledger, profile, &mut losses)?;
    let format = format::format(&request.format, profile, &mut losses);

    let mut body = Vec::with_capacity(BODY_BYTES_GUESS);
    let mut object = Object::open(&mut body);
    object.string("model", model.name);
    let conversation = items::Conversation {
        instructions: request.instructions.as_ref(),
        turns: history.turns,
        answer_form: format.instruction(),
    };
    items::write(
        conversation,
        items::Setting {
            profile,
            accepts_images: model.images && profile.images,
            accepts_stored_files: request.dialect == Dialect::Responses,
            ledger: &mut ledger,
            losses: &mut losses,
        },
        &mut object,
    );
    tools::write(&chosen, &ledger, profile, &mut object, &mut losses);
    settings::write(
        &settings::Asked {
            request,
            model,
            with_tools: !chosen.tools.is_empty(),
            format: &format,
            profile,
        },
        &mut object,
        &mut losses,
    );
    object.close();
    let offered = chosen.tools.iter().map(|entry| entry.shown_name(&ledger));
    Ok(Rendered {
        body,
        tools: offered.map(str::to_owned).collect(),
        format_in_words: format.instruction().is_some(),
        // The protocol has no stop texts.
        stops: request.stop.is_empty(),
        ledger,
        losses: losses.0,
    })
}

/// A capacity that the bodies of short turns fit into.
const BODY_BYTES_GUESS: usize = 16 << 10;

/// The request as far as names and forms have to be found for its tools: tools of the provider that pass as they are need
/// neither. Each leaves an empty group in its place, so that the others keep their numbers.
fn without_passing<'a>(request: &Request<'a>, profile: &Profile) -> Request<'a> {
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Hosted { tag, .. } | Tool::Unknown { tag, .. } if profile.passes_hosted(tag) => {
            Tool::Namespace {
                name: tag.clone(),
                description: None,
                tools: Vec::new(),
            }
        }
        Tool::Hosted { .. }
        | Tool::Unknown { .. }
        | Tool::Function(_)
        | Tool::Freeform { .. }
        | Tool::Namespace { .. }
        | Tool::Search { .. } => tool.clone(),
    });
    Request {
        tools: tools.collect(),
        items: request.items.clone(),
        ..Request::default()
    }
}
