//! Lists of models for people and for programs.

use jiff::Timestamp;
use polywire_catalog::Provider;
use serde_json::json;

use crate::columns::columns;
use crate::logging::{note, say};
use crate::printable::{printable, printable_json};
use crate::provider::models::cache::{Fetched, KnownModel};

/// Names are shown whole: they are there to be copied.
const NAME_MAX: usize = 256;

/// Shows what was fetched, or what the settings know where nothing is to be had.
///
/// # Errors
/// It cannot be written as JSON.
pub(crate) fn show(
    provider: &Provider,
    fetched: Option<&Fetched>,
    as_json: bool,
) -> anyhow::Result<()> {
    let configured: Vec<KnownModel> = provider
        .models
        .iter()
        .map(|model| KnownModel::from(model.as_ref()))
        .collect();
    let models = fetched.map_or(configured.as_slice(), |fetched| fetched.models.as_slice());
    if as_json {
        let when = fetched.and_then(|fetched| Timestamp::from_second(fetched.unix_s).ok());
        let all = json!({
            "provider": provider.id,
            "source": if fetched.is_some() { "provider" } else { "settings" },
            "url": fetched.map(|fetched| &fetched.url),
            "fetched_at": when.map(|when| when.to_string()),
            "age_seconds": fetched.map(|fetched| fetched.age().as_secs()),
            "missing": fetched.and_then(|fetched| fetched.missing.as_ref()),
            "models": models,
        });
        say(printable_json(&serde_json::to_string_pretty(&all)?));
        return Ok(());
    }
    let mut rows = vec![["", "MODEL", "CONTEXT", "OUTPUT", "IMAGES"].map(str::to_owned)];
    rows.extend(models.iter().map(|model| row(provider, model)));
    columns(&rows, NAME_MAX).iter().for_each(say);
    if let Some(fetched) = fetched {
        let count = models.len();
        let plural = if count == 1 { "" } else { "s" };
        note(format_args!(
            "{count} model{plural}, fetched {}; + is in the settings or the preset, * the default. --refresh asks again, --save writes them into the settings",
            fetched.age_in_words()
        ));
        if let Some(missing) = &fetched.missing {
            note(format_args!("warning: {}", printable(missing)));
        }
    }
    Ok(())
}

fn row(provider: &Provider, model: &KnownModel) -> [String; 5] {
    let mark = if provider.usual_model() == Some(&model.id) {
        "*"
    } else if provider.model(&model.id).is_some() {
        "+"
    } else {
        ""
    };
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
    [
        mark.to_owned(),
        model.id.clone(),
        number(model.context_window),
        number(model.output_tokens_max),
        if model.images { "yes" } else { "no" }.to_owned(),
    ]
}
