//! A change of the settings together with a provider's key: both, or neither.

use anyhow::Context;
use polywire_credentials::KeySource;
use polywire_settings::{Edit, EditError, Settings};

use crate::configuration;
use crate::logging::note;
use crate::provider::key::GivenKey;
use crate::provider::key_store::{Kept, KeyStore};

/// Writes a change of the settings, and with it the provider's key if one is given. A key of the same provider that polywire kept, and
/// that the settings do not name any more, goes. No other polywire changes anything until all of it is done.
///
/// # Errors
/// The settings would not work, or the key cannot be kept, or the file cannot be written. Settings and key are as they were.
pub(crate) async fn save(
    mut edit: Edit<'_>,
    provider: &str,
    key: Option<GivenKey>,
) -> anyhow::Result<()> {
    let before = edit.on_disk()?;
    // Before the key is kept anywhere: what stands there for now only has to be a reference.
    match &key {
        Some(GivenKey::Reference(reference)) => {
            write_key(&mut edit, provider, reference)?;
        }
        Some(GivenKey::Itself { .. }) => {
            write_key(&mut edit, provider, "{ keyring = true }")?;
        }
        None => {}
    }
    let expected = edit.settings();
    let expected = expected.context("nothing was changed, because the settings would not work")?;
    check_habits(&expected, provider)?;
    let store = KeyStore::new(&before, provider);
    let kept = match key {
        Some(key) => Some(store.keep(key).await?),
        None => None,
    };
    let written = match &kept {
        Some(kept) => write_key(&mut edit, provider, &kept.reference),
        None => Ok(()),
    };
    let saved = written.and_then(|()| edit.save());
    if let Err(error) = saved {
        if let Some(kept) = kept {
            undo(&store, kept).await;
        }
        return Err(error.into());
    }
    let after = edit.on_disk()?;
    tell_new_warnings(&before, &after);
    forget_old(&store, provider, &before, &after).await;
    Ok(())
}

/// Puts back what was in the place of a key, because the settings do not name it after all.
pub(crate) async fn undo(store: &KeyStore<'_>, kept: Kept) {
    if let Err(left) = store.undo(kept).await {
        note(format_args!("the key before could not be put back: {left}"));
    }
}

/// Takes away the key that the settings named before, if they name another one now.
pub(crate) async fn forget_old(
    store: &KeyStore<'_>,
    provider: &str,
    before: &Settings,
    after: &Settings,
) {
    let none = KeySource::None;
    let old = before.keys.get(provider).unwrap_or(&none);
    let new = after.keys.get(provider).unwrap_or(&none);
    if old != new
        && let Err(error) = store.forget(old, after).await
    {
        note(format_args!("warning: {error:#}"));
    }
}

/// Writes where the key is, in the place of whatever stands there: a table below a header of its own, too.
fn write_key(edit: &mut Edit<'_>, provider: &str, reference: &str) -> Result<(), EditError> {
    let path = ["providers", provider, "key"];
    if edit.text().raw(&path).is_none() {
        edit.remove(&path)?;
    }
    edit.set_raw(&path, reference)
}

/// Checks what only the dialect of the provider knows: its habits.
///
/// # Errors
/// The provider could not be used.
pub(crate) fn check_habits(settings: &Settings, provider: &str) -> anyhow::Result<()> {
    if let Some(provider) = settings.catalog.provider(provider) {
        configuration::endpoint(settings, provider)
            .context("nothing was changed, because the provider could not be used")?;
    }
    Ok(())
}

/// Tells what the settings have to warn of since the change.
pub(crate) fn tell_new_warnings(before: &Settings, after: &Settings) {
    let warnings = after.warnings.iter();
    for warning in warnings.filter(|warning| !before.warnings.contains(warning)) {
        note(format_args!("warning: {warning}"));
    }
}
