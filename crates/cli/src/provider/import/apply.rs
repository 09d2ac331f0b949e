//! What was planned is done: settings and keys, or neither.

use anyhow::{Context, bail};
use polywire_settings::{Edit, Settings};
use toml::{Table, Value};

use super::plan::{Action, Plan, PlannedProvider};
use crate::logging::{note, say};
use crate::provider::add::is_in_file;
use crate::provider::change::{check_habits, forget_old, tell_new_warnings, undo};
use crate::provider::key::{GivenKey, KeyPlace};
use crate::provider::key_store::{Kept, KeyStore};

/// Does what was planned: settings and keys, or neither.
pub(super) async fn apply(
    plan: Plan,
    mut edit: Edit<'_>,
    place: Option<KeyPlace>,
) -> anyhow::Result<()> {
    let before = edit.on_disk()?;
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
    let mut kept: Vec<(KeyStore<'_>, Kept)> = Vec::new();
    let written = write_keys(&mut edit, &acting, &before, place, &mut kept).await;
    if let Err(error) = written.and_then(|()| save(&mut edit)) {
        for (store, kept) in kept {
            undo(&store, kept).await;
        }
        return Err(error);
    }
    let after = edit.on_disk()?;
    tell_new_warnings(&before, &after);
    for planned in &acting {
        let store = KeyStore::new(&before, &planned.id);
        let brings_key =
            planned.incoming.key.is_some() || planned.incoming.table.contains_key("key");
        let old = before.keys.get(&planned.id);
        if brings_key {
            forget_old(&store, &planned.id, &before, &after).await;
        } else if old.is_some_and(|old| store.keeps(old)) {
            // It may be the only copy, and nothing has come in its place.
            note(format_args!(
                "the key that `{}` had stays where it is",
                planned.id
            ));
        }
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

async fn write_keys<'p>(
    edit: &mut Edit<'_>,
    acting: &'p [PlannedProvider],
    before: &'p Settings,
    place: Option<KeyPlace>,
    kept: &mut Vec<(KeyStore<'p>, Kept)>,
) -> anyhow::Result<()> {
    for planned in acting {
        let Some(key) = planned.incoming.key.clone() else {
            continue;
        };
        let id = &planned.id;
        let store = KeyStore::new(before, id);
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

fn save(edit: &mut Edit<'_>) -> anyhow::Result<()> {
    edit.settings()
        .context("what the file brings cannot be used, and nothing was changed")?;
    edit.save()?;
    Ok(())
}
