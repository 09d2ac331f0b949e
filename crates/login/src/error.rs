//! What can be wrong with a login.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A login cannot be used, renewed, made or revoked. Each says what is wrong, where, and the way out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no file.
    #[error("there is no Codex login at `{}`\nhint: run `polywire login`", path.display())]
    NoLogin {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is no file because Codex keeps its login in the system's keyring.
    #[error(
        "there is no Codex login at `{}`: `cli_auth_credentials_store = \"{store}\"` in `{}` keeps it in the system's keyring, which polywire does not read\nhint: write `cli_auth_credentials_store = \"file\"` there and run `polywire login`",
        path.display(), config.display()
    )]
    InKeyring {
        /// Where the login would be.
        path: PathBuf,
        /// Codex's settings.
        config: PathBuf,
        /// What they say: `keyring` or `auto`.
        store: String,
    },
    /// The file cannot be read.
    #[error("the Codex login `{}` could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file does not hold what Codex writes.
    #[error("the Codex login `{}` cannot be understood: {reason}\nhint: run `polywire login` to write it anew", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; nothing of what it holds.
        reason: String,
    },
    /// It is a login by API key, which belongs to another back end.
    #[error("the Codex login `{}` is one by API key, and this needs one by ChatGPT\nhint: for the key use the provider preset `openai`; for a ChatGPT plan run `polywire login`", path.display())]
    ApiKey {
        /// The file.
        path: PathBuf,
    },
    /// It is a login of a kind that polywire does not know.
    #[error("the Codex login `{}` is of the kind `{mode}`, and this needs one by ChatGPT\nhint: run `polywire login`", path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// Its `auth_mode`.
        mode: String,
    },
    /// The file says ChatGPT and holds no token.
    #[error("the Codex login `{}` holds no access token\nhint: run `polywire login`", path.display())]
    NoTokens {
        /// The file.
        path: PathBuf,
    },
    /// The token ended, or the back end refused it, and there is none to renew it with.
    #[error("the token in the Codex login `{}` is good no more, and there is no refresh token to renew it with\nhint: run `polywire login`", path.display())]
    NoRefreshToken {
        /// The file.
        path: PathBuf,
    },
    /// The issuer will not renew this login, now or later. It is not asked again.
    #[error("the Codex login `{}` cannot be renewed any more: the issuer refuses it (`{code}`)\nhint: run `polywire login`", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The issuer's code, such as `refresh_token_reused`.
        code: String,
    },
    /// The login was not renewed, and may be later.
    #[error("the Codex login `{}` could not be renewed for now: {reason}\nhint: try again soon; if it stays so, run `polywire login`", path.display())]
    NotRenewed {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// The issuer was asked and its answer never came, so that the refresh token may be spent.
    #[error("the Codex login `{}` could not be renewed: the issuer was asked and its answer was lost ({reason})\nhint: try again in a minute; if the login is refused then, run `polywire login`", path.display())]
    AnswerLost {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// Another program holds the lock.
    #[error("another program is renewing the Codex login: it holds `{}` for more than {} s\nhint: `fuser {}` tells which one it is", path.display(), wait.as_secs(), path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// How long we waited.
        wait: Duration,
    },
    /// The file cannot be written. Found out before anything is asked of the issuer.
    #[error("the Codex login `{}` could not be written", path.display())]
    Write {
        /// The file, or the lock beside it.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A new login was not finished.
    #[error("the login was not finished: {reason}\nhint: {hint}")]
    NotFinished {
        /// What happened.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// No port for the browser to come back to is free.
    #[error(
        "no port is free for the browser to come back to: tried {ports:?}\nhint: end the other login that waits, or use `polywire login --device-auth`"
    )]
    NoPort {
        /// The ports that were tried.
        ports: Vec<u16>,
        /// Why the last one failed.
        source: Arc<io::Error>,
    },
    /// Something else that was asked of the issuer or of the back end failed.
    #[error("{what} failed: {reason}")]
    Asked {
        /// What was asked.
        what: &'static str,
        /// What happened.
        reason: String,
    },
}

impl LoginError {
    /// Whether only a new login helps. Everything else may pass by itself.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::NoLogin { .. }
            | Self::InKeyring { .. }
            | Self::Unreadable { .. }
            | Self::ApiKey { .. }
            | Self::OtherKind { .. }
            | Self::NoTokens { .. }
            | Self::NoRefreshToken { .. }
            | Self::Refused { .. } => true,
            Self::Read { .. }
            | Self::NotRenewed { .. }
            | Self::AnswerLost { .. }
            | Self::Locked { .. }
            | Self::Write { .. }
            | Self::NotFinished { .. }
            | Self::NoPort { .. }
            | Self::Asked { .. } => false,
        }
    }
}
