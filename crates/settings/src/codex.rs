//! Where Codex keeps its login, and who renews it.

use std::path::PathBuf;

use crate::{Environment, SettingsError};

/// What the environment says of Codex's login. `None` stands for the usual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodexPlaces {
    /// Codex's own folder: `CODEX_HOME`, else `~/.codex`.
    pub home: PathBuf,
    /// Where a login is renewed: `CODEX_REFRESH_TOKEN_URL_OVERRIDE`, Codex's own variable.
    pub token_url: Option<String>,
    /// Where a login is revoked: `CODEX_REVOKE_TOKEN_URL_OVERRIDE`, Codex's own variable.
    pub revoke_url: Option<String>,
    /// Who issues logins: `POLYWIRE_CODEX_ISSUER`, without a slash at the end.
    pub issuer: Option<String>,
    /// What tells the limits of a plan: `POLYWIRE_CHATGPT_URL`, without a slash at the end.
    pub back_end: Option<String>,
}

impl CodexPlaces {
    /// Asks the environment.
    ///
    /// # Errors
    /// There is no home folder, and `CODEX_HOME` is not set.
    pub fn find(environment: &dyn Environment) -> Result<Self, SettingsError> {
        let set = |name: &str| {
            let value = environment.variable(name);
            value.filter(|value| !value.trim().is_empty())
        };
        let address = |name: &str| set(name).map(|url| url.trim_end_matches('/').to_owned());
        let home = set("CODEX_HOME")
            .map(PathBuf::from)
            .or_else(|| environment.home().map(|home| home.join(".codex")));
        let revoke_url = set("CODEX_REVOKE_TOKEN_URL_OVERRIDE");
        let token_url = set("CODEX_REFRESH_TOKEN_URL_OVERRIDE");
        Ok(Self {
            home: home.ok_or(SettingsError::NoHome {
                variable: "CODEX_HOME",
            })?,
            revoke_url: revoke_url.or_else(|| beside(token_url.as_deref()?)),
            token_url,
            issuer: address("POLYWIRE_CODEX_ISSUER"),
            back_end: address("POLYWIRE_CHATGPT_URL"),
        })
    }
}

/// The address to revoke at that goes with an address to renew at: the same host. As in Codex, so that a token never goes to a host
/// that did not issue it.
fn beside(token_url: &str) -> Option<String> {
    let (scheme, rest) = token_url.split_once("://")?;
    let host = rest.split('/').next()?;
    Some(format!("{scheme}://{host}/oauth/revoke"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<CodexPlaces, SettingsError> {
        let variables = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        CodexPlaces::find(&variables.collect::<BTreeMap<String, String>>())
    }

    #[test]
    fn the_folder_is_the_one_that_codex_uses() {
        for (variables, expected) in [
            ([("HOME", "/h"), ("CODEX_HOME", "/c")], "/c"),
            ([("HOME", "/h"), ("CODEX_HOME", "")], "/h/.codex"),
        ] {
            assert_eq!(found(&variables).unwrap().home, PathBuf::from(expected));
        }
        let none = found(&[]).unwrap_err().to_string();
        assert!(none.contains("CODEX_HOME"), "{none}");
    }

    #[test]
    fn addresses_may_be_others() {
        let places = found(&[
            ("CODEX_HOME", "/c"),
            (
                "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
                "http://127.0.0.1:1/a/token?x=1",
            ),
            ("POLYWIRE_CODEX_ISSUER", "http://127.0.0.1:2/"),
            ("POLYWIRE_CHATGPT_URL", " "),
        ])
        .unwrap();
        assert_eq!(
            places.token_url.as_deref(),
            Some("http://127.0.0.1:1/a/token?x=1")
        );
        assert_eq!(
            places.revoke_url.as_deref(),
            Some("http://127.0.0.1:1/oauth/revoke")
        );
        assert_eq!(places.issuer.as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(places.back_end, None);
        let usual = found(&[("CODEX_HOME", "/c")]).unwrap();
        assert_eq!((usual.token_url, usual.revoke_url), (None, None));
    }
}
