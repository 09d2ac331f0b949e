//! The schema of a tool's input, as the protocol insists on it.

use polywire_conversation::tools::NO_PARAMETERS;
use polywire_conversation::{Json, Loss};
use polywire_schema::compile;

use super::Losses;
use crate::Profile;

/// Writes the `input_schema` of a tool in the subset of JSON Schema that the provider takes. What it cannot say is lost, and
/// noted for `place`.
pub(super) fn write(
    schema: Option<&Json<'_>>,
    place: &str,
    profile: &Profile,
    losses: &mut Losses,
    out: &mut Vec<u8>,
) {
    let given = schema.filter(|schema| schema.as_str().trim() != "null");
    let Some(given) = given else {
        out.extend_from_slice(NO_PARAMETERS.as_bytes());
        return;
    };
    let compiled = compile(given, profile.schema);
    for dropped in &compiled.dropped {
        losses.add(Loss::note(format!("schema of {place}"), dropped.clone()));
    }
    out.extend_from_slice(compiled.schema.as_bytes());
}
