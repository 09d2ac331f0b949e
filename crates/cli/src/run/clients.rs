//! The clients that can be launched, as data: `clients.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// A client and how it is pointed at a gateway. The file says what the fields mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    /// The word for it on the command line.
    pub(crate) id: String,
    /// The name for people.
    pub(crate) name: String,
    /// The program, as it is called on the search path.
    pub(crate) program: String,
    /// How one gets it; nothing for any command.
    pub(crate) install: Option<String>,
    /// What it takes to point it at the gateway.
    #[serde(default)]
    pub(crate) launch: Launch,
    /// Arguments that come before the user's own.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Variables that are set.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    /// Variables that are set to a table, as JSON.
    #[serde(default)]
    pub(crate) documents: BTreeMap<String, toml::Value>,
    /// A table that is written for it, as JSON, into a file of ours for this run.
    pub(crate) file: Option<toml::Value>,
    /// Variables that it does not get.
    #[serde(default)]
    pub(crate) without: Vec<String>,
}

/// What it takes to point a client at a gateway, beside its variables and arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Launch {
    /// Nothing.
    #[default]
    Environment,
    /// Codex's own overrides on its command line.
    Codex,
    /// An edit of Codex's configuration for as long as it runs.
    Desktop,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    client: Vec<Client>,
    command: Client,
}

static FILE: LazyLock<Option<File>> =
    // A file that does not parse fails a test, so that it never ships.
    LazyLock::new(|| toml::from_str(include_str!("clients.toml")).ok());

/// The clients that have a name, in the order in which they are shown.
pub(crate) fn clients() -> &'static [Client] {
    FILE.as_ref().map_or(&[], |file| &file.client)
}

/// What is meant by this word: a client by its name, or a program that is to be launched as any command is.
pub(crate) fn client(word: &str) -> Option<Client> {
    let mut named = clients().iter();
    if let Some(client) = named.find(|client| client.id == word) {
        return Some(client.clone());
    }
    Some(Client {
        id: word.to_owned(),
        program: word.to_owned(),
        ..FILE.as_ref()?.command.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_holds_together() {
        let file: File = toml::from_str(include_str!("clients.toml")).unwrap();
        assert!(file.client.len() >= 4);
        for client in &file.client {
            let same = file.client.iter().filter(|other| other.id == client.id);
            assert_eq!(same.count(), 1, "{}", client.id);
            assert!(client.install.is_some(), "{}", client.id);
            let secret = |argument: &String| argument.contains("{token}");
            assert!(!client.arguments.iter().any(secret), "{}", client.id);
        }
    }

    #[test]
    fn words_that_name_no_client_are_commands() {
        assert_eq!(client("codex").unwrap().launch, Launch::Codex);
        let command = client("./serve.py").unwrap();
        assert_eq!(command.program, "./serve.py");
        assert!(command.variables.contains_key("OPENAI_BASE_URL"));
    }
}
