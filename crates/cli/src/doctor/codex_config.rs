//! What in Codex's own settings stops it, or does not do what it says (codex-client.md 5, observed with Codex 0.169).

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Subject;
use super::finding::Finding;
use super::known::codex_providers;
use crate::configuration::variable;

/// A file of settings, with where its lines begin.
struct ConfigFile<'a> {
    path: &'a Path,
    text: &'a str,
}

impl ConfigFile<'_> {
    /// The file and the line of a place in it.
    fn line(&self, span: &Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        format!(
            "{}:{}",
            self.path.display(),
            before.matches('\n').count() + 1
        )
    }
}

pub(crate) fn check(subject: &Subject) -> Vec<Finding> {
    let home = &subject.codex_places.home;
    let main = home.join("config.toml");
    let mut found = Vec::new();
    let mut providers = BTreeSet::new();
    let mut looked = 0;
    for path in std::iter::once(main.clone()).chain(profiles(home)) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.push(
                    Finding::problem("codex_config", format!("it cannot be read: {error}"))
                        .at(path.display())
                        .hint("look at its owner and mode, and whether it is text in UTF-8"),
                );
                continue;
            }
        };
        looked += 1;
        let is_main = path == main;
        found.extend(check_file(&path, &text, is_main, home, &mut providers));
    }
    if found.is_empty() {
        let what = match looked {
            0 => "Codex has no settings file".to_owned(),
            1 => "nothing in it stops Codex".to_owned(),
            looked => format!("nothing in its {looked} settings files stops Codex"),
        };
        found.push(Finding::ok("codex_config", what).at(main.display()));
    }
    found
}

/// The files of profiles: `NAME.config.toml`.
fn profiles(home: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".config.toml"))
        .collect();
    paths.sort();
    paths
}

/// Looks through one file. `providers` are those of the files before, which it lies above.
fn check_file(
    path: &Path,
    text: &str,
    is_main: bool,
    home: &Path,
    providers: &mut BTreeSet<String>,
) -> Vec<Finding> {
    // Codex takes a byte order mark; the parser does not.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = ConfigFile { path, text };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let place = file.line(&error.span().unwrap_or_default());
            return vec![
                Finding::problem(
                    "codex_config",
                    format!("it is no TOML: {}", error.message()),
                )
                .at(place)
                .hint("correct that line; Codex does not start with it"),
            ];
        }
    };
    let table = table.get_ref();
    let mut found = chat_anywhere(&file, table, is_main);
    found.extend(named_providers(&file, table, providers));
    found.extend(chosen_provider(&file, table, providers));
    found.extend(catalog_file(&file, table));
    if is_main {
        found.extend(legacy_profile(&file, table, home));
        found.extend(legacy_tables(&file, table, home));
    }
    found
}

/// `wire_api = "chat"`, wherever it stands. In a provider, even in one that nobody uses, Codex does not start; elsewhere Codex does not read it.
fn chat_anywhere(file: &ConfigFile<'_>, table: &DeTable<'_>, is_main: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut tables = vec![(table, Vec::new())];
    while let Some((table, path)) = tables.pop() {
        let is_provider = matches!(path[..], ["model_providers", _]);
        for (key, value) in table {
            let key = key.get_ref().as_ref();
            let inner = [path.as_slice(), &[key]].concat();
            match value.get_ref() {
                DeValue::Table(table) => tables.push((table, inner)),
                DeValue::String(word) if key == "wire_api" && word == "chat" => {
                    let place = file.line(&value.span());
                    found.push(chat(is_provider, is_main).at(place));
                }
                DeValue::Array(items) => {
                    let inside = items.iter().filter_map(|item| item.get_ref().as_table());
                    tables.extend(inside.map(|table| (table, inner.clone())));
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => {}
            }
        }
    }
    found
}

fn chat(is_provider: bool, is_main: bool) -> Finding {
    let what = "`wire_api = \"chat\"` is no longer supported";
    let finding = match (is_provider, is_main) {
        (true, true) => Finding::problem(
            "wire_api_chat",
            format!("{what}: Codex does not start with it, whichever provider is used"),
        ),
        (true, false) => Finding::problem(
            "wire_api_chat",
            format!("{what}: Codex does not start with this profile"),
        ),
        (false, _) => Finding::warning(
            "wire_api_chat",
            format!(
                "{what}; it stands where Codex does not read it, and would stop it in [model_providers]"
            ),
        ),
    };
    finding.hint("set it to `\"responses\"`; a provider that speaks Chat Completions only can be used through polywire: `polywire run codex -p PROVIDER`")
}

/// The providers of a file: names that are not free, keys whose variables are not set.
fn named_providers(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    providers: &mut BTreeSet<String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let tables = table
        .get("model_providers")
        .and_then(|value| value.get_ref().as_table());
    for (name, value) in tables.into_iter().flatten() {
        let id = name.get_ref().to_string();
        if is_built_in(&id) {
            found.push(
                Finding::problem(
                    "reserved_provider",
                    format!("`{id}` is the name of a provider that Codex brings itself, and Codex does not start with another of that name"),
                )
                .at(file.line(&name.span()))
                .hint(format!("give it another name, such as `{id}-own`")),
            );
        }
        let key = value
            .get_ref()
            .as_table()
            .and_then(|table| text_of(table, "env_key"));
        if let Some((key, span)) = key
            && variable(key).is_none_or(|value| value.is_empty())
        {
            found.push(
                Finding::warning(
                    "env_key_unset",
                    format!("the key of `{id}` is to come from `{key}`, which is not set here"),
                )
                .at(file.line(&span))
                .hint(format!(
                    "export {key}=… before Codex is started with this provider"
                )),
            );
        }
        providers.insert(id);
    }
    found
}

fn is_built_in(id: &str) -> bool {
    codex_providers().any(|name| name == id)
}

fn text_of<'t>(table: &'t DeTable<'_>, key: &str) -> Option<(&'t str, Range<usize>)> {
    let value: &Spanned<DeValue<'_>> = table.get(key)?;
    Some((value.get_ref().as_str()?, value.span()))
}

/// The provider that is chosen and that nobody has named.
fn chosen_provider(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    providers: &BTreeSet<String>,
) -> Option<Finding> {
    let (id, span) = text_of(table, "model_provider")?;
    if is_built_in(id) || providers.contains(id) {
        return None;
    }
    Some(
        Finding::problem(
            "unknown_provider",
            format!("`model_provider` is `{id}`, and there is no [model_providers.{id}]: Codex does not start"),
        )
        .at(file.line(&span))
        .hint("add the provider, correct the name, or remove the line"),
    )
}

/// A list of models that is not there.
fn catalog_file(file: &ConfigFile<'_>, table: &DeTable<'_>) -> Option<Finding> {
    let (path, span) = text_of(table, "model_catalog_json")?;
    let folder = file.path.parent().unwrap_or(Path::new(""));
    if folder.join(path).is_file() {
        return None;
    }
    Some(
        Finding::problem(
            "no_catalog",
            format!(
                "`model_catalog_json` names `{path}`, which is not there: Codex does not start"
            ),
        )
        .at(file.line(&span))
        .hint("remove the line, or bring the file back"),
    )
}

/// `profile = "z"` at the top, which Codex no longer takes.
fn legacy_profile(file: &ConfigFile<'_>, table: &DeTable<'_>, home: &Path) -> Option<Finding> {
    let (name, span) = text_of(table, "profile")?;
    let own = format!("{name}.config.toml");
    let missing = if home.join(&own).is_file() {
        String::new()
    } else {
        format!(
            "; there is no `{own}` yet, and without it Codex would take the settings of no profile and say nothing"
        )
    };
    Some(
        Finding::problem(
            "legacy_profile",
            format!("`profile = \"{name}\"` is no longer supported: Codex does not start{missing}"),
        )
        .at(file.line(&span))
        .hint(format!(
            "remove the line, put the profile's settings into {}, and start `codex -p {name}`",
            home.join(&own).display()
        )),
    )
}

/// `[profiles.z]`, which Codex no longer reads.
fn legacy_tables(file: &ConfigFile<'_>, table: &DeTable<'_>, home: &Path) -> Vec<Finding> {
    let tables = table
        .get("profiles")
        .and_then(|value| value.get_ref().as_table());
    let finding = |name: &str, span: Range<usize>| {
        let own = home.join(format!("{name}.config.toml"));
        let missing = if own.is_file() {
            ""
        } else {
            ", which is missing"
        };
        Finding::warning(
            "legacy_profile_table",
            format!(
                "[profiles.{name}] is no longer read, and `codex -p {name}` fails because of it"
            ),
        )
        .at(file.line(&span))
        .hint(format!(
            "move its settings to {}{missing}, and remove the table",
            own.display()
        ))
    };
    tables
        .into_iter()
        .flatten()
        .map(|(name, _)| finding(name.get_ref(), name.span()))
        .collect()
}
