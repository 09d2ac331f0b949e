//! Every step of every edit fails once, and the process is killed before every step once: the file is the old one or the new one, and
//! what comes next goes on from there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![cfg(unix)]

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_client_files::{Journal, JournalError, Layer, Setting, Step, Steps, Wanted};

const USERS: &str = "model = 'gpt' # best\r\n\r\n[tui]\r\nk = 1";

/// Tell the child of the kill test what to do: the folder, the scenario, the step.
const CHILD: &str = "POLYWIRE_TEST_KILL";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    Apply,
    ApplyToNoFile,
    ApplyAgain,
    ApplyAgainAfterOthers,
    Restore,
    RestoreAfterOthers,
    RestoreNoFile,
    BeginSession,
    BeginSessionOnNoFile,
    EndSession,
    EndSessionAfterOthers,
    EndSessionOnNoFile,
}

const SCENARIOS: [Scenario; 12] = [
    Scenario::Apply,
    Scenario::ApplyToNoFile,
    Scenario::ApplyAgain,
    Scenario::ApplyAgainAfterOthers,
    Scenario::Restore,
    Scenario::RestoreAfterOthers,
    Scenario::RestoreNoFile,
    Scenario::BeginSession,
    Scenario::BeginSessionOnNoFile,
    Scenario::EndSession,
    Scenario::EndSessionAfterOthers,
    Scenario::EndSessionOnNoFile,
];

fn wanted(model: &str) -> Wanted {
    Wanted {
        settings: vec![
            Setting::new(&["model"], model),
            Setting::new(&["providers", "ours", "name"], "ours"),
            Setting::new(&["providers", "ours", "url"], model),
        ],
        tables: vec![vec!["providers".to_owned(), "ours".to_owned()]],
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("client/sub/config.toml")
}

fn journal_folder(folder: &Path) -> PathBuf {
    folder.join("state/edits")
}

fn content(folder: &Path) -> Option<String> {
    fs::read_to_string(file(folder)).ok()
}

impl Scenario {
    fn has_file(self) -> bool {
        !matches!(
            self,
            Self::ApplyToNoFile
                | Self::RestoreNoFile
                | Self::BeginSessionOnNoFile
                | Self::EndSessionOnNoFile
        )
    }

    fn others_came(self) -> bool {
        matches!(
            self,
            Self::ApplyAgainAfterOthers | Self::RestoreAfterOthers | Self::EndSessionAfterOthers
        )
    }

    /// A session lies above a lasting edit; without a file, above none.
    fn is_above_lasting(self) -> bool {
        matches!(
            self,
            Self::BeginSession | Self::EndSession | Self::EndSessionAfterOthers
        )
    }

    fn begins_a_session(self) -> bool {
        matches!(self, Self::BeginSession | Self::BeginSessionOnNoFile)
    }

    fn ends_a_session(self) -> bool {
        matches!(
            self,
            Self::EndSession | Self::EndSessionAfterOthers | Self::EndSessionOnNoFile
        )
    }

    /// Everything before what is looked at.
    fn prepare(self, folder: &Path) {
        if self.has_file() {
            fs::create_dir_all(file(folder).parent().unwrap()).unwrap();
            fs::write(file(folder), USERS).unwrap();
        }
        if matches!(self, Self::Apply | Self::ApplyToNoFile) {
            return;
        }
        let journal = Journal::new(journal_folder(folder));
        if self.is_above_lasting() || !(self.begins_a_session() || self.ends_a_session()) {
            apply(&journal, folder, "one").unwrap();
        }
        if self.ends_a_session() {
            begin(&journal, folder, "two").unwrap();
        }
        if self.others_came() {
            let ours = content(folder).unwrap();
            fs::write(file(folder), format!("effort = 1\r\n{ours}")).unwrap();
        }
    }

    /// What is looked at.
    fn act(self, journal: &Journal, folder: &Path) -> Result<(), JournalError> {
        match self {
            Self::Apply | Self::ApplyToNoFile | Self::ApplyAgain | Self::ApplyAgainAfterOthers => {
                apply(journal, folder, "two")
            }
            Self::Restore | Self::RestoreAfterOthers | Self::RestoreNoFile => {
                restore(journal, folder, Layer::Lasting)
            }
            Self::BeginSession | Self::BeginSessionOnNoFile => begin(journal, folder, "two"),
            Self::EndSession | Self::EndSessionAfterOthers | Self::EndSessionOnNoFile => {
                restore(journal, folder, Layer::Session)
            }
        }
    }

    /// The file when all is taken back.
    fn end(self) -> Option<String> {
        let users = if self.others_came() {
            format!("effort = 1\r\n{USERS}")
        } else {
            USERS.to_owned()
        };
        self.has_file().then_some(users)
    }
}

fn apply(journal: &Journal, folder: &Path, model: &str) -> Result<(), JournalError> {
    let plan = journal.plan_apply(&file(folder), Layer::Lasting, &wanted(model))?;
    journal.carry_out(&plan, None)
}

fn begin(journal: &Journal, folder: &Path, model: &str) -> Result<(), JournalError> {
    let plan = journal.plan_session(&file(folder), &wanted(model))?;
    journal.carry_out(&plan, None)
}

/// Ends the session, if there is one, and takes back what lasts.
fn restore_all(journal: &Journal, folder: &Path) -> Result<(), JournalError> {
    restore(journal, folder, Layer::Session)?;
    restore(journal, folder, Layer::Lasting)
}

fn restore(journal: &Journal, folder: &Path, layer: Layer) -> Result<(), JournalError> {
    match journal.plan_restore(&file(folder), layer)? {
        Some(plan) => journal.carry_out(&plan, None),
        None => Ok(()),
    }
}

/// The scenario without any trouble: the file before and after.
fn undisturbed(scenario: Scenario) -> [Option<String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    scenario.prepare(folder.path());
    let before = content(folder.path());
    let journal = Journal::new(journal_folder(folder.path()));
    scenario.act(&journal, folder.path()).unwrap();
    [before, content(folder.path())]
}

/// After the trouble: the file is whole; doing it again works, where `again`; and all is taken back.
fn check_what_follows(scenario: Scenario, step: usize, folder: &Path, again: bool) {
    let at = format!("{scenario:?}, step {step}");
    let [old, new] = undisturbed(scenario);
    let found = content(folder);
    assert!(found == old || found == new, "{at}: {found:?}");
    let journal = Journal::new(journal_folder(folder));
    if again {
        if scenario.begins_a_session() {
            // One that has begun, or half of it, holds the file: whoever finds it dead takes it back first.
            restore(&journal, folder, Layer::Session).unwrap();
        }
        scenario.act(&journal, folder).unwrap();
        assert_eq!(content(folder), new, "{at}");
    }
    restore_all(&journal, folder).unwrap();
    assert_eq!(content(folder), scenario.end(), "{at}");
    assert!(journal.open_edits().unwrap().is_empty(), "{at}");
    let beside = names(file(folder).parent().unwrap());
    let expected: &[&str] = if scenario.has_file() {
        &["config.toml"]
    } else {
        &[]
    };
    assert_eq!(beside, expected, "{at}");
    // A record that was half written when the process was killed goes with the next edit of any file.
    apply(&journal, folder, "three").unwrap();
    restore_all(&journal, folder).unwrap();
    assert_eq!(content(folder), scenario.end(), "{at}");
    assert_eq!(names(&journal_folder(folder)), ["lock"], "{at}");
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Fails one step as a full disk does.
struct FailAt {
    step: usize,
    done: AtomicUsize,
}

impl Steps for FailAt {
    fn before(&self, _: Step, _: &Path) -> io::Result<()> {
        if self.done.fetch_add(1, Ordering::Relaxed) == self.step {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

#[test]
fn every_step_fails_once() {
    for scenario in SCENARIOS {
        let mut step = 0;
        loop {
            let mut is_over = false;
            for again in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                scenario.prepare(folder.path());
                let done = AtomicUsize::new(0);
                let steps = Arc::new(FailAt { step, done });
                let journal = Journal::with_steps(journal_folder(folder.path()), steps);
                match scenario.act(&journal, folder.path()) {
                    Ok(()) => is_over = true,
                    Err(error) => {
                        let told = error_chain(&error);
                        assert!(told.contains("no storage space"), "{told}");
                        assert!(
                            told.contains(&folder.path().display().to_string()),
                            "{told}"
                        );
                        assert_no_open_edit_without_an_edit(scenario, step, folder.path());
                    }
                }
                check_what_follows(scenario, step, folder.path(), again);
            }
            if is_over {
                break;
            }
            step += 1;
        }
        assert!(step > 8, "{scenario:?} has only {step} steps");
    }
}

/// An edit that has failed and left the file as it was has left no record either: it would keep others from their edits.
fn assert_no_open_edit_without_an_edit(scenario: Scenario, step: usize, folder: &Path) {
    let [old, _] = undisturbed(scenario);
    let is_first = matches!(scenario, Scenario::Apply | Scenario::ApplyToNoFile);
    if (is_first || scenario.begins_a_session()) && content(folder) == old {
        let open = Journal::new(journal_folder(folder)).open_edits().unwrap();
        let layers: Vec<Layer> = open.iter().map(|edit| edit.layer).collect();
        let below: &[Layer] = if scenario.is_above_lasting() {
            &[Layer::Lasting]
        } else {
            &[]
        };
        assert_eq!(layers, below, "{scenario:?}, step {step}");
        assert_eq!(folder.join("client").exists(), scenario.has_file());
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        told = format!("{told}: {next}");
        cause = next.source();
    }
    told
}

/// Kills the process at one step.
struct KillAt {
    step: usize,
    done: AtomicUsize,
}

impl Steps for KillAt {
    fn before(&self, _: Step, _: &Path) -> io::Result<()> {
        if self.done.fetch_add(1, Ordering::Relaxed) == self.step {
            kill(Pid::this(), Signal::SIGKILL)?;
        }
        Ok(())
    }
}

/// Not a test by itself: the process that is killed.
#[test]
fn the_child_that_is_killed() {
    let Some(task) = std::env::var_os(CHILD) else {
        return;
    };
    let task = task.into_string().unwrap();
    let [folder, scenario, step] = task.split('\n').collect::<Vec<_>>()[..] else {
        panic!("{task}");
    };
    let named = SCENARIOS.iter().find(|it| format!("{it:?}") == scenario);
    let folder = Path::new(folder);
    let steps = Arc::new(KillAt {
        step: step.parse().unwrap(),
        done: AtomicUsize::new(0),
    });
    let journal = Journal::with_steps(journal_folder(folder), steps);
    named.unwrap().act(&journal, folder).unwrap();
}

#[test]
fn the_process_is_killed_before_every_step_once() {
    for scenario in SCENARIOS {
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            scenario.prepare(folder.path());
            let task = format!("{}\n{scenario:?}\n{step}", folder.path().display());
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "the_child_that_is_killed"])
                .env(CHILD, task)
                .output()
                .unwrap();
            check_what_follows(scenario, step, folder.path(), step % 2 == 1);
            if child.status.success() {
                assert!(step > 8, "{scenario:?} has only {step} steps");
                break;
            }
            assert_eq!(child.status.signal(), Some(9), "{child:?}");
        }
    }
}
