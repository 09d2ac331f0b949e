//! What was planned is done: settings and keys, or neither.

use anyhow::{Context, bail};
use polywire_settings::{Edit, KeySource, Settings};
use toml::{Table, Value};

use super::plan::{Action, Plan, PlannedProvider};
use crate::logging::{note, say};
use crate::provider::add::is_in_file;
use crate::provider::change::{check_habits, tell_new_warnings};
use crate::provider::key::{GivenKey, KeyPlace};
use crate::provider::key_store::{Kept, KeyStore};

/// Does what was planned: settings and keys, or neither.
pub(super) async fn apply(
    plan: Plan,
    mut edit: Edit<'_>,
    place: Option<KeyPlace>,
) -> anyhow::Result<()> {
    let before = edit.settings()?;
    let acting: Vec<PlannedProvider> = plan
        .providers
        .into_iter()
        .filter(|planned| planned.action != Action::Skip)
        .collect();
    for planned in &acting {
        match planned.action {
            Action::Replace => {
                edit.remove(&["providers", &planned.id])?;
            }
            Action::Add if is_in_file(&edit, &planned.id) => bail!(
                "provider `{}` was added by somebody else meanwhile, and nothing was changed\nhint: try again",
                planned.id
            ),
            Action::Add | Action::Skip => {}
        }
        let mut table = planned.incoming.table.clone();
        if planned.incoming.key.is_some() {
            // Until the key is kept; what stands here only has to be a reference.
            let mut reference = Table::new();
            reference.insert("keyring".to_owned(), true.into());
            table.insert("key".to_owned(), reference.into());
        }
        write_table(&mut edit, &planned.id, &table)?;
    }
    for value in &plan.values {
        let path: Vec<&str> = value.path.iter().map(String::as_str).collect();
        edit.set(&path, value.value.clone())?;
    }
    // Before a key is kept anywhere.
    let expected = edit
        .settings()
        .context("what the file brings cannot be used, and nothing was changed")?;
    for planned in &acting {
        check_habits(&expected, &planned.id)?;
    }
    let file = edit.paths().config_file.display().to_string();
    let mut kept: Vec<(KeyStore, Kept)> = Vec::new();
    let written = write_keys(&mut edit, &acting, &expected, place, &mut kept).await;
    let saved = match written {
        Ok(()) => save(edit),
        Err(error) => Err(error),
    };
    let after = match saved {
        Ok(after) => after,
        Err(error) => {
            for (store, kept) in kept {
                if let Err(left) = store.undo(kept).await {
                    note(format_args!("the key before could not be put back: {left}"));
                }
            }
            return Err(error);
        }
    };
    tell_new_warnings(&before, &after);
    for planned in &acting {
        forget_old_key(&planned.id, &before, &after).await;
        say(format_args!("provider `{}` is in {file}", planned.id));
        if !after.key_is_present(&planned.id) {
            let hint = after.key_hint(&planned.id);
            note(format_args!(
                "the key of `{}` is missing: {hint}",
                planned.id
            ));
        }
    }
    if let Some(first) = acting.first() {
        note(format_args!("try it: polywire provider test {}", first.id));
    }
    Ok(())
}

/// The keys of a provider's table in the order in which people look for them; the others follow.
const FIRST_KEYS: &[&str] = &[
    "preset",
    "kind",
    "name",
    "base_url",
    "key",
    "auth",
    "proxy",
    "default_model",
    "models",
];

/// Tables that get headers of their own.
const LONG_TABLES: &[&str] = &["headers", "profile", "codex_config"];

fn write_table(edit: &mut Edit<'_>, id: &str, table: &Table) -> anyhow::Result<()> {
    let first = FIRST_KEYS
        .iter()
        .filter_map(|key| table.get_key_value(*key));
    let is_other = |key: &str| !FIRST_KEYS.contains(&key) && !LONG_TABLES.contains(&key);
    let others = table.iter().filter(|(key, _)| is_other(key));
    for (key, value) in first.chain(others) {
        edit.set(&["providers", id, key], value.clone())?;
    }
    for key in LONG_TABLES {
        match table.get(*key) {
            Some(Value::Table(inner)) if !inner.is_empty() => {
                for (name, value) in inner {
                    edit.set(&["providers", id, key, name], value.clone())?;
                }
            }
            Some(value) => edit.set(&["providers", id, key], value.clone())?,
            None => {}
        }
    }
    Ok(())
}

async fn write_keys(
    edit: &mut Edit<'_>,
    acting: &[PlannedProvider],
    expected: &Settings,
    place: Option<KeyPlace>,
    kept: &mut Vec<(KeyStore, Kept)>,
) -> anyhow::Result<()> {
    for planned in acting {
        let Some(key) = planned.incoming.key.clone() else {
            continue;
        };
        let id = &planned.id;
        let store = KeyStore::new(edit.paths(), expected.keyring_entry(id), id);
        let given = GivenKey::Itself { key, place };
        let done = store
            .keep(given)
            .await
            .with_context(|| format!("the key of `{id}` could not be kept"))?;
        let reference = done.reference.clone();
        kept.push((store, done));
        edit.set_raw(&["providers", id, "key"], &reference)?;
    }
    Ok(())
}

fn save(edit: Edit<'_>) -> anyhow::Result<Settings> {
    let after = edit
        .settings()
        .context("what the file brings cannot be used, and nothing was changed")?;
    edit.save()?;
    Ok(after)
}

/// A key that polywire kept for a provider that was replaced, and that the settings do not name any more, goes.
async fn forget_old_key(id: &str, before: &Settings, after: &Settings) {
    let none = KeySource::None;
    let old = before.keys.get(id).unwrap_or(&none);
    if after.keys.get(id) == Some(old) {
        return;
    }
    let store = KeyStore::new(&before.paths, before.keyring_entry(id), id);
    if let Err(error) = store.forget(old).await {
        note(format_args!("warning: {error:#}"));
    }
}
