//! Processes: ours, so that it is known again, and those of Desktop. From `/proc`, as Linux shows it (proc(5)); elsewhere there is no Desktop
//! to be launched, and nothing is found.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Helpers of Desktop that may outlive it, and say nothing of whether it runs.
const HELPERS: [&str; 4] = ["chrome_crashpad_handler", "node", "node_repl", "codex"];

/// What runs the scripts that start Desktop. Of anything else a path on the command line says nothing: an editor may have the script open.
const INTERPRETERS: [&str; 7] = ["ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"];

/// How many words of an interpreter's command line may be the script: the interpreter, its option, its script.
const PROGRAM_WORDS: usize = 3;

/// A process that is known again: its number goes to another one when it has ended, the moment at which it began does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownProcess {
    pid: u32,
    /// When it began, in the kernel's ticks since the machine started.
    started: String,
    /// Which start of the machine that was.
    boot: String,
}

impl KnownProcess {
    /// This process.
    pub(super) fn own() -> Option<Self> {
        let pid = std::process::id();
        Some(Self {
            pid,
            started: started(pid)?,
            boot: boot()?,
        })
    }

    /// Whether it is still there.
    pub(super) fn is_alive(&self) -> bool {
        boot().as_ref() == Some(&self.boot) && started(self.pid).as_ref() == Some(&self.started)
    }
}

fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// When a process began; `None` when it has ended, even if nobody has asked for its exit code yet.
fn started(pid: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything.
    let (_, rest) = status.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    // The 22nd field of the line; the state is the third.
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| started.to_owned())
}

/// A running Desktop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desktop {
    pub(super) pid: u32,
}

/// The main processes of Desktop that this user runs: whose program, or the script that an interpreter runs, is one of these or lies in one of
/// the folders.
pub(super) fn desktops(programs: &[PathBuf], folders: &[PathBuf]) -> Vec<Desktop> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id();
    let pids = entries.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, entry.path()))
    });
    pids.filter(|(pid, folder)| *pid != own && is_of_this_user(folder))
        .filter(|(_, folder)| {
            Look::at(folder).is_some_and(|look| look.is_desktop(programs, folders))
        })
        .map(|(pid, _)| Desktop { pid })
        .collect()
}

fn is_of_this_user(process: &Path) -> bool {
    let user = nix::unistd::geteuid().as_raw();
    fs::metadata(process).is_ok_and(|about| about.uid() == user)
}

/// What a process shows of itself.
struct Look {
    executable: PathBuf,
    words: Vec<String>,
}

impl Look {
    fn at(process: &Path) -> Option<Self> {
        // Of one that has ended nothing of this is left.
        let executable = fs::read_link(process.join("exe")).ok()?;
        let line = fs::read(process.join("cmdline")).ok()?;
        let words = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        Some(Self {
            executable,
            words: words.collect(),
        })
    }

    fn is_desktop(&self, programs: &[PathBuf], folders: &[PathBuf]) -> bool {
        // Renderers and the like, which end with the main process.
        if self.words.iter().any(|word| word.starts_with("--type=")) {
            return false;
        }
        let name = self.executable.file_name().unwrap_or_default();
        if HELPERS.iter().any(|helper| name == *helper) {
            return false;
        }
        let is_part = |path: &Path| {
            programs.iter().any(|program| path == program)
                || folders.iter().any(|folder| path.starts_with(folder))
        };
        if is_part(&self.executable) {
            return true;
        }
        let is_interpreter = INTERPRETERS.iter().any(|interpreter| name == *interpreter);
        let mut words = self.words.iter().take(PROGRAM_WORDS).map(Path::new);
        is_interpreter && words.any(is_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_beginning() {
        let own = KnownProcess::own().unwrap();
        assert!(own.is_alive());
        let earlier = KnownProcess {
            started: "1".to_owned(),
            ..own.clone()
        };
        assert!(!earlier.is_alive());
        let before = KnownProcess {
            boot: "another".to_owned(),
            ..own
        };
        assert!(!before.is_alive());
    }

    #[test]
    fn the_main_process_is_told_from_its_helpers() {
        let programs = [PathBuf::from("/opt/app/start.sh")];
        let folders = [PathBuf::from("/opt/app"), PathBuf::from("/usr/lib/app")];
        for (executable, words, expected) in [
            ("/opt/app/electron", &["/opt/app/electron"][..], true),
            ("/usr/bin/bash", &["/bin/bash", "/opt/app/start.sh"], true),
            ("/usr/lib/app/app", &["app", "--no-sandbox"], true),
            ("/opt/app/electron", &["electron", "--type=renderer"], false),
            ("/opt/app/chrome_crashpad_handler", &["x"], false),
            ("/opt/app/resources/node", &["node", "server.js"], false),
            ("/opt/application/electron", &["electron"], false),
            ("/usr/bin/vim", &["vim", "/opt/app/start.sh"], false),
            (
                "/usr/bin/dash",
                &["sh", "x", "y", "/opt/app/start.sh"],
                false,
            ),
        ] {
            let look = Look {
                executable: executable.into(),
                words: words.iter().map(|word| (*word).to_owned()).collect(),
            };
            assert_eq!(
                look.is_desktop(&programs, &folders),
                expected,
                "{executable}"
            );
        }
    }
}
