//! `polywire codex apply`, `diff` and `restore`: a lasting edit of Codex's configuration.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use polywire_client_files::{Journal, Layer, Plan};
use polywire_plan::Target;
use polywire_settings::{
    AuthMode, Environment as _, Overrides, Paths, ProcessEnvironment, Settings,
};
use serde_json::json;

use super::command::{ApplyArguments, Choice, DiffArguments, RestoreArguments};
use super::configuration_file::{ConfigurationFile, journal};
use super::own_program::own_program;
use super::preview::Purpose;
use super::wanted::{TokenSource, token_command, wanted};
use super::{PROVIDER, checks, preview};
use crate::logging::{note, say};
use crate::{ask, configuration, run, running};

/// What says where our settings and our token are, and where they are without it, below the home folder. What is started from a desktop may
/// not have these variables.
const PLACE_VARIABLES: [(&str, &str); 2] = [
    ("XDG_CONFIG_HOME", ".config"),
    ("XDG_STATE_HOME", ".local/state"),
];

/// An edit that can be shown and made.
struct Prepared {
    settings: Settings,
    file: ConfigurationFile,
    journal: Journal,
    plan: Plan,
    gateway: SocketAddr,
    target: Target,
}

pub(crate) async fn apply(
    arguments: ApplyArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let prepared = prepare(&arguments.choice, overrides).await?;
    let Prepared { plan, journal, .. } = &prepared;
    if arguments.json {
        journal.carry_out(plan, None)?;
        say(report(plan, Purpose::Apply, true));
        return Ok(ExitCode::SUCCESS);
    }
    let path = plan.file().display();
    if !plan.changes_the_file() {
        journal.carry_out(plan, None)?;
        say(format_args!("{path} says all of it already"));
        return Ok(ExitCode::SUCCESS);
    }
    show(plan, Purpose::Apply);
    if !arguments.yes && !may_write(plan.file())? {
        note("nothing was written");
        return Ok(ExitCode::FAILURE);
    }
    journal.carry_out(plan, None)?;
    say(format_args!("Written to {path}"));
    tell_what_next(&prepared).await?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn diff(
    arguments: DiffArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let Prepared { plan, .. } = prepare(&arguments.choice, overrides).await?;
    if arguments.json {
        say(report(&plan, Purpose::Apply, false));
    } else if plan.changes_the_file() {
        show(&plan, Purpose::Apply);
    } else {
        note(format_args!(
            "{} says all of it already",
            plan.file().display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn restore(
    arguments: &RestoreArguments,
    overrides: &Overrides,
) -> anyhow::Result<ExitCode> {
    let file = ConfigurationFile::find(arguments.place.profile.as_deref())?;
    // No settings are needed, so that broken ones keep nobody from taking an edit back.
    let journal = journal(&Paths::find(overrides, &ProcessEnvironment)?);
    let path = file.path.display();
    let Some(plan) = journal.plan_restore(&file.path, Layer::Lasting)? else {
        refuse_unrecorded(&file, &journal)?;
        if arguments.json {
            say(
                json!({ "file": file.path, "changes": false, "written": false, "kept": [], "diff": "" }),
            );
        } else {
            say(format_args!("{path} holds nothing of polywire's"));
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !arguments.dry_run {
        journal.carry_out(&plan, None)?;
    }
    if arguments.json {
        say(report(&plan, Purpose::Restore, !arguments.dry_run));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.dry_run {
        show(&plan, Purpose::Restore);
        return Ok(ExitCode::SUCCESS);
    }
    tell_kept(&plan, Purpose::Restore);
    say(match (plan.current(), plan.after()) {
        (Some(_), None) => format!("Removed {path}, which was not there before"),
        (None, _) => format!("{path} is gone; nothing was to be taken back"),
        (Some(_), Some(_)) if !plan.changes_the_file() => {
            format!("{path} holds nothing of polywire's any more")
        }
        (Some(_), Some(_)) => format!("Took back from {path} what polywire had written"),
    });
    Ok(ExitCode::SUCCESS)
}

/// Refuses to say that nothing is there when it is, and only its record is not.
fn refuse_unrecorded(file: &ConfigurationFile, journal: &Journal) -> anyhow::Result<()> {
    match checks::what_is_ours(file)? {
        None => Ok(()),
        Some(what) => anyhow::bail!(
            "{} has {what} in it, and no record of that is in {}\nhint: `restore` needs the settings folders of the `apply` that wrote it (XDG_STATE_HOME); otherwise remove `model_provider` and the table [model_providers.{PROVIDER}] from it yourself",
            file.path.display(),
            journal.folder().display()
        ),
    }
}

async fn prepare(choice: &Choice, overrides: Overrides) -> anyhow::Result<Prepared> {
    let overrides = Overrides {
        default_provider: choice.provider.clone(),
        ..overrides
    };
    let settings = configuration::load(&overrides)?;
    configuration::tell_warnings(&settings);
    let (provider, model) = (choice.provider.as_deref(), choice.model.as_deref());
    let model = run::wanted_model(provider, model, &settings)?;
    let target = run::usable_target(&model, &settings).await?;
    let gateway = shared_gateway(&settings)?;
    let file = ConfigurationFile::find(choice.place.profile.as_deref())?;
    let journal = journal(&settings.paths);
    let is_ours = !journal.layers(&file.path)?.is_empty();
    checks::check(&file, is_ours)?;
    let token = token_source(&settings)?;
    let wanted = wanted(gateway, &model, &token);
    let plan = journal.plan_apply(&file.path, Layer::Lasting, &wanted)?;
    Ok(Prepared {
        settings,
        file,
        journal,
        plan,
        gateway,
        target,
    })
}

/// Where Codex will find the gateway from now on.
fn shared_gateway(settings: &Settings) -> anyhow::Result<SocketAddr> {
    let listen = settings.server.listen;
    anyhow::ensure!(
        listen.port() != 0,
        "the settings let the system choose the gateway's port, so that Codex could not find it again\nhint: set `listen = \"127.0.0.1:4891\"` under [server]"
    );
    Ok(match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            (Ipv4Addr::LOCALHOST, listen.port()).into()
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (Ipv6Addr::LOCALHOST, listen.port()).into()
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => listen,
    })
}

fn token_source(settings: &Settings) -> anyhow::Result<TokenSource> {
    match settings.server.auth {
        AuthMode::None => return Ok(TokenSource::NoneNeeded),
        AuthMode::Token => {}
    }
    // Made now, so that Codex finds one.
    configuration::token(settings)?;
    if settings.token.is_some() {
        note(
            "warning: the gateway's token is in POLYWIRE_TOKEN, so Codex has to be started with that variable as well",
        );
    }
    let program = own_program()?;
    let config = &settings.paths.config_file;
    let config =
        std::path::absolute(config).with_context(|| format!("where {} is", config.display()))?;
    let set = PLACE_VARIABLES.into_iter().filter_map(|(name, usual)| {
        let value = configuration::variable(name).filter(|value| !value.is_empty())?;
        let usual = ProcessEnvironment.home().map(|home| home.join(usual));
        (usual.as_deref() != Some(Path::new(&value))).then_some((name, value))
    });
    let set: Vec<(&str, String)> = set.collect();
    let config = settings.paths.config_named.then_some(config.as_path());
    Ok(TokenSource::Command(token_command(&program, config, &set)))
}

/// Asks whether it may be written.
fn may_write(file: &Path) -> anyhow::Result<bool> {
    anyhow::ensure!(
        ask::is_possible(),
        "nobody is here to be asked whether this may be written\nhint: `--yes` writes it without a question"
    );
    ask::whether(&format!("Write this to {}?", file.display()), false)
}

fn show(plan: &Plan, purpose: Purpose) {
    for line in preview::diff(plan) {
        say(line);
    }
    tell_kept(plan, purpose);
}

fn tell_kept(plan: &Plan, purpose: Purpose) {
    for kept in plan.kept() {
        note(format_args!("note: {}", preview::kept(kept, purpose)));
    }
}

/// The edit for programs.
fn report(plan: &Plan, purpose: Purpose, written: bool) -> serde_json::Value {
    let kept: Vec<String> = plan
        .kept()
        .iter()
        .map(|kept| preview::kept(kept, purpose))
        .collect();
    json!({
        "file": plan.file(),
        "changes": plan.changes_the_file(),
        "written": written && plan.changes_the_file(),
        "kept": kept,
        "diff": preview::diff(plan).join("\n"),
    })
}

/// How to use it, how to get rid of it, and that a gateway is needed if there is none.
async fn tell_what_next(prepared: &Prepared) -> anyhow::Result<()> {
    let Prepared {
        settings,
        file,
        gateway,
        target,
        ..
    } = prepared;
    let (words, option) = match &file.profile {
        Some(name) => (
            format!("codex --profile {name}"),
            format!(" --profile {name}"),
        ),
        None => ("codex".to_owned(), String::new()),
    };
    say(format_args!(
        "`{words}` uses polywire from now on, until `polywire codex restore{option}`"
    ));
    let provider = &target.provider;
    match run::trusted_gateway(settings).await {
        Some(other) if other != *gateway => note(format_args!(
            "polywire runs on {other}, and Codex will ask {gateway}, the address of the settings\nhint: set `listen` under [server], then `polywire stop` and `polywire start`"
        )),
        Some(there) => {
            let token = configuration::token(settings)?;
            if !running::serves_provider(there, token.as_ref(), provider).await {
                note(format_args!(
                    "the gateway on {there} does not serve {} as these settings do\nhint: `polywire restart`",
                    provider.id
                ));
            }
        }
        None => note(format_args!(
            "no gateway runs on {gateway}\nhint: `polywire start`; Codex works as long as it runs"
        )),
    }
    Ok(())
}
