//! The ways to a provider and back.

use polywire_conversation::{Fault, ModelFacts, Rendered, Request};
use polywire_dialect_chat as chat;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;

type Render = dyn Fn(&Request<'_>) -> Result<Rendered, Fault>;

/// Out through the provider's side of a dialect, back through its client's side.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) render: Box<Render>,
    pub(crate) parse: for<'b> fn(&'b [u8]) -> Result<Request<'b>, Fault>,
}

const MODEL: ModelFacts<'static> = ModelFacts::named("model");

fn chat_way(name: &'static str, profile: chat::Profile) -> Way {
    Way {
        name,
        render: Box::new(move |request| chat::render(request, &MODEL, &profile)),
        parse: |body| chat::parse(body).map(|parsed| parsed.request),
    }
}

fn messages_way(name: &'static str, profile: messages::Profile) -> Way {
    Way {
        name,
        render: Box::new(move |request| messages::render(request, &MODEL, &profile)),
        parse: |body| messages::parse(body).map(|parsed| parsed.request),
    }
}

fn responses_way(name: &'static str, profile: responses::Profile) -> Way {
    Way {
        name,
        render: Box::new(move |request| responses::render(request, &MODEL, &profile)),
        parse: |body| responses::parse(body, responses::Client::Sdk).map(|parsed| parsed.request),
    }
}

/// Every dialect, with the habits of a provider of which nothing is known, and with those that take most.
pub(crate) fn ways() -> Vec<Way> {
    vec![
        chat_way("chat", chat::Profile::default()),
        chat_way(
            "chat, all",
            chat::Profile {
                freeform_tools: true,
                files: true,
                late_instructions: chat::LateInstructions::Inline,
                reasoning_back: chat::ReasoningBack::ReasoningContent,
                ..chat::Profile::default()
            },
        ),
        messages_way("messages", messages::Profile::default()),
        messages_way(
            "messages, all",
            messages::Profile {
                late_instructions: messages::LateInstructions::Inline,
                unsigned_thinking: true,
                cache_marks: true,
                ..messages::Profile::default()
            },
        ),
        responses_way("responses", responses::Profile::default()),
        responses_way(
            "responses, all",
            responses::Profile {
                freeform_tools: true,
                namespaces: true,
                tool_search: true,
                files: true,
                reasoning_content_back: true,
                ..responses::Profile::default()
            },
        ),
    ]
}
