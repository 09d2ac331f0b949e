//! What the client wants of an answer.

/// What a [`ChatWriter`](crate::ChatWriter) needs to know.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is one independent wish of the client, as it was parsed"
)]
pub struct WriterOptions {
    /// The id of the answer, `chatcmpl-…`.
    pub completion_id: String,
    /// When the answer began, in seconds since 1970.
    pub created: u64,
    /// The model as the client named it.
    pub model: String,
    /// Whether a stream ends with a chunk that holds the usage.
    pub include_usage: bool,
    /// Whether a call goes to the client as `function_call`.
    pub legacy_functions: bool,
    /// Whether reasoning state goes to the client in `reasoning_details`.
    pub reasoning_details: bool,
    /// Whether reasoning is kept from the client. Its state goes out all the same, since the next turn is better for it.
    pub hide_reasoning: bool,
}
