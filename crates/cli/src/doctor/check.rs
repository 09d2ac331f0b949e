//! The checks, as data: what each is called, how long it may take, and how it is made.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use polywire_settings::{CodexPlaces, Overrides, Settings};
use serde::Serialize;

use super::finding::Finding;
use super::{
    background, codex, codex_config, contract, edits, keys, modes, ports, proxies, reach, settings,
    stale,
};
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

type Work = Pin<Box<dyn Future<Output = Vec<Finding>>>>;

/// One check.
pub(crate) struct Check {
    /// What it looks at, in a word or two.
    pub(crate) name: &'static str,
    /// How long it may take.
    limit: Duration,
    run: fn(Arc<Subject>) -> Work,
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

/// As with files, and some seconds for each gateway or daemon that is asked and says nothing.
const SILENCE: Duration = Duration::from_mins(1);

/// A key may come from a command that asks a person or a server.
const KEYS: Duration = Duration::from_secs(40);

/// Longer than the steps to a provider may take together.
const NETWORK: Duration = Duration::from_secs(75);

/// A run of Codex takes a second or two; on a machine that is busy or has slow disks, many times that.
const RUN: Duration = Duration::from_mins(2);

/// All checks, in the order in which they are shown.
pub(crate) const CHECKS: [Check; 12] = [
    Check {
        name: "settings",
        limit: FILES,
        run: |subject| Box::pin(aside(move || settings::check(&subject))),
    },
    Check {
        name: "keys",
        limit: KEYS,
        run: |subject| Box::pin(async move { keys::check(&subject).await }),
    },
    Check {
        name: "file modes",
        limit: FILES,
        run: |subject| Box::pin(aside(move || modes::check(&subject))),
    },
    Check {
        name: "port",
        limit: FILES,
        run: |subject| Box::pin(async move { ports::check(&subject).await }),
    },
    Check {
        name: "background",
        limit: FILES,
        run: |subject| Box::pin(async move { background::check(&subject).await }),
    },
    Check {
        name: "proxies",
        limit: FILES,
        run: |subject| Box::pin(aside(move || proxies::check(&subject))),
    },
    Check {
        name: "providers",
        limit: NETWORK,
        run: |subject| Box::pin(async move { reach::check(&subject).await }),
    },
    Check {
        name: "codex",
        limit: RUN,
        run: |subject| Box::pin(async move { codex::check(&subject).await }),
    },
    Check {
        name: "codex configuration",
        limit: FILES,
        run: |subject| Box::pin(aside(move || codex_config::check(&subject))),
    },
    Check {
        name: "polywire's edits",
        limit: FILES,
        run: |subject| Box::pin(async move { edits::check(&subject).await }),
    },
    Check {
        name: "codex contract",
        limit: RUN,
        run: |subject| Box::pin(async move { contract::check(&subject).await }),
    },
    Check {
        name: "leftovers",
        limit: SILENCE,
        run: |subject| Box::pin(aside(move || stale::check(&subject))),
    },
];

/// Makes a check that reads files on a thread of its own, so that the others go on. One that hangs is left behind.
async fn aside(check: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Vec<Finding> {
    let (done, found) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        if done.send(check()).is_err() {
            tracing::debug!("a check ended too late");
        }
    });
    found.await.unwrap_or_else(|_| {
        let what = "the check itself failed";
        vec![Finding::problem("check_failed", what).hint("please report it as a bug of polywire")]
    })
}

impl Check {
    /// Makes the check, within its time.
    pub(crate) async fn outcome(&self, subject: &Arc<Subject>) -> Outcome {
        let work = (self.run)(Arc::clone(subject));
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
