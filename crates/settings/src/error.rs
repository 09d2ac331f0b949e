//! What can be wrong with the settings.

use std::io;
use std::path::PathBuf;

/// The settings could not be read. The message names the place and, where there is one, the way out on a line of its own.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no home folder to look in.
    #[error("there is no home folder; set `HOME` or `{variable}`")]
    NoHome {
        /// The variable that could stand in for it.
        variable: &'static str,
    },
    /// The user named a settings file that is not there.
    #[error("the settings file `{}` does not exist", path.display())]
    ConfigMissing {
        /// The file.
        path: PathBuf,
    },
    /// The settings file could not be read.
    #[error("the settings file `{}` could not be read", path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The settings file is not what it should be.
    #[error("{}:{line}:{column}: {message}{}", path.display(), on_its_line(hint.as_deref()))]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// A value makes no sense.
    #[error("{place}: {message}{}", on_its_line(hint.as_deref()))]
    Value {
        /// Where the value stands: a file and a dotted key, a variable, or an option.
        place: String,
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// A key stands in a file that others can read.
    #[error(
        "`{}` holds the key of `{provider}`, and others can read the file\nhint: run `chmod 600 {}`, or use `key = {{ env = \"…\" }}`",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The provider whose key it is.
        provider: String,
    },
    /// Another secret stands in a file that others can read.
    #[error(
        "`{}` holds a secret in `{place}`, and others can read the file\nhint: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    ExposedSecret {
        /// The file.
        path: PathBuf,
        /// The dotted key at which it stands.
        place: String,
    },
    /// The password of a proxy stands in a file that others can read.
    #[error(
        "`{}` holds the password of the proxy of `{provider}`, and others can read the file\nhint: run `chmod 600 {}`",
        path.display(), path.display()
    )]
    ExposedProxy {
        /// The file.
        path: PathBuf,
        /// The provider that is reached through the proxy.
        provider: String,
    },
}

fn on_its_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
