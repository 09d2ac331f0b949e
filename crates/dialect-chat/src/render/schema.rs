//! The one place through which every JSON Schema of a request goes out.

use std::borrow::Cow;

use polywire_conversation::Json;

use super::Losses;
use crate::Profile;

/// A schema as it goes out.
pub(super) struct Lowered<'s> {
    /// The schema, as JSON.
    pub(super) json: Cow<'s, str>,
    /// Whether the provider can hold the model to it.
    pub(super) strict_possible: bool,
}

/// A schema in the form that the provider understands; what it cannot say is lost, and noted for `place`.
///
/// Every schema passes as it is for now: the word in [`Profile::schema`] names a target of the schema compiler, and this is where
/// that is asked.
pub(super) fn lower<'s>(
    schema: &'s Json<'s>,
    _place: &str,
    _profile: &Profile,
    _losses: &mut Losses,
) -> Lowered<'s> {
    Lowered {
        json: Cow::Borrowed(schema.as_str()),
        strict_possible: true,
    }
}
