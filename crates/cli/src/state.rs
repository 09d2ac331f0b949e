//! The store of the settings: where it is and how much it keeps.

use std::time::Duration;

use polywire_settings::Settings;
use polywire_store::{Limits, Store};

/// Opens the store; makes it where it is missing.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<Store> {
    Ok(Store::open(&settings.store.path, limits(settings))?)
}

/// Opens the store when there is one. Who only looks makes none.
pub(crate) fn open_existing(settings: &Settings) -> anyhow::Result<Option<Store>> {
    if settings.store.path.exists() {
        open(settings).map(Some)
    } else {
        Ok(None)
    }
}

fn limits(settings: &Settings) -> Limits {
    let days = |days: u32| Duration::from_hours(24) * days;
    Limits {
        responses_age_max: days(settings.store.max_age_days),
        responses_bytes_max: u64::from(settings.store.max_mb) * 1_000_000,
        receipts_age_max: days(settings.receipts.max_age_days),
        receipts_count_max: u64::from(settings.receipts.max_count),
        ..Limits::default()
    }
}
