//! The Codex login in `auth.json`: read, renewed, made and revoked, side by side with Codex itself.
//!
//! Several programs use one file: Codex, several polywires, editors. So the file is read anew for every request, renewed under
//! Codex's own lock, and written atomically. The refresh token is good for one use: whoever renews writes down the next one before
//! letting go of the lock.
//!
//! The environment is not read here: values arrive in [`Places`]. Nor is anything shown: the caller prints addresses and codes.
//!
//! Reading order: [`CodexLogin`], `file` and `document` (what is stored), `shared`, `renewal` and `memory` (when the issuer is asked), `rewrite` and
//! `lock` (how it is written), [`BrowserLogin`] and [`DeviceLogin`] (new logins), `account` (stored, revoked).

mod account;
mod ask;
mod browser;
mod claims;
mod device;
mod document;
mod error;
mod exchange;
mod file;
mod lock;
mod login;
mod members;
mod memory;
mod places;
mod renewal;
mod rewrite;
mod shared;
mod unwritten;
mod url;
mod usage;

use polywire_credentials::Secret;

pub use account::{LoggedIn, LoggedOut, Revoked};
pub use browser::BrowserLogin;
pub use device::DeviceLogin;
pub use error::LoginError;
pub use exchange::NewLogin;
pub use login::CodexLogin;
pub use places::{BACK_END, CALLBACK_PORTS, ISSUER, Limits, Places, REVOKE_URL, TOKEN_URL};
pub use usage::{Credits, NamedLimit, RateLimit, Usage, Window};

/// What a request to the back end needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The bearer token.
    pub token: Secret,
    /// The account, for the header `chatgpt-account-id`.
    pub account_id: Option<String>,
    /// Whether the account is a FedRAMP one, which is told in the header `X-OpenAI-Fedramp: true`.
    pub is_fedramp: bool,
    /// The plan as the login says it: `plus`, `pro`, `team`. It may have changed since.
    pub plan: Option<String>,
    /// When the token ends, in seconds since 1970, if it says so.
    pub expires_at: Option<i64>,
}

/// What a login's file says. No token is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginState {
    /// The file.
    pub path: std::path::PathBuf,
    /// The account.
    pub account_id: Option<String>,
    /// Whose it is.
    pub email: Option<String>,
    /// The plan as the login says it.
    pub plan: Option<String>,
    /// Whether the account is a FedRAMP one.
    pub is_fedramp: bool,
    /// When the token ends, in seconds since 1970, if it says so.
    pub expires_at: Option<i64>,
    /// When it was renewed last, in seconds since 1970.
    pub last_refresh: Option<i64>,
    /// Whether there is a refresh token.
    pub can_be_renewed: bool,
    /// The issuer's code, when it refused in this process to renew the login ever again.
    pub refused: Option<String>,
    /// Whether the tokens were renewed and could not be written: those in the file are spent, and these end with the process.
    pub unwritten: bool,
}
