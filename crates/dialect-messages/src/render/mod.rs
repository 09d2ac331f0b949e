//! A request as the body of a Messages call.

mod block;
mod choice;
mod hosted;
pub(crate) mod ids;
mod loaded;
mod lower;
mod media;
mod parts;
mod reasoning;
mod schema;
mod settings;
mod thinking;
mod tools;

use polywire_conversation::{
    Dialect, Fault, Loss, Losses, ModelFacts, NameRule, Rendered, Request, Text, history,
    tools as offered,
};
use polywire_wire::{Object, write_array};

use crate::Profile;
use block::{Message, Speaker, mark, write_messages, write_text};

pub(crate) use thinking::wants_thinking;

/// Renders a request for one model of the provider. The answer is always asked for as a stream.
///
/// Images go out when both the model and the provider take them ([`Profile::images`]). Without marks for the cache
/// ([`Profile::cache_marks`]), which move on with the conversation, a longer conversation begins with the same bytes as a shorter
/// one, so that the provider's prompt cache holds.
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
        ..polywire_conversation::NameRule::default()
    };
    let has_search = profile.hosted_web_search.is_some();
    let built_in = |tag: &str| has_search && hosted::is_web_search(tag);
    let offered::Offer {
        tools: offer,
        mut ledger,
        losses,
    } = offered::offer_beside(request, rule, &built_in);
    let mut losses = Losses(losses);
    let web_search = hosted::web_search(request, profile, &ledger, &mut losses);
    let format = settings::format(&request.format, profile, &mut losses);

    let history::History {
        mut turns,
        losses: mended,
    } = history::arrange(request.items.clone());
    losses.0.extend(mended);
    let instruction = format.instruction.as_ref().map(Text::borrow);
    let instructions = request.instructions.as_ref();
    let system = lower::system(instructions, &mut turns, instruction, &mut losses);
    let setting = lower::Setting {
        profile,
        taken: parts::Taken {
            images: model.images && profile.images,
            documents: profile.documents,
            stored_files: request.dialect == Dialect::Messages,
        },
        takes_prefill: request.dialect == Dialect::Messages
            && !thinking::may_think(&request.reasoning, profile),
        ledger: &mut ledger,
        losses: &mut losses,
    };
    let messages = lower::messages(turns, setting);

    let max_tokens = settings::max_tokens(request, model, profile, &mut losses);
    let reasoning = &request.reasoning;
    let thinking = thinking::settle(reasoning, profile, &messages, max_tokens, &mut losses);
    let forcing = profile.forced_choice_with_thinking || !thinking.is_on;
    let chosen = choice::choose(request, offer, web_search, &ledger, forcing, &mut losses)?;

    let mut body = Vec::with_capacity(4_096);
    let mut object = Object::open(&mut body);
    object.string("model", model.name);
    if !system.is_empty() {
        write_system(&system, profile, &mut object);
    }
    let marked = marked_messages(&messages, profile);
    write_messages(
        &messages,
        |place| marked.contains(&place),
        object.member("messages"),
    );
    let called = tools::called(&messages);
    if !chosen.is_empty() {
        tools::write(&chosen, &ledger, profile, &mut object, &mut losses);
        choice::write(request, &chosen.choice, profile, &mut object, &mut losses);
    } else if !called.is_empty() {
        tools::write_called(&called, &mut object);
    }
    if chosen.choice == choice::Choice::Any && chosen.is_empty() {
        losses.add(Loss::degraded(
            "tool_choice",
            "there is no tool to be called",
        ));
    }
    object.raw("max_tokens", &max_tokens.to_string());
    object.flag("stream", true);
    settings::write(
        request,
        &thinking,
        &format,
        profile,
        &mut object,
        &mut losses,
    );
    object.close();
    Ok(Rendered {
        body,
        tools: chosen.names(&ledger),
        format_in_words: format.instruction.is_some(),
        stops: true,
        ledger,
        losses: losses.0,
    })
}

fn write_system(texts: &[Text<'_>], profile: &Profile, body: &mut Object<'_>) {
    let last = texts.len().wrapping_sub(1);
    let blocks = texts.iter().enumerate();
    write_array(blocks, body.member("system"), |(place, text), out| {
        let mut block = Object::open(out);
        block.string("type", "text");
        write_text(text, block.member("text"));
        if profile.cache_marks && place == last {
            mark(&mut block);
        }
        block.close();
    });
}

/// The messages that end with a mark for the cache: the last two of the user, so that the next turn finds the mark of this one.
/// With the marks on the tools and on the system text that makes four, which is all that is allowed.
fn marked_messages(messages: &[Message<'_>], profile: &Profile) -> Vec<usize> {
    if !profile.cache_marks {
        return Vec::new();
    }
    let users = messages
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, message)| message.speaker == Speaker::User);
    users.take(2).map(|(place, _)| place).collect()
}
