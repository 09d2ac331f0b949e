//! Which switches of a provider's profile a check speaks of, and what else they could say.
//!
//! Only switches are here whose other value shows in an answer: a request that is refused with one and answered with the other, or an
//! answer that has the form or has not. The rest of a profile cannot be found out by asking.

mod chat;
mod messages;
mod responses;

use polywire_catalog::Kind;
use polywire_dialect_chat as chat_dialect;
use polywire_dialect_messages as messages_dialect;
use polywire_dialect_responses as responses_dialect;
use serde::Serialize;
use toml::{Table, Value};

use crate::check::CheckId;

/// A switch of a profile and one of its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Switch {
    /// Its key under `[providers.NAME.profile]`.
    pub key: &'static str,
    /// The value.
    pub value: Value,
}

/// What a check showed of a switch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The check.
    pub check: CheckId,
    /// The switch.
    #[serde(flatten)]
    pub switch: Switch,
    /// Whether the check speaks for this value or against it.
    pub speaks: Speaks,
    /// Whether the value is the one in force.
    pub in_force: bool,
}

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaks {
    /// It works with this value.
    For,
    /// It does not work with this value, and works with another.
    Against,
}

/// How a check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The provider refused the request.
    Refused,
    /// It answered, but not as it was asked.
    Ignored,
}

/// A profile, as its dialect reads it.
enum Profile {
    Chat(Box<chat_dialect::Profile>),
    Messages(Box<messages_dialect::Profile>),
    Responses(Box<responses_dialect::Profile>),
    /// Nothing can be switched.
    Other,
}

impl Profile {
    fn read(kind: Kind, table: &Table) -> Self {
        let table = table.clone();
        let read = match kind {
            Kind::Chat => table.try_into().map(|read| Profile::Chat(Box::new(read))),
            Kind::Messages => table
                .try_into()
                .map(|read| Profile::Messages(Box::new(read))),
            Kind::Responses | Kind::ChatGpt | Kind::CodexExec | Kind::CodexAppServer => table
                .try_into()
                .map(|read| Profile::Responses(Box::new(read))),
            Kind::CommandCode | Kind::Demo => Ok(Profile::Other),
        };
        // A profile that cannot be read has failed before: the gateway reads it the same way.
        read.unwrap_or(Profile::Other)
    }
}

/// Whether tools of the client are taken at all.
pub(crate) fn takes_tools(kind: Kind, table: &Table) -> bool {
    match Profile::read(kind, table) {
        Profile::Responses(profile) => profile.tools,
        Profile::Chat(_) | Profile::Messages(_) | Profile::Other => true,
    }
}

/// Whether pictures are taken at all.
pub(crate) fn takes_images(kind: Kind, table: &Table) -> bool {
    match Profile::read(kind, table) {
        Profile::Chat(profile) => profile.images,
        Profile::Messages(profile) => profile.images,
        Profile::Responses(profile) => profile.images,
        Profile::Other => true,
    }
}

/// How the form of an answer is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormBy {
    /// The provider is given the schema, and nobody looks at the answer.
    Provider,
    /// The schema is told in words, and polywire looks at the answer.
    Words,
}

/// Who sees to the form of an answer.
pub(crate) fn form_by(kind: Kind, table: &Table) -> FormBy {
    let by_provider = match Profile::read(kind, table) {
        Profile::Chat(profile) => {
            profile.structured_output == chat_dialect::StructuredOutput::JsonSchema
        }
        Profile::Messages(profile) => {
            profile.structured_output == messages_dialect::StructuredOutput::OutputConfig
        }
        Profile::Responses(profile) => {
            profile.structured_output != responses_dialect::StructuredOutput::Prompt
        }
        Profile::Other => true,
    };
    if by_provider {
        FormBy::Provider
    } else {
        FormBy::Words
    }
}

/// What the profile says now of what a check tries.
pub(crate) fn in_force(check: CheckId, kind: Kind, table: &Table) -> Vec<Switch> {
    match Profile::read(kind, table) {
        Profile::Chat(profile) => chat::in_force(check, &profile),
        Profile::Messages(profile) => messages::in_force(check, &profile),
        Profile::Responses(profile) => responses::in_force(check, &profile),
        Profile::Other => Vec::new(),
    }
}

/// What else the profile could say, the least change first.
pub(crate) fn alternatives(
    check: CheckId,
    failure: Failure,
    kind: Kind,
    table: &Table,
) -> Vec<Switch> {
    match Profile::read(kind, table) {
        Profile::Chat(profile) => chat::alternatives(check, failure, &profile),
        Profile::Messages(profile) => messages::alternatives(check, failure, &profile),
        Profile::Responses(profile) => responses::alternatives(check, failure, &profile),
        Profile::Other => Vec::new(),
    }
}

fn switch(key: &'static str, value: impl Into<Value>) -> Switch {
    Switch {
        key,
        value: value.into(),
    }
}

/// A switch that is on and could be off.
fn off(key: &'static str, is_on: bool) -> Option<Switch> {
    is_on.then(|| switch(key, false))
}

/// A switch that is off and could be on.
fn on(key: &'static str, is_on: bool) -> Option<Switch> {
    (!is_on).then(|| switch(key, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is proposed must be taken by the gateway: each value is read back by its dialect, and changes the profile.
    #[test]
    fn alternatives_are_values_of_their_profiles() {
        let mut proposed = 0;
        for kind in [Kind::Chat, Kind::Messages, Kind::Responses] {
            for check in CheckId::ALL {
                for failure in [Failure::Refused, Failure::Ignored] {
                    for other in alternatives(*check, failure, kind, &Table::new()) {
                        let mut table = Table::new();
                        table.insert(other.key.to_owned(), other.value.clone());
                        assert!(
                            !matches!(Profile::read(kind, &table), Profile::Other),
                            "{other:?}"
                        );
                        assert!(
                            !in_force(*check, kind, &Table::new()).contains(&other),
                            "{other:?}"
                        );
                        proposed += 1;
                    }
                }
            }
        }
        assert!(proposed > 10, "{proposed}");
    }

    /// The names of values are those of the settings file.
    #[test]
    fn values_in_force_can_be_written() {
        for kind in [Kind::Chat, Kind::Messages, Kind::Responses] {
            for check in CheckId::ALL {
                for now in in_force(*check, kind, &Table::new()) {
                    let mut table = Table::new();
                    table.insert(now.key.to_owned(), now.value.clone());
                    assert_eq!(
                        in_force(*check, kind, &table),
                        in_force(*check, kind, &Table::new())
                    );
                }
            }
        }
    }
}
