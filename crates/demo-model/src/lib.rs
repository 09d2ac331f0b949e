//! The built-in demo model: a small script that behaves like a provider.
//!
//! It needs no key and no network, and the same request always gets the same answer, so that it serves as a first try, as a
//! check of an installation, and as the other end of tests. Its events go straight to the client's writer: there is no wire.
//!
//! What it does, in this order: a request for JSON gets the smallest JSON that its schema allows; the result of a tool is
//! read and quoted; a user's message leads to a call of a harmless tool when one is offered; anything else gets a few
//! sentences about polywire. It never pretends to be a language model.
//!
//! Reading order: [`answer`], then `scene` (what is wanted), `pick` (which tool), `instance` (JSON from a schema) and `script`
//! (events and pauses). This crate holds no I/O, clock or randomness: pauses are values.

mod instance;
mod pick;
mod scene;
mod script;
mod usage;

use std::time::Duration;

use polywire_conversation::{Event, Form, Raised, Request};

use crate::scene::Scene;

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Hand this to the writer.
    Event(Event<'static>),
    /// Hand a [`Event::CallStart`] to the writer. It has a variant of its own because the names of tools come from the
    /// request and an event only borrows them.
    CallStart {
        /// Pairs the call with its result.
        id: String,
        /// The tool's own name.
        name: String,
        /// The namespace that it lives in.
        namespace: Option<String>,
        /// The form in which the call goes to the client.
        form: Form,
    },
    /// Wait as long, so that the answer streams at a pace that people can watch.
    Pause(Duration),
}

impl Step {
    /// The event of this step; `None` for a pause.
    pub fn event(&self) -> Option<Event<'_>> {
        match self {
            Step::Event(event) => Some(event.clone()),
            Step::CallStart {
                id,
                name,
                namespace,
                form,
            } => Some(Event::CallStart {
                id,
                tool: Raised {
                    name,
                    namespace: namespace.as_deref(),
                    form: *form,
                    declared: true,
                },
            }),
            Step::Pause(_) => None,
        }
    }
}

/// The whole answer to a request, in order. Ends with exactly one terminal event.
pub fn answer(request: &Request<'_>) -> Vec<Step> {
    let thinks = request.reasoning.effort.as_deref() != Some("none");
    script::play(Scene::of(request), thinks, usage::input_tokens(request))
}
