//! The processes of Desktop.

use std::path::{Path, PathBuf};

use polywire_processes::{Process, own_processes};

/// Helpers of Desktop that may outlive it, and say nothing of whether it runs.
const HELPERS: [&str; 4] = ["chrome_crashpad_handler", "node", "node_repl", "codex"];

/// What runs the scripts that start Desktop. Of anything else a path on the command line says nothing: an editor may have the script open.
const INTERPRETERS: [&str; 7] = ["ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"];

/// How many words of an interpreter's command line may be the script: the interpreter, its option, its script.
const PROGRAM_WORDS: usize = 3;

/// A running Desktop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desktop {
    pub(super) pid: u32,
}

/// The main processes of Desktop that this user runs: whose program, or the script that an interpreter runs, is one of these or lies in one of
/// the folders.
pub(super) fn desktops(programs: &[PathBuf], folders: &[PathBuf]) -> Vec<Desktop> {
    let own = std::process::id();
    let running = own_processes().unwrap_or_default().into_iter();
    running
        .filter(|process| process.id.pid() != own)
        .filter(|process| Look::at(process).is_some_and(|look| look.is_desktop(programs, folders)))
        .map(|process| Desktop {
            pid: process.id.pid(),
        })
        .collect()
}

/// What a process shows of itself.
struct Look {
    executable: PathBuf,
    words: Vec<String>,
}

impl Look {
    fn at(process: &Process) -> Option<Self> {
        let words = process.command_line.iter();
        Some(Self {
            executable: process.executable.clone()?,
            words: words.filter(|word| !word.is_empty()).cloned().collect(),
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
