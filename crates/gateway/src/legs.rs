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
pub(crate) struct Legs {
    /// The tool whose calls polywire carries out itself.
    search_tool: Option<&'static str>,
    /// The form that the answer must have and that the provider cannot enforce.
    form: Option<Form>,
    /// A provider that pauses is asked to go on.
    resumes: bool,
    /// What was said since the client's request.
    said: Vec<Item<'static>>,
    /// Where in it the leg at work begins.
    leg_begins: usize,
    open: Open,
    searches: Vec<Search>,
    /// The pages that were found so far: address and title.
    pages: Vec<(String, String)>,
    client_calls: bool,
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
    /// Whether a provider that pauses is asked to go on.
    pub(crate) resumes: bool,
}

impl Legs {
    pub(crate) fn new(needs: Needs) -> Self {
        Self {
            search_tool: needs.search_tool,
            form: needs.form,
            resumes: needs.resumes,
            ..Self::default()
        }
    }

    fn watches(&self) -> bool {
        self.search_tool.is_some() || self.form.is_some() || self.resumes
    }

    /// What the provider is to be asked next.
    pub(crate) fn take_next(&mut self) -> Option<NextLeg> {
        self.next.take()
    }

    /// Passes an event on, unless it belongs to something that the client need not see.
    pub(crate) fn event(&mut self, event: Event<'_>, pass: &mut dyn FnMut(Event<'_>)) {
        if !self.watches() {
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
            Event::Citation(_) | Event::Logprobs(_) => self.unless_formed(event, pass),
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
            | Event::RefusalStart
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
        let may_go_on = may_go_on(reason) && self.number + 1 < LEGS_MAX;
        let reason = match reason {
            // Only searches were called: for the client the model has just stopped.
            StopReason::Calls if !self.client_calls && self.searches.is_empty() => StopReason::Stop,
            other => other,
        };
        if !self.searches.is_empty() && !self.client_calls && may_go_on {
            return self.go_on();
        }
        if reason == StopReason::Pause && self.resumes && may_go_on && !self.client_calls {
            return self.go_on();
        }
        if self.form.is_some() && self.answer_formed(reason, pass) && may_go_on {
            return self.go_on();
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
        pass(Event::Finish(reason));
    }

    /// Shows the text that had to have a form. `true` when it has not, and is to be asked for once more.
    fn answer_formed(&mut self, reason: StopReason, pass: &mut dyn FnMut(Event<'_>)) -> bool {
        let Some(form) = &mut self.form else {
            return false;
        };
        let text: String = self.said[self.leg_begins..]
            .iter()
            .filter_map(assistant_text)
            .collect::<Vec<_>>()
            .concat();
        let verdict = if self.client_calls || !may_go_on(reason) {
            // A call comes before the answer, and a cut answer cannot have its form: neither is judged.
            Verdict::Fits(text)
        } else {
            form.judge(text)
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
        self.client_calls = false;
        self.leg_begins = self.said.len();
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
