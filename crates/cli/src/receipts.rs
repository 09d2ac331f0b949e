//! `polywire receipts`: what each turn was.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use polywire_settings::{Overrides, Settings};
use polywire_store::{Found, Outcome, Receipt, ReceiptFilter, Store};
use serde::Serialize;

use crate::logging::{note, say};
use crate::printable::{printable, printable_json};
use crate::{configuration, receipt_pages, state};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReceiptsArguments {
    #[command(flatten)]
    list: ListArguments,
    #[command(subcommand)]
    command: Option<ReceiptsCommand>,
}

#[derive(Args)]
struct ListArguments {
    /// How many of the newest turns to list
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only turns with this model, as it was asked for or as it was served
    #[arg(short, long)]
    model: Option<String>,
    /// Only turns that ended so
    #[arg(long)]
    outcome: Option<OutcomeName>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ReceiptsCommand {
    /// Show everything of one turn, with each loss
    Show {
        /// The turn's id (`x-polywire-request-id`), or the beginning of it
        id: String,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum OutcomeName {
    /// The model's answer is whole
    Finished,
    /// The turn failed
    Failed,
    /// The client left before the end
    ClientLeft,
}

impl From<OutcomeName> for Outcome {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Finished => Outcome::Finished,
            OutcomeName::Failed => Outcome::Failed,
            OutcomeName::ClientLeft => Outcome::ClientLeft,
        }
    }
}

pub(crate) async fn receipts(
    arguments: ReceiptsArguments,
    overrides: Overrides,
) -> anyhow::Result<ExitCode> {
    let settings = configuration::load(&overrides)?;
    configuration::tell_warnings(&settings);
    match arguments.command {
        None => list(arguments.list, &settings).await?,
        Some(ReceiptsCommand::Show { id, json }) => show(&id, json, &settings).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(arguments: ListArguments, settings: &Settings) -> anyhow::Result<()> {
    let filter = ReceiptFilter {
        limit: arguments.limit,
        model: arguments.model,
        outcome: arguments.outcome.map(Outcome::from),
        since_unix_ms: None,
    };
    let filtered = filter.model.is_some() || filter.outcome.is_some();
    let found = match state::open_existing(settings)? {
        Some(store) => {
            let found = store.receipts(filter).await;
            store.close().await;
            found?
        }
        None => Vec::new(),
    };
    if arguments.json {
        return say_json(&found);
    }
    if found.is_empty() {
        note(nothing_to_list(filtered, settings));
        return Ok(());
    }
    for line in receipt_pages::table(&found) {
        say(line);
    }
    Ok(())
}

fn nothing_to_list(filtered: bool, settings: &Settings) -> &'static str {
    if !settings.receipts.enabled {
        "there are no receipts, and the settings say that none are kept\nhint: write `enabled = true` under [receipts]"
    } else if filtered {
        "no receipt fits\nhint: `polywire receipts` lists those of all turns"
    } else {
        "there are no receipts yet\nhint: each turn through the gateway leaves one; `polywire demo` plays a turn"
    }
}

async fn show(id: &str, json: bool, settings: &Settings) -> anyhow::Result<()> {
    let found = match state::open_existing(settings)? {
        Some(store) => {
            let found = find(&store, id).await;
            store.close().await;
            found?
        }
        None => return Err(unknown(id)),
    };
    if json {
        return say_json(&found);
    }
    for line in receipt_pages::page(&found) {
        say(line);
    }
    Ok(())
}

async fn find(store: &Store, id: &str) -> anyhow::Result<Receipt> {
    match store.receipt(id).await? {
        Found::One(receipt) => Ok(*receipt),
        Found::Nothing => Err(unknown(id)),
        Found::Several(ids) => {
            let ids: Vec<String> = ids
                .iter()
                .map(|id| format!("`{}`", printable(id)))
                .collect();
            anyhow::bail!(
                "more than one receipt begins with `{}`: {} …\nhint: give more of the id",
                printable(id),
                ids.join(", ")
            )
        }
    }
}

fn unknown(id: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no receipt `{}`\nhint: `polywire receipts` lists the newest; old ones are removed as [receipts] in the settings says",
        printable(id)
    )
}

fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    say(printable_json(&serde_json::to_string_pretty(value)?));
    Ok(())
}
