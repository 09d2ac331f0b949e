//! Whether the key or login of each provider is at hand.

use jiff::Timestamp;
use polywire_login::CodexLogin;
use polywire_settings::CodexPlaces;

use super::check::Subject;
use super::finding::Finding;
use super::settings::split_hint;
use crate::configuration::places;

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let Ok(settings) = &subject.settings else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for provider in &settings.catalog.providers {
        let id = provider.id.as_str();
        let is_default = settings.catalog.default_provider.as_deref() == Some(id);
        // What a turn needs that nobody names a provider for is a problem; the others may be there for another day.
        let missing = |what: String| {
            if is_default {
                Finding::problem("no_key", what)
            } else {
                Finding::warning("no_key", what)
            }
        };
        if let Some(places) = settings.logins.get(id) {
            found.push(match login(places) {
                Ok(finding) => finding.at(id),
                Err(problem) => {
                    let (what, hint) = split_hint(&problem);
                    let hint = hint.unwrap_or("`polywire login` makes a new one");
                    missing(what).at(id).hint(hint)
                }
            });
        }
        match settings.key(id).await {
            Ok(Some(_)) => found.push(Finding::ok("key", "its key is at hand").at(id)),
            Ok(None) => {}
            Err(error) => {
                let error = error.to_string();
                let (what, _) = split_hint(&error);
                found.push(missing(what).at(id).hint(settings.key_hint(id)));
            }
        }
    }
    found
}

/// What the file of a login says. Nobody is asked, and nothing is renewed.
fn login(found: &CodexPlaces) -> Result<Finding, String> {
    let state = CodexLogin::new(places(found))
        .state()
        .map_err(|error| error.to_string())?;
    let has_ended = state
        .expires_at
        .is_some_and(|end| end <= Timestamp::now().as_second());
    match (has_ended, state.can_be_renewed) {
        (true, false) => {
            Err("its login has ended, and there is no refresh token to renew it".to_owned())
        }
        (true, true) => Ok(Finding::ok(
            "login",
            "its login is at hand, and is renewed with the next turn",
        )),
        (false, _) => Ok(Finding::ok("login", "its login is at hand")),
    }
}
