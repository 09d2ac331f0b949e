//! The one place through which every JSON Schema of a request goes out.

use std::borrow::Cow;

use polywire_conversation::{Json, Loss};
use polywire_schema::compile;

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
pub(super) fn lower<'s>(
    schema: &'s Json<'s>,
    place: &str,
    profile: &Profile,
    losses: &mut Losses,
) -> Lowered<'s> {
    let Some(target) = profile.schema else {
        return Lowered {
            json: Cow::Borrowed(schema.as_str()),
            strict_possible: true,
        };
    };
    let compiled = compile(schema, target);
    for dropped in &compiled.dropped {
        losses.add(Loss::note(format!("schema of {place}"), dropped.clone()));
    }
    Lowered {
        json: Cow::Owned(compiled.schema.clone()),
        strict_possible: compiled.strict_possible,
    }
}
