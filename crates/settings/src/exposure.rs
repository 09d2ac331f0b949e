//! Secrets in a settings file that others can read.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use polywire_credentials::{is_private, secret_places};
use toml::Table;

use crate::SettingsError;
use crate::file::{ConfigFile, KeyForm};

/// A key or a password in a file that others can read is no secret any more: better said at once than found out later.
pub(crate) fn refuse(
    path: &Path,
    config: &ConfigFile,
    providers: &BTreeMap<String, Table>,
) -> Result<(), SettingsError> {
    let Some(exposed) = secret_in_file(path, config, providers) else {
        return Ok(());
    };
    match is_private(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(exposed),
        // A text that is not written yet: the file is made private.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SettingsError::ReadConfig {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What to say of the first secret that stands in the file itself, should others be able to read it.
fn secret_in_file(
    path: &Path,
    config: &ConfigFile,
    providers: &BTreeMap<String, Table>,
) -> Option<SettingsError> {
    let path = path.to_owned();
    let search = config.search.as_ref().and_then(|table| table.key.as_ref());
    if matches!(search, Some(KeyForm::Literal(_))) {
        let provider = "search".to_owned();
        return Some(SettingsError::Exposed { path, provider });
    }
    let mut places = providers.iter().flat_map(|(id, table)| {
        let places = secret_places(table).into_iter();
        places.map(move |place| (id.clone(), place.join(".")))
    });
    let (provider, place) = places.next()?;
    Some(match place.as_str() {
        "key" => SettingsError::Exposed { path, provider },
        "proxy" => SettingsError::ExposedProxy { path, provider },
        _ => SettingsError::ExposedSecret {
            path,
            place: format!("providers.{provider}.{place}"),
        },
    })
}
