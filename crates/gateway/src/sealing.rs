//! Reasoning state on its way through the client: sealed into envelopes when it goes out, opened when it comes back.
//!
//! Providers mint state that only they can read; clients carry one opaque string. Here, where the provider is known, the one
//! becomes the other. What comes back goes to its minter exactly as it was, and to nobody else.

use polywire_conversation::envelope::{Content, Envelope, Minter};
use polywire_conversation::{Event, Item, Loss, Opaque, OpaqueKind, Request, Text};

/// Opens the envelopes of a request for the provider that it goes to.
///
/// State of its own is put where its dialect finds it; a summary that we wrote is opened for everybody. Anything else is left
/// closed, and told: it reaches no provider.
pub(crate) fn open(request: &mut Request<'_>, home: &Minter) -> Vec<Loss> {
    let mut losses = Vec::new();
    for (index, item) in request.items.iter_mut().enumerate() {
        match item {
            Item::Reasoning(reasoning) => {
                let Some(sealed) = &reasoning.sealed else {
                    continue;
                };
                match open_state(&sealed.to_plain(), home) {
                    Ok(state) => reasoning.state = state,
                    Err(why) => losses.push(Loss::note(format!("input[{index}] reasoning"), why)),
                }
            }
            Item::Compaction { sealed, summary } => {
                let opened = sealed
                    .as_ref()
                    .map(|sealed| Envelope::open(&sealed.to_plain()));
                if let Some(Some(Envelope {
                    content: Content::Summary(text),
                    ..
                })) = opened
                {
                    *summary = Some(Text::plain(text));
                }
            }
            Item::Message(_)
            | Item::Call(_)
            | Item::Result(_)
            | Item::ToolsAdded(_)
            | Item::HostedCall { .. }
            | Item::Unknown { .. } => {}
        }
    }
    // The same loss for every turn of a long thread would only fill the log.
    losses.dedup_by(|one, other| one.why == other.why);
    losses
}

/// The state in an envelope, if this provider minted it.
///
/// # Errors
/// Why the state stays closed, in the words of a loss.
pub(crate) fn open_state(
    sealed: &str,
    home: &Minter,
) -> Result<Vec<Opaque<'static>>, &'static str> {
    let Some(envelope) = Envelope::open(sealed) else {
        return Err("sealed state that is not of this gateway, or damaged, was left out");
    };
    if envelope.minter != *home {
        return Err(
            "reasoning state of another provider or model was left out; its readable text stays",
        );
    }
    match envelope.content {
        Content::State(state) => Ok(state),
        Content::Summary(_) => {
            Err("a summary stood where reasoning state belongs; it was left out")
        }
    }
}

/// Seals one piece of state, for the native paths, where each string of the provider has its own place.
pub(crate) fn seal_one(home: &Minter, kind: OpaqueKind, state: &str) -> String {
    let state = vec![Opaque {
        kind,
        state: Text::plain(state.to_owned()),
    }];
    seal(home, state)
}

fn seal(home: &Minter, state: Vec<Opaque<'static>>) -> String {
    let envelope = Envelope {
        minter: home.clone(),
        content: Content::State(state),
    };
    envelope.seal()
}

/// A summary of a conversation in the form in which a client keeps it.
pub(crate) fn seal_summary(home: &Minter, summary: &str) -> String {
    let envelope = Envelope {
        minter: home.clone(),
        content: Content::Summary(summary.to_owned()),
    };
    envelope.seal()
}

/// Collects the state of each reasoning part and hands it on as one envelope at the part's end.
pub(crate) struct Sealer {
    home: Minter,
    collected: Vec<Opaque<'static>>,
}

impl Sealer {
    /// A sealer for answers of this minter.
    pub(crate) fn new(home: Minter) -> Self {
        Self {
            home,
            collected: Vec::new(),
        }
    }

    /// Passes an event on, with state collected and sealed.
    pub(crate) fn event(&mut self, event: Event<'_>, mut next: impl FnMut(Event<'_>)) {
        if let Event::ReasoningOpaque(Opaque { kind, state }) = &event
            && *kind != OpaqueKind::Sealed
        {
            self.collected.push(Opaque {
                kind: *kind,
                state: state.clone().into_owned(),
            });
            return;
        }
        if event == Event::ReasoningEnd && !self.collected.is_empty() {
            let sealed = seal(&self.home, std::mem::take(&mut self.collected));
            next(Event::ReasoningOpaque(Opaque {
                kind: OpaqueKind::Sealed,
                state: Text::plain(sealed),
            }));
        }
        next(event);
    }
}

#[cfg(test)]
mod tests {
    use polywire_conversation::{Reasoning, VisibleReasoning};

    use super::*;

    fn minter(model: &str) -> Minter {
        Minter {
            provider: "house".to_owned(),
            account: "a1".to_owned(),
            model: model.to_owned(),
        }
    }

    fn thought(sealed: &str) -> Item<'static> {
        Item::Reasoning(Reasoning {
            visible: VisibleReasoning::Full(vec![Text::plain("hm")]),
            sealed: Some(Text::plain(sealed.to_owned())),
            state: Vec::new(),
        })
    }

    fn opened(sealed: &str, home: &Minter) -> (usize, Vec<Loss>) {
        let mut request = Request {
            items: vec![thought(sealed)],
            ..Request::default()
        };
        let losses = open(&mut request, home);
        let Item::Reasoning(reasoning) = &request.items[0] else {
            unreachable!("it is reasoning");
        };
        (reasoning.state.len(), losses)
    }

    #[test]
    fn state_goes_home_and_nowhere_else() {
        let mut sealer = Sealer::new(minter("one"));
        let mut sealed = String::new();
        for event in [
            Event::ReasoningStart,
            Event::ReasoningDelta(Text::plain("hm")),
            Event::ReasoningOpaque(Opaque {
                kind: OpaqueKind::Signature,
                state: Text::plain("sig"),
            }),
            Event::ReasoningEnd,
        ] {
            sealer.event(event, |event| {
                if let Event::ReasoningOpaque(opaque) = event {
                    assert_eq!(opaque.kind, OpaqueKind::Sealed);
                    sealed = opaque.state.to_plain().into_owned();
                }
            });
        }
        let (state, losses) = opened(&sealed, &minter("one"));
        assert_eq!((state, losses.len()), (1, 0));
        for (sealed, home) in [
            (sealed.as_str(), minter("two")),
            ("gAAAAABforeign", minter("one")),
            (&sealed[..sealed.len() - 1], minter("one")),
        ] {
            let (state, losses) = opened(sealed, &home);
            assert_eq!((state, losses.len()), (0, 1), "{sealed}");
        }
    }

    #[test]
    fn summaries_are_opened_for_everybody() {
        let sealed = seal_summary(&minter("one"), "They agreed.");
        let mut request = Request {
            items: vec![Item::Compaction {
                sealed: Some(Text::plain(sealed)),
                summary: None,
            }],
            ..Request::default()
        };
        open(&mut request, &minter("two"));
        let Item::Compaction { summary, .. } = &request.items[0] else {
            unreachable!("it is a compaction");
        };
        assert_eq!(
            summary.as_ref().map(|text| text.to_plain().into_owned()),
            Some("They agreed.".to_owned())
        );
    }
}
