//! What is kept of a test: a dated record, and the switches that it has proven.

use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;
use polywire_client_files::replace_atomically;
use polywire_credentials::make_private_folder;
use polywire_probe::{Report, Switch};
use polywire_settings::{Edit, Overrides, ProcessEnvironment, Settings};
use serde_json::{Value, json};

/// How many tests of a provider are kept. Enough to see when something changed; a test has some four kilobytes.
const RECORDS_MAX: usize = 20;

/// The form of the file.
const VERSION: u64 = 1;

/// Keeps a report in the state folder, the newest first, and gives the file.
///
/// # Errors
/// The file cannot be written. One that cannot be read is begun anew: it is ours.
pub(super) fn keep(report: &Report, settings: &Settings) -> anyhow::Result<PathBuf> {
    let folder = settings.paths.state_dir.join("provider-tests");
    make_private_folder(&folder)
        .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    // The name of a provider has nothing in it that would lead elsewhere: letters, digits, `-`, `_` and `.`.
    let path = folder.join(format!("{}.json", report.provider));
    let mut record = report.to_json();
    record["tested_at"] = json!(Timestamp::now().to_string());
    record["polywire"] = json!(env!("CARGO_PKG_VERSION"));
    let mut records = vec![record];
    records.extend(earlier(&path));
    records.truncate(RECORDS_MAX);
    let file = json!({"version": VERSION, "tests": records});
    let text = serde_json::to_string_pretty(&file)? + "\n";
    replace_atomically(&path, text.as_bytes(), 0o600)?;
    Ok(path)
}

fn earlier(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read(path).unwrap_or_default();
    let file: Value = serde_json::from_slice(&text).unwrap_or_default();
    let tests = file["tests"].as_array().cloned();
    tests
        .filter(|_| file["version"] == VERSION)
        .unwrap_or_default()
}

/// What became of the switches.
pub(super) struct Written<'r> {
    /// They stand in the settings file now.
    pub(super) written: Vec<&'r Switch>,
    /// The model's own profile stands above the provider's, so that they would change nothing.
    pub(super) without_effect: Vec<&'r Switch>,
}

/// Puts switches under `[providers.NAME.profile]` of the settings file.
///
/// # Errors
/// The settings file cannot be changed. It is as it was.
pub(super) fn write_switches<'r>(
    report: &'r Report,
    proven: &[&'r Switch],
    overrides: &Overrides,
) -> anyhow::Result<Written<'r>> {
    let id = report.provider.as_str();
    let mut edit = Edit::begin(overrides, &ProcessEnvironment)?;
    if edit.text().get(&["providers", id]).is_none() {
        // It came from its key variable; a table for it has to say which preset it is.
        edit.set(&["providers", id, "preset"], id)?;
    }
    let mut written = Written {
        written: Vec::new(),
        without_effect: Vec::new(),
    };
    for switch in proven {
        let path = ["providers", id, "profile", switch.key];
        let before = edit.text().get(&path).cloned();
        edit.set(&path, switch.value.clone())?;
        let settings = edit.settings()?;
        let provider = settings.catalog.provider(id);
        let takes_effect = provider.is_some_and(|provider| {
            let model = provider.model(&report.model);
            let profile = provider.profile_for(model.map(AsRef::as_ref));
            profile.get(switch.key) == Some(&switch.value)
        });
        if takes_effect {
            written.written.push(switch);
            continue;
        }
        match before {
            Some(before) => edit.set(&path, before)?,
            None => {
                edit.remove(&path)?;
            }
        }
        written.without_effect.push(switch);
    }
    if !written.written.is_empty() {
        edit.save()?;
    }
    Ok(written)
}
