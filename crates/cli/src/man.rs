//! `polywire man`: the manual pages, from the same source as the help.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};

use crate::logging::{say, say_part};

#[derive(Args)]
pub(crate) struct ManArguments {
    /// The folder for one page of each command, such as `~/.local/share/man/man1`; without it the page of `polywire` itself is printed
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// `polywire man`.
pub(crate) fn man(arguments: &ManArguments) -> anyhow::Result<ExitCode> {
    let command = crate::Arguments::command();
    let Some(folder) = &arguments.output else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        say_part(&String::from_utf8(page)?);
        return Ok(ExitCode::SUCCESS);
    };
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.with_context(|| format!("the pages could not be written to {}", folder.display()))?;
    say(format_args!("the pages are in {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}
