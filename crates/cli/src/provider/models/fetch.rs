//! Fetching a provider's list of models, with progress.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use polywire_catalog::Provider;
use polywire_conversation::FaultClass;
use polywire_gateway::{ListError, Listing, fetch_models};
use polywire_settings::Settings;
use polywire_upstream::Upstream;

use crate::configuration;
use crate::logging::note;
use crate::printable::printable;
use crate::provider::models::cache::{self, Fetched};

/// How long one page may take. Somebody waits and sees that it takes long.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// The provider's list: the one that is kept, if it is of the last day and nobody wants another, else a new one, which is then kept.
///
/// # Errors
/// It does not come.
pub(crate) async fn fetched(
    settings: &Settings,
    provider: &Provider,
    refresh: bool,
) -> Result<Fetched, ListError> {
    let kept = cache::read(&settings.paths, provider);
    if let Some(kept) = kept.filter(|kept| kept.is_fresh() && !refresh) {
        return Ok(kept);
    }
    let listing = ask(settings, provider).await?;
    let fetched = Fetched::now(provider, &listing);
    if let Err(error) = cache::keep(&settings.paths, provider, &fetched) {
        note(format_args!("warning: the list is not kept: {error:#}"));
    }
    Ok(fetched)
}

async fn ask(settings: &Settings, provider: &Provider) -> Result<Listing, ListError> {
    let endpoint = configuration::endpoint(settings, provider)?;
    let progress = Progress::new(&provider.id);
    let upstream = Upstream::new();
    let listing = fetch_models(&endpoint, &upstream, PAGE_TIMEOUT, |count| {
        progress.tell(count);
    });
    let listing = listing.await;
    progress.end();
    listing
}

/// A spinner on a terminal; elsewhere a line.
struct Progress {
    bar: Option<ProgressBar>,
    provider: String,
}

impl Progress {
    fn new(provider: &str) -> Self {
        let what = format!("fetching the models of `{provider}`");
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TURN);
            bar.set_message(what.clone());
            bar
        });
        if bar.is_none() {
            note(what);
        }
        Self {
            bar,
            provider: provider.to_owned(),
        }
    }

    fn tell(&self, count: usize) {
        if let Some(bar) = &self.bar {
            let provider = &self.provider;
            bar.set_message(format!(
                "fetching the models of `{provider}`: {count} so far"
            ));
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Why a list did not come, with the way out.
pub(crate) fn told(error: &ListError, settings: &Settings, provider: &Provider) -> anyhow::Error {
    let id = &provider.id;
    match error {
        ListError::NoList { .. } => anyhow!(
            "provider `{id}`: {error}\nhint: name its models yourself: `polywire provider models {id} --import LIST`, or --add MODEL"
        ),
        ListError::NotAsked => anyhow!(
            "provider `{id}` gives out no list of models\nhint: `polywire provider models {id}` shows those that polywire knows of it"
        ),
        ListError::Configuration(error) => {
            anyhow!("{error}\nhint: `polywire provider edit {id}` mends it")
        }
        ListError::Fault(fault) => {
            let message = printable(&fault.message);
            // Faults carry their hint in the line, for clients.
            let (what, hint) = match message.split_once(". hint: ") {
                Some((what, hint)) => (what.to_owned(), hint.to_owned()),
                None if fault.class == FaultClass::Auth => (message, settings.key_hint(id)),
                None => (
                    message,
                    format!("`polywire provider models {id} --import LIST` names them by hand"),
                ),
            };
            anyhow!("{what}\nhint: {hint}")
        }
    }
}
