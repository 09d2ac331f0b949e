//! JSON Schemas of tools and answers, rewritten for what a provider takes.
//!
//! Clients write whatever JSON Schema knows; providers take subsets of it and refuse the whole request over one keyword. A schema
//! that needs nothing comes out byte for byte as it went in, and the same schema always becomes the same bytes, so that the
//! provider's prompt cache holds.
//!
//! This crate holds no I/O, clock or randomness and knows no vendor: a [`Target`] is a set of rules that a provider's profile
//! names. Where a rule cannot be kept without taking something away, what was taken is told in [`Compiled::dropped`].
//!
//! Reading order: `compile` (the passes), `inline` (references), `tidy` (what all targets have in common), `root`, then one file per
//! target that needs more: `unions`, `gemini`, `strict`, `basic`.

mod basic;
mod compile;
mod gemini;
mod inline;
mod keywords;
mod memo;
mod merge;
mod notes;
mod root;
mod scan;
mod strict;
mod tidy;
mod unions;

use std::sync::Arc;

use polywire_conversation::Json;
use serde::Deserialize;

/// The most bytes of a schema that is looked at. The largest seen, of tools that mirror a whole REST API, were below 200 kB. A
/// longer one is replaced by an open object, and that is told.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// The deepest nesting of objects and arrays that a schema may have before and after its references are written out. Real ones stay
/// below 30. Half of what JSON parsers usually bear, because some rules put a union around a type at every level.
pub const SCHEMA_NESTING_MAX: usize = 60;

/// The set of rules that a schema has to obey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Standard keywords without references or vendors' own. Never changes which values are valid.
    #[default]
    Permissive,
    /// OpenAI's strict subset: every property required, no object open. A schema that it cannot express stays permissive.
    OpenaiStrict,
    /// No `type` beside a union (Moonshot: "type should be defined in anyOf items").
    Moonshot,
    /// The subset of `OpenAPI` that Gemini reads.
    Gemini,
    /// As permissive; Mistral refuses `$id` and `$schema`.
    Mistral,
    /// As permissive, without unions at the root.
    Anthropic,
    /// Types, listed values, properties, items, unions and descriptions; what else narrows values down is told in the description.
    Basic,
}

/// A schema as the target takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The schema: one JSON object of type `object` that has `properties`.
    pub schema: String,
    /// What was taken away or changed in meaning, and where: `properties.day: format is not taken`. At most
    /// [`DROPPED_MAX`] and a last one that counts the rest. Comments, ids and the name of the draft are not mentioned: by the
    /// standard they say nothing about values.
    pub dropped: Vec<String>,
    /// Whether the provider may be asked to hold the model to the schema to the letter. Only [`Target::OpenaiStrict`] finds out;
    /// with any other target it is `false`.
    pub strict_possible: bool,
}

pub use notes::DROPPED_MAX;

/// Rewrites a schema for a target. Never fails: what cannot be expressed becomes more open, and is told.
///
/// ```
/// use polywire_conversation::Json;
/// use polywire_schema::{Target, compile};
///
/// let schema = Json::new(r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"string"}}}"##);
/// let compiled = compile(&schema, Target::Permissive);
/// assert_eq!(compiled.schema, r#"{"type":"object","properties":{"a":{"type":"string"}}}"#);
/// assert!(compiled.dropped.is_empty());
/// ```
pub fn compile(schema: &Json<'_>, target: Target) -> Arc<Compiled> {
    memo::compiled(schema.as_str(), target, || {
        compile::run(schema.as_str(), target)
    })
}
