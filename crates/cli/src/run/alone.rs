//! A client without polywire: its own login, and its own settings or none.

use std::process::{Command, ExitCode};

use clap::Args;
use polywire_client_files::Layer;
use polywire_settings::{CodexPlaces, Paths, ProcessEnvironment};

use super::clients::Launch;
use super::environment::SET_VARIABLE;
use super::launchee::Launchee;
use super::{desktop, home_without_config, launch};
use crate::codex::configuration_file::{ConfigurationFile, journal};
use crate::configuration;

/// What every variable of ours begins with.
const OUR_PREFIX: &str = "POLYWIRE_";

#[derive(Args, Default)]
pub(crate) struct AloneArguments {
    /// The client with its own login and its own settings, without polywire; refused where Codex's own settings have polywire in them
    #[arg(long, conflicts_with_all = ["provider", "model", "no_input", "strict"])]
    plain: bool,
    /// As `--plain`, and without the configuration of Codex, this once; the file stays where it is. For codex and codex-desktop
    #[arg(long, conflicts_with_all = ["plain", "provider", "model", "no_input", "strict"])]
    no_config: bool,
}

/// What a client that runs without us has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// Its login and its configuration.
    Everything,
    /// Its login.
    Login,
}

impl AloneArguments {
    /// What the client has of its own; `None` when it runs on polywire.
    pub(crate) fn own(&self) -> Option<Own> {
        if self.no_config {
            return Some(Own::Login);
        }
        self.plain.then_some(Own::Everything)
    }
}

/// Runs the client: no gateway, and nothing of ours in its environment, neither what is meant for polywire nor what a run around this one has set.
pub(crate) async fn run(launchee: &Launchee, own: Own, paths: &Paths) -> anyhow::Result<ExitCode> {
    let mut command = Command::new(&launchee.program);
    match own {
        Own::Login => without_config(&mut command, launchee, paths)?,
        Own::Everything => refuse_edited(launchee, paths)?,
    }
    command.args(&launchee.arguments);
    for name in configuration::variables_with(OUR_PREFIX) {
        command.env_remove(name);
    }
    let set_by_run = configuration::variable(SET_VARIABLE).unwrap_or_default();
    for name in set_by_run.split(',').filter(|name| !name.is_empty()) {
        command.env_remove(name);
    }
    match launchee.client.launch {
        Launch::Environment | Launch::Codex => {
            Err(launch::become_program(command, &launchee.program))
        }
        Launch::Desktop => {
            let status = desktop::run_alone(launchee, command.into(), paths).await?;
            Ok(launch::exit_code(status))
        }
    }
}

/// Refuses to start Codex on its own configuration while an edit of ours is in it: that would be polywire after all.
fn refuse_edited(launchee: &Launchee, paths: &Paths) -> anyhow::Result<()> {
    match launchee.client.launch {
        Launch::Environment => return Ok(()),
        Launch::Codex | Launch::Desktop => {}
    }
    let file = ConfigurationFile::find(None)?;
    let layers = journal(paths).layers(&file.path)?;
    let Some(layer) = layers.last() else {
        return Ok(());
    };
    let without = match layer {
        Layer::Lasting => "`polywire codex restore` takes it back",
        Layer::Session => "it is taken back when Codex Desktop ends, which polywire has launched",
    };
    anyhow::bail!(
        "{} has polywire's own edit in it, so that {} would use it\nhint: {without}; `--no-config` starts without any configuration",
        file.path.display(),
        launchee.client.name
    )
}

/// Gives Codex a home in which everything is the user's but the configuration.
fn without_config(command: &mut Command, launchee: &Launchee, paths: &Paths) -> anyhow::Result<()> {
    match launchee.client.launch {
        Launch::Environment => anyhow::bail!(
            "`--no-config` is for the clients codex and codex-desktop\nhint: `--plain` runs {} without polywire",
            launchee.client.name
        ),
        // With an override, whatever it says, Codex starts no daemon, which would stay in this home (seen with 0.169).
        Launch::Codex => {
            command.args(["-c", "hide_agent_reasoning=false"]);
        }
        Launch::Desktop => {}
    }
    let users = CodexPlaces::find(&ProcessEnvironment)?.home;
    let home = paths.state_dir.join("codex-without-config");
    home_without_config::prepare(&home, &users)?;
    command.env("CODEX_HOME", home);
    Ok(())
}
