//! Reading the login of a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::document::{Document, Mode, Tokens, is_due};
use crate::{Access, LoginError, LoginState, Places};
use jiff::Timestamp;

/// A login by ChatGPT as its file had it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) document: Document,
    pub(crate) tokens: Tokens,
    pub(crate) access: Access,
}

/// Reads the login, once.
///
/// [`LoginError::Unreadable`] may pass: Codex writes over the old contents, so that a reader can meet half a file for a moment.
pub(crate) fn read(places: &Places) -> Result<Stored, LoginError> {
    let path = places.file();
    let document = document(&path)?.ok_or_else(|| missing(places))?;
    Stored::new(document, &path)
}

/// What the file holds, whatever kind of login it is; `None` when there is no file.
pub(crate) fn document(path: &Path) -> Result<Option<Document>, LoginError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // What is no text is no JSON either.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(source) => {
            return Err(LoginError::Read {
                path: path.to_owned(),
                source: Arc::new(source),
            });
        }
    };
    let document = Document::parse(&text).map_err(|error| LoginError::Unreadable {
        path: path.to_owned(),
        // The library's own words may quote a token.
        reason: format!(
            "it is not the JSON that it should be (line {}, column {})",
            error.line(),
            error.column()
        ),
    })?;
    Ok(Some(document))
}

/// Why there may be no file.
pub(crate) fn missing(places: &Places) -> LoginError {
    let (path, config) = (places.file(), places.config());
    match store_of(&config) {
        Some(store) if store == "keyring" || store == "auto" => LoginError::InKeyring {
            path,
            config,
            store,
        },
        Some(_) | None => LoginError::NoLogin { path },
    }
}

/// Where Codex's settings say that it keeps its login.
pub(crate) fn store_of(config: &Path) -> Option<String> {
    let config: toml::Table = std::fs::read_to_string(config).ok()?.parse().ok()?;
    let store = config.get("cli_auth_credentials_store")?.as_str()?;
    Some(store.to_owned())
}

impl Stored {
    pub(crate) fn new(document: Document, path: &Path) -> Result<Self, LoginError> {
        let path = || path.to_owned();
        match document.mode() {
            Mode::ChatGpt => {}
            Mode::ApiKey => return Err(LoginError::ApiKey { path: path() }),
            Mode::Other(mode) => {
                let mode = crate::ask::quoted(&mode);
                return Err(LoginError::OtherKind { path: path(), mode });
            }
        }
        let tokens = document
            .tokens()
            .ok_or_else(|| LoginError::NoTokens { path: path() })?;
        Ok(Self {
            access: access(&tokens),
            document,
            tokens,
        })
    }

    /// Whether the token has to be renewed before it is used.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        is_due(self.access.expires_at, self.document.last_refresh(), now)
    }

    /// Whether the token still serves, as far as it says.
    pub(crate) fn still_serves(&self, now: Timestamp) -> bool {
        self.access
            .expires_at
            .is_none_or(|end| end > now.as_second())
    }

    pub(crate) fn state(
        &self,
        path: PathBuf,
        refused: Option<String>,
        unwritten: bool,
    ) -> LoginState {
        LoginState {
            path,
            account_id: self.access.account_id.clone(),
            email: self
                .tokens
                .id_claims()
                .email
                .or_else(|| self.tokens.access_claims().email),
            plan: self.access.plan.clone(),
            is_fedramp: self.access.is_fedramp,
            expires_at: self.access.expires_at,
            last_refresh: self.document.last_refresh().map(Timestamp::as_second),
            can_be_renewed: self.tokens.refresh.is_some(),
            refused,
            unwritten,
        }
    }
}

/// What a request needs. The account: as the file says, else as the tokens say (seed-behaviours.md A4.19).
fn access(tokens: &Tokens) -> Access {
    let (id, access) = (tokens.id_claims(), tokens.access_claims());
    Access {
        token: tokens.access.clone(),
        account_id: tokens
            .account_id
            .clone()
            .or(id.account_id)
            .or(access.account_id),
        is_fedramp: id.is_fedramp || access.is_fedramp,
        plan: id.plan.or(access.plan),
        expires_at: access.expires_at,
    }
}
