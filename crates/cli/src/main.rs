//! The polywire program. One file per command; errors end with a hint; exit codes are the shell's business.

mod ask;
mod codex;
mod codex_login;
mod columns;
mod config;
mod configuration;
mod demo;
mod demo_client;
mod log_json;
mod logging;
mod login;
mod logout;
mod printable;
mod provider;
mod receipt_pages;
mod receipts;
mod run;
mod running;
mod serve;
mod state;
mod whoami;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use polywire_settings::{LogFormat, Overrides};

/// Any coding agent, any model, on your own machine.
#[derive(Parser)]
#[command(name = "polywire", version, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
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
    /// Launch a coding client on a provider, without changing any of its files
    Run(run::RunArguments),
    /// The providers: add, look at, change, remove them
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Run the gateway in the foreground
    Serve(serve::ServeArguments),
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
    /// The settings in force
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match runtime().and_then(|runtime| runtime.block_on(command(arguments))) {
        Ok(code) => code,
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
    match arguments.command {
        Command::Demo(demo) => demo::demo(demo, overrides).await,
        Command::Run(run) => run::run(run, overrides).await,
        Command::Provider(command) => provider::provider(command, overrides).await,
        Command::Serve(serve) => serve::serve(serve, overrides).await,
        Command::Token => configuration::show_token(&overrides),
        Command::Receipts(receipts) => receipts::receipts(receipts, overrides).await,
        Command::Login(login) => login::login(login).await,
        Command::Logout(logout) => logout::logout(logout).await,
        Command::Whoami(whoami) => whoami::whoami(whoami).await,
        Command::Config(command) => config::config(&command, &overrides),
    }
}
