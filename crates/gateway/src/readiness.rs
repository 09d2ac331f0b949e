//! What providers need on this machine, and whether it is there.
//!
//! HTTP providers need nothing: whether one answers is known when it is asked. Engines need a program and a login, and say so here.

use std::collections::BTreeMap;
use std::sync::Arc;

use polywire_engine::Engine;
pub use polywire_engine::EngineState;
use polywire_login::CodexLogin;

/// What a provider has on this machine. Its engine or its login tells it.
pub trait LocalState: Send + Sync {
    /// What is missing or broken. Asked on each probe, which nobody waits long for: a look at files, never at the network.
    fn problems(&self) -> Vec<Problem>;

    /// The engine that serves its turns; `None` where they go out over HTTP.
    fn engine(&self) -> Option<EngineState>;
}

/// Where providers tell of themselves, by provider id.
pub type LocalStates = BTreeMap<String, Arc<dyn LocalState>>;

/// Something that keeps a provider from serving turns, and that can be mended on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What to do. Whoever reaches the gateway can read it: no path, no account and nothing secret belongs in here.
    pub hint: String,
}

/// Kinds of problems that can be mended on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// A program is not there, or cannot be run.
    ExecutableMissing,
    /// Nobody has logged in.
    LoginMissing,
    /// The login is there and was refused for good.
    LoginRefused,
    /// The engine's processes do not start or do not stay.
    EngineFailed,
}

impl ProblemKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            ProblemKind::ExecutableMissing => "executable_missing",
            ProblemKind::LoginMissing => "login_missing",
            ProblemKind::LoginRefused => "login_refused",
            ProblemKind::EngineFailed => "engine_failed",
        }
    }
}

/// A provider that is reached by a login needs that one.
impl LocalState for CodexLogin {
    fn problems(&self) -> Vec<Problem> {
        let kind = match self.state() {
            Ok(state) if state.refused.is_none() => return Vec::new(),
            Ok(_) => ProblemKind::LoginRefused,
            Err(error) if error.is_for_good() => ProblemKind::LoginMissing,
            // A file that is being replaced, or that cannot be read for now.
            Err(_) => return Vec::new(),
        };
        vec![Problem {
            kind,
            hint: LOG_IN.to_owned(),
        }]
    }

    fn engine(&self) -> Option<EngineState> {
        None
    }
}

/// What to do about a login.
const LOG_IN: &str = "run `polywire login`";

/// An engine needs its program and a login.
impl LocalState for Engine {
    fn problems(&self) -> Vec<Problem> {
        let state = self.state();
        let missing = |is_there: bool, kind: ProblemKind, hint: &str| {
            (!is_there).then(|| Problem {
                kind,
                hint: hint.to_owned(),
            })
        };
        let executable = missing(
            state.executable_found,
            ProblemKind::ExecutableMissing,
            "install Codex (`npm install -g @openai/codex`), or set `codex` of the provider to where it is",
        );
        let login = missing(state.login_found, ProblemKind::LoginMissing, LOG_IN);
        executable.into_iter().chain(login).collect()
    }

    fn engine(&self) -> Option<EngineState> {
        Some(self.state())
    }
}
