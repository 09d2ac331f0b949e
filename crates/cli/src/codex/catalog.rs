//! `polywire codex catalog`: the model catalog as a file, read once by the installed Codex before anybody relies on it.

use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use polywire_catalog::models_file;
use polywire_client_files::replace_atomically;
use polywire_settings::Overrides;
use tokio::process::Command;

use super::command::CatalogArguments;
use crate::logging::{note, say, say_part};
use crate::printable::printable;
use crate::{codex, configuration};

/// How long Codex may take to read a catalog. It needs a second; on a busy machine some.
const CHECK_TIMEOUT: Duration = Duration::from_mins(1);

/// What Codex made of a catalog.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Reads,
    Refuses {
        /// The model that it stumbled over, when it says where.
        model: Option<String>,
        why: String,
    },
}

pub(crate) async fn catalog(
    arguments: CatalogArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let settings = configuration::load(overrides)?;
    configuration::tell_warnings(&settings);
    let live = configuration::models(&settings)?;
    let document = models_file(live.catalog(), arguments.model.as_deref(), &|target| {
        live.can_search(target)
    });
    anyhow::ensure!(
        document.lines().count() > 2,
        "no provider lists a model, and Codex does not start with an empty catalog\nhint: `-m MODEL` lists one; `polywire config show` shows the providers"
    );
    if let Some(path) = &arguments.output {
        refuse_other_file(path)?;
    }
    if !arguments.no_check {
        check(&document).await?;
    }
    match &arguments.output {
        None => say_part(&document),
        Some(path) => {
            write(path, &document)?;
            let path = path.canonicalize()?;
            say(format_args!("Written to {}", path.display()));
            say(format_args!(
                "Codex uses it with `model_catalog_json = {}` in its config.toml",
                toml::Value::from(path.display().to_string())
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses to write over a file that is there and is something else: a wrong path must cost nobody their configuration.
fn refuse_other_file(path: &Path) -> anyhow::Result<()> {
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("{} could not be read", path.display()));
        }
    };
    let document: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
    anyhow::ensure!(
        content.trim_ascii().is_empty() || document["models"].is_array(),
        "{} is there already and is no catalog of models\nhint: name another file; that one is left as it is",
        path.display()
    );
    Ok(())
}

/// Readable for others: there is nothing in it but models.
const FILE_MODE: u32 = 0o644;

fn write(path: &Path, document: &str) -> anyhow::Result<()> {
    Ok(replace_atomically(path, document.as_bytes(), FILE_MODE)?)
}

/// Has the installed Codex read it. A catalog that it refuses would keep it from starting.
async fn check(document: &str) -> anyhow::Result<()> {
    let search_path = configuration::variable("PATH");
    let Ok(program) = codex::find(None, search_path.as_deref()) else {
        note("Codex is not installed here, so that nothing has checked this");
        return Ok(());
    };
    match read_by(&program, document).await? {
        Verdict::Reads => Ok(()),
        Verdict::Refuses { model, why } => {
            let model = model.map_or_else(String::new, |model| format!(" at the entry `{model}`"));
            anyhow::bail!(
                "{} refuses this catalog{model}: {why}\nhint: nothing was written; `--no-check` writes it all the same, for another version of Codex",
                program.display()
            )
        }
    }
}

async fn read_by(program: &Path, document: &str) -> anyhow::Result<Verdict> {
    // A Codex of its own: neither the user's configuration nor their login has a say in it, and nothing is written there.
    let home = tempfile::tempdir().context("a temporary folder for the check")?;
    let file = home.path().join("catalog.json");
    let mut out = std::fs::File::create(&file)?;
    out.write_all(document.as_bytes())?;
    let setting = toml::Value::from(file.display().to_string());
    let codex = Command::new(program)
        .args(["debug", "models", "-c"])
        .arg(format!("model_catalog_json={setting}"))
        .env("CODEX_HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(CHECK_TIMEOUT, codex)
        .await
        .with_context(|| format!("{} did not answer", program.display()))?
        .with_context(|| format!("{} could not be started", program.display()))?;
    if output.status.success() {
        return Ok(Verdict::Reads);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(refusal(document, &said, &file))
}

/// What Codex says, with the entry in place of the line.
fn refusal(document: &str, said: &str, file: &Path) -> Verdict {
    let first = said.lines().find(|line| !line.trim().is_empty());
    let why = printable(first.unwrap_or("it does not say why"));
    let why = why.strip_prefix("Error: ").unwrap_or(&why);
    let why = why.replace(&format!(" path `{}`", file.display()), "");
    let line: Option<usize> = why
        .rsplit_once(" at line ")
        .and_then(|(_, place)| place.split(' ').next()?.parse().ok());
    let entry = line.and_then(|line| document.lines().nth(line.checked_sub(1)?));
    let model = entry.and_then(|entry| {
        let entry: serde_json::Value = serde_json::from_str(entry.trim_end_matches(',')).ok()?;
        let name = entry.get("slug").or_else(|| entry.get("model"))?.as_str()?;
        Some(name.to_owned())
    });
    Verdict::Refuses { model, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_entry() {
        let document = "{\"models\":[\n{\"slug\":\"a\"},\n{\"model\":\"b\"}\n]}\n";
        let file = Path::new("/tmp/x/catalog.json");
        let said = "\nError: failed to parse model_catalog_json path `/tmp/x/catalog.json` as JSON: missing field `slug` at line 3 column 13\n\nStack backtrace:\n";
        let Verdict::Refuses { model, why } = refusal(document, said, file) else {
            panic!("it is refused");
        };
        assert_eq!(model.as_deref(), Some("b"));
        assert_eq!(
            why,
            "failed to parse model_catalog_json as JSON: missing field `slug` at line 3 column 13"
        );
        let other = refusal(document, "", file);
        let why = "it does not say why".to_owned();
        assert_eq!(other, Verdict::Refuses { model: None, why });
    }
}
