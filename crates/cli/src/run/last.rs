//! What was picked last, so that it is where the next question begins.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use polywire_client_files::replace_atomically;
use polywire_credentials::make_private_folder;
use polywire_settings::Settings;
use serde::{Deserialize, Serialize};

use crate::logging::note;

/// The choices of the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LastChoice {
    /// The client, by its word on the command line.
    pub(crate) client: Option<String>,
    /// The provider's id.
    pub(crate) provider: Option<String>,
    /// The model of each provider that was ever picked.
    pub(crate) models: BTreeMap<String, String>,
}

/// The choices of the last time, and those of this time, which begin as they were.
pub(crate) struct Memory {
    before: LastChoice,
    /// What is chosen this time.
    pub(crate) choice: LastChoice,
}

impl Memory {
    /// Reads it. Only a convenience: whatever is wrong with the file, there is no last choice then.
    pub(crate) fn read(settings: &Settings) -> Self {
        let text = fs::read(path(settings)).unwrap_or_default();
        let before: LastChoice = serde_json::from_slice(&text).unwrap_or_default();
        Self {
            choice: before.clone(),
            before,
        }
    }

    /// Remembers what was chosen. That this fails is told, and no reason not to launch anything.
    pub(crate) fn keep(&self, settings: &Settings) {
        if self.choice != self.before
            && let Err(error) = self.choice.write(settings)
        {
            note(format_args!(
                "warning: the choice is not remembered: {error:#}"
            ));
        }
    }
}

impl LastChoice {
    /// Remembers it, in one step, so that two at once leave the choice of one of them.
    fn write(&self, settings: &Settings) -> anyhow::Result<()> {
        let path = path(settings);
        let folder = &settings.paths.state_dir;
        make_private_folder(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
        replace_atomically(&path, &serde_json::to_vec(self)?, 0o600)?;
        Ok(())
    }
}

fn path(settings: &Settings) -> PathBuf {
    settings.paths.state_dir.join("last-choice.json")
}
