//! The gateway that a client is pointed at: the one that runs, else one of its own.
//!
//! One of its own is a process of its own (`keeper.rs`), not a part of `run`: it must neither end under the hands of a client that outlives
//! `run`, nor be left behind when nobody needs it any more.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use polywire_credentials::Secret;
use polywire_plan::Target;
use polywire_settings::{Overrides, Settings};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::own_file::OwnFile;
use super::shared::trusted_gateway;
use super::variables_of_run;
use crate::logging::note;
use crate::{configuration, running};

/// How long the gateway may take to end, or to say that it stays. It looks a few times whether somebody is left, and writes what is to be
/// kept; both take a fraction of this.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// What the keeper of a gateway is told first, on its standard input, where no other user can read it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Charge {
    /// The token to ask for.
    pub(crate) token: String,
    /// The mark of the run.
    pub(crate) mark: String,
}

/// What the keeper is told after that, one JSON object a line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum News {
    /// The file for the client is written, and is the keeper's to remove.
    File,
    /// The client is this process.
    Launched(u32),
}

/// What the keeper says, one JSON object a line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// The gateway listens here.
    Listens(SocketAddr),
    /// `run` may go; the gateway stays until those who need it have ended.
    Stays,
}

/// A gateway to point the client at.
pub(crate) struct Served {
    /// Where it can be reached.
    pub(crate) address: SocketAddr,
    /// What it asks for.
    pub(crate) token: Option<Secret>,
    /// The one that was started for this run; a running one is left alone.
    pub(crate) own: Option<OwnGateway>,
}

/// A gateway that was started for this run.
pub(crate) struct OwnGateway {
    process: Child,
    /// As long as this is open, `run` is there.
    charge: ChildStdin,
    words: Lines<BufReader<ChildStdout>>,
}

/// What a gateway is wanted for.
pub(crate) struct Purpose<'a> {
    /// The target that has to be served.
    pub(crate) target: &'a Target,
    /// The provider that takes the names which nobody knows; `None` for that of the settings.
    pub(crate) provider: Option<&'a str>,
    /// Refuses turns that would lose something that matters.
    pub(crate) strict: bool,
    /// The mark of the run.
    pub(crate) mark: &'a str,
}

/// The gateway that runs, if it serves this target as it is wanted; else one of our own, on a port of its own, so that it takes none
/// from a gateway that is started later and shared. `None` when that one did not start; it has said why.
pub(crate) async fn gateway_for(
    purpose: &Purpose<'_>,
    settings: &Settings,
    overrides: &Overrides,
) -> anyhow::Result<Option<Served>> {
    let usual_settings = overrides.config.is_none() && !purpose.strict;
    if usual_settings && let Some(address) = trusted_gateway(settings).await {
        let token = configuration::token(settings)?;
        if running::serves_provider(address, token.as_ref(), &purpose.target.provider).await {
            return Ok(Some(Served {
                address,
                token,
                own: None,
            }));
        }
    }
    OwnGateway::start(purpose, overrides).await
}

impl OwnGateway {
    async fn start(purpose: &Purpose<'_>, overrides: &Overrides) -> anyhow::Result<Option<Served>> {
        let program = std::env::current_exe().context("where polywire itself is")?;
        let mut process = keeper_command(&program, purpose, overrides)
            .spawn()
            .context("the gateway could not be started")?;
        let (Some(mut charge), Some(words), Some(notes)) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        ) else {
            anyhow::bail!("the gateway cannot be talked to");
        };
        let token = Secret::new(format!("pw-{:032x}", rand::random::<u128>()));
        let told = Charge {
            token: token.reveal().to_owned(),
            mark: purpose.mark.to_owned(),
        };
        let line = format!("{}\n", serde_json::to_string(&told)?);
        // One that has ended already tells why on its error stream.
        let told = charge.write_all(line.as_bytes()).await;
        let mut words = BufReader::new(words).lines();
        let (first, ()) = tokio::join!(words.next_line(), pass_on(notes));
        match first?.as_deref().map(serde_json::from_str) {
            Some(Ok(Word::Listens(address))) => {
                told?;
                let own = OwnGateway {
                    process,
                    charge,
                    words,
                };
                Ok(Some(Served {
                    address,
                    token: Some(token),
                    own: Some(own),
                }))
            }
            Some(Ok(Word::Stays) | Err(_)) | None => {
                process.wait().await?;
                Ok(None)
            }
        }
    }

    /// Leaves the file for the client to it, since it lives as long as the client does.
    pub(crate) async fn keep(&mut self, file: &mut OwnFile) {
        if self.tell(&News::File).await.is_ok() {
            file.leave();
        }
    }

    /// Tells it which process the client is.
    pub(crate) async fn launched(&mut self, client: &Child) {
        if let Some(id) = client.id() {
            // If it is gone, the client will say so.
            self.tell(&News::Launched(id)).await.ok();
        }
    }

    async fn tell(&mut self, news: &News) -> anyhow::Result<()> {
        let line = format!("{}\n", serde_json::to_string(news)?);
        Ok(self.charge.write_all(line.as_bytes()).await?)
    }

    /// Leaves it when the client has ended. It ends as well, unless something that the client has started is still there.
    pub(crate) async fn leave(self, client: &str) {
        let Self {
            mut process,
            charge,
            mut words,
        } = self;
        drop(charge);
        let farewell = async {
            match words.next_line().await {
                Ok(Some(_)) => note(format_args!(
                    "something that {client} has started is still there; the gateway stays until it ends"
                )),
                Ok(None) | Err(_) => {
                    process.wait().await.ok();
                }
            }
        };
        if tokio::time::timeout(FAREWELL_TIMEOUT, farewell)
            .await
            .is_err()
        {
            tracing::debug!("the gateway takes its time to end");
        }
    }
}

fn keeper_command(program: &Path, purpose: &Purpose<'_>, overrides: &Overrides) -> Command {
    let mut command = Command::new(program);
    command.arg("run-gateway");
    if let Some(provider) = purpose.provider {
        command.args(["--provider", provider]);
    }
    if purpose.strict {
        command.arg("--strict");
    }
    if let Some(config) = &overrides.config {
        command.arg("--config").arg(config);
    }
    if let Some(log) = &overrides.log {
        command.args(["--log", log]);
    }
    if let Some(format) = overrides.log_format {
        command.args(["--log-format", format.name()]);
    }
    // It is nobody's client, not even when this run is one of another run's.
    for name in variables_of_run() {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Passes on what the gateway has to say before it listens. From then on its error stream is its log.
async fn pass_on(notes: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(notes).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        note(line);
    }
}
