//! The one place through which every JSON Schema of a request goes out.

use std::borrow::Cow;

use polywire_conversation::Json;

use crate::Profile;

/// A schema in the form that the provider understands.
///
/// Every schema passes as it is for now: the word in [`Profile::schema`] names a target of the schema compiler, and this is where
/// that is asked.
pub(super) fn lower<'s>(schema: &'s Json<'s>, _profile: &Profile) -> Cow<'s, str> {
    Cow::Borrowed(schema.as_str())
}
