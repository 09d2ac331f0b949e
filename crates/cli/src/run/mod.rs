//! `polywire run`: a coding client on a provider, with none of its files changed but Codex Desktop's while it runs.
//!
//! Reading order: [`run`], `clients.toml`, `choice.rs`, `gateway.rs` and `keeper.rs` (who serves, and for how long), `environment.rs`, `launch.rs`;
//! `desktop.rs` for the one client whose configuration has to be edited, `alone.rs` for clients that want nothing of polywire.

mod alone;
mod choice;
mod clients;
pub(crate) mod completion;
mod desktop;
mod environment;
mod gateway;
mod home_without_config;
mod in_use;
pub(crate) mod keeper;
mod last;
mod launch;
mod launchee;
mod own_file;
mod picker;
pub(crate) mod program;
mod shared;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use polywire_catalog::CONTEXT_WINDOW_FALLBACK;
use polywire_plan::Target;
use polywire_settings::{Overrides, Paths, ProcessEnvironment, RUN_VARIABLE, Settings};
use tokio::process::Command;
use tokio::signal::unix::SignalKind;

use crate::logging::note;
use crate::{ask, codex, configuration};
use alone::AloneArguments;
use choice::{Choice, Wanted};
pub(crate) use choice::{usable_target, wanted_model};
use clients::Launch;
pub(crate) use desktop::{recover, session_is_needed};
use environment::{EXCEPTIONS, SET_VARIABLE, Told};
use gateway::{Purpose, Served, gateway_for};
use last::{LastChoice, Memory};
use launch::{Heard, Signals};
use launchee::Launchee;
use own_file::OwnFile;
pub(crate) use shared::trusted_gateway;

/// The most tokens of an answer, for clients that insist on a number for a model of which nobody knows it.
const OUTPUT_TOKENS_FALLBACK: u64 = 32_000;

#[derive(Args, Default)]
pub(crate) struct RunArguments {
    /// The client to launch: codex, codex-desktop, claude, opencode, aider; any other word is a command of the search path [default: asked for on a terminal]
    #[arg(add = ArgValueCandidates::new(completion::clients))]
    client: Option<String>,
    /// Words for the client; those that begin with a dash stand after `--`
    #[arg(value_name = "WORD")]
    words: Vec<OsString>,
    /// The provider to use [default: asked for on a terminal; elsewhere the default provider of the settings]
    #[arg(short, long, add = ArgValueCandidates::new(completion::providers))]
    provider: Option<String>,
    /// The model to use [default: asked for on a terminal; elsewhere the provider's default model]
    #[arg(short, long, add = ArgValueCandidates::new(completion::models))]
    model: Option<String>,
    /// Ask nothing: take the default provider and its default model
    #[arg(long)]
    no_input: bool,
    #[command(flatten)]
    alone: AloneArguments,
    /// Where the client's program is [default: the first of its name on the search path]
    #[arg(long, value_name = "PATH", aliases = ["codex", "desktop"])]
    program: Option<PathBuf>,
    /// Refuse a turn rather than lose something of it that matters, and say what
    #[arg(long)]
    strict: bool,
    /// Arguments for the client; without CLIENT, a command and its arguments
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// The names of the variables that come of a run around this process. What outlives that run, or is no client of it, must not have them.
pub(crate) fn variables_of_run() -> Vec<String> {
    ProcessEnvironment.names_of_run()
}

pub(crate) async fn run(arguments: RunArguments, overrides: Overrides) -> anyhow::Result<ExitCode> {
    let overrides = Overrides {
        default_provider: arguments.provider.clone(),
        strict: arguments.strict,
        ..overrides
    };
    let paths = Paths::find(&overrides, &ProcessEnvironment)?;
    desktop::recover(&paths);
    let named = launchee::named(&arguments)?;
    let own = arguments.alone.own();
    if let Some(own) = own
        && let Some((client, rest)) = named
    {
        let launchee = Launchee::find(client, rest, &arguments)?;
        return alone::run(&launchee, own, &paths).await;
    }
    let settings = configuration::load(&overrides)?;
    let mut memory = Memory::read(&settings);
    let (client, rest) = match named {
        Some(named) => named,
        None if ask::is_possible() => {
            let client = picker::client(&memory.choice)?;
            memory.choice.client = Some(client.id.clone());
            (client, Vec::new())
        }
        None => return Ok(launchee::no_client()),
    };
    let launchee = Launchee::find(client, rest, &arguments)?;
    if let Some(own) = own {
        memory.keep(&settings);
        return alone::run(&launchee, own, &paths).await;
    }
    configuration::tell_warnings(&settings);
    let choice = choose(&arguments, &settings, &mut memory.choice)?;
    let mark = format!("{:032x}", rand::random::<u128>());
    match make_ready(&choice, &settings, &overrides, &mark).await? {
        Ready::Served(ready) => {
            let (target, served) = *ready;
            memory.keep(&settings);
            run_on(&launchee, &choice, &target, served, &mark, &settings).await
        }
        Ready::Failed => Ok(ExitCode::FAILURE),
        Ready::Interrupted => Ok(ExitCode::from(ask::CANCELLED)),
    }
}

/// The provider and the model, asked for where somebody can be asked.
fn choose(
    arguments: &RunArguments,
    settings: &Settings,
    last: &mut LastChoice,
) -> anyhow::Result<Choice> {
    let wanted = Wanted {
        provider: arguments.provider.clone(),
        model: arguments.model.clone(),
    };
    choice::tell_word(&arguments.words, &wanted, settings);
    let is_named = wanted.provider.is_some() || wanted.model.is_some();
    let choice = if ask::is_possible() && !arguments.no_input {
        choice::by_asking(wanted, settings, last)?
    } else {
        choice::without_asking(wanted, settings)?
    };
    choice::tell_demo(&choice, is_named);
    Ok(choice)
}

/// What came of the preparations.
enum Ready {
    /// The target with what it needs, and a gateway.
    Served(Box<(Target, Served)>),
    /// The gateway did not start, and has said why.
    Failed,
    /// Ctrl-C came first.
    Interrupted,
}

/// Sees to whatever has to be there before the client is.
async fn make_ready(
    choice: &Choice,
    settings: &Settings,
    overrides: &Overrides,
    mark: &str,
) -> anyhow::Result<Ready> {
    let prepared = async {
        let target = usable_target(&choice.model, settings).await?;
        let purpose = Purpose {
            target: &target,
            provider: choice.provider.as_deref(),
            strict: overrides.strict,
            mark,
        };
        let served = gateway_for(&purpose, settings, overrides).await?;
        anyhow::Ok(served.map_or(Ready::Failed, |served| {
            Ready::Served(Box::new((target, served)))
        }))
    };
    // A question takes the signal over; from then on Ctrl-C does nothing by itself.
    let mut interrupt = Heard::new(SignalKind::interrupt())?;
    let ready = tokio::select! {
        ready = prepared => ready,
        () = interrupt.comes() => return Ok(Ready::Interrupted),
    };
    if ready.is_err() && interrupt.comes_at_once().await {
        // Ctrl-C has reached a command that was asked for the key as well, and its failure was seen first.
        return Ok(Ready::Interrupted);
    }
    ready
}

/// Launches the client on its gateway, and leaves the gateway when the client has ended.
async fn run_on(
    launchee: &Launchee,
    choice: &Choice,
    target: &Target,
    mut served: Served,
    mark: &str,
    settings: &Settings,
) -> anyhow::Result<ExitCode> {
    let launched = launch_on(launchee, choice, target, &mut served, mark, settings).await;
    if let Some(own) = served.own {
        own.leave(&launchee.client.name).await;
    }
    tell_resuming(launchee, choice);
    Ok(launch::exit_code(launched?))
}

/// Codex ends its screen with how to go on, and does not know that it takes polywire to do so.
fn tell_resuming(launchee: &Launchee, choice: &Choice) {
    let had_screen = match launchee.arguments.first() {
        None => true,
        Some(first) => first == "resume" || first.as_encoded_bytes().starts_with(b"-"),
    };
    if launchee.client.launch == Launch::Codex && had_screen && ask::is_possible() {
        note(format_args!(
            "with polywire: polywire run codex -m {} -- resume --last",
            choice.model
        ));
    }
}

/// Starts the client on the gateway and waits for its end.
async fn launch_on(
    launchee: &Launchee,
    choice: &Choice,
    target: &Target,
    served: &mut Served,
    mark: &str,
    settings: &Settings,
) -> anyhow::Result<ExitStatus> {
    let told = told(choice, target, served);
    let mut file = match &launchee.client.file {
        Some(document) => Some(OwnFile::write(&told.document(document), mark, settings).await?),
        None => None,
    };
    let command = command(launchee, &told, file.as_ref(), mark);
    if let (Some(file), Some(own)) = (&mut file, &mut served.own) {
        own.keep(file).await;
    }
    if launchee.client.launch == Launch::Desktop {
        return desktop::run_on(launchee, command, &choice.model, served, settings).await;
    }
    // Before the client runs, so that no request to end is missed.
    let mut signals = Signals::new()?;
    let mut child = launch::start(command, &launchee.program)?;
    if let Some(own) = &mut served.own {
        own.launched(&child).await;
    }
    launch::wait_for(&mut child, &mut signals).await
}

/// What the client gets to know.
fn told<'a>(choice: &'a Choice, target: &Target, served: &'a Served) -> Told<'a> {
    let known = target.model.as_ref();
    let context_window = known.and_then(|model| model.context_window);
    let output_tokens_max = known.and_then(|model| model.output_tokens_max);
    Told {
        address: served.address,
        token: served.token.as_ref(),
        model: &choice.model,
        context_window: context_window.unwrap_or(CONTEXT_WINDOW_FALLBACK),
        output_tokens_max: output_tokens_max.unwrap_or(OUTPUT_TOKENS_FALLBACK),
    }
}

/// The client, pointed at the gateway.
fn command(launchee: &Launchee, told: &Told<'_>, file: Option<&OwnFile>, mark: &str) -> Command {
    let Launchee {
        client,
        program,
        arguments,
    } = launchee;
    let mut variables = environment::variables(client, told, &configuration::variable);
    let mut command = Command::new(program);
    match client.launch {
        Launch::Environment | Launch::Desktop => {}
        Launch::Codex => {
            command.args(codex::overrides(told.address, told.model));
            variables.insert(codex::TOKEN_VARIABLE.to_owned(), told.token().to_owned());
        }
    }
    let path = file.map(|file| file.path().display().to_string());
    let own_arguments = client.arguments.iter().map(|argument| match &path {
        Some(path) => told.filled(argument).replace("{file}", path),
        None => told.filled(argument),
    });
    // What the user has said of proxies is only added to, and stays the user's.
    let is_ours = |name: &&String| {
        !(EXCEPTIONS.contains(&name.as_str()) && configuration::variable(name).is_some())
    };
    let outer = configuration::variable(SET_VARIABLE);
    let names = outer.iter().chain(variables.keys().filter(is_ours));
    let names = names.map(String::as_str).filter(|name| !name.is_empty());
    let names: Vec<&str> = names.collect();
    for name in &client.without {
        command.env_remove(name);
    }
    command
        .args(own_arguments)
        .args(arguments)
        .env(RUN_VARIABLE, mark)
        .env(SET_VARIABLE, names.join(","))
        .envs(&variables);
    command
}
