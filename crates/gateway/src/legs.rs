//! Answers that take more than one request to the provider.
//!
//! A provider may pause in the middle of a long turn; a search that polywire carries out must go back to the model; an answer
//! that had to have a form and has not is asked for once more. To the client all of it is one answer. Each request is a *leg*: it
//! goes to the same target and holds the conversation with what was said since appended to it.

use polywire_conversation::{
    Call, CallInput, Citation, Event, Item, Loss, Message, Opaque, Part, Reasoning, Role,
    StopReason, Text, Usage, VisibleReasoning,
};

use crate::delivery::{may_go_on, together};
use crate::form::{Form, Verdict};
use crate::limits::LEGS_MAX;
use crate::search::Found;

/// What the provider is to be asked next.
#[derive(Debug)]
pub(crate) struct NextLeg {
    /// What was said since the client's request, to be appended to it.
    pub(crate) items: Vec<Item<'static>>,
    /// Searches to carry out first. Their results are appended as well.
    pub(crate) searches: Vec<Search>,
    /// How many legs there were before.
    pub(crate) number: u32,
}

/// A search that the model asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// Pairs the call with its result.
    pub(crate) call_id: String,
    /// What to look for.
    pub(crate) query: String,
}

/// Watches an answer, and decides at its end whether another leg follows.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent thing that was seen or is wanted"
)]
pub(crate) struct Legs {
    /// The tool whose calls polywire carries out itself.
    search_tool: Option<&'static str>,
    /// The form that the answer must have and that the provider cannot enforce.
    form: Option<Form>,
    on_pause: OnPause,
    /// What was said since the client's request.
    said: Vec<Item<'static>>,
    /// Where in it the leg at work begins.
    leg_begins: usize,
    open: Open,
    searches: Vec<Search>,
    /// The pages that were found so far: address and title.
    pages: Vec<(String, String)>,
    client_calls: bool,
    /// The model declined: that has no form, and is no mistake.
    refused: bool,
    /// Something that belongs to text which is not shown, or not yet, was left out.
    left_out: bool,
    started: bool,
    usage: Option<Usage>,
    number: u32,
    next: Option<NextLeg>,
}

/// The part that is open.
#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    Reasoning {
        text: String,
        sealed: Option<String>,
    },
    Text(String),
    Call {
        id: String,
        name: String,
        namespace: Option<String>,
        freeform: bool,
        input: String,
        hidden: bool,
    },
}

/// What an answer may need beyond one request.
#[derive(Default)]
pub(crate) struct Needs {
    /// The tool whose calls polywire carries out itself.
    pub(crate) search_tool: Option<&'static str>,
    /// The form that the answer must have and that the provider cannot enforce.
    pub(crate) form: Option<Form>,
    /// What becomes of a pause.
    pub(crate) on_pause: OnPause,
}

/// What is done when a provider pauses in the middle of its turn.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnPause {
    /// The client speaks the provider's protocol and asks again itself.
    #[default]
    Pass,
    /// The provider is asked to go on. For that the request and all that was said have to be kept while the answer runs.
    GoOn,
    /// Nothing in the request gives a reason to pause, so nothing is kept: it is told.
    Tell,
}

fn pause_not_followed() -> Loss {
    Loss::degraded(
        "answer",
        "the provider paused in the middle of its turn, for no reason that the request gives, and was not asked to go on",
    )
}

impl Legs {
    pub(crate) fn new(needs: Needs) -> Self {
        Self {
            search_tool: needs.search_tool,
            form: needs.form,
            on_pause: needs.on_pause,
            ..Self::default()
        }
    }

    /// Whether another leg may follow, for which all that is said has to be kept.
    pub(crate) fn watches(&self) -> bool {
        self.search_tool.is_some() || self.form.is_some() || self.on_pause == OnPause::GoOn
    }

    /// What the provider is to be asked next.
    pub(crate) fn take_next(&mut self) -> Option<NextLeg> {
        self.next.take()
    }

    /// What was consumed so far and not told yet, because the answer has not ended as it should.
    pub(crate) fn take_usage(&mut self) -> Option<Usage> {
        self.usage.take()
    }

    /// Passes an event on, unless it belongs to something that the client need not see.
    pub(crate) fn event(&mut self, event: Event<'_>, pass: &mut dyn FnMut(Event<'_>)) {
        if !self.watches() {
            if self.on_pause == OnPause::Tell && matches!(event, Event::Finish(StopReason::Pause)) {
                pass(Event::Loss(pause_not_followed()));
            }
            pass(event);
            return;
        }
        match event {
            Event::Start { .. } if std::mem::replace(&mut self.started, true) => {}
            Event::ReasoningStart => {
                self.open = Open::Reasoning {
                    text: String::new(),
                    sealed: None,
                };
                pass(event);
            }
            Event::ReasoningDelta(piece) => {
                if let Open::Reasoning { text, .. } = &mut self.open {
                    text.push_str(&piece.to_plain());
                }
                pass(Event::ReasoningDelta(piece));
            }
            Event::ReasoningOpaque(opaque) => {
                if let Open::Reasoning { sealed, .. } = &mut self.open {
                    *sealed = Some(opaque.state.to_plain().into_owned());
                }
                pass(Event::ReasoningOpaque(opaque));
            }
            Event::ReasoningEnd => {
                self.reasoning_end();
                pass(Event::ReasoningEnd);
            }
            Event::TextStart => {
                self.open = Open::Text(String::new());
                self.unless_formed(Event::TextStart, pass);
            }
            Event::TextDelta(piece) => {
                if let Open::Text(text) = &mut self.open {
                    text.push_str(&piece.to_plain());
                }
                self.unless_formed(Event::TextDelta(piece), pass);
            }
            Event::TextEnd => {
                if self.form.is_none() {
                    self.cite(pass);
                }
                self.text_end();
                self.unless_formed(Event::TextEnd, pass);
            }
            Event::Citation(_) | Event::Logprobs(_) => {
                self.left_out |= self.form.is_some();
                self.unless_formed(event, pass);
            }
            Event::RefusalStart => {
                self.refused = true;
                pass(event);
            }
            Event::CallStart { id, tool } => {
                let hidden = self.search_tool == Some(tool.name) && tool.namespace.is_none();
                self.open = Open::Call {
                    id: id.to_owned(),
                    name: tool.name.to_owned(),
                    namespace: tool.namespace.map(str::to_owned),
                    freeform: tool.form == polywire_conversation::Form::Freeform,
                    input: String::new(),
                    hidden,
                };
                if !hidden {
                    pass(Event::CallStart { id, tool });
                }
            }
            Event::CallDelta(piece) => {
                let hidden = match &mut self.open {
                    Open::Call { input, hidden, .. } => {
                        input.push_str(&piece.to_plain());
                        *hidden
                    }
                    Open::Nothing | Open::Reasoning { .. } | Open::Text(_) => false,
                };
                if !hidden {
                    pass(Event::CallDelta(piece));
                }
            }
            Event::CallEnd => {
                if !self.call_end() {
                    pass(Event::CallEnd);
                }
            }
            Event::CallCut => {
                let hidden = matches!(self.open, Open::Call { hidden: true, .. });
                self.open = Open::Nothing;
                if !hidden {
                    pass(Event::CallCut);
                }
            }
            Event::Usage(usage) => {
                self.usage = Some(self.usage.map_or(usage, |before| together(before, usage)));
            }
            Event::Finish(reason) => self.finish(reason, pass),
            other @ (Event::Start { .. }
            | Event::RefusalDelta(_)
            | Event::RefusalEnd
            | Event::WebSearch(_)
            | Event::Native(_)
            | Event::StoppedAt(_)
            | Event::Loss(_)
            | Event::Fault(_)) => pass(other),
        }
    }

    /// Text that must have a form is shown when it has it.
    fn unless_formed(&self, event: Event<'_>, pass: &mut dyn FnMut(Event<'_>)) {
        if self.form.is_none() {
            pass(event);
        }
    }

    fn reasoning_end(&mut self) {
        if let Open::Reasoning { text, sealed } = std::mem::take(&mut self.open) {
            let visible = if text.is_empty() {
                VisibleReasoning::None
            } else {
                VisibleReasoning::Full(vec![Text::plain(text)])
            };
            self.said.push(Item::Reasoning(Reasoning {
                visible,
                sealed: sealed.map(Text::plain),
                state: Vec::<Opaque<'static>>::new(),
            }));
        }
    }

    /// Cites the pages whose addresses stand in the text that ends.
    fn cite(&self, pass: &mut dyn FnMut(Event<'_>)) {
        let Open::Text(text) = &self.open else {
            return;
        };
        for (url, title) in &self.pages {
            let Some(at) = text.find(url.as_str()) else {
                continue;
            };
            let characters = |text: &str| u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            let start = characters(&text[..at]);
            pass(Event::Citation(Citation {
                url: Text::plain(url.as_str()),
                title: Text::plain(title.as_str()),
                quote: None,
                span: Some((start, start + characters(url))),
            }));
        }
    }

    fn text_end(&mut self) {
        if let Open::Text(text) = std::mem::take(&mut self.open) {
            self.said.push(said(Role::Assistant, text));
        }
    }

    /// Ends a call; tells whether it is one that polywire carries out.
    fn call_end(&mut self) -> bool {
        let Open::Call {
            id,
            name,
            namespace,
            freeform,
            input,
            hidden,
        } = std::mem::take(&mut self.open)
        else {
            return false;
        };
        if hidden {
            self.searches.push(Search {
                call_id: id.clone(),
                query: query(&input),
            });
        } else {
            self.client_calls = true;
        }
        let input = Text::plain(input);
        self.said.push(Item::Call(Call {
            id: id.into(),
            name: name.into(),
            namespace: namespace.map(Into::into),
            input: if freeform {
                CallInput::Freeform(input)
            } else {
                CallInput::Arguments(input)
            },
        }));
        hidden
    }

    fn finish(&mut self, reason: StopReason, pass: &mut dyn FnMut(Event<'_>)) {
        let may_go_on = may_go_on(reason) && self.number + 1 < LEGS_MAX && !self.client_calls;
        if !self.searches.is_empty() && may_go_on {
            self.tell_said_beside(pass);
            self.leg_begins = self.said.len();
            return self.go_on();
        }
        // What is kept for another reason serves here too.
        if reason == StopReason::Pause && self.on_pause != OnPause::Pass && may_go_on {
            // The answer goes on where it paused: its text is one.
            return self.go_on();
        }
        if self.form.is_some() && self.answer_formed(may_go_on, pass) {
            self.leg_begins = self.said.len();
            return self.go_on();
        }
        if self.left_out {
            pass(Event::Loss(Loss::note(
                "text.format",
                "sources and probabilities of the answer's text were left out: it was checked as a whole",
            )));
        }
        if !self.searches.is_empty() {
            pass(Event::Loss(Loss::degraded(
                "web_search",
                "a search was not carried out: the model called tools of the client beside it, or searched without end",
            )));
        }
        if let Some(usage) = self.usage.take() {
            pass(Event::Usage(usage));
        }
        pass(Event::Finish(match reason {
            // Nothing but searches of ours was called: for the client the model has just stopped.
            StopReason::Calls if !self.client_calls => StopReason::Stop,
            StopReason::Calls
            | StopReason::Stop
            | StopReason::Length
            | StopReason::ContentFilter
            | StopReason::Pause => reason,
        }));
    }

    /// Words beside a search are no part of an answer that has a form, and are not shown.
    fn tell_said_beside(&self, pass: &mut dyn FnMut(Event<'_>)) {
        if self.form.is_some() && !self.text_of_leg().is_empty() {
            pass(Event::Loss(Loss::note(
                "text.format",
                "words of the model beside a web search were left out: the answer must have a form",
            )));
        }
    }

    fn text_of_leg(&self) -> String {
        let said = self.said[self.leg_begins..].iter();
        said.filter_map(assistant_text).collect()
    }

    /// Shows the text that had to have a form. `true` when it has not, and is to be asked for once more.
    fn answer_formed(&mut self, may_go_on: bool, pass: &mut dyn FnMut(Event<'_>)) -> bool {
        let text = self.text_of_leg();
        let Some(form) = &mut self.form else {
            return false;
        };
        // A call comes before the answer, a cut answer cannot have its form, and a refusal has none: they are not judged.
        let verdict = if may_go_on && !self.refused {
            form.judge(text)
        } else {
            Verdict::Fits(text)
        };
        match verdict {
            Verdict::Fits(text) => show(text, pass),
            Verdict::Respelled(text) => {
                pass(Event::Loss(Loss::note(
                    "text.format",
                    "text around the JSON of the answer was taken off",
                )));
                show(text, pass);
            }
            Verdict::AskAgain(complaint) => {
                pass(Event::Loss(Loss::note(
                    "text.format",
                    "the first answer did not have the form that was asked for; the model was asked once more",
                )));
                self.said.push(said(Role::User, complaint));
                return true;
            }
            Verdict::Misses(text) => {
                pass(Event::Loss(Loss::degraded(
                    "text.format",
                    "the answer does not have the form that was asked for, even when asked once more",
                )));
                show(text, pass);
            }
        }
        false
    }

    fn go_on(&mut self) {
        self.number += 1;
        self.next = Some(NextLeg {
            items: self.said.clone(),
            searches: std::mem::take(&mut self.searches),
            number: self.number,
        });
    }

    /// What a search found becomes part of what was said.
    pub(crate) fn answered(&mut self, found: &Found) {
        self.said.push(found.item());
        let pages = found
            .pages()
            .map(|(url, title)| (url.to_owned(), title.to_owned()));
        self.pages.extend(pages);
        self.leg_begins = self.said.len();
    }
}

fn said(role: Role, text: String) -> Item<'static> {
    Item::Message(Message {
        role,
        parts: vec![Part::Text(Text::plain(text))],
        phase: None,
    })
}

fn assistant_text(item: &Item<'_>) -> Option<String> {
    let Item::Message(message) = item else {
        return None;
    };
    if message.role != Role::Assistant {
        return None;
    }
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.to_plain().into_owned()),
        Part::Image(_)
        | Part::Refusal(_)
        | Part::File(_)
        | Part::Audio(_)
        | Part::Unknown { .. } => None,
    });
    Some(texts.collect())
}

fn show(text: String, pass: &mut dyn FnMut(Event<'_>)) {
    if text.is_empty() {
        return;
    }
    pass(Event::TextStart);
    pass(Event::TextDelta(Text::plain(text)));
    pass(Event::TextEnd);
}

/// The query in the arguments of a search: the member `query`, else the text as the model wrote it.
fn query(arguments: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(arguments).ok();
    value
        .and_then(|value| value.get("query")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| arguments.to_owned())
}
