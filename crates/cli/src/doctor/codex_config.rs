//! What in Codex's own settings stops it, or does not do what it says (codex-client.md 5, observed with Codex 0.169).

mod profiles;
mod providers;
mod wire_api;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use polywire_settings::{Environment, ProcessEnvironment};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::profiles::{legacy_profile, legacy_tables};
use self::providers::{chosen_provider, named_providers};
use self::wire_api::chat_anywhere;
use super::check::Subject;
use super::finding::Finding;

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
    let (mut found, mut providers) = (Vec::new(), BTreeSet::new());
    let mut looked = 0;
    for path in std::iter::once(main.clone()).chain(profiles(home)) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.push(unreadable(&path, &error));
                continue;
            }
        };
        looked += 1;
        // Codex takes a byte order mark; the parser does not.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let file = ConfigFile { path: &path, text };
        match DeTable::parse(text) {
            Ok(table) if path == main => {
                let table = table.get_ref();
                found.extend(check_table(&file, table, true, &mut providers));
                found.extend(legacy_profile(&file, table, home));
                found.extend(legacy_tables(&file, table, home));
            }
            // A profile lies over the main file, and over no other.
            Ok(table) => {
                let mut providers = providers.clone();
                found.extend(check_table(&file, table.get_ref(), false, &mut providers));
            }
            Err(error) => {
                found.push(no_toml(&file, &error));
                if path == main {
                    // What the profiles build on is not known.
                    return found;
                }
            }
        }
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

fn unreadable(path: &Path, error: &std::io::Error) -> Finding {
    Finding::problem("codex_config", format!("it cannot be read: {error}"))
        .at(path.display())
        .hint("look at its owner and mode, and whether it is text in UTF-8")
}

fn no_toml(file: &ConfigFile<'_>, error: &toml::de::Error) -> Finding {
    let what = format!("it is no TOML: {}", error.message());
    Finding::problem("codex_config", what)
        .at(file.line(&error.span().unwrap_or_default()))
        .hint("correct that line; Codex does not start with it")
}

/// The files of profiles: `NAME.config.toml`.
pub(super) fn profiles(home: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".config.toml"))
        .collect();
    paths.sort();
    paths
}

/// Looks for what matters in every file. `providers` are those of the files before, which it lies above.
fn check_table(
    file: &ConfigFile<'_>,
    table: &DeTable<'_>,
    is_main: bool,
    providers: &mut BTreeSet<String>,
) -> Vec<Finding> {
    let mut found = chat_anywhere(file, table, is_main);
    found.extend(named_providers(file, table, providers));
    found.extend(chosen_provider(file, table, providers));
    found.extend(catalog_file(file, table));
    found
}

/// A list of models that is not there.
fn catalog_file(file: &ConfigFile<'_>, table: &DeTable<'_>) -> Option<Finding> {
    let (path, span) = text_of(table, "model_catalog_json")?;
    let folder = file.path.parent().unwrap_or(Path::new(""));
    let home = ProcessEnvironment.home();
    // As Codex reads it: from the home folder, from the folder of the file, or absolute.
    let whole = match (path.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        (Some(_), None) | (None, _) => folder.join(path),
    };
    if whole.is_file() {
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

fn text_of<'t>(table: &'t DeTable<'_>, key: &str) -> Option<(&'t str, Range<usize>)> {
    let value: &Spanned<DeValue<'_>> = table.get(key)?;
    Some((value.get_ref().as_str()?, value.span()))
}
