//! What rendering a request for a provider needs to know, and what it gives.

use crate::{Ledger, Loss};

/// The model that a request goes to, as far as rendering must know it.
#[derive(Clone, Copy, Debug)]
pub struct ModelFacts<'a> {
    /// The provider's name for it.
    pub name: &'a str,
    /// Whether it takes images.
    pub images: bool,
    /// The most tokens that one answer may have, where known.
    pub output_tokens_max: Option<u64>,
}

impl<'a> ModelFacts<'a> {
    /// A model of which only the name is known; it is given the benefit of the doubt.
    pub const fn named(name: &'a str) -> Self {
        Self {
            name,
            images: true,
            output_tokens_max: None,
        }
    }
}

/// A request in the form that a provider takes, and what became of it on the way.
#[derive(Debug)]
pub struct Rendered {
    /// The JSON body.
    pub body: Vec<u8>,
    /// The names and forms of the tools, for the reader of the answer.
    pub ledger: Ledger,
    /// The names under which tools are offered in the body, in order.
    pub tools: Vec<String>,
    /// The form of the answer is told to the model in words, because the provider cannot enforce it.
    pub format_in_words: bool,
    /// The provider stops at the client's stop texts by itself. Otherwise whoever reads the answer must cut it.
    pub stops: bool,
    /// What was changed or left out while rendering. What parsing lost already is in the request.
    pub losses: Vec<Loss>,
}
