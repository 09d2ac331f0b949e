//! The client's side of a turn: its dialect, and which client it is.

use polywire_conversation::envelope::Minter;
use polywire_conversation::{Fault, Request, WriteStream, estimate};
use polywire_dialect_chat as chat;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;

use crate::answer::unix_seconds;
use crate::passing::{Asked, Passing};
use crate::sealing::seal_summary;
use crate::turn::Accepted;

pub use responses::Client;

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDialect {
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
}

/// A request as its client sent it, read into the neutral model.
pub struct Decoded<'a> {
    /// The request.
    pub request: Request<'a>,
    setup: Setup,
}

/// What a dialect's writer needs of the request.
enum Setup {
    Responses(responses::Echo),
    Chat(ChatWishes),
    Messages(messages::ThinkingDisplay),
}

/// What a client of Chat Completions wants to see of an answer.
#[derive(Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent wish of the client, as it was parsed"
)]
struct ChatWishes {
    include_usage: bool,
    legacy_functions: bool,
    hide_reasoning: bool,
}

/// What a writer needs to know besides.
pub(crate) struct Writing<'w> {
    /// The id of the turn, from which the answer's own is made.
    pub(crate) turn_id: &'w str,
    /// Which client reads.
    pub(crate) client: Client,
    /// The time, in seconds since 1970.
    pub(crate) unix_seconds: u64,
    /// Who answers; nobody when the turn has failed before anybody was asked.
    pub(crate) home: Option<&'w Minter>,
    /// The provider's frames pass as they are.
    pub(crate) native: bool,
    /// The answer is kept.
    pub(crate) stored: bool,
    /// The response that the request goes on from.
    pub(crate) parent: Option<&'w str>,
}

impl<'w> Writing<'w> {
    /// For an answer that no provider gives.
    pub(crate) fn without_provider(accepted: &'w Accepted) -> Self {
        Self {
            turn_id: &accepted.turn_id,
            client: accepted.client,
            unix_seconds: unix_seconds(),
            home: None,
            native: false,
            stored: false,
            parent: None,
        }
    }
}

impl ClientDialect {
    /// The word for it in logs and receipts.
    pub const fn name(self) -> &'static str {
        match self {
            ClientDialect::Responses => "responses",
            ClientDialect::Chat => "chat",
            ClientDialect::Messages => "messages",
        }
    }

    /// The dialect that is spoken at a path, for the errors of paths that lead nowhere.
    pub fn of_path(path: &str) -> Self {
        if path.ends_with("/chat/completions") {
            ClientDialect::Chat
        } else if path.contains("/messages") {
            ClientDialect::Messages
        } else {
            ClientDialect::Responses
        }
    }

    /// Reads a request body.
    ///
    /// # Errors
    /// A [`Fault`] that names the place in the body.
    pub fn parse(self, body: &[u8], client: Client) -> Result<Decoded<'_>, Fault> {
        match self {
            ClientDialect::Responses => {
                let parsed = responses::parse(body, client)?;
                Ok(Decoded {
                    request: parsed.request,
                    setup: Setup::Responses(parsed.echo),
                })
            }
            ClientDialect::Chat => {
                let parsed = chat::parse(body)?;
                Ok(Decoded {
                    request: parsed.request,
                    setup: Setup::Chat(ChatWishes {
                        include_usage: parsed.include_usage,
                        legacy_functions: parsed.legacy_functions,
                        hide_reasoning: parsed.hide_reasoning,
                    }),
                })
            }
            ClientDialect::Messages => {
                let parsed = messages::parse(body)?;
                Ok(Decoded {
                    request: parsed.request,
                    setup: Setup::Messages(parsed.thinking),
                })
            }
        }
    }

    /// An error body in the shape that the client knows.
    pub fn render_error(self, fault: &Fault, request_id: &str) -> Vec<u8> {
        match self {
            ClientDialect::Responses => responses::render_error(fault),
            ClientDialect::Chat => chat::render_error(fault),
            ClientDialect::Messages => messages::render_error(fault, request_id),
        }
    }

    /// The HTTP status that tells the client of a fault.
    pub fn http_status(self, fault: &Fault) -> u16 {
        match self {
            ClientDialect::Responses => responses::http_status(fault),
            ClientDialect::Chat => chat::http_status(fault),
            ClientDialect::Messages => messages::http_status(fault),
        }
    }

    /// Whether a fault is told inside a stream that itself succeeds, rather than by an HTTP status.
    ///
    /// Codex repeats a request up to thirty times on 401, 403, 404 and 5xx, and shows no word of the body; the same fault inside
    /// a stream is shown verbatim and repeated only where that helps. 429 it understands best as a status.
    pub fn tells_in_stream(self, client: Client, fault: &Fault) -> bool {
        match self {
            ClientDialect::Responses => client == Client::Codex && self.http_status(fault) != 429,
            ClientDialect::Chat | ClientDialect::Messages => false,
        }
    }
}

impl Decoded<'_> {
    /// What seals the summary, when the client asks for one.
    fn seal_of_summary(&self, home: Option<&Minter>) -> Option<responses::Seal> {
        let home = home.filter(|_| self.request.compact)?.clone();
        Some(Box::new(move |summary: &str| seal_summary(&home, summary)))
    }

    /// What the client asked for, for a native writer that adds streams up by itself or does not.
    fn asked(&self, adds_up: bool) -> Asked {
        if self.request.stream {
            Asked::Stream
        } else {
            Asked::Whole { adds_up }
        }
    }

    /// A writer for the answer.
    pub(crate) fn writer(&self, writing: &Writing<'_>) -> Box<dyn WriteStream> {
        match &self.setup {
            Setup::Responses(echo) => {
                let options = responses::WriterOptions {
                    response_id: format!("resp_{}", writing.turn_id),
                    created_at: writing.unix_seconds,
                    model: self.request.model.clone().into_owned(),
                    client: writing.client,
                    echo: echo.clone(),
                    output_tokens_max: self.request.output_tokens_max,
                    previous_response_id: writing.parent.map(str::to_owned),
                    store: writing.stored,
                    logprobs: self.request.sampling.logprobs,
                    compaction: self.seal_of_summary(writing.home),
                };
                let native = writing
                    .native
                    .then(|| responses::NativeWriter::new(&options));
                let translating = responses::ResponsesWriter::new(options);
                match native {
                    Some(native) => Box::new(Passing::new(native, translating, self.asked(true))),
                    None => Box::new(translating),
                }
            }
            Setup::Messages(thinking) => {
                let translating = messages::MessagesWriter::new(messages::WriterOptions {
                    message_id: format!("msg_{}", writing.turn_id),
                    request_id: writing.turn_id.to_owned(),
                    model: self.request.model.clone().into_owned(),
                    input_tokens_estimate: estimate::request_tokens(&self.request),
                    thinking: *thinking,
                });
                if writing.native {
                    let native = messages::native::NativeWriter::new();
                    Box::new(Passing::new(native, translating, self.asked(false)))
                } else {
                    Box::new(translating)
                }
            }
            Setup::Chat(wishes) => Box::new(chat::ChatWriter::new(chat::WriterOptions {
                completion_id: format!("chatcmpl-{}", writing.turn_id),
                created: writing.unix_seconds,
                model: self.request.model.clone().into_owned(),
                include_usage: wishes.include_usage,
                legacy_functions: wishes.legacy_functions,
                // Always: clients that keep the message whole give the state back, and others do not mind the field.
                reasoning_details: true,
                hide_reasoning: wishes.hide_reasoning,
            })),
        }
    }
}
