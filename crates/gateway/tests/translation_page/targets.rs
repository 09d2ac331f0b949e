//! Requests put into the form of each kind of provider, as a turn does it.

use polywire_catalog::{Kind, Preset};
use polywire_conversation::envelope::{Content, Envelope, Minter};
use polywire_conversation::{
    Dialect, Fault, Form, Item, Loss, ModelFacts, Rendered, Request, Text, ToolChoice,
};
use polywire_dialect_chat as chat;
use polywire_dialect_command_code as command_code;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A provider of some kind, with its habits.
pub(crate) enum Target {
    Chat(Box<chat::Profile>),
    Messages(Box<messages::Profile>),
    Responses(Box<responses::Profile>),
    CommandCode(Box<command_code::Profile>),
    /// A Codex on this machine: asked in the form of Responses, and never with the client's bytes.
    Engine(Box<responses::Profile>),
}

/// What became of a request.
pub(crate) struct Sent {
    pub(crate) body: Value,
    pub(crate) losses: Vec<Loss>,
    /// Tools that go out under another name or in another form, in words.
    pub(crate) lowered: Vec<String>,
    /// The client's bytes passed.
    pub(crate) native: bool,
    pub(crate) format_in_words: bool,
    /// Every tool of the client would be lost, so that the turn is refused.
    pub(crate) without_tools: bool,
}

impl Target {
    /// The four kinds, each with the habits of a provider of which nothing is known.
    pub(crate) fn plain() -> [(&'static str, Self); 4] {
        [
            ("Chat", Target::Chat(Box::default())),
            ("Messages", Target::Messages(Box::default())),
            ("Responses", Target::Responses(Box::default())),
            ("Command Code", Target::CommandCode(Box::default())),
        ]
    }

    /// A provider as its preset describes it, asked for its first model, and the name of its kind. Nothing for the built-in one,
    /// which takes no request.
    pub(crate) fn of(preset: &Preset) -> Option<(&'static str, Self)> {
        let provider = preset.to_provider(&preset.id);
        let model = provider.models.first().map(|model| &**model);
        let table = provider.profile_for(model).into_owned();
        Some(match preset.kind {
            Kind::Chat => ("Chat", Target::Chat(Box::new(read(table)))),
            Kind::Messages => ("Messages", Target::Messages(Box::new(read(table)))),
            Kind::Responses | Kind::ChatGpt => {
                ("Responses", Target::Responses(Box::new(read(table))))
            }
            Kind::CommandCode => ("Command Code", Target::CommandCode(Box::new(read(table)))),
            Kind::CodexExec | Kind::CodexAppServer => {
                ("Responses", Target::Engine(Box::new(read(table))))
            }
            Kind::Demo => return None,
        })
    }

    /// Puts a request into the provider's form. `client_body` is what the client sent, if its bytes may pass.
    ///
    /// # Errors
    /// The fault with which the turn fails.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        client_body: Option<&str>,
    ) -> Result<Sent, Fault> {
        let mut request = request.clone();
        open_summaries(&mut request);
        let model = ModelFacts::named("model");
        match self {
            Target::Chat(profile) => {
                chat::render(&request, &model, profile).map(|it| sent(it, &request))
            }
            Target::Messages(profile)
                if let Some(client_body) = client_body
                    && request.dialect == Dialect::Messages =>
            {
                let edits = messages::native::NativeEdits {
                    model: "model",
                    profile,
                    open: &|_| None,
                };
                let native = messages::native::edit(client_body, edits)?;
                Ok(passed(&native.body, native.losses))
            }
            Target::Messages(profile) => {
                messages::render(&request, &model, profile).map(|it| sent(it, &request))
            }
            Target::Responses(profile)
                if let Some(client_body) = client_body
                    && responses::is_plain(&request, profile) =>
            {
                let edits = responses::NativeEdits {
                    model: "model",
                    profile,
                    open: &|_| None,
                };
                let native = responses::edit(client_body, &edits)?;
                Ok(passed(native.body.as_bytes(), native.losses))
            }
            Target::Responses(profile) | Target::Engine(profile) => {
                responses::render(&request, &model, profile).map(|it| sent(it, &request))
            }
            Target::CommandCode(profile) => {
                let context = command_code::Context {
                    date: "2026-11-25",
                    session_id: "",
                };
                command_code::render(&request, &model, profile, &context)
                    .map(|it| sent(it, &request))
            }
        }
    }
}

fn read<P: DeserializeOwned>(table: toml::Table) -> P {
    table.try_into().unwrap()
}

/// Whose envelopes the probes hold.
pub(crate) fn sealed_summary() -> String {
    let envelope = Envelope {
        minter: Minter {
            provider: "house".to_owned(),
            account: "0".to_owned(),
            model: "small".to_owned(),
        },
        content: Content::Summary("probe summary".to_owned()),
    };
    envelope.seal()
}

/// A summary of ours is readable for everybody.
fn open_summaries(request: &mut Request<'_>) {
    for item in &mut request.items {
        if let Item::Compaction { sealed, summary } = item
            && let Some(sealed) = sealed
            && let Some(envelope) = Envelope::open(&sealed.to_plain())
            && let Content::Summary(text) = envelope.content
        {
            *summary = Some(Text::plain(text));
        }
    }
}

fn passed(body: &[u8], losses: Vec<Loss>) -> Sent {
    Sent {
        body: serde_json::from_slice(body).unwrap(),
        losses,
        lowered: Vec::new(),
        native: true,
        format_in_words: false,
        without_tools: false,
    }
}

fn sent(rendered: Rendered, request: &Request<'_>) -> Sent {
    let mut losses = request.losses.clone();
    losses.extend(rendered.losses);
    let lowered = rendered.ledger.entries().iter().filter_map(|entry| {
        let wire = &entry.wire_name;
        match entry.form {
            Form::Function if entry.name == *wire && entry.namespace.is_none() => None,
            Form::Function => Some(format!("function `{wire}`")),
            Form::Freeform => Some(format!("function `{wire}` with one string")),
            Form::Search => Some(format!("function `{wire}`")),
        }
    });
    let declared = request.all_tools().count();
    Sent {
        body: serde_json::from_slice(&rendered.body).unwrap(),
        losses,
        lowered: lowered.collect(),
        native: false,
        format_in_words: rendered.format_in_words,
        without_tools: declared > 0
            && rendered.tools.is_empty()
            && request.tool_choice != ToolChoice::None,
    }
}
