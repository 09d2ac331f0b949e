//! What an import will do: decided and shown before anything is done.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use polywire_bundle::IncomingProvider;
use polywire_settings::{Edit, Paths, ProcessEnvironment};
use toml::{Table, Value};

use super::lines::provider_lines;
use crate::printable::printable;
use crate::provider::add::is_in_file;

/// What is to be done where a name is taken.
#[derive(Args)]
pub(super) struct ConflictArguments {
    /// Replace providers, aliases and routes that are there already
    #[arg(long, group = "conflict")]
    overwrite: bool,
    /// Leave those as they are
    #[arg(long, group = "conflict")]
    skip: bool,
    /// Give new providers other names where theirs are taken
    #[arg(long, group = "conflict")]
    rename: bool,
}

impl ConflictArguments {
    /// What they say.
    pub(super) fn wish(&self) -> OnConflict {
        match (self.overwrite, self.skip, self.rename) {
            (true, _, _) => OnConflict::Overwrite,
            (_, true, _) => OnConflict::Skip,
            (_, _, true) => OnConflict::Rename,
            (false, false, false) => OnConflict::Refuse,
        }
    }
}

/// What to do with a provider whose name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// Nothing at all: nothing is imported.
    Refuse,
    /// It takes the place of the one that is there.
    Overwrite,
    /// The one that is there stays.
    Skip,
    /// It gets another name.
    Rename,
}

/// What becomes of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Add,
    Replace,
    Skip,
}

/// A provider and what becomes of it.
#[derive(Debug, PartialEq)]
pub(super) struct PlannedProvider {
    pub(super) action: Action,
    /// What it will be called here.
    pub(super) id: String,
    pub(super) incoming: IncomingProvider,
    /// The place of a key that the file names and that is not taken, because it would be a key of this machine.
    pub(super) key_of_ours: Option<Value>,
    /// What has the name now.
    there: Option<Value>,
}

/// A value of the settings file beside the providers.
#[derive(Debug, PartialEq)]
pub(super) struct PlannedValue {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    /// What is there now.
    there: Option<Value>,
}

/// All that an import will do. Two are the same if the same will be done to the same settings.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) providers: Vec<PlannedProvider>,
    pub(super) values: Vec<PlannedValue>,
    /// What is not taken, or stays as it is, one sentence each.
    pub(super) notes: Vec<String>,
}

/// What a file brings beside the providers.
#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) aliases: Table,
    pub(super) routes: Table,
    pub(super) default_provider: Option<String>,
}

impl Plan {
    /// Decides what becomes of each provider and name.
    ///
    /// # Errors
    /// Names are taken, and nobody said what to do about it.
    pub(super) fn new(
        incoming: Vec<IncomingProvider>,
        names: Names,
        edit: &Edit<'_>,
        on_conflict: OnConflict,
    ) -> anyhow::Result<Self> {
        let taken: Vec<&str> = incoming
            .iter()
            .map(|provider| provider.id.as_str())
            .filter(|id| is_in_file(edit, id))
            .collect();
        if !taken.is_empty() && on_conflict == OnConflict::Refuse {
            bail!(
                "the settings have these providers already: {}\nhint: --overwrite replaces them, --skip leaves them as they are, --rename gives the new ones other names",
                taken.join(", ")
            );
        }
        let mut plan = Self {
            providers: Vec::new(),
            values: Vec::new(),
            notes: Vec::new(),
        };
        let coming: Vec<String> = incoming
            .iter()
            .map(|provider| provider.id.clone())
            .collect();
        for mut provider in incoming {
            let is_taken = is_in_file(edit, &provider.id);
            let (action, id) = match (is_taken, on_conflict) {
                (false, _) => (Action::Add, provider.id.clone()),
                (true, OnConflict::Overwrite | OnConflict::Refuse) => {
                    (Action::Replace, provider.id.clone())
                }
                (true, OnConflict::Skip) => (Action::Skip, provider.id.clone()),
                (true, OnConflict::Rename) => {
                    (Action::Add, other_name(&provider.id, edit, &coming))
                }
            };
            plan.providers.push(PlannedProvider {
                action,
                key_of_ours: take_key_of_ours(&mut provider.table, edit.paths()),
                there: edit.text().get(&["providers", &id]).cloned(),
                id,
                incoming: provider,
            });
        }
        plan.names(names, edit, on_conflict == OnConflict::Overwrite);
        Ok(plan)
    }

    fn names(&mut self, names: Names, edit: &Edit<'_>, overwrites: bool) {
        for (alias, target) in names.aliases {
            let target = self.renamed(target);
            self.value(&["aliases", &alias], target, edit, overwrites);
        }
        for (route, table) in names.routes {
            let Some(Value::Array(targets)) = table.get("targets").cloned() else {
                self.notes
                    .push(format!("route `{route}` has no `targets`, and is left out"));
                continue;
            };
            let targets = targets
                .into_iter()
                .map(|target| self.renamed(target))
                .collect();
            self.value(
                &["routes", &route, "targets"],
                Value::Array(targets),
                edit,
                overwrites,
            );
        }
        if let Some(default) = names.default_provider {
            let default = self.id_here(&default).to_owned();
            self.value(&["default_provider"], default.into(), edit, overwrites);
        }
    }

    fn value(&mut self, path: &[&str], value: Value, edit: &Edit<'_>, overwrites: bool) {
        match edit.text().get(path) {
            Some(there) if *there == value => {}
            Some(there) if !overwrites => self.notes.push(format!(
                "`{}` stays {there}; the file says {value}",
                path.join(".")
            )),
            Some(_) | None => self.values.push(PlannedValue {
                path: path.iter().map(|key| (*key).to_owned()).collect(),
                value,
                there: edit.text().get(path).cloned(),
            }),
        }
    }

    /// A target with its provider as it will be called here.
    fn renamed(&self, target: Value) -> Value {
        let Value::String(text) = &target else {
            return target;
        };
        match text.split_once('/') {
            Some((provider, model)) => format!("{}/{model}", self.id_here(provider)).into(),
            None => target,
        }
    }

    fn id_here<'p>(&'p self, id: &'p str) -> &'p str {
        let mut planned = self.providers.iter();
        planned
            .find(|planned| planned.incoming.id == id)
            .map_or(id, |planned| planned.id.as_str())
    }

    /// Whether anything will change.
    pub(super) fn changes_something(&self) -> bool {
        let acts = |planned: &PlannedProvider| planned.action != Action::Skip;
        self.providers.iter().any(acts) || !self.values.is_empty()
    }

    /// What will be done, one line each; what others wrote is made fit for a terminal.
    pub(super) fn lines(&self) -> Vec<String> {
        let providers = self.providers.iter().flat_map(provider_lines);
        let values = self
            .values
            .iter()
            .map(|planned| format!("set {} = {}", planned.path.join("."), planned.value));
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        providers
            .chain(values)
            .chain(notes)
            .map(|line| printable(&line))
            .collect()
    }
}

/// Takes a reference out of a provider's table that leads to a place in which polywire keeps keys. Here somebody else's key is there, or
/// none, and an address that the file names is not to get it.
fn take_key_of_ours(table: &mut Table, paths: &Paths) -> Option<Value> {
    let key = table.get("key")?;
    let in_keyring = key.get("keyring").is_some();
    let file = key.get("file").and_then(Value::as_str);
    let is_kept = |file: &str| {
        let file = paths.expand(Path::new(file), &ProcessEnvironment);
        paths.is_kept(&file)
    };
    if in_keyring || file.is_some_and(is_kept) {
        table.remove("key")
    } else {
        None
    }
}

/// A name that neither the settings nor the file has.
fn other_name(id: &str, edit: &Edit<'_>, coming: &[String]) -> String {
    let is_taken = |name: &String| is_in_file(edit, name) || coming.contains(name);
    let known = edit.text().get(&["providers"]).and_then(Value::as_table);
    // One of so many is free.
    let tries = known.map_or(0, Table::len) + coming.len() + 2;
    (2..=tries + 2)
        .map(|number| format!("{id}-{number}"))
        .find(|name| !is_taken(name))
        .unwrap_or_else(|| id.to_owned())
}
