//! Where the gateway in the background keeps what is its own.

use std::path::{Path, PathBuf};

/// The files of the gateway in the background, all in polywire's folder for state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// What runs, and how it was started.
    pub state_file: PathBuf,
    /// Held by whoever starts or stops the gateway.
    pub lock_file: PathBuf,
    /// The gateway's log; older parts of it have `.1`, `.2`, … behind the name.
    pub log_file: PathBuf,
    /// Which unit files were written, and what stood in them.
    pub service_file: PathBuf,
}

impl Places {
    /// The places in this folder.
    pub fn in_folder(state_dir: &Path) -> Self {
        Self {
            state_file: state_dir.join("gateway.json"),
            lock_file: state_dir.join("gateway.lock"),
            log_file: state_dir.join("gateway.log"),
            service_file: state_dir.join("service.json"),
        }
    }
}
