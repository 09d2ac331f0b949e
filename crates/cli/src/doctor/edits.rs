//! What polywire itself has written into Codex's configuration, and whether it still holds.

use std::net::SocketAddr;

use polywire_client_files::{Layer, Open, TomlText};
use polywire_settings::{Paths, ProcessEnvironment};
use toml::Value;

use super::check::Subject;
use super::finding::Finding;
use crate::codex::PROVIDER;
use crate::codex::configuration_file::journal;
use crate::{run, running};

pub(crate) async fn check(subject: &Subject) -> Vec<Finding> {
    let open = Paths::find(&subject.overrides, &ProcessEnvironment)
        .map_err(|error| error.to_string())
        .and_then(|paths| {
            let open = journal(&paths).open_edits();
            open.map_err(|error| error.to_string())
        });
    let open = match open {
        Ok(open) => open,
        Err(error) => {
            let (what, hint) = error.split_once("\nhint: ").unwrap_or((&error, ""));
            let what = format!("what polywire has noted of its edits cannot be read: {what}");
            let finding = Finding::problem("edits", what);
            return vec![if hint.is_empty() {
                finding.hint("look at the modes and owners of the folders that lead to it")
            } else {
                finding.hint(hint)
            }];
        }
    };
    if open.is_empty() {
        let what = "polywire has nothing in Codex's configuration";
        return vec![Finding::ok("edits", what)];
    }
    let mut found = Vec::new();
    for edit in &open {
        let finding = match edit.layer {
            Layer::Session => session(edit),
            Layer::Lasting => lasting(edit).await,
        };
        found.push(finding.at(edit.file.display()));
    }
    found
}

fn session(edit: &Open) -> Finding {
    if run::session_is_needed(edit) {
        return Finding::ok("edits", "it is polywire's as long as Codex Desktop runs");
    }
    Finding::problem(
        "orphaned_session",
        "a Codex Desktop session that has ended has left its values in it: its gateway, which may be gone, and its model",
    )
    .hint("the next `polywire run` or `polywire codex` takes them back, or says why it cannot: `polywire codex diff`")
}

async fn lasting(edit: &Open) -> Finding {
    let Some(address) = gateway(edit) else {
        let what = "it has an edit of `polywire codex apply` in it, which others have changed so that no gateway is named";
        return Finding::warning("edits", what)
            .hint("`polywire codex restore` takes back what is left of it; `polywire codex apply` writes it anew");
    };
    if running::is_polywire(address).await {
        let what = format!("it has polywire in it, which answers on {address}");
        return Finding::ok("edits", what);
    }
    Finding::problem(
        "edit_without_gateway",
        format!("it has polywire in it, and nobody answers on {address}: plain `codex` does not work"),
    )
    .hint("`polywire start`, or `polywire service install` for every login; `polywire codex restore` takes polywire out of it")
}

/// The gateway that the file names.
fn gateway(edit: &Open) -> Option<SocketAddr> {
    let text = TomlText::parse(&std::fs::read(&edit.file).ok()?).ok()?;
    let url = text.get(&["model_providers", PROVIDER, "base_url"]);
    let address = url.and_then(Value::as_str)?.strip_prefix("http://")?;
    address.split('/').next()?.parse().ok()
}
