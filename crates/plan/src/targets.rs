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

#[cfg(test)]
mod tests {
    use polywire_catalog::preset;

    use super::*;

    fn catalog() -> Catalog {
        let of_preset = |id: &str| Arc::new(preset(id).unwrap().to_provider(id));
        Catalog {
            providers: vec![of_preset("zai"), of_preset("groq")],
            routes: [(
                "main".to_owned(),
                vec!["zai/glm-5.1".to_owned(), "groq/glm-9".to_owned()],
            )]
            .into(),
            default_provider: Some("zai".to_owned()),
            ..Catalog::default()
        }
    }

    #[test]
    fn targets_carry_what_is_known() {
        let found = targets("main", &catalog()).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|target| {
                let window = target.model.as_ref().and_then(|model| model.context_window);
                (
                    target.provider.id.as_str(),
                    target.upstream_model.as_str(),
                    window,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [("zai", "glm-5.1", Some(204_800)), ("groq", "glm-9", None)]
        );
    }

    /// The look-ups themselves are tested with [`Catalog::resolve`]; here it matters what a client is told.
    #[test]
    fn an_unknown_model_is_the_clients_fault_for_good() {
        let catalog = Catalog {
            default_provider: None,
            ..catalog()
        };
        let fault = targets("gpt-5", &catalog).unwrap_err();
        assert_eq!(fault.class, FaultClass::NotFound);
        assert_eq!(fault.status, 404);
        assert_eq!(fault.retry, Retry::Never);
        assert_eq!(fault.origin, Origin::Client);
        assert_eq!(fault.param.as_deref(), Some("model"));
        assert!(
            fault.message.contains("`gpt-5`") && fault.message.contains("`zai/glm-5.1`"),
            "{fault}"
        );
    }
}
