//! `polywire provider test`: what works with a provider, tried on the gateway itself.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use polywire_catalog::Provider;
use polywire_probe::{Checked, Progress, Report, Switch, examine};
use polywire_settings::{Overrides, Settings};

use crate::logging::{note, say};
use crate::printable::{printable, printable_json};
use crate::provider::find;
use crate::provider::test_record;
use crate::{configuration, logging};

#[derive(Args)]
#[command(after_help = "\
Some ten small turns are played, of some hundred tokens each; the sum is told at the end.

Exit codes: 0 when all works that a coding client cannot do without (reachable, key accepted, answer, streaming, tool call, tool result taken back), 1 when not, 2 when the command line is wrong.")]
pub(crate) struct TestArguments {
    /// The provider to test; the name of a preset is enough
    name: String,
    /// The model to test [default: the provider's default model]
    #[arg(short, long)]
    model: Option<String>,
    /// As a JSON object
    #[arg(long)]
    json: bool,
    /// Keep the result, and put the switches of the provider's profile that the test has proven into the settings file
    #[arg(long)]
    write: bool,
}

pub(crate) async fn test(
    arguments: &TestArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let settings = load(&arguments.name, overrides)?;
    configuration::tell_warnings(&settings);
    logging::log_to_stderr(&settings, "error")?;
    let provider = find(&settings, &arguments.name)?;
    let model = wanted_model(arguments, provider)?;
    let configuration = configuration::configuration(settings.clone());
    let provider = configuration
        .catalog
        .providers
        .iter()
        .find(|known| known.id == provider.id)
        .cloned()
        .unwrap_or_else(|| Arc::new(provider.clone()));
    let mut line = ProgressLine::new();
    let report = examine(&configuration, &provider, &model, &mut |progress| {
        line.show(&progress);
    })
    .await
    .context("the settings cannot be used")?;
    line.clear();
    if arguments.json {
        let json = serde_json::to_string_pretty(&report.to_json())?;
        say(printable_json(&json));
    } else {
        show(&report, &provider);
    }
    if arguments.write {
        write(&report, &settings, overrides)?;
    } else if !report.proven().is_empty() {
        note(format_args!(
            "hint: `polywire provider test {} -m {model} --write` tests again and puts what is proven into the settings file",
            arguments.name
        ));
    }
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The settings, with the preset of this name if no provider has it.
fn load(name: &str, overrides: &Overrides) -> anyhow::Result<Settings> {
    let settings = configuration::load(overrides)?;
    let is_known = settings.catalog.provider(name).is_some();
    if is_known || polywire_catalog::preset(name).is_none() {
        return Ok(settings);
    }
    configuration::load(&Overrides {
        default_provider: Some(name.to_owned()),
        ..overrides.clone()
    })
}

fn wanted_model(arguments: &TestArguments, provider: &Provider) -> anyhow::Result<String> {
    let named = arguments.model.as_deref();
    let model = named.or_else(|| provider.usual_model());
    let model = model.with_context(|| {
        format!(
            "provider `{0}` has no default model, and none was named\nhint: `polywire provider test {0} -m MODEL`",
            provider.id
        )
    })?;
    // The name with the provider in front is what clients use; here it says nothing more.
    let bare = model.strip_prefix(&format!("{}/", provider.id));
    let bare = bare.filter(|_| provider.model(model).is_none());
    Ok(bare.unwrap_or(model).to_owned())
}

/// One line of a terminal that says what goes on.
struct ProgressLine {
    on_terminal: bool,
}

impl ProgressLine {
    fn new() -> Self {
        Self {
            on_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Begins(check) => self.write(&format!("\r\x1b[2K… {}", check.title())),
            Progress::Ended(_) => {}
        }
    }

    fn clear(&mut self) {
        self.write("\r\x1b[2K");
    }

    fn write(&mut self, text: &str) {
        if !self.on_terminal {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        let written = stderr.write_all(text.as_bytes());
        if written.and_then(|()| stderr.flush()).is_err() {
            // Nobody reads it.
            self.on_terminal = false;
        }
    }
}

fn show(report: &Report, provider: &Provider) {
    let at = match provider.base_url.as_str() {
        "" => String::new(),
        base_url => format!(" at {base_url}"),
    };
    say(printable(&format!(
        "{}/{}{at}",
        report.provider, report.model
    )));
    say("");
    let title = |checked: &Checked| checked.check.title();
    let width = report.checks.iter().map(title).map(str::len).max();
    for checked in &report.checks {
        for line in lines(checked, width.unwrap_or_default()) {
            say(printable(&line));
        }
    }
    say(format_args!("\n{}", cost(report)));
}

/// A check's line, and one for its hint.
fn lines(checked: &Checked, width: usize) -> Vec<String> {
    let outcome = checked.outcome.words();
    let mut line = format!("  {:<width$}  {outcome:<13}", checked.check.title());
    if !checked.note.is_empty() {
        // Whatever a provider says stays on its line.
        let words: Vec<&str> = checked.note.split_whitespace().collect();
        write!(line, "  {}", words.join(" ")).ok();
    }
    let mut lines = vec![line.trim_end().to_owned()];
    if let Some(hint) = &checked.hint {
        lines.push(format!("  {:<width$}  hint: {hint}", ""));
    }
    lines
}

fn cost(report: &Report) -> String {
    let tokens = report.tokens;
    let turns = match tokens.turns {
        1 => "1 turn".to_owned(),
        turns => format!("{turns} turns"),
    };
    let about = if tokens.estimated {
        " (partly estimated)"
    } else {
        ""
    };
    format!(
        "{turns}, {} tokens in, {} tokens out{about}",
        tokens.input, tokens.output
    )
}

/// Keeps the result, and changes the settings where something is proven that they do not say.
fn write(report: &Report, settings: &Settings, overrides: &Overrides) -> anyhow::Result<()> {
    let path = test_record::keep(report, settings)?;
    note(format_args!("the result is kept in {}", path.display()));
    let proven = report.proven();
    if proven.is_empty() {
        note("the profile stays as it is: nothing was proven that speaks against it");
        return Ok(());
    }
    let written = test_record::write_switches(report, &proven, overrides)?;
    let file = settings.paths.config_file.display();
    let id = &report.provider;
    for Switch { key, value } in written.written {
        note(format_args!(
            "{file}: [providers.{id}.profile] {key} = {value}"
        ));
    }
    for Switch { key, value } in written.without_effect {
        note(format_args!(
            "not written: `{key} = {value}`, because model `{}` has a profile of its own that says otherwise\nhint: name the model in `models` under [providers.{id}], as in `models = [{{ id = \"{0}\", profile = {{ {key} = {value} }} }}]`",
            report.model
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use polywire_probe::{CheckId, Outcome};

    use super::*;

    #[test]
    fn a_providers_words_stay_on_their_line() {
        let checked = Checked {
            check: CheckId::Key,
            outcome: Outcome::Fails,
            note: "no\n  such \u{1b}key".to_owned(),
            hint: Some("look".to_owned()),
        };
        let lines = lines(&checked, 14);
        assert_eq!(
            lines[0],
            "  key accepted    does not work  no such \u{1b}key"
        );
        assert_eq!(lines[1], "                  hint: look");
    }
}
