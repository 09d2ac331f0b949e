//! The checks, as data: what each is called, how long it may take, and how it is made.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use polywire_settings::{CodexPlaces, Overrides, Settings};
use serde::Serialize;

use super::finding::Finding;
use super::{codex, codex_config, contract, keys, modes, ports, proxies, reach, settings, stale};
use crate::cleanup::Places;

/// What the checks look at.
pub(crate) struct Subject {
    /// The settings, or why they cannot be read.
    pub(crate) settings: Result<Settings, String>,
    /// What the command line says of them.
    pub(crate) overrides: Overrides,
    /// The Codex CLI, or why it was not found.
    pub(crate) codex: Result<PathBuf, String>,
    /// Where Codex keeps its things.
    pub(crate) codex_places: CodexPlaces,
    /// Where programs leave things behind.
    pub(crate) leftovers: Places,
    /// Asks nobody on the network.
    pub(crate) offline: bool,
}

type Work<'a> = Pin<Box<dyn Future<Output = Vec<Finding>> + 'a>>;

/// One check.
pub(crate) struct Check {
    /// What it looks at, in a word or two.
    pub(crate) name: &'static str,
    /// How long it may take.
    limit: Duration,
    run: for<'a> fn(&'a Subject) -> Work<'a>,
}

/// What a check found.
#[derive(Serialize)]
pub(crate) struct Outcome {
    /// What it looked at.
    pub(crate) check: &'static str,
    /// What it found.
    pub(crate) findings: Vec<Finding>,
}

/// Reading files takes no time, but for folders on a network that is down.
const FILES: Duration = Duration::from_secs(15);

/// A key may come from a command that asks a person or a server.
const KEYS: Duration = Duration::from_secs(40);

/// Longer than the steps to a provider may take together.
const NETWORK: Duration = Duration::from_secs(75);

/// A run of Codex takes a second or two; on a machine that is busy or has slow disks, many times that.
const RUN: Duration = Duration::from_mins(2);

/// All checks, in the order in which they are shown.
pub(crate) const CHECKS: [Check; 10] = [
    Check {
        name: "settings",
        limit: FILES,
        run: |subject| Box::pin(async { settings::check(subject) }),
    },
    Check {
        name: "keys",
        limit: KEYS,
        run: |subject| Box::pin(keys::check(subject)),
    },
    Check {
        name: "file modes",
        limit: FILES,
        run: |subject| Box::pin(async { modes::check(subject) }),
    },
    Check {
        name: "port",
        limit: FILES,
        run: |subject| Box::pin(ports::check(subject)),
    },
    Check {
        name: "proxies",
        limit: FILES,
        run: |subject| Box::pin(async { proxies::check(subject) }),
    },
    Check {
        name: "providers",
        limit: NETWORK,
        run: |subject| Box::pin(reach::check(subject)),
    },
    Check {
        name: "codex",
        limit: FILES,
        run: |subject| Box::pin(codex::check(subject)),
    },
    Check {
        name: "codex configuration",
        limit: FILES,
        run: |subject| Box::pin(async { codex_config::check(subject) }),
    },
    Check {
        name: "codex contract",
        limit: RUN,
        run: |subject| Box::pin(contract::check(subject)),
    },
    Check {
        name: "leftovers",
        limit: FILES,
        run: |subject| Box::pin(async { stale::check(subject) }),
    },
];

impl Check {
    /// Makes the check, within its time.
    pub(crate) async fn outcome(&self, subject: &Subject) -> Outcome {
        let work = (self.run)(subject);
        let in_time = tokio::time::timeout(self.limit, work).await;
        let findings = in_time.unwrap_or_else(|_| vec![self.too_slow()]);
        Outcome {
            check: self.name,
            findings,
        }
    }

    fn too_slow(&self) -> Finding {
        let seconds = self.limit.as_secs();
        let what = format!("the check did not end within {seconds} s");
        Finding::problem("too_slow", what)
            .hint("is a disk, a network share or a program that gives a key not answering?")
    }
}
