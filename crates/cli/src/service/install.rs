//! `polywire service install`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use polywire_daemon::units::UnitKind;
use polywire_daemon::{GatewayState, Installation, Places, Presence, UnitState};
use polywire_settings::{Overrides, Settings};

use super::plan::{Plan, Unit};
use super::{KindName, managers};
use crate::configuration;
use crate::logging::{note, say};
use crate::serve::GatewayArguments;

/// The image that `Containerfile` is built to.
const IMAGE: &str = concat!("localhost/polywire:", env!("CARGO_PKG_VERSION"));

#[derive(Args)]
pub(crate) struct InstallArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
    /// What looks after the gateway [default: `systemd`, on macOS `launchd`]
    #[arg(long, value_enum)]
    kind: Option<KindName>,
    /// Let systemd listen, and start the gateway when the first client comes
    #[arg(long)]
    socket: bool,
    /// The image of the container, for `--kind quadlet`
    #[arg(long, value_name = "NAME", default_value = IMAGE)]
    image: String,
    /// Show what would be written, and write nothing
    #[arg(long)]
    print: bool,
    /// Replace files of these names that polywire has not written, or that were changed since; they are kept under another name
    #[arg(long)]
    force: bool,
}

pub(super) async fn install(
    arguments: InstallArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let mut overrides = arguments.gateway.over(overrides);
    // What is written down is read from another folder.
    let config = overrides.config.as_deref().map(std::path::absolute);
    overrides.config = config.transpose().context("the current folder is gone")?;
    let settings = configuration::load(&overrides)?;
    configuration::tell_warnings(&settings);
    let kind = arguments.kind.unwrap_or(KindName::usual()).kind();
    let plan = Plan::new(
        kind,
        arguments.socket,
        &arguments.image,
        &overrides,
        &settings,
    )?;
    for warning in &plan.warnings {
        note(format_args!("warning: {warning}"));
    }
    if arguments.print {
        print(&plan);
        return Ok(ExitCode::SUCCESS);
    }
    let places = Places::in_folder(&settings.paths.state_dir);
    let mut installation = Installation::read(&places.service_file)?;
    check_place(&plan, &installation, &places)?;
    check_files(&plan, &installation, arguments.force)?;
    prepare(&plan, &settings)?;
    let is_there = managers::is_there(kind).await;
    remove_others(&plan, &mut installation, &places, is_there).await?;
    for unit in &plan.units {
        keep_foreign(unit, &installation)?;
        installation.write_unit(&places.service_file, kind, &unit.path, &unit.text)?;
        say(format_args!("written: {}", unit.path.display()));
    }
    start(&plan, arguments.socket, is_there).await?;
    Ok(ExitCode::SUCCESS)
}

fn print(plan: &Plan) {
    for (number, unit) in plan.units.iter().enumerate() {
        if number > 0 {
            say("");
        }
        match plan.kind {
            UnitKind::Systemd | UnitKind::Quadlet => say(format_args!("# {}", unit.path.display())),
            // A comment in front would keep it from being XML.
            UnitKind::Launchd => note(format_args!("{}:", unit.path.display())),
        }
        say(unit.text.trim_end());
    }
}

/// Refuses where something of ours already holds the place that the service needs.
fn check_place(plan: &Plan, installation: &Installation, places: &Places) -> anyhow::Result<()> {
    let other = installation
        .units
        .iter()
        .find(|unit| unit.kind != plan.kind);
    if let Some(other) = other {
        bail!(
            "polywire is installed as a service of kind `{}` already: {}\nhint: `polywire service uninstall` first",
            other.kind.name(),
            other.path.display()
        );
    }
    let state = GatewayState::read(&places.state_file)?;
    if let Some(running) = state.and_then(|state| state.running)
        && running.presence()? == Presence::Running
    {
        bail!(
            "a gateway runs in the background with pid {}\nhint: `polywire stop` first; from then on the service is to run",
            running.process.pid()
        );
    }
    Ok(())
}

/// Refuses before anything is written when a file is not ours to replace.
fn check_files(plan: &Plan, installation: &Installation, force: bool) -> anyhow::Result<()> {
    for unit in &plan.units {
        let problem = match installation.state_of(&unit.path)? {
            UnitState::Missing | UnitState::Ours => continue,
            UnitState::Changed => "was changed since polywire wrote it",
            UnitState::Foreign => "is there already, and polywire has not written it",
        };
        if !force {
            bail!(
                "{} {problem}\nhint: `--force` replaces it, and keeps it under another name; `--print` shows what would be written",
                unit.path.display()
            );
        }
    }
    Ok(())
}

/// Makes what the service needs to be there: systemd lets it write to folders that exist, and a container mounts what exists.
fn prepare(plan: &Plan, settings: &Settings) -> anyhow::Result<()> {
    let paths = &settings.paths;
    for folder in [&paths.config_dir, &paths.state_dir] {
        polywire_daemon::make_private_folder(folder)?;
    }
    if plan.kind == UnitKind::Quadlet {
        polywire_credentials::ensure_token(&paths.token_file)?;
    }
    Ok(())
}

/// Takes away what an earlier installation wrote and this one has no use for: the socket.
async fn remove_others(
    plan: &Plan,
    installation: &mut Installation,
    places: &Places,
    is_there: bool,
) -> anyhow::Result<()> {
    let is_wanted = |path: &Path| plan.units.iter().any(|unit| unit.path == path);
    let units = installation.units.iter().map(|unit| unit.path.clone());
    let others: Vec<PathBuf> = units.filter(|path| !is_wanted(path)).collect();
    for path in others {
        if installation.state_of(&path)? == UnitState::Changed {
            bail!(
                "{} was changed since polywire wrote it, and would go on with what it says\nhint: remove it, or `polywire service uninstall --force`",
                path.display()
            );
        }
        if is_there {
            managers::run(&managers::stop_lines(plan.kind, &[file_name(&path)])).await?;
        }
        installation.remove_unit(&places.service_file, &path)?;
        say(format_args!("removed: {}", path.display()));
    }
    Ok(())
}

/// The most files that are kept of one name. Whoever has that many has lost count.
const KEPT_MAX: u32 = 1000;

/// Keeps a file that is not ours under another name.
fn keep_foreign(unit: &Unit, installation: &Installation) -> anyhow::Result<()> {
    match installation.state_of(&unit.path)? {
        UnitState::Missing | UnitState::Ours => return Ok(()),
        UnitState::Changed | UnitState::Foreign => {}
    }
    let named = |number: u32| {
        let mut name = unit.path.as_os_str().to_owned();
        name.push(format!(".before-polywire-{number}"));
        PathBuf::from(name)
    };
    let free = (1..=KEPT_MAX).map(named).find(|path| !path.exists());
    let kept = free.context("no name is left for the file that is there")?;
    fs::copy(&unit.path, &kept)
        .with_context(|| format!("{} could not be kept", unit.path.display()))?;
    say(format_args!("kept: {}", kept.display()));
    Ok(())
}

async fn start(plan: &Plan, by_socket: bool, is_there: bool) -> anyhow::Result<()> {
    let Some(unit) = plan.units.first() else {
        return Ok(());
    };
    let lines = managers::start_lines(plan.kind, by_socket, &unit.path);
    if !is_there {
        note(format_args!(
            "note: {} does not look after services of yours here; where it does, run",
            manager_name(plan.kind)
        ));
        for line in &lines {
            note(format_args!("  {}", line.join(" ")));
        }
        return Ok(());
    }
    if plan.kind == UnitKind::Launchd {
        // An agent that is there already cannot be put there again; where none is, this says so and does nothing.
        let gone = managers::run(&managers::stop_lines(plan.kind, &[])).await;
        if let Err(error) = gone {
            tracing::debug!("no earlier agent: {error}");
        }
    }
    managers::run(&lines).await.with_context(|| {
        "the unit is written, and could not be started\nhint: `polywire service status`, `journalctl --user -u polywire`"
    })?;
    say(if by_socket {
        "polywire is started when the first client comes"
    } else {
        "polywire runs, and is started with your session"
    });
    match plan.kind {
        UnitKind::Systemd | UnitKind::Quadlet => {
            note("hint: it ends with your last session; `loginctl enable-linger` keeps it");
        }
        UnitKind::Launchd => {}
    }
    Ok(())
}

pub(super) const fn manager_name(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Systemd | UnitKind::Quadlet => "systemd",
        UnitKind::Launchd => "launchd",
    }
}

pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
