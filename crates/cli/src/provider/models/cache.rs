//! Lists of models that were fetched, in the folder for state.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use polywire_catalog::{Model, Provider};
use polywire_client_files::replace_atomically;
use polywire_credentials::make_private_folder;
use polywire_gateway::Listing;
use polywire_settings::Paths;
use serde::{Deserialize, Serialize};

/// How long a list serves without asking again. Models come and go within weeks.
const FRESH: Duration = Duration::from_hours(24);

/// A list as it was fetched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fetched {
    /// Where it came from.
    pub(crate) url: String,
    /// When, in seconds of Unix time.
    pub(crate) unix_s: i64,
    /// What is missing of it, if anything is.
    pub(crate) missing: Option<String>,
    /// The models, in the provider's order.
    pub(crate) models: Vec<KnownModel>,
}

/// A model, as far as the provider tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownModel {
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) context_window: Option<u64>,
    pub(crate) output_tokens_max: Option<u64>,
    pub(crate) images: bool,
}

impl From<&Model> for KnownModel {
    fn from(model: &Model) -> Self {
        Self {
            id: model.id.clone(),
            display_name: model.display_name.clone(),
            context_window: model.context_window,
            output_tokens_max: model.output_tokens_max,
            images: model.images,
        }
    }
}

impl Fetched {
    /// A list that came just now.
    pub(crate) fn now(provider: &Provider, listing: &Listing) -> Self {
        Self {
            url: provider.models_url(),
            unix_s: Timestamp::now().as_second(),
            missing: listing.missing.clone(),
            models: listing.models.iter().map(KnownModel::from).collect(),
        }
    }

    /// How old it is. A clock that was put back makes it new.
    pub(crate) fn age(&self) -> Duration {
        let seconds = Timestamp::now().as_second().saturating_sub(self.unix_s);
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// Whether it serves without asking again.
    pub(crate) fn is_fresh(&self) -> bool {
        self.age() < FRESH
    }

    /// `3 hours ago`.
    pub(crate) fn age_in_words(&self) -> String {
        let seconds = self.age().as_secs();
        let (count, unit) = match seconds {
            0..60 => return "just now".to_owned(),
            60..3600 => (seconds / 60, "minute"),
            3600..86400 => (seconds / 3600, "hour"),
            _ => (seconds / 86400, "day"),
        };
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {unit}{plural} ago")
    }
}

fn path(paths: &Paths, provider: &Provider) -> PathBuf {
    let folder = paths.state_dir.join("models");
    folder.join(format!("{}.json", provider.id))
}

/// The list that was fetched last from where the provider is now. One that cannot be read is as good as none.
pub(crate) fn read(paths: &Paths, provider: &Provider) -> Option<Fetched> {
    let bytes = fs::read(path(paths, provider)).ok()?;
    let fetched: Fetched = serde_json::from_slice(&bytes).ok()?;
    (fetched.url == provider.models_url()).then_some(fetched)
}

/// Keeps a list.
///
/// # Errors
/// It cannot be written.
pub(crate) fn keep(paths: &Paths, provider: &Provider, fetched: &Fetched) -> anyhow::Result<()> {
    let path = path(paths, provider);
    if let Some(folder) = path.parent() {
        make_private_folder(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    }
    replace_atomically(&path, &serde_json::to_vec(fetched)?, 0o600)?;
    Ok(())
}
