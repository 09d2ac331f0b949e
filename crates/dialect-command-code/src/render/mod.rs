//! A request as the body of a call.

mod choice;
mod messages;
mod parts;
mod settings;
mod tools;

use polywire_conversation::{
    Fault, Losses, ModelFacts, NameRule, Rendered, Request, history, tools as offered,
};
use polywire_wire::{Object, write_string};

use crate::Profile;

/// What the caller knows and a pure function cannot: the day, and the name of the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Today, as `YYYY-MM-DD`.
    pub date: &'a str,
    /// Names the conversation. Sent as `threadId` when it is a UUID, which is all that the provider takes there.
    pub session_id: &'a str,
}

/// Renders a request for one model of the provider. The answer always comes as a stream.
///
/// The provider wants to know about the machine; what it gets is a constant that says nothing.
///
/// # Errors
/// [`FaultClass::InvalidRequest`](polywire_conversation::FaultClass::InvalidRequest) when the request insists on something that
/// cannot be had: a tool that only another provider can carry out.
pub fn render(
    request: &Request<'_>,
    model: &ModelFacts<'_>,
    profile: &Profile,
    context: &Context<'_>,
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
    let chosen = choice::choose(request, tools, &ledger, &mut losses)?;
    let answer_form = settings::answer_form(&request.format, &mut losses);

    let mut body = Vec::new();
    let mut object = Object::open(&mut body);
    write_machine(context, &mut object);
    let mut params = Object::open(object.member("params"));
    params.string("model", model.name);
    let setting = messages::Setting {
        accepts_images: model.images && profile.images,
        ledger: &mut ledger,
        losses: &mut losses,
    };
    let system = messages::write(
        request.instructions.as_ref(),
        &history.turns,
        answer_form.as_ref(),
        setting,
        params.member("messages"),
    );
    tools::write(&chosen, &ledger, profile, &mut params, &mut losses);
    write_system(&system, params.member("system"));
    settings::write(request, model, profile, &mut params, &mut losses);
    params.close();
    object.close();
    Ok(Rendered {
        body,
        tools: tools::names(&chosen, &ledger),
        format_in_words: answer_form.is_some(),
        // The provider has no stop texts.
        stops: request.stop.is_empty(),
        ledger,
        losses: losses.0,
    })
}

/// Everything that the provider's client tells about where it runs, without telling anything. A body that lacks one of `config`,
/// `memory` and the messages is refused.
fn write_machine(context: &Context<'_>, body: &mut Object<'_>) {
    let mut config = Object::open(body.member("config"));
    config.string("workingDir", "/workspace");
    config.string("date", context.date);
    config.string("environment", "linux");
    config.raw("structure", "[]");
    config.flag("isGitRepo", false);
    for unknown in ["currentBranch", "mainBranch", "gitStatus"] {
        config.string(unknown, "");
    }
    config.raw("recentCommits", "[]");
    config.close();
    body.string("memory", "");
    body.raw("taste", "null");
    body.raw("skills", "null");
    body.string("permissionMode", "standard");
    body.string("mode", "agent");
    if is_uuid(context.session_id) {
        body.string("threadId", context.session_id);
    }
}

/// Writes the system text. Without one the service puts in a prompt of its own of about 7,600 tokens (live report, 2026); a single
/// space keeps it from that.
fn write_system(system: &str, out: &mut Vec<u8>) {
    if system.is_empty() {
        write_string(" ", out);
        return;
    }
    out.push(b'"');
    out.extend_from_slice(system.as_bytes());
    out.push(b'"');
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .concat()
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
}
