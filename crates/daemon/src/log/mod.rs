//! The log of a gateway that has no terminal: written with an end to its size, read through its changes of file.

mod follow;
mod rotate;

pub use follow::{Follower, Gap};
pub use rotate::{LogLimits, RotatingLog, append_private};

use std::path::{Path, PathBuf};

/// Where the n-th older part of a log is; the log itself for 0.
fn part(path: &Path, age: usize) -> PathBuf {
    if age == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{age}"));
    name.into()
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}
