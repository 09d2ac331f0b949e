//! What is launched: which client, where its program is, and the user's arguments for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;

use super::clients::{self, Client, Launch};
use super::{RunArguments, desktop, program};
use crate::configuration;
use crate::logging::note;

/// What is to be launched.
pub(crate) struct Launchee {
    pub(crate) client: Client,
    pub(crate) program: PathBuf,
    /// Its arguments, as the user gave them.
    pub(crate) arguments: Vec<OsString>,
}

/// The client that the command line names, and the arguments for it. Without a client, what stands behind `--` begins with a command.
///
/// # Errors
/// The command's name is not Unicode.
pub(crate) fn named(given: &RunArguments) -> anyhow::Result<Option<(Client, Vec<OsString>)>> {
    let mut rest = given.words.iter().chain(&given.arguments).cloned();
    let word = match &given.client {
        Some(word) => word.clone(),
        None => match rest.next() {
            Some(word) => word.into_string().map_err(|word| {
                anyhow::anyhow!("the command `{}` is not Unicode", word.display())
            })?,
            None => return Ok(None),
        },
    };
    Ok(clients::client(&word).map(|client| (client, rest.collect())))
}

/// Says what is missing as for any other argument that is, and ends as that does.
pub(crate) fn no_client() -> ExitCode {
    let mut command = crate::Arguments::command();
    command.build();
    let missing = command.find_subcommand_mut("run").map(|command| {
        command.error(
            clap::error::ErrorKind::MissingRequiredArgument,
            "which client? On a terminal this would be asked\n\nhint: `polywire run codex`, or `polywire run -- COMMAND`",
        )
    });
    if let Some(missing) = missing {
        note(missing.render().to_string().trim_end());
    }
    ExitCode::from(crate::USAGE)
}

impl Launchee {
    /// Finds the client's program, where the command line says, else on the search path.
    ///
    /// # Errors
    /// It is not there; the error tells how to get it.
    pub(crate) fn find(
        client: Client,
        arguments: Vec<OsString>,
        given: &RunArguments,
    ) -> anyhow::Result<Self> {
        let program = match client.launch {
            Launch::Desktop => desktop::find(given.program.as_deref())?,
            Launch::Environment | Launch::Codex => find(&client, given.program.as_deref())?,
        };
        Ok(Self {
            client,
            program,
            arguments,
        })
    }
}

fn find(client: &Client, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        anyhow::ensure!(
            program::is_program(path),
            "there is no program at {}\nhint: `--program` takes the path of {}",
            path.display(),
            client.name
        );
        // A name alone would be looked for on the search path when it is started.
        return Ok(std::path::absolute(path)?);
    }
    let search_path = configuration::variable("PATH");
    program::find(&client.program, search_path.as_deref()).ok_or_else(|| not_found(client))
}

fn not_found(client: &Client) -> anyhow::Error {
    if let Some(install) = &client.install {
        return anyhow::anyhow!(
            "{} was not found on the search path: there is no program `{}`\nhint: {install}, or give its path with `--program PATH`",
            client.name,
            client.program
        );
    }
    let known = clients::clients().iter();
    let known: Vec<&str> = known.map(|client| client.id.as_str()).collect();
    anyhow::anyhow!(
        "there is neither a client nor a program `{}`\nhint: clients are {}; any other word is a command of the search path",
        client.program,
        known.join(", ")
    )
}
