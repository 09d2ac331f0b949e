//! Where a login is kept, and who renews it.

use std::path::PathBuf;
use std::time::Duration;

/// Where Codex renews logins.
pub const TOKEN_URL: &str = "https://auth.openai.com/oauth/token";

/// Where Codex revokes logins.
pub const REVOKE_URL: &str = "https://auth.openai.com/oauth/revoke";

/// Who issues logins.
pub const ISSUER: &str = "https://auth.openai.com";

/// What serves models to logins; Codex's own path, `/codex`, is below it.
pub const BACK_END: &str = "https://chatgpt.com/backend-api";

/// The ports that a browser may be sent back to. The issuer takes no others from Codex's client id.
pub const CALLBACK_PORTS: [u16; 2] = [1455, 1457];

/// The client id of Codex. A login that is to serve Codex as well has to be made and renewed under it.
pub(crate) const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// Where a login is kept, and who renews it. The caller reads the environment and fills this in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Codex's own folder: `CODEX_HOME`, else `~/.codex`. The login is `auth.json` in it.
    pub codex_home: PathBuf,
    /// Where a login is renewed: `CODEX_REFRESH_TOKEN_URL_OVERRIDE`, else [`TOKEN_URL`].
    pub token_url: String,
    /// Where a login is revoked: `CODEX_REVOKE_TOKEN_URL_OVERRIDE`, else [`REVOKE_URL`].
    pub revoke_url: String,
    /// Who issues logins; without a slash at the end.
    pub issuer: String,
    /// What tells a login's limits; without a slash at the end.
    pub back_end: String,
    /// The ports that a browser may be sent back to, the first that is free.
    pub callback_ports: Vec<u16>,
}

impl Places {
    /// The usual places for logins in this folder.
    pub fn new(codex_home: impl Into<PathBuf>) -> Self {
        Self {
            codex_home: codex_home.into(),
            token_url: TOKEN_URL.to_owned(),
            revoke_url: REVOKE_URL.to_owned(),
            issuer: ISSUER.to_owned(),
            back_end: BACK_END.to_owned(),
            callback_ports: CALLBACK_PORTS.to_vec(),
        }
    }

    /// The file that holds the login.
    pub fn file(&self) -> PathBuf {
        self.codex_home.join("auth.json")
    }

    /// The place that Codex's settings name for its login (`cli_auth_credentials_store`), when that is not the file.
    pub fn stored_elsewhere(&self) -> Option<String> {
        crate::file::store_of(&self.config()).filter(|store| store != "file")
    }

    /// Codex's settings, which say where it keeps its login.
    pub(crate) fn config(&self) -> PathBuf {
        self.codex_home.join("config.toml")
    }
}

/// How long things may take. The defaults are right for everybody; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long to wait for the lock while another program renews the login. It takes a second or two; a program that was stopped
    /// while it held the lock never lets go.
    pub lock_wait: Duration,
    /// How long the issuer may take to answer. Long, because an answer that comes after we gave up is lost, and the refresh token with
    /// it.
    pub answer_wait: Duration,
    /// How long turns wait for a renewal while the old token still serves, from its beginning. The renewal goes on without them.
    pub patience: Duration,
    /// How long nothing is asked after a renewal failed for now.
    pub pause: Duration,
    /// How long to wait, after the issuer says that a refresh token was used, for the program that used it to write down what it got.
    pub other_writer: Duration,
    /// How long nothing is asked after an answer was lost.
    pub pause_after_loss: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(30),
            answer_wait: Duration::from_mins(1),
            patience: Duration::from_secs(10),
            pause: Duration::from_secs(10),
            other_writer: Duration::from_secs(5),
            pause_after_loss: Duration::from_mins(1),
        }
    }
}
