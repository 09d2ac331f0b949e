//! What a request shows to be let in: a key, or a login.

use std::error::Error as _;
use std::sync::Arc;

use polywire_catalog::{Auth, Provider};
use polywire_conversation::{Fault, FaultClass, Origin};
use polywire_credentials::{KeySource, Secret, on_one_line};
use polywire_login::{Access, CodexLogin, LoginError};
use polywire_upstream::{HeaderMap, HeaderName, HeaderValue, Upstream, root_cause};
use tokio::sync::Mutex;

use crate::state::Variables;

const ACCOUNT: HeaderName = HeaderName::from_static("chatgpt-account-id");
const FEDRAMP: HeaderName = HeaderName::from_static("x-openai-fedramp");

/// Where credentials of a provider come from.
pub(crate) enum Credentials {
    /// It lets everybody in.
    None,
    /// A key, looked up when it is first needed and kept until it is refused.
    Key(Key),
    /// A login, which renews itself.
    Login(CodexLogin),
    /// A login of which the configuration does not say where it is.
    NoLogin,
}

/// A key that is looked up when it is first needed and kept until it is refused.
pub(crate) struct Key {
    source: KeySource,
    variables: Variables,
    known: Mutex<Option<Secret>>,
}

/// What one request shows.
#[derive(Clone)]
pub(crate) enum Credential {
    None,
    Key(Secret),
    Login(Access),
}

impl Credential {
    /// What must not be told to anybody.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Credential::None => None,
            Credential::Key(key) => Some(key),
            Credential::Login(access) => Some(&access.token),
        }
    }

    /// A name for the account that tells nothing about it; empty when there is none. Tokens of a login change by the hour, and what
    /// the account was given stays its own, so a login goes by its account.
    pub(crate) fn account(&self) -> String {
        match self {
            Credential::None => String::new(),
            Credential::Key(key) => key.fingerprint(),
            Credential::Login(access) => access
                .account_id
                .as_ref()
                .map(|id| Secret::new(id).fingerprint())
                .unwrap_or_default(),
        }
    }
}

impl Credentials {
    pub(crate) fn new(
        provider: &Provider,
        key: KeySource,
        login: Option<CodexLogin>,
        variables: &Variables,
    ) -> Self {
        match (&provider.auth, login) {
            (Auth::None, _) => Credentials::None,
            (Auth::Login, Some(login)) => Credentials::Login(login),
            (Auth::Login, None) => Credentials::NoLogin,
            (Auth::Bearer | Auth::Header { .. }, _) => Credentials::Key(Key {
                source: key,
                variables: Arc::clone(variables),
                known: Mutex::new(None),
            }),
        }
    }

    /// What the next request shows.
    ///
    /// # Errors
    /// The key cannot be had, or nobody is logged in.
    pub(crate) async fn get(
        &self,
        provider: &Provider,
        upstream: &Upstream,
    ) -> Result<Credential, Fault> {
        match self {
            Credentials::None => Ok(Credential::None),
            Credentials::Key(key) => Ok(key
                .get(provider)
                .await?
                .map_or(Credential::None, Credential::Key)),
            // Boxed: a renewal is rare, and every turn would have to carry it.
            Credentials::Login(login) => Box::pin(login.access(upstream))
                .await
                .map(Credential::Login)
                .map_err(|error| no_login(provider, &error)),
            Credentials::NoLogin => Err(crate::fault::ours(format!(
                "the configuration does not say where the login of provider `{}` is",
                provider.id
            ))),
        }
    }

    /// What to show after this was refused, if anything else can be had.
    ///
    /// # Errors
    /// The login is not valid any more.
    pub(crate) async fn after_refusal(
        &self,
        refused: &Credential,
        provider: &Provider,
        upstream: &Upstream,
    ) -> Result<Option<Credential>, Fault> {
        match (self, refused) {
            (Credentials::Login(login), Credential::Login(access)) => login
                .after_unauthorized(access, upstream)
                .await
                .map(|access| Some(Credential::Login(access)))
                .map_err(|error| no_login(provider, &error)),
            (
                Credentials::None
                | Credentials::Key(_)
                | Credentials::Login(_)
                | Credentials::NoLogin,
                _,
            ) => Ok(None),
        }
    }

    /// Whether there is something to show, as far as can be told without asking anybody.
    pub(crate) async fn are_there(&self, provider: &Provider) -> bool {
        match self {
            Credentials::None => true,
            Credentials::Key(key) => key.get(provider).await.is_ok(),
            Credentials::Login(login) => login.state().is_ok(),
            Credentials::NoLogin => false,
        }
    }

    /// The provider refused the key: it may have been replaced at its source.
    pub(crate) async fn forget(&self) {
        if let Credentials::Key(key) = self {
            *key.known.lock().await = None;
        }
    }
}

impl Key {
    async fn get(&self, provider: &Provider) -> Result<Option<Secret>, Fault> {
        let mut known = self.known.lock().await;
        if known.is_none() {
            let variables = &*self.variables;
            *known = self
                .source
                .resolve(variables)
                .await
                .map_err(|error| no_key(provider, &on_one_line(&error)))?;
        }
        Ok(known.clone())
    }
}

/// Puts the headers on that let the request in.
///
/// # Errors
/// The key holds what no header can carry.
pub(crate) fn show(
    credential: &Credential,
    provider: &Provider,
    headers: &mut HeaderMap,
) -> Result<(), Fault> {
    let Some(secret) = credential.secret() else {
        return Ok(());
    };
    let (name, prefix) = match &provider.auth {
        Auth::None | Auth::Bearer | Auth::Login => (http::header::AUTHORIZATION, "Bearer "),
        Auth::Header { name } => (
            HeaderName::try_from(name)
                .map_err(|_| crate::fault::ours(format!("`{name}` is no header name")))?,
            "",
        ),
    };
    let mut value = HeaderValue::try_from(format!("{prefix}{}", secret.reveal()))
        .map_err(|_| unusable(provider))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    if let Credential::Login(access) = credential {
        if let Some(id) = &access.account_id {
            let mut id = HeaderValue::try_from(id).map_err(|_| unusable(provider))?;
            id.set_sensitive(true);
            headers.insert(ACCOUNT, id);
        }
        if access.is_fedramp {
            headers.insert(FEDRAMP, HeaderValue::from_static("true"));
        }
    }
    Ok(())
}

fn unusable(provider: &Provider) -> Fault {
    no_key(
        provider,
        "its key holds characters that no HTTP header can carry",
    )
}

fn no_key(provider: &Provider, problem: &str) -> Fault {
    let variable = provider.key_variable.as_deref();
    let hint = match variable {
        Some(variable) => format!("set {variable}, or `key` under [providers.{}]", provider.id),
        None => format!("set `key` under [providers.{}]", provider.id),
    };
    let message = format!("there is no key for provider `{}`: {problem}", provider.id);
    Fault {
        origin: Origin::Credentials,
        ..Fault::new(FaultClass::Auth, format!("{message}. hint: {hint}"))
    }
}

fn no_login(provider: &Provider, error: &LoginError) -> Fault {
    let cause = error.source().map(root_cause);
    let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    let message = format!("provider `{}` cannot be asked{cause}: {error}", provider.id);
    let fault = Fault {
        origin: Origin::Credentials,
        ..Fault::new(FaultClass::Auth, message)
    };
    if error.is_for_good() {
        return fault;
    }
    // It may pass by itself, and is nobody's fault that a request could mend.
    Fault {
        class: FaultClass::Server,
        ..fault
    }
}
