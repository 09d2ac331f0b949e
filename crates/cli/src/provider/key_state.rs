//! Where a provider's key is, and whether it is there. Never what it is.

use polywire_catalog::{Auth, Provider};
use polywire_credentials::on_one_line;
use polywire_settings::{KeySource, Secret, Settings};
use serde_json::{Value, json};

use crate::configuration::login_problem;

/// Of a key of more characters than this the last four may be seen: enough to tell two keys apart, too few to guess the rest.
const SHOWN_FROM: usize = 12;

/// Where a provider's key is, and whether it is there.
pub(crate) struct KeyState {
    /// The form in which the settings name it: `env`, `file`, `keyring`, `command`, `settings`, `login` or `none`.
    pub(crate) from: &'static str,
    /// The variable, the path, the name in the keyring, or the program.
    pub(crate) place: Option<String>,
    pub(crate) presence: Presence,
}

/// Whether a key is there.
pub(crate) enum Presence {
    /// It is, and this is all that may be shown of it.
    Present { masked: String },
    /// It is not, or cannot be used; why.
    Missing { why: String },
    /// A command may ask its user for something, so that it is run only when the key is needed.
    NotAsked,
    /// The provider needs none.
    NotNeeded,
}

impl Presence {
    /// The word for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Presence::Present { .. } => "present",
            Presence::Missing { .. } => "missing",
            Presence::NotAsked => "not asked",
            Presence::NotNeeded => "not needed",
        }
    }
}

impl KeyState {
    /// Looks where the settings say. The keyring is waited for as long as it may take.
    pub(crate) async fn of(settings: &Settings, provider: &Provider) -> Self {
        let source = settings.keys.get(&provider.id).unwrap_or(&KeySource::None);
        let (from, place) = match source {
            KeySource::None => match provider.auth {
                Auth::Login => return Self::of_login(settings, provider),
                Auth::Bearer | Auth::Header { .. } | Auth::None => {
                    return Self {
                        from: "none",
                        place: None,
                        presence: Presence::NotNeeded,
                    };
                }
            },
            KeySource::Command(command) => {
                return Self {
                    from: "command",
                    // The rest of it may hold what is nobody's business.
                    place: command.first().cloned(),
                    presence: Presence::NotAsked,
                };
            }
            KeySource::Literal(_) => ("settings", None),
            KeySource::Env(name) => ("env", Some(name.clone())),
            KeySource::File(path) => ("file", Some(path.display().to_string())),
            KeySource::Keyring(entry) => ("keyring", Some(entry.to_string())),
        };
        let presence = match settings.key(&provider.id).await {
            Ok(Some(key)) => Presence::Present {
                masked: masked(&key),
            },
            Ok(None) => Presence::NotNeeded,
            Err(error) => Presence::Missing {
                why: on_one_line(&error),
            },
        };
        Self {
            from,
            place,
            presence,
        }
    }

    fn of_login(settings: &Settings, provider: &Provider) -> Self {
        let login = settings.logins.get(&provider.id);
        Self {
            from: "login",
            place: login.map(|places| places.home.display().to_string()),
            presence: match login_problem(settings, &provider.id) {
                None => Presence::Present {
                    masked: "***".to_owned(),
                },
                Some(problem) => Presence::Missing {
                    why: problem.to_string(),
                },
            },
        }
    }

    /// In few words: `env ZAI_API_KEY, present`.
    pub(crate) fn short(&self) -> String {
        match (&self.presence, &self.place) {
            (Presence::NotNeeded, _) => "none needed".to_owned(),
            (presence, Some(place)) => format!("{} {place}, {}", self.from, presence.name()),
            (presence, None) => format!("{}, {}", self.from, presence.name()),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let (masked, why) = match &self.presence {
            Presence::Present { masked } => (Some(masked), None),
            Presence::Missing { why } => (None, Some(why)),
            Presence::NotAsked | Presence::NotNeeded => (None, None),
        };
        json!({
            "from": self.from,
            "place": self.place,
            "state": self.presence.name(),
            "masked": masked,
            "problem": why,
        })
    }
}

/// What may be seen of a key: nothing but its end, and that only where enough is left to guess.
fn masked(key: &Secret) -> String {
    let characters: Vec<char> = key.reveal().chars().collect();
    if characters.len() <= SHOWN_FROM {
        return "***".to_owned();
    }
    let end: String = characters[characters.len() - 4..].iter().collect();
    format!("***{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked() {
        for (key, expected) in [
            ("", "***"),
            ("sk-1", "***"),
            ("sk-123456789", "***"),
            ("sk-1234567890", "***7890"),
        ] {
            assert_eq!(masked(&Secret::new(key)), expected, "{key}");
        }
    }
}
