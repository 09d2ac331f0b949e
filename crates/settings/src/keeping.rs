//! What polywire keeps of turns, and for how long.

use std::path::PathBuf;

use crate::Overrides;
use crate::file::{ConfigFile, ReceiptsTable, StoreTable};
use crate::load::Loading;
use crate::providers::expand;
use crate::{SettingsError, ValueOrigin};

/// Where turns are kept, and what of stored responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The file.
    pub path: PathBuf,
    /// Whether responses are stored, for `previous_response_id`. Without it a client has to send the whole conversation.
    pub responses: bool,
    /// How many days a response is kept.
    pub max_age_days: u32,
    /// The most megabytes (of 1,000,000 bytes) of all responses together.
    pub max_mb: u32,
}

/// What is kept of receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptSettings {
    /// Whether receipts are kept.
    pub enabled: bool,
    /// How many days a receipt is kept.
    pub max_age_days: u32,
    /// The most receipts.
    pub max_count: u32,
}

impl StoreSettings {
    fn usual(path: PathBuf) -> Self {
        Self {
            path,
            responses: true,
            max_age_days: 30,
            max_mb: 500,
        }
    }
}

impl Default for ReceiptSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            max_age_days: 90,
            max_count: 100_000,
        }
    }
}

impl Loading<'_> {
    pub(crate) fn store(&mut self, config: &ConfigFile) -> Result<StoreSettings, SettingsError> {
        let StoreTable {
            path,
            responses,
            max_age_days,
            max_mb,
        } = &config.store;
        let usual = StoreSettings::usual(self.paths.state_dir.join("polywire.sqlite3"));
        let path = self.first(
            "store.path",
            ("", None),
            (
                "POLYWIRE_STORE",
                self.variable("POLYWIRE_STORE").map(PathBuf::from),
            ),
            path.clone(),
        );
        // The shell has expanded what a variable holds, and there relative means where the user is.
        let in_file = matches!(self.origins.get("store.path"), Some(ValueOrigin::File(_)));
        let path = match path {
            Some(path) if in_file => {
                let home = self.environment.home();
                expand(&path, &self.paths.config_dir, home.as_deref())
            }
            Some(path) => path,
            None => usual.path,
        };
        Ok(StoreSettings {
            path,
            responses: self
                .in_file("store.responses", *responses)
                .unwrap_or(usual.responses),
            max_age_days: self
                .at_least_one("store.max_age_days", *max_age_days, RESPONSES_OFF)?
                .unwrap_or(usual.max_age_days),
            max_mb: self
                .at_least_one("store.max_mb", *max_mb, RESPONSES_OFF)?
                .unwrap_or(usual.max_mb),
        })
    }

    pub(crate) fn receipts(
        &mut self,
        config: &ConfigFile,
    ) -> Result<ReceiptSettings, SettingsError> {
        let ReceiptsTable {
            enabled,
            max_age_days,
            max_count,
        } = &config.receipts;
        let usual = ReceiptSettings::default();
        Ok(ReceiptSettings {
            enabled: self
                .in_file("receipts.enabled", *enabled)
                .unwrap_or(usual.enabled),
            max_age_days: self
                .at_least_one("receipts.max_age_days", *max_age_days, RECEIPTS_OFF)?
                .unwrap_or(usual.max_age_days),
            max_count: self
                .at_least_one("receipts.max_count", *max_count, RECEIPTS_OFF)?
                .unwrap_or(usual.max_count),
        })
    }

    pub(crate) fn strict(
        &mut self,
        overrides: &Overrides,
        config: &ConfigFile,
    ) -> Result<bool, SettingsError> {
        let option = overrides.strict.then_some(true);
        let in_environment = match self.variable("POLYWIRE_STRICT") {
            Some(word) => Some(parse_truth(&word)?),
            None => None,
        };
        let strict = self.first(
            "strict",
            ("--strict", option),
            ("POLYWIRE_STRICT", in_environment),
            config.strict,
        );
        Ok(strict.unwrap_or(false))
    }

    /// A number that makes no sense as 0. `way_out` tells what was probably meant.
    pub(crate) fn at_least_one(
        &mut self,
        key: &str,
        number: Option<u32>,
        way_out: &str,
    ) -> Result<Option<u32>, SettingsError> {
        match self.in_file(key, number) {
            Some(0) => Err(self.value_error(
                key,
                "must be at least 1".to_owned(),
                Some(way_out.to_owned()),
            )),
            number => Ok(number),
        }
    }
}

const RESPONSES_OFF: &str = "to store no responses, write `responses = false` under [store]";
const RECEIPTS_OFF: &str = "to keep no receipts, write `enabled = false` under [receipts]";

fn parse_truth(word: &str) -> Result<bool, SettingsError> {
    match word.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(SettingsError::Value {
            place: "POLYWIRE_STRICT".to_owned(),
            message: format!("strict is `true` or `false`, not `{word}`"),
            hint: None,
        }),
    }
}
