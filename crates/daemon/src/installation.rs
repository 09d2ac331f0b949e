//! Which unit files were written, so that only these are taken away again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::DaemonError;
use crate::files::{read_json, write_json, write_public};
use crate::units::UnitKind;

/// What was written for a service, remembered in a file of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The unit files.
    pub units: Vec<Installed>,
}

/// A unit file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// For which system.
    pub kind: UnitKind,
    /// The file.
    pub path: PathBuf,
    /// The SHA-256 of what was written, in hexadecimal.
    sha256: String,
}

/// What stands at the place of a unit file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// No file.
    Missing,
    /// What was written there.
    Ours,
    /// What was written there, changed by somebody since.
    Changed,
    /// A file that was never written by us.
    Foreign,
}

impl Installation {
    /// Reads what was remembered.
    ///
    /// # Errors
    /// The file cannot be read or is not ours.
    pub fn read(path: &Path) -> Result<Self, DaemonError> {
        Ok(read_json(path)?.unwrap_or_default())
    }

    /// What stands at this place.
    ///
    /// # Errors
    /// There is something that cannot be read.
    pub fn state_of(&self, unit: &Path) -> Result<UnitState, DaemonError> {
        let found = match fs::read(unit) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(UnitState::Missing),
            Err(source) => return Err(DaemonError::read(unit, source)),
        };
        match self.units.iter().find(|installed| installed.path == unit) {
            Some(installed) if installed.sha256 == sha256(&found) => Ok(UnitState::Ours),
            Some(_) => Ok(UnitState::Changed),
            None => Ok(UnitState::Foreign),
        }
    }

    /// Writes a unit file, and remembers that in `record` first: a crash in between leaves a memory of a file that is not there, which is harmless, and never
    /// a file that nobody remembers.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_unit(
        &mut self,
        record: &Path,
        kind: UnitKind,
        unit: &Path,
        text: &str,
    ) -> Result<(), DaemonError> {
        self.units.retain(|installed| installed.path != unit);
        self.units.push(Installed {
            kind,
            path: unit.to_owned(),
            sha256: sha256(text.as_bytes()),
        });
        write_json(record, self)?;
        write_public(unit, text)
    }

    /// Removes a unit file, if it is there, and forgets it.
    ///
    /// # Errors
    /// It cannot be removed, or the memory not be written.
    pub fn remove_unit(&mut self, record: &Path, unit: &Path) -> Result<(), DaemonError> {
        match fs::remove_file(unit) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(DaemonError::Remove {
                    path: unit.to_owned(),
                    source,
                });
            }
        }
        self.units.retain(|installed| installed.path != unit);
        write_json(record, self)
    }
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_ours_until_somebody_changes_it() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("state/service.json");
        let unit = folder.path().join("systemd/user/polywire.service");
        let mut installation = Installation::read(&record).unwrap();
        assert_eq!(installation.state_of(&unit).unwrap(), UnitState::Missing);
        installation
            .write_unit(&record, UnitKind::Systemd, &unit, "[Unit]\n")
            .unwrap();
        let mut read = Installation::read(&record).unwrap();
        assert_eq!(read, installation);
        assert_eq!(read.state_of(&unit).unwrap(), UnitState::Ours);
        fs::write(&unit, "[Unit]\n# mine\n").unwrap();
        assert_eq!(read.state_of(&unit).unwrap(), UnitState::Changed);
        read.remove_unit(&record, &unit).unwrap();
        assert_eq!(read.state_of(&unit).unwrap(), UnitState::Missing);
        assert_eq!(
            Installation::read(&record).unwrap(),
            Installation::default()
        );
        fs::write(&unit, "[Unit]\n").unwrap();
        assert_eq!(read.state_of(&unit).unwrap(), UnitState::Foreign);
    }
}
