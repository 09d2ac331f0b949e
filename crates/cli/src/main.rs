//! The polywire program. One file per command; errors end with a hint; exit codes are the shell's business.

mod ask;
mod background;
mod cleanup;
mod codex;
mod codex_login;
mod columns;
mod completions;
mod config;
mod configuration;
mod demo;
mod demo_client;
mod doctor;
mod log_json;
mod logging;
mod login;
mod logout;
mod man;
mod misuse;
mod printable;
mod provider;
mod receipt_pages;
mod receipts;
mod run;
mod running;
mod serve;
mod service;
mod serving;
mod state;
mod supervisor;
mod whoami;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use polywire_settings::{LogFormat, Overrides};

use crate::misuse::Misuse;

/// The exit code for a mistake on the command line, which is clap's.
pub(crate) const USAGE: u8 = 2;

/// Shown below the help of `polywire` and of `polywire run`.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; the reason is on the error stream
  2    a mistake on the command line
  130  a question was cancelled, or Ctrl-C came before a client ran
  `run` ends with the client's own code, or with 128 + N when signal N ended it";

/// Any coding agent, any model, on your own machine.
///
/// Alone on a terminal it asks for a client, a provider and a model, and launches the client.
#[derive(Parser)]
#[command(name = "polywire", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone)]
struct Common {
    /// The settings file [default: `polywire/config.toml` in the folder for settings]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log, such as `info` or `polywire_gateway=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How the log is written: `text` for people, `json` for programs, one object a line
    #[arg(long, global = true, value_name = "FORMAT", value_parser = LogFormat::parse)]
    log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    /// Play one real turn through the gateway on the built-in demo provider, then keep serving
    Demo(demo::DemoArguments),
    /// Launch a coding client on a provider; its files stay as they are, but for Codex Desktop's while it runs
    #[command(after_help = EXIT_CODES)]
    Run(run::RunArguments),
    /// The providers: add, look at, change, remove them
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// The gateway of a run, which `run` starts
    #[command(name = "run-gateway", hide = true)]
    RunGateway(run::keeper::KeeperArguments),
    /// Run the gateway in the foreground
    Serve(serve::ServeArguments),
    /// Start the gateway in the background
    Start(background::StartArguments),
    /// Stop the gateway in the background: turns at work may end first
    Stop(background::StopArguments),
    /// Stop the gateway in the background and start it as it was started last, with the options that are given
    Restart(background::RestartArguments),
    /// Whether a gateway runs and how it does. Exit code 0 when one runs, 1 when none does
    Status(background::StatusArguments),
    /// Show the log of the gateway in the background
    Logs(background::LogsArguments),
    /// Let the system of your session look after the gateway
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Show the gateway's token, which its clients must send
    Token,
    /// What each turn was: who asked for what, who served it, what it cost, what was lost
    Receipts(receipts::ReceiptsArguments),
    /// Log in with a ChatGPT account, for Codex and for polywire
    Login(login::LoginArguments),
    /// Revoke the ChatGPT login and remove it
    Logout(logout::LogoutArguments),
    /// Whose ChatGPT login is used, how long it is good for, what of its plan is left
    Whoami(whoami::WhoamiArguments),
    /// Codex's own configuration: have it use polywire until that is taken back
    #[command(subcommand)]
    Codex(codex::CodexCommand),
    /// What is wrong, and what to do: settings, keys, network, Codex and its configuration, leftovers
    Doctor(doctor::DoctorArguments),
    /// Find what crashed programs left behind (processes, pid files, sockets), and remove it when asked
    Cleanup(cleanup::CleanupArguments),
    /// The settings in force
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// What a shell needs to complete commands, options, providers and models
    Completions(completions::CompletionsArguments),
    /// The manual pages
    #[command(hide = true)]
    Man(man::ManArguments),
}

fn main() -> ExitCode {
    match completions::answer_shell() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            logging::note(error);
            return ExitCode::FAILURE;
        }
    }
    let arguments = Arguments::parse();
    match runtime().and_then(|runtime| runtime.block_on(command(arguments))) {
        Ok(code) => code,
        Err(error) if error.is::<ask::Cancelled>() => {
            logging::note(error);
            ExitCode::from(ask::CANCELLED)
        }
        Err(error) if error.is::<Misuse>() => {
            logging::complain(&error);
            ExitCode::from(USAGE)
        }
        Err(error) => {
            logging::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// One thread moves every turn. Translating an event costs less than waking another thread for it, and a turn that never
/// changes threads needs no locks on its way; measured in docs/performance.md.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

async fn command(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let overrides = Overrides {
        config: arguments.common.config,
        log: arguments.common.log,
        log_format: arguments.common.log_format,
        ..Overrides::default()
    };
    let Some(command) = arguments.command else {
        return alone(overrides).await;
    };
    match command {
        Command::Demo(demo) => demo::demo(demo, overrides).await,
        Command::Run(run) => run::run(run, overrides).await,
        Command::Provider(command) => provider::provider(command, overrides).await,
        Command::RunGateway(keeper) => run::keeper::keep(keeper, overrides).await,
        Command::Serve(serve) => serve::serve(serve, overrides).await,
        Command::Start(start) => background::start(start, overrides).await,
        Command::Stop(stop) => background::stop(stop, overrides).await,
        Command::Restart(restart) => background::restart(restart, overrides).await,
        Command::Status(status) => background::status(status, overrides).await,
        Command::Logs(logs) => background::logs(logs, overrides).await,
        Command::Service(command) => service::service(command, overrides).await,
        Command::Token => configuration::show_token(&overrides),
        Command::Receipts(receipts) => receipts::receipts(receipts, overrides).await,
        Command::Login(login) => login::login(login).await,
        Command::Logout(logout) => logout::logout(logout).await,
        Command::Whoami(whoami) => whoami::whoami(whoami).await,
        Command::Codex(command) => codex::command(command, overrides).await,
        Command::Doctor(doctor) => doctor::doctor(doctor, overrides).await,
        Command::Cleanup(arguments) => cleanup::cleanup(&arguments, &overrides),
        Command::Config(command) => config::config(&command, &overrides),
        Command::Completions(completions) => completions::completions(&completions),
        Command::Man(man) => man::man(&man),
    }
}

/// `polywire` alone: somebody at a terminal is asked what to launch, anybody else gets the help.
async fn alone(overrides: Overrides) -> anyhow::Result<ExitCode> {
    if ask::is_possible() {
        return run::run(run::RunArguments::default(), overrides).await;
    }
    logging::note(Arguments::command().render_help());
    Ok(ExitCode::from(USAGE))
}
