//! What a client asks for.

use std::borrow::Cow;

use crate::{Json, Loss, Opaque, Text};

/// One request to a model, read from any dialect. Borrows from the body that it was read from.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The protocol that it was written in.
    pub dialect: Dialect,
    /// The model name as the client wrote it; resolving it is `plan`'s work.
    pub model: Cow<'a, str>,
    /// Whether the client wants a stream of events.
    pub stream: bool,
    /// System text that the client set apart from the conversation.
    pub instructions: Option<Text<'a>>,
    /// The conversation, in order, as the client sent it. [`history::arrange`](crate::history::arrange) groups and mends it.
    pub items: Vec<Item<'a>>,
    /// The tools of the request itself. Items may bring more: see [`Request::all_tools`].
    pub tools: Vec<Tool<'a>>,
    /// How far the model is free to call tools.
    pub tool_choice: ToolChoice<'a>,
    /// Whether the model may call several tools at once; `None` leaves it to the provider.
    pub parallel_tool_calls: Option<bool>,
    /// The most tokens of output, reasoning included.
    pub output_tokens_max: Option<u64>,
    /// Texts at which the model stops. The text itself is not part of the answer.
    pub stop: Vec<Text<'a>>,
    /// Sampling settings.
    pub sampling: Sampling<'a>,
    /// How much the model should think.
    pub reasoning: ReasoningRequest<'a>,
    /// The form of the answer.
    pub format: OutputFormat<'a>,
    /// How wordy the answer should be: `low`, `medium`, `high`.
    pub verbosity: Option<Cow<'a, str>>,
    /// Names the conversation for the provider's prompt cache.
    pub cache_key: Option<Text<'a>>,
    /// The processing tier that the client asked for.
    pub service_tier: Option<Cow<'a, str>>,
    /// Who the person behind the client is, in the client's own terms. Private: goes only where a profile says so.
    pub user: Option<Text<'a>>,
    /// Labels that the client put on the request, an object as it was written.
    pub metadata: Option<Json<'a>>,
    /// Whether the client wants a summary of the conversation, in a form that can stand in its place, instead of an answer.
    pub compact: bool,
    /// Top-level fields that only the client's own protocol knows, as they were written. A provider of the same protocol gets
    /// them; for any other they are a loss.
    pub extra: Vec<(Cow<'a, str>, Json<'a>)>,
    /// Wire names of tools that the provider at hand has refused. They are not offered to it.
    pub tools_refused: Vec<String>,
    /// What parsing met and could not carry: unknown fields, unknown item types.
    pub losses: Vec<Loss>,
}

impl<'a> Request<'a> {
    /// Every tool that the model may call in this turn, in order: those of the request, then those that items of the
    /// conversation brought along or loaded.
    pub fn all_tools(&self) -> impl Iterator<Item = &Tool<'a>> {
        let from_items = self.items.iter().flat_map(|item| match item {
            Item::ToolsAdded(tools) => tools.as_slice(),
            Item::Result(result) => result.tools_loaded.as_slice(),
            Item::Message(_)
            | Item::Reasoning(_)
            | Item::Call(_)
            | Item::HostedCall { .. }
            | Item::Compaction { .. }
            | Item::Unknown { .. } => &[],
        });
        self.tools.iter().chain(from_items)
    }
}

/// The protocols that clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI Responses.
    #[default]
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
}

/// One item of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// Somebody said something.
    Message(Message<'a>),
    /// The model thought; belongs to what the model says or calls next.
    Reasoning(Reasoning<'a>),
    /// The model called a tool.
    Call(Call<'a>),
    /// What a tool answered.
    Result(ToolResult<'a>),
    /// Tools that join the request's own (`additional_tools`).
    ToolsAdded(Vec<Tool<'a>>),
    /// A tool call that the provider carried out by itself in an earlier turn, such as a web search.
    HostedCall {
        /// The wire type, such as `web_search_call`.
        tag: Cow<'a, str>,
        /// What it did, in a few words for the model; empty when nothing can be said.
        summary: Text<'a>,
    },
    /// A stretch of conversation replaced by an opaque summary.
    Compaction {
        /// What the client holds: an [envelope](crate::envelope) with a summary, or something foreign.
        sealed: Option<Text<'a>>,
        /// The summary, when it was one of ours and has been opened.
        summary: Option<Text<'a>>,
    },
    /// An item of a type that we do not know. Carried and counted, never dropped in silence.
    Unknown {
        /// The wire type.
        tag: Cow<'a, str>,
        /// The whole item.
        raw: Json<'a>,
    },
}

/// A message of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part<'a>>,
    /// For the model's own messages: whether it was talking while working or giving its answer.
    pub phase: Option<Phase>,
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person, or the client on their behalf.
    User,
    /// The model.
    Assistant,
    /// Whoever instructs the model.
    Instructor(Instruction),
}

/// The two names that the instructor's role goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// `system`.
    System,
    /// `developer`.
    Developer,
}

/// What a message of the model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Said on the way.
    Commentary,
    /// The answer.
    FinalAnswer,
}

/// A typed piece of a message or of a tool result.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// Text.
    Text(Text<'a>),
    /// A picture.
    Image(Image<'a>),
    /// The model declined.
    Refusal(Text<'a>),
    /// A file.
    File(File<'a>),
    /// Sound, as the dialect wrote the whole part.
    Audio(Json<'a>),
    /// A part of a type that we do not know.
    Unknown {
        /// The wire type.
        tag: Cow<'a, str>,
        /// The whole part.
        raw: Json<'a>,
    },
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Image<'a> {
    /// Where it is: an `https:` or a `data:` URL.
    pub url: Text<'a>,
    /// How closely to look: `auto`, `low`, `high`, `original`.
    pub detail: Option<Cow<'a, str>>,
}

/// A file that the model is to read.
#[derive(Clone, Debug, PartialEq)]
pub struct File<'a> {
    /// What it is called.
    pub name: Option<Text<'a>>,
    /// Its media type, such as `application/pdf`, as far as it is known.
    pub media_type: Option<Cow<'a, str>>,
    /// Where its content is.
    pub content: FileContent<'a>,
}

/// Where the content of a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum FileContent<'a> {
    /// In the request, base64.
    Base64(Text<'a>),
    /// In the request, as plain text.
    Text(Text<'a>),
    /// At an `https:` URL.
    Url(Text<'a>),
    /// Stored with a provider, under this id.
    Stored(Text<'a>),
}

/// What the model thought, as far as anybody may see or carry it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning<'a> {
    /// The readable form.
    pub visible: VisibleReasoning<'a>,
    /// What the client was given to hold and has sent back: an [envelope](crate::envelope), or something foreign.
    pub sealed: Option<Text<'a>>,
    /// State of the provider that the request goes to, taken out of its envelope, in the order in which it came.
    pub state: Vec<Opaque<'a>>,
}

/// Readable reasoning. When an item has both forms, the full text is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum VisibleReasoning<'a> {
    /// None.
    #[default]
    None,
    /// A summary, in parts.
    Summary(Vec<Text<'a>>),
    /// The words themselves, in parts.
    Full(Vec<Text<'a>>),
}

impl<'a> VisibleReasoning<'a> {
    /// The parts in order, whichever form they have.
    pub fn parts(&self) -> &[Text<'a>] {
        match self {
            VisibleReasoning::None => &[],
            VisibleReasoning::Summary(parts) | VisibleReasoning::Full(parts) => parts,
        }
    }
}

/// A tool call of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// Pairs the call with its result.
    pub id: Cow<'a, str>,
    /// The tool's own name.
    pub name: Cow<'a, str>,
    /// The namespace that the tool lives in.
    pub namespace: Option<Cow<'a, str>>,
    /// What the model passed.
    pub input: CallInput<'a>,
}

/// What a model passes to a tool.
#[derive(Clone, Debug, PartialEq)]
pub enum CallInput<'a> {
    /// JSON text, as the model wrote it; not checked.
    Arguments(Text<'a>),
    /// Free text, for freeform tools.
    Freeform(Text<'a>),
    /// A JSON object in place, for the client's tool search.
    Search(Json<'a>),
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult<'a> {
    /// The call that it answers.
    pub call_id: Cow<'a, str>,
    /// What it said.
    pub parts: Vec<Part<'a>>,
    /// Tools that may be called from now on, because the call was a tool search that found them.
    pub tools_loaded: Vec<Tool<'a>>,
    /// Whether it tells of a failure. Only some protocols say so.
    pub is_error: bool,
}

/// A tool that the model is offered.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool<'a> {
    /// Takes JSON arguments.
    Function(Function<'a>),
    /// Takes free text, perhaps of a given grammar.
    Freeform {
        /// The tool's name.
        name: Cow<'a, str>,
        /// What it does.
        description: Option<Text<'a>>,
        /// What the text must look like.
        grammar: Option<Grammar<'a>>,
    },
    /// A group of tools with a name of its own.
    Namespace {
        /// The group's name.
        name: Cow<'a, str>,
        /// What the group is for.
        description: Option<Text<'a>>,
        /// The tools in it.
        tools: Vec<Tool<'a>>,
    },
    /// Finds further tools; carried out by the client.
    Search {
        /// What it does.
        description: Option<Text<'a>>,
        /// The schema of its arguments.
        parameters: Option<Json<'a>>,
    },
    /// Carried out by the provider: web search, file search and the like.
    Hosted {
        /// The wire type, such as `web_search`.
        tag: Cow<'a, str>,
        /// The whole tool.
        raw: Json<'a>,
    },
    /// A tool of a type that we do not know.
    Unknown {
        /// The wire type.
        tag: Cow<'a, str>,
        /// The whole tool.
        raw: Json<'a>,
    },
}

/// A tool that takes JSON arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Function<'a> {
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// What it does.
    pub description: Option<Text<'a>>,
    /// The JSON Schema of its arguments.
    pub parameters: Option<Json<'a>>,
    /// Whether the arguments must follow the schema to the letter.
    pub strict: Option<bool>,
    /// Not offered until a tool search has loaded it.
    pub deferred: bool,
}

/// The grammar of a freeform tool's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Grammar<'a> {
    /// `lark` or `regex`.
    pub syntax: Cow<'a, str>,
    /// The grammar itself.
    pub definition: Text<'a>,
}

/// How far the model is free to call tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ToolChoice<'a> {
    /// Nothing was said.
    #[default]
    Unset,
    /// As the model sees fit.
    Auto,
    /// No tools.
    None,
    /// At least one, whichever.
    Required,
    /// This one.
    Named {
        /// The tool's name.
        name: Cow<'a, str>,
        /// Its namespace.
        namespace: Option<Cow<'a, str>>,
    },
    /// Only these, by name.
    Allowed {
        /// Whether at least one must be called.
        required: bool,
        /// The tools' names.
        names: Vec<Cow<'a, str>>,
    },
    /// A tool that the provider carries out, by its wire type.
    Hosted(Cow<'a, str>),
}

/// Sampling settings, as the client wrote the numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling<'a> {
    /// Randomness.
    pub temperature: Option<Json<'a>>,
    /// Nucleus sampling.
    pub top_p: Option<Json<'a>>,
    /// Only the so many likeliest tokens.
    pub top_k: Option<u64>,
    /// Against repeating what was said often.
    pub frequency_penalty: Option<Json<'a>>,
    /// Against repeating what was said at all.
    pub presence_penalty: Option<Json<'a>>,
    /// For answers that can be repeated.
    pub seed: Option<Json<'a>>,
    /// Whether the probability of each token is wanted.
    pub logprobs: bool,
    /// How many alternatives to report per token.
    pub top_logprobs: Option<u64>,
}

/// How much the model should think, and how much of it the client wants to see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReasoningRequest<'a> {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, or whatever the client wrote.
    pub effort: Option<Cow<'a, str>>,
    /// The most tokens to think with, for protocols that count instead of naming an effort.
    pub budget_tokens: Option<u64>,
    /// `auto`, `concise`, `detailed`, `none`.
    pub summary: Option<Cow<'a, str>>,
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputFormat<'a> {
    /// Plain text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a given schema.
    JsonSchema {
        /// A name for the schema.
        name: Cow<'a, str>,
        /// What it is for.
        description: Option<Text<'a>>,
        /// The schema.
        schema: Json<'a>,
        /// Whether the answer must follow it to the letter.
        strict: Option<bool>,
    },
}
