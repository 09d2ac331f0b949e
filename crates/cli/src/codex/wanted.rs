//! What has to stand in Codex's configuration for it to use the gateway.

use std::net::SocketAddr;
use std::path::Path;

use polywire_client_files::{Setting, Wanted};
use toml::Value;

use super::{PROVIDER, TOKEN_VARIABLE, catalog_url};

/// How Codex gets the gateway's token: always from a command, so that no token stands in a file of Codex's or on a command line. Codex 0.169 runs
/// it for turns and for the catalog, whether it was started from a shell or, by Desktop, without a shell's environment.
///
/// There is one form for all, because Codex lays tables over each other key by key, and does not start with a provider that has two kinds of
/// token: a run with `env_key` above a lasting edit with `auth` would have both.
pub(crate) enum TokenSource {
    /// This command prints it.
    Command(Vec<String>),
    /// It is in [`TOKEN_VARIABLE`] of Codex's environment, which the command inherits.
    Variable,
    /// The gateway asks for none. A word in its place makes Codex ask for the catalog all the same.
    NoneNeeded,
}

impl TokenSource {
    /// The command and its arguments.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Command(words) => words.clone(),
            Self::Variable => shell(&format!("printf %s \"${TOKEN_VARIABLE}\"")),
            Self::NoneNeeded => shell("printf none"),
        }
    }
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

/// The values for `config.toml`, or for a profile. A model that is chosen inside of Codex is written there too, and means nothing to another
/// provider.
pub(crate) fn wanted(gateway: SocketAddr, model: &str, token: &TokenSource) -> Wanted {
    let base_url = format!("http://{gateway}/v1");
    let words = token.words();
    let (program, arguments) = match words.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments.to_vec()),
        None => ("", Vec::new()),
    };
    let settings = vec![
        Setting::new(&["model"], model).along_with(&["model_provider"]),
        Setting::new(&["model_provider"], PROVIDER),
        in_table(&["name"], "polywire"),
        in_table(&["base_url"], base_url.as_str()),
        in_table(&["model_catalog_url"], catalog_url(&base_url, model)),
        in_table(&["wire_api"], "responses"),
        in_table(&["supports_websockets"], true),
        in_table(&["capabilities"], table("remote_compaction", "unsupported")),
        in_table(&["auth", "command"], program),
        in_table(&["auth", "args"], arguments),
    ];
    Wanted {
        settings,
        tables: vec![vec!["model_providers".to_owned(), PROVIDER.to_owned()]],
    }
}

fn in_table(keys: &[&str], value: impl Into<Value>) -> Setting {
    Setting::new(&[&["model_providers", PROVIDER], keys].concat(), value)
}

fn table(key: &str, value: &str) -> Value {
    Value::Table([(key.to_owned(), Value::from(value))].into_iter().collect())
}

/// The command that prints the token of the gateway, from wherever it is run: with the settings file that was named, and with the folders
/// that the environment names here, because what a desktop starts knows no shell's variables.
pub(crate) fn token_command(
    program: &Path,
    config: Option<&Path>,
    variables: &[(&str, String)],
) -> Vec<String> {
    let mut words = Vec::new();
    if !variables.is_empty() {
        words.push("/usr/bin/env".to_owned());
        words.extend(
            variables
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
    }
    words.push(program.display().to_string());
    words.push("token".to_owned());
    if let Some(config) = config {
        words.extend(["--config".to_owned(), config.display().to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use polywire_client_files::TomlText;

    use super::*;

    #[test]
    fn it_reads_like_a_configuration() {
        let words = token_command(
            Path::new("/opt/polywire"),
            Some(Path::new("/etc/p w.toml")),
            &[("XDG_STATE_HOME", "/state".to_owned())],
        );
        let source = TokenSource::Command(words);
        let wanted = wanted("127.0.0.1:4891".parse().unwrap(), "zai/glm 5", &source);
        let mut text = TomlText::parse(b"").unwrap();
        for setting in &wanted.settings {
            let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
            text.set(&path, setting.value.clone()).unwrap();
        }
        insta::assert_snapshot!(String::from_utf8(text.to_bytes()).unwrap());
    }
}
