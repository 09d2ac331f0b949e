//! What can be wrong with a file that is to be imported.

/// A file that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is not JSON.
    #[error("line {line}, column {column}: {message}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// It is JSON, and neither a bundle nor a file of the Codex Launcher.
    #[error(
        "this is neither a bundle of polywire nor a file of the Codex Launcher\nhint: bundles begin with `\"polywire_bundle\"`; the launcher's files have `\"endpoints\"`"
    )]
    Unknown,
    /// It was made by a newer polywire, or another program.
    #[error(
        "the bundle has version {found}, and this polywire knows version {known}\nhint: update polywire"
    )]
    Version {
        /// The version that it has.
        found: String,
        /// The version that is known.
        known: u64,
    },
    /// Some values are not what they should be: each with its place.
    #[error("{}", .0.join("\n"))]
    Values(Vec<String>),
}

impl From<serde_json::Error> for BundleError {
    fn from(error: serde_json::Error) -> Self {
        let whole = error.to_string();
        let message = whole
            .rsplit_once(" at line ")
            .map_or(whole.as_str(), |(message, _)| message);
        BundleError::NotJson {
            line: error.line(),
            column: error.column(),
            message: message.to_owned(),
        }
    }
}

/// The secrets of a bundle could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another passphrase was used when it was made.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// Something in the bundle is not as it was when it was made: its secrets could go to somebody else's address.
    #[error(
        "the bundle was changed after it was made, and its secrets stay closed\nhint: `--without-secrets` imports what can be read, without keys; look at its addresses first"
    )]
    Changed,
    /// The sealed part is not one that this version can read.
    #[error("the sealed part cannot be read: {0}")]
    Unreadable(&'static str),
}
