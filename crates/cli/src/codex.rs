//! The Codex CLI as a program to launch: where it is, and the overrides that point it at the gateway.

mod apply;
mod catalog;
pub(crate) mod checks;
mod command;
pub(crate) mod configuration_file;
mod own_program;
pub(crate) mod preview;
pub(crate) mod wanted;

pub(crate) use command::{CodexCommand, command};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml_writer::{ToTomlValue, TomlStringBuilder};
use wanted::TokenSource;

/// The variable that carries the gateway's token to a Codex that `run` starts. Not an override on the command line: other users of the machine
/// can read those.
pub(crate) const TOKEN_VARIABLE: &str = "POLYWIRE_CODEX_TOKEN";

/// The provider id under which Codex knows the gateway. Its name must be neither `OpenAI` nor `Azure`, which make Codex ask for
/// remote compaction and send private item metadata (observed with Codex 0.169).
pub(crate) const PROVIDER: &str = "polywire";

/// How the Codex CLI is installed.
pub(crate) const INSTALL: &str = "npm install -g @openai/codex";

/// Finds the program: the path that was given, else the first `codex` of the search path.
pub(crate) fn find(given: Option<&Path>, search_path: Option<&str>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        anyhow::ensure!(
            given.is_file(),
            "there is no program at {}\nhint: `--codex` takes the path of the Codex CLI",
            given.display()
        );
        return Ok(given.to_owned());
    }
    crate::run::program::find("codex", search_path).ok_or_else(|| {
        anyhow::anyhow!(
            "the Codex CLI was not found on the search path\nhint: install it with `npm install -g @openai/codex`, or give its path with `--codex PATH`"
        )
    })
}

/// The `-c` overrides that make Codex use the gateway for this run, with the token in [`TOKEN_VARIABLE`]. Nothing is written anywhere. Codex lays
/// them over what its configuration says of the same provider.
///
/// The catalog address names the model, so that Codex knows it even when no provider lists it. Over a WebSocket Codex sends only what is
/// new of a conversation; where none can be opened it turns to HTTP by itself. The tests play every turn over both.
pub(crate) fn overrides(gateway: SocketAddr, model: &str) -> Vec<String> {
    let base_url = format!("http://{gateway}/v1");
    let catalog_url = catalog_url(&base_url, model);
    let words = TokenSource::Variable.words().into_iter();
    let mut words = words.map(toml::Value::from);
    let command = words.next().unwrap_or_else(|| toml::Value::from(""));
    let arguments = toml::Value::Array(words.collect());
    let provider = format!(
        "model_providers.{PROVIDER}={{name=\"polywire\",base_url=\"{base_url}\",model_catalog_url=\"{catalog_url}\",\
         auth={{command={command},args={arguments}}},wire_api=\"responses\",supports_websockets=true,\
         capabilities={{remote_compaction=\"unsupported\"}}}}"
    );
    [
        format!("model_provider={PROVIDER}"),
        provider,
        format!(
            "model={}",
            TomlStringBuilder::new(model).as_basic().to_toml_value()
        ),
    ]
    .into_iter()
    .flat_map(|value| ["-c".to_owned(), value])
    .collect()
}

/// Where Codex finds the catalog, this model named in it.
fn catalog_url(base_url: &str, model: &str) -> String {
    format!("{base_url}/models?model={}", percent_encoded(model))
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else if write!(encoded, "%{byte:02X}").is_err() {
            // Writing to a string does not fail.
            return encoded;
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_toml_and_name_the_model() {
        let overrides = overrides("127.0.0.1:4891".parse().unwrap(), "zai/glm \"5\"");
        let pairs: Vec<&[String]> = overrides.chunks(2).collect();
        assert!(pairs.iter().all(|pair| pair[0] == "-c"));
        assert_eq!(pairs[0][1], "model_provider=polywire");
        let (path, provider) = pairs[1][1].split_once('=').unwrap();
        assert_eq!(path, "model_providers.polywire");
        let provider: toml::Table = format!("it = {provider}").parse().unwrap();
        insta::assert_snapshot!(provider["it"]);
        assert_eq!(pairs[2][1], r#"model="zai/glm \"5\"""#);
    }

    #[test]
    fn a_missing_program_gets_a_hint() {
        let missing = find(Some(Path::new("/no/such/codex")), None).unwrap_err();
        assert!(missing.to_string().contains("--codex"), "{missing}");
        let missing = find(None, Some("/no/such/folder")).unwrap_err();
        assert!(missing.to_string().contains("npm install"), "{missing}");
    }
}
