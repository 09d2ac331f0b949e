//! What runs in the background, and how it was started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use polywire_processes::{Process, ProcessError, ProcessId};
use serde::{Deserialize, Serialize};

use crate::DaemonError;
use crate::files::{read_json, write_json};

/// What the state file holds. It has mode 0600 and no secret: of variables that may hold one, it has the names alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayState {
    /// How it was started last.
    pub start: StartOptions,
    /// Where it logs.
    pub log: PathBuf,
    /// The gateway that runs, or that has ended without saying so.
    pub running: Option<RunningGateway>,
    /// How the last one ended, when it said so.
    pub ended: Option<EndedGateway>,
}

/// How a gateway was started: what `restart` does again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartOptions {
    /// `--config`, as an absolute path.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--provider`.
    pub provider: Option<String>,
    /// `--strict`.
    pub strict: bool,
    /// `--log`.
    pub log: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
    /// The variables of polywire that were set and hold no secret.
    pub variables: BTreeMap<String, String>,
    /// The names of those that were set and hold one: keys, and the gateway's token.
    pub secret_variables: BTreeSet<String>,
    /// The names of those that were set and say how the network is reached: proxies, and whom to trust. A proxy's address may hold a password.
    pub network_variables: BTreeSet<String>,
}

/// A gateway that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningGateway {
    /// Which process it is.
    pub process: ProcessId,
    /// The name of its machine: folders for state can be shared by several.
    pub host: String,
    /// The program.
    pub executable: PathBuf,
    /// The version of polywire.
    pub version: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The settings file that it reads, whether there is one or not.
    pub settings_file: PathBuf,
    /// When it began to listen: seconds since 1970.
    pub started_at: u64,
    /// How long turns may go on once it is asked to stop, in seconds.
    pub drain_timeout: u32,
}

/// The end of a gateway that said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedGateway {
    /// When: seconds since 1970.
    pub at: u64,
    /// How many turns were cut off.
    pub turns_cut_off: usize,
    /// Why they were, in words.
    pub reason: Option<String>,
}

/// What a recorded gateway is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It runs.
    Running,
    /// It has ended without saying so, and nobody has its number.
    Gone,
    /// It has ended, and its number belongs to another process.
    Another(Box<Process>),
}

impl StartOptions {
    /// These options with those of an earlier start behind them. Which of the variables are set whose names alone are kept is known now.
    #[must_use]
    pub fn over(self, earlier: Self) -> Self {
        let mut variables = earlier.variables;
        variables.extend(self.variables);
        Self {
            config: self.config.or(earlier.config),
            listen: self.listen.or(earlier.listen),
            provider: self.provider.or(earlier.provider),
            strict: self.strict || earlier.strict,
            log: self.log.or(earlier.log),
            log_format: self.log_format.or(earlier.log_format),
            variables,
            secret_variables: self.secret_variables,
            network_variables: self.network_variables,
        }
    }
}

impl GatewayState {
    /// Reads the state file; `None` when nothing was ever started.
    ///
    /// # Errors
    /// The file cannot be read or is not ours.
    pub fn read(path: &Path) -> Result<Option<Self>, DaemonError> {
        read_json(path)
    }

    /// Replaces the state file, with mode 0600 from its first byte.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), DaemonError> {
        write_json(path, self)
    }
}

impl RunningGateway {
    /// What it is now. A number alone proves nothing: the process has to have begun at the recorded moment of this run of the machine.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn presence(&self) -> Result<Presence, ProcessError> {
        match Process::find(self.process.pid())? {
            None => Ok(Presence::Gone),
            Some(process) if process.id == self.process && self.is_program_of(&process) => {
                Ok(Presence::Running)
            }
            Some(process) => Ok(Presence::Another(Box::new(process))),
        }
    }

    /// Whether a process runs the recorded program. A system that does not tell which one it runs is no reason for doubt, since the moments agree.
    fn is_program_of(&self, process: &Process) -> bool {
        let same = |program: &Path| {
            program == self.executable
                || canonical(program).is_ok_and(|program| {
                    canonical(&self.executable).is_ok_and(|recorded| recorded == program)
                })
        };
        process.program().is_none_or(same)
    }
}

fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: Option<&str>, log: Option<&str>) -> StartOptions {
        StartOptions {
            listen: listen.map(str::to_owned),
            log: log.map(str::to_owned),
            ..StartOptions::default()
        }
    }

    fn own(executable: &Path) -> RunningGateway {
        RunningGateway {
            process: ProcessId::own().unwrap(),
            host: "here".into(),
            executable: executable.to_owned(),
            version: "0.1.0".into(),
            address: "127.0.0.1:1".parse().unwrap(),
            settings_file: "/none".into(),
            started_at: 0,
            drain_timeout: 30,
        }
    }

    #[test]
    fn what_is_asked_for_now_wins() {
        let earlier = StartOptions {
            strict: true,
            variables: [("POLYWIRE_LOG", "a"), ("POLYWIRE_STORE", "b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            secret_variables: ["A_KEY".to_owned()].into(),
            ..options(Some("1"), Some("info"))
        };
        let now = StartOptions {
            variables: [("POLYWIRE_LOG".to_owned(), "c".to_owned())].into(),
            ..options(Some("2"), None)
        };
        let merged = now.over(earlier);
        assert_eq!(
            merged,
            StartOptions {
                strict: true,
                variables: [("POLYWIRE_LOG", "c"), ("POLYWIRE_STORE", "b")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                ..options(Some("2"), Some("info"))
            }
        );
    }

    #[test]
    fn a_process_is_itself_only_with_its_moment_and_its_program() {
        let program = std::env::current_exe().unwrap();
        let own_process = own(&program);
        assert_eq!(own_process.presence().unwrap(), Presence::Running);
        let other_program = own(Path::new("/bin/sh"));
        assert!(matches!(
            other_program.presence().unwrap(),
            Presence::Another(_)
        ));
        let text = serde_json::to_string(&own_process).unwrap();
        let start = own_process.process.start();
        let earlier = text.replace(&format!(":{start}"), &format!(":{}", start - 1));
        assert_ne!(earlier, text);
        let earlier: RunningGateway = serde_json::from_str(&earlier).unwrap();
        assert!(matches!(earlier.presence().unwrap(), Presence::Another(_)));
    }

    #[test]
    fn the_file_is_private_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/gateway.json");
        assert_eq!(GatewayState::read(&path).unwrap(), None);
        let state = GatewayState {
            start: options(Some("1"), None),
            log: "/log".into(),
            running: None,
            ended: None,
        };
        state.write(&path).unwrap();
        assert_eq!(GatewayState::read(&path).unwrap(), Some(state));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, "{}").unwrap();
        let said = GatewayState::read(&path).unwrap_err().to_string();
        assert!(said.contains("hint:"), "{said}");
    }
}
