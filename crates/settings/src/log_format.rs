//! How the log is written.

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// A word that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is written as `text` or `json`, not as `{0}`")]
pub struct UnknownLogFormat(String);

impl LogFormat {
    /// Reads `text` or `json`.
    ///
    /// # Errors
    /// The word is neither.
    pub fn parse(word: &str) -> Result<Self, UnknownLogFormat> {
        match word.trim() {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(UnknownLogFormat(other.to_owned())),
        }
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}
