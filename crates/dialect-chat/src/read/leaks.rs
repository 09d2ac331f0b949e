//! Markup of a model in the text of its answer, where a server has left it there.
//!
//! Looks for the beginnings that a profile has switched on. What begins so is held until it is whole, and becomes reasoning or
//! a call; what turns out to be neither is text, to the letter, and noted. Nothing is decided by where the pieces were cut.

use polywire_conversation::Loss;

use super::leaked_calls::{self, Parsed};
use super::think::begun;
use crate::profile::Leak;

/// The most bytes of markup that are held until it is whole. Calls that write whole files are the longest seen, with some ten
/// thousand bytes; what is longer passes as text.
pub const LOOK_AHEAD_BYTES_MAX: usize = 256 << 10;

/// The most bytes of the head of a message in channels.
const HEAD_BYTES_MAX: usize = 256;

/// How many closing tags of one block are tried. Arguments may hold the tag themselves.
const CLOSERS_MAX: usize = 8;

/// What was found in the text, in order.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    Text(String),
    Reasoning(String),
    /// A call with an object of arguments.
    Call {
        name: String,
        arguments: String,
    },
    /// What looked like markup and stayed text.
    Loss(Loss),
}

/// Looks for leaked markup in the text of one answer.
#[derive(Debug)]
pub(super) struct LeakScanner {
    openers: Vec<Opener>,
    formats: Vec<Leak>,
    state: State,
    /// What waits to be recognised.
    held: String,
    /// How many bytes of it were searched for the end of the block.
    searched: usize,
    /// How many tags in it turned out not to end the block.
    tried: usize,
    /// White space that follows is neither text nor reasoning: it separates blocks.
    between: bool,
}

/// A beginning that is looked for. All of them begin with `<`.
#[derive(Clone, Copy, Debug)]
struct Opener {
    tag: &'static str,
    block: BlockKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    Think,
    /// The head of a message in channels, up to its content.
    Head,
    /// One call or several, up to this tag.
    Calls(&'static str),
}

#[derive(Debug)]
enum State {
    Text,
    /// Reasoning or text that passes as it comes, up to one of the tags.
    Passing {
        reasoning: bool,
        closers: &'static [&'static str],
    },
    /// A block that is held until it is whole.
    Held {
        /// What it began with, which is gone from what waits.
        opened: String,
        what: Block,
    },
}

#[derive(Clone, Debug)]
enum Block {
    Head,
    Calls(&'static str),
    /// The arguments of a call of this name, in a channel.
    Arguments(String),
}

const THINK_CLOSERS: &[&str] = &["</think>"];
const HEAD_CLOSERS: &[&str] = &["<|message|>"];
const MESSAGE_CLOSERS: &[&str] = &["<|end|>", "<|return|>", "<|call|>"];

impl LeakScanner {
    /// A scanner for the given markup; `None` when there is nothing to look for.
    pub(super) fn new(leaks: &[Leak]) -> Option<Self> {
        let openers: Vec<Opener> = leaks.iter().copied().flat_map(openers).copied().collect();
        (!openers.is_empty()).then(|| Self {
            openers,
            formats: leaks.to_vec(),
            state: State::Text,
            held: String::new(),
            searched: 0,
            tried: 0,
            between: false,
        })
    }

    /// Reads a piece of text. `is_declared` tells whether a tool of a name was offered.
    pub(super) fn push(
        &mut self,
        piece: &str,
        is_declared: &dyn Fn(&str) -> bool,
        found: &mut Vec<Found>,
    ) {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(piece);
        let mut at = 0;
        while let Some(length) = self.step(&text[at..], is_declared, found) {
            at += length;
        }
        text.drain(..at);
        self.held = text;
    }

    /// Hands out what waits, because something else follows or the answer is over.
    pub(super) fn release(&mut self, found: &mut Vec<Found>) {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text => self.pass(false, &held, found),
            State::Passing { reasoning, closers } => {
                self.pass(reasoning, &held, found);
                self.state = State::Passing { reasoning, closers };
            }
            State::Held { opened, .. } => self.refuse(opened + &held, "it does not end", found),
        }
    }

    /// Deals with the beginning of what waits and gives its length, or nothing when more is needed first.
    fn step(
        &mut self,
        rest: &str,
        is_declared: &dyn Fn(&str) -> bool,
        found: &mut Vec<Found>,
    ) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        match &self.state {
            State::Text => self.step_text(rest, found),
            State::Passing { reasoning, closers } => {
                let (reasoning, closers) = (*reasoning, *closers);
                self.step_passing(rest, reasoning, closers, found)
            }
            State::Held { opened, what } => {
                let (opened, what) = (opened.clone(), what.clone());
                self.step_held(rest, opened, &what, is_declared, found)
            }
        }
    }

    fn step_text(&mut self, rest: &str, found: &mut Vec<Found>) -> Option<usize> {
        let opener = rest.match_indices('<').find_map(|(at, _)| {
            let opener = self
                .openers
                .iter()
                .find(|opener| rest[at..].starts_with(opener.tag))?;
            Some((at, *opener))
        });
        let Some((at, opener)) = opener else {
            let tags = self.openers.iter().map(|opener| opener.tag);
            let waiting = tags.map(|tag| begun(rest, tag)).max().unwrap_or(0);
            return self.pass_but(false, rest, waiting, found);
        };
        self.pass(false, &rest[..at], found);
        self.state = match opener.block {
            BlockKind::Think => {
                self.between = true;
                State::Passing {
                    reasoning: true,
                    closers: THINK_CLOSERS,
                }
            }
            BlockKind::Head => State::held(opener.tag, Block::Head),
            BlockKind::Calls(closer) => State::held(opener.tag, Block::Calls(closer)),
        };
        self.searched = 0;
        self.tried = 0;
        Some(at + opener.tag.len())
    }

    fn step_passing(
        &mut self,
        rest: &str,
        reasoning: bool,
        closers: &'static [&'static str],
        found: &mut Vec<Found>,
    ) -> Option<usize> {
        if let Some((at, closer)) = first_of(rest, closers) {
            self.pass(reasoning, &rest[..at], found);
            self.state = State::Text;
            self.between = true;
            return Some(at + closer.len());
        }
        let waiting = closers
            .iter()
            .map(|tag| begun(rest, tag))
            .max()
            .unwrap_or(0);
        self.pass_but(reasoning, rest, waiting, found)
    }

    /// Lets everything pass but the last bytes, which may be the beginning of a tag.
    fn pass_but(
        &mut self,
        reasoning: bool,
        rest: &str,
        waiting: usize,
        found: &mut Vec<Found>,
    ) -> Option<usize> {
        let length = rest.len() - waiting;
        (length > 0).then(|| {
            self.pass(reasoning, &rest[..length], found);
            length
        })
    }

    fn step_held(
        &mut self,
        rest: &str,
        opened: String,
        what: &Block,
        is_declared: &dyn Fn(&str) -> bool,
        found: &mut Vec<Found>,
    ) -> Option<usize> {
        let (closers, limit) = match what {
            Block::Head => (HEAD_CLOSERS, HEAD_BYTES_MAX),
            Block::Calls(closer) => (std::slice::from_ref(closer), LOOK_AHEAD_BYTES_MAX),
            Block::Arguments(_) => (MESSAGE_CLOSERS, LOOK_AHEAD_BYTES_MAX),
        };
        let longest = closers.iter().map(|tag| tag.len()).max().unwrap_or(0);
        while let Some((at, closer)) = first_of(&rest[self.searched..], closers) {
            let at = self.searched + at;
            if at > limit || self.tried == CLOSERS_MAX {
                break;
            }
            let end = at + closer.len();
            match self.close(&rest[..at], closer, &opened, what, is_declared, found) {
                Closed::Done => return Some(end),
                Closed::More => {
                    self.tried += 1;
                    self.searched = end;
                }
            }
        }
        if self.tried < CLOSERS_MAX && rest.len() < limit + longest {
            let waiting = closers
                .iter()
                .map(|tag| begun(rest, tag))
                .max()
                .unwrap_or(0);
            self.searched = self.searched.max(rest.len() - waiting);
            return None;
        }
        let length = if self.tried == CLOSERS_MAX {
            self.searched
        } else {
            rest.floor_char_boundary(limit)
        };
        self.refuse(
            opened + &rest[..length],
            "it does not end soon enough",
            found,
        );
        Some(length)
    }

    /// Reads a block that a tag may end.
    fn close(
        &mut self,
        body: &str,
        closer: &str,
        opened: &str,
        what: &Block,
        is_declared: &dyn Fn(&str) -> bool,
        found: &mut Vec<Found>,
    ) -> Closed {
        let whole = || format!("{opened}{body}{closer}");
        match what {
            Block::Head => {
                self.open_message(body, whole(), opened, found);
                return Closed::Done;
            }
            Block::Calls(_) => match leaked_calls::parse(&whole(), &self.formats) {
                Parsed::More => return Closed::More,
                Parsed::Not => self.refuse(whole(), "it cannot be read", found),
                Parsed::Calls(calls) if !calls.iter().all(|call| is_declared(&call.name)) => {
                    self.refuse(whole(), "no such tool was offered", found);
                }
                Parsed::Calls(calls) => {
                    for call in calls {
                        self.call(call.name, call.arguments, found);
                    }
                }
            },
            Block::Arguments(name) => match leaked_calls::object(body) {
                Some(_) if !is_declared(name) => {
                    self.refuse(whole(), "no such tool was offered", found);
                }
                Some(arguments) => self.call(name.clone(), arguments, found),
                None => self.refuse(whole(), "its arguments are no JSON object", found),
            },
        }
        Closed::Done
    }

    /// Begins the content of a message in a channel.
    fn open_message(&mut self, head: &str, whole: String, opened: &str, found: &mut Vec<Found>) {
        self.searched = 0;
        self.tried = 0;
        self.between = true;
        self.state = match leaked_calls::read_head(opened, head) {
            Some(leaked_calls::Head::Thought) => State::Passing {
                reasoning: true,
                closers: MESSAGE_CLOSERS,
            },
            Some(leaked_calls::Head::Said) => State::Passing {
                reasoning: false,
                closers: MESSAGE_CLOSERS,
            },
            Some(leaked_calls::Head::Call(name)) => State::Held {
                opened: whole,
                what: Block::Arguments(name),
            },
            None => return self.refuse(whole, "it names no channel", found),
        };
    }

    fn call(&mut self, name: String, arguments: String, found: &mut Vec<Found>) {
        found.push(Found::Call { name, arguments });
        self.state = State::Text;
        self.between = true;
    }

    /// Lets what looked like markup pass as the text that it is.
    fn refuse(&mut self, text: String, why: &'static str, found: &mut Vec<Found>) {
        self.state = State::Text;
        self.between = false;
        found.push(Found::Loss(Loss::note(
            "text",
            format!("what looks like markup of the model was left as it is: {why}"),
        )));
        found.push(Found::Text(text));
    }

    fn pass(&mut self, reasoning: bool, text: &str, found: &mut Vec<Found>) {
        let text = if self.between {
            text.trim_start()
        } else {
            text
        };
        if text.is_empty() {
            return;
        }
        self.between = false;
        found.push(if reasoning {
            Found::Reasoning(text.to_owned())
        } else {
            Found::Text(text.to_owned())
        });
    }
}

enum Closed {
    Done,
    /// The tag was part of what it seemed to end.
    More,
}

impl State {
    fn held(opened: &str, what: Block) -> Self {
        State::Held {
            opened: opened.to_owned(),
            what,
        }
    }
}

/// The tag that comes first, and where. All of them begin with `<`.
fn first_of(text: &str, tags: &[&'static str]) -> Option<(usize, &'static str)> {
    text.match_indices('<').find_map(|(at, _)| {
        let tag = tags.iter().find(|tag| text[at..].starts_with(**tag))?;
        Some((at, *tag))
    })
}

/// What markup begins with.
fn openers(leak: Leak) -> &'static [Opener] {
    const fn opener(tag: &'static str, block: BlockKind) -> Opener {
        Opener { tag, block }
    }
    const CALL: &[Opener] = &[opener("<tool_call>", BlockKind::Calls("</tool_call>"))];
    match leak {
        Leak::ThinkTags => const { &[opener("<think>", BlockKind::Think)] },
        Leak::Harmony => {
            const {
                &[
                    opener("<|channel|>", BlockKind::Head),
                    opener("<|start|>", BlockKind::Head),
                ]
            }
        }
        Leak::ToolCallJson | Leak::ToolCallXml => CALL,
        Leak::ToolCallSection => {
            const {
                &[opener(
                    "<|tool_calls_section_begin|>",
                    BlockKind::Calls("<|tool_calls_section_end|>"),
                )]
            }
        }
        Leak::Invoke => {
            const {
                &[
                    opener(
                        "<minimax:tool_call>",
                        BlockKind::Calls("</minimax:tool_call>"),
                    ),
                    opener("<function_calls>", BlockKind::Calls("</function_calls>")),
                    opener("<invoke name=", BlockKind::Calls("</invoke>")),
                ]
            }
        }
        Leak::ThoughtTags | Leak::KimiThink | Leak::OrphanClose => &[],
    }
}
