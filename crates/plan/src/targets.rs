//! Which provider and model serve a turn.

use std::sync::Arc;

use polywire_catalog::{Catalog, Model, Provider, Resolved, UnknownModel};
use polywire_conversation::{Fault, FaultClass, Origin, Retry};

/// One provider's model that may serve a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Who is asked.
    pub provider: Arc<Provider>,
    /// The model's name there.
    pub upstream_model: String,
    /// What is known of the model; `None` when its name is only passed through.
    pub model: Option<Arc<Model>>,
}

impl From<Resolved> for Target {
    fn from(resolved: Resolved) -> Self {
        Self {
            provider: resolved.provider,
            upstream_model: resolved.upstream_model,
            model: resolved.model,
        }
    }
}

/// The targets that serve a model name, in the order in which they are to be tried; never empty.
///
/// See [`Catalog::resolve`] for the order of the look-ups. An empty name stands for the default provider's usual model.
///
/// # Errors
/// A [`FaultClass::NotFound`] that is never retried, with a message that lists what exists.
pub fn targets(model: &str, catalog: &Catalog) -> Result<Vec<Target>, Fault> {
    let resolved = catalog.resolve(model).map_err(|error| fault(&error))?;
    Ok(resolved.into_iter().map(Target::from).collect())
}

fn fault(error: &UnknownModel) -> Fault {
    Fault {
        origin: Origin::Client,
        retry: Retry::Never,
        param: Some("model".to_owned()),
        ..Fault::new(FaultClass::NotFound, error.to_string())
    }
}
