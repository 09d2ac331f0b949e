//! How much is kept of a log that goes to a file.

use crate::SettingsError;
use crate::file::{ConfigFile, LogFileTable};
use crate::load::Loading;

/// How much is kept of a log that goes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFileSettings {
    /// The most megabytes (of 1,000,000 bytes) of one file; then the next one is begun.
    pub max_mb: u32,
    /// How many older files are kept beside it.
    pub keep: u32,
}

/// A turn's line has some 600 bytes: ten megabytes hold more than ten thousand turns, and all files together stay below what anybody misses.
impl Default for LogFileSettings {
    fn default() -> Self {
        Self {
            max_mb: 10,
            keep: 4,
        }
    }
}

impl Loading<'_> {
    pub(crate) fn log_file(
        &mut self,
        config: &ConfigFile,
    ) -> Result<LogFileSettings, SettingsError> {
        let LogFileTable { max_mb, keep } = &config.log_file;
        let usual = LogFileSettings::default();
        Ok(LogFileSettings {
            max_mb: self
                .at_least_one("log_file.max_mb", *max_mb, LOG_QUIET)?
                .unwrap_or(usual.max_mb),
            keep: self.in_file("log_file.keep", *keep).unwrap_or(usual.keep),
        })
    }
}

const LOG_QUIET: &str =
    "to log less, write `log = \"warn\"`; to keep no older files, `keep = 0` under [log_file]";
