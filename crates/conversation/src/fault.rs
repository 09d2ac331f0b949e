//! What went wrong, in the terms that the edge and `plan` need.

use std::num::NonZeroU32;
use std::time::Duration;

/// A turn, or an attempt at one, failed.
///
/// Dialects read provider errors into a fault and render a fault in their own error shape; `plan` decides from its axes
/// whether to try again. A fault is a value: making one logs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure it is.
    pub class: FaultClass,
    /// Who can do something about it.
    pub origin: Origin,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The HTTP status that the provider gave, or that fits best.
    pub status: u16,
    /// When a limit is lifted, in seconds since 1970, where the provider said so. Small, because faults are passed around by value.
    pub resets_at: Option<NonZeroU32>,
    /// The provider's own code, as written.
    pub code: Option<String>,
    /// The request field that is at fault, as a path: `input[3].content[0].type`.
    pub param: Option<String>,
    /// For the user: what failed and what to do. Holds no secret and no raw body.
    pub message: String,
    /// For the log, where it differs from the message: the beginning of the provider's answer.
    pub detail: Option<String>,
}

/// Kinds of failure, as they matter to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// Too many requests; waiting a little helps.
    RateLimit,
    /// The provider is busy.
    Overloaded,
    /// Money or a plan's window is used up; waiting seconds does not help.
    Quota,
    /// The conversation does not fit the model's context window.
    ContextLength,
    /// The body is too large in bytes.
    TooLarge,
    /// A key is missing, wrong or not allowed.
    Auth,
    /// No such model or path.
    NotFound,
    /// The request is malformed or asks for something that is refused.
    InvalidRequest,
    /// A content filter stepped in.
    ContentFilter,
    /// The model made a tool call that its provider rejects.
    BadToolCall,
    /// The provider failed.
    Server,
    /// The connection could not be made, or ended too early.
    NetworkCut,
    /// Nothing arrived for too long.
    Timeout,
    /// What arrived is not the protocol that was expected.
    Protocol,
}

/// Who can do something about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client sent something wrong.
    Client,
    /// The provider refused or failed.
    Provider,
    /// The network between us and the provider.
    Network,
    /// The key that we hold for the provider.
    Credentials,
    /// We did something wrong.
    Ours,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again anywhere.
    Never,
    /// Not here, but another target may serve it.
    Elsewhere,
    /// Here, after a pause; the provider named it, or left it open.
    After(Option<Duration>),
}

impl FaultClass {
    /// All of them, in the order of their declaration, for tables.
    pub const ALL: [FaultClass; 14] = [
        FaultClass::RateLimit,
        FaultClass::Overloaded,
        FaultClass::Quota,
        FaultClass::ContextLength,
        FaultClass::TooLarge,
        FaultClass::Auth,
        FaultClass::NotFound,
        FaultClass::InvalidRequest,
        FaultClass::ContentFilter,
        FaultClass::BadToolCall,
        FaultClass::Server,
        FaultClass::NetworkCut,
        FaultClass::Timeout,
        FaultClass::Protocol,
    ];

    /// The word used in logs, receipts and fixtures.
    pub const fn name(self) -> &'static str {
        match self {
            FaultClass::RateLimit => "rate_limit",
            FaultClass::Overloaded => "overloaded",
            FaultClass::Quota => "quota",
            FaultClass::ContextLength => "context_length",
            FaultClass::TooLarge => "too_large",
            FaultClass::Auth => "auth",
            FaultClass::NotFound => "not_found",
            FaultClass::InvalidRequest => "invalid_request",
            FaultClass::ContentFilter => "content_filter",
            FaultClass::BadToolCall => "bad_tool_call",
            FaultClass::Server => "server",
            FaultClass::NetworkCut => "network_cut",
            FaultClass::Timeout => "timeout",
            FaultClass::Protocol => "protocol",
        }
    }

    const fn axes(self) -> (Origin, Retry, u16) {
        match self {
            FaultClass::RateLimit => (Origin::Provider, Retry::After(None), 429),
            FaultClass::Overloaded => (Origin::Provider, Retry::After(None), 503),
            FaultClass::Quota => (Origin::Credentials, Retry::Elsewhere, 429),
            FaultClass::ContextLength => (Origin::Client, Retry::Never, 400),
            FaultClass::TooLarge => (Origin::Client, Retry::Never, 413),
            FaultClass::Auth => (Origin::Credentials, Retry::Elsewhere, 401),
            FaultClass::NotFound => (Origin::Provider, Retry::Elsewhere, 404),
            FaultClass::InvalidRequest => (Origin::Client, Retry::Never, 400),
            FaultClass::ContentFilter => (Origin::Provider, Retry::Never, 400),
            FaultClass::BadToolCall => (Origin::Provider, Retry::After(None), 502),
            FaultClass::Server => (Origin::Provider, Retry::After(None), 502),
            FaultClass::NetworkCut => (Origin::Network, Retry::After(None), 502),
            FaultClass::Timeout => (Origin::Network, Retry::After(None), 504),
            FaultClass::Protocol => (Origin::Provider, Retry::Elsewhere, 502),
        }
    }
}

impl Fault {
    /// A fault with the axes that are usual for its class.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        let (origin, retry, status) = class.axes();
        Self {
            class,
            origin,
            retry,
            status,
            resets_at: None,
            code: None,
            param: None,
            message: message.into(),
            detail: None,
        }
    }

    /// A request that names the field at fault.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(FaultClass::InvalidRequest, message)
        }
    }

    /// The same fault with the provider's code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same fault with the status that the provider gave.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same fault with a note for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same fault with another retry axis.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
