//! Presets are data of this crate and the keys in their profiles are of others: here they meet.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod losses;
mod page;
mod profiles;

use polywire_catalog::Kind;
use polywire_dialect_chat as chat;
use polywire_dialect_command_code as command_code;
use polywire_dialect_messages as messages;
use polywire_dialect_responses as responses;

/// A profile, as its dialect reads it.
enum Profile {
    Chat(Box<chat::Profile>),
    Messages(Box<messages::Profile>),
    Responses(Box<responses::Profile>),
    CommandCode(Box<command_code::Profile>),
}

/// Reads a profile as the dialect of this kind does.
fn read_profile(kind: Kind, table: toml::Table) -> Result<Profile, toml::de::Error> {
    match kind {
        Kind::Chat => table.try_into().map(Profile::Chat),
        Kind::Messages => table.try_into().map(Profile::Messages),
        Kind::Responses | Kind::ChatGpt | Kind::CodexExec | Kind::CodexAppServer => {
            table.try_into().map(Profile::Responses)
        }
        Kind::CommandCode => table.try_into().map(Profile::CommandCode),
        Kind::Demo => panic!("the demo has no preset"),
    }
}
