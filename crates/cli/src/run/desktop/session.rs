//! The configuration of Codex for as long as Desktop runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use polywire_client_files::{Journal, JournalError, Layer, Open, ReplaceError, replace_atomically};
use polywire_credentials::{Secret, make_private_folder};
use polywire_processes::ProcessId;
use polywire_settings::{Paths, Settings};
use serde::{Deserialize, Serialize};

use super::app::App;
use crate::codex::checks;
use crate::codex::configuration_file::{ConfigurationFile, journal};
use crate::codex::preview::{self, Purpose};
use crate::codex::wanted::{TokenSource, wanted};
use crate::logging::note;

/// How often an edit is begun anew when somebody else has just written to the file.
const ATTEMPTS: usize = 5;

/// What is remembered with the edit, so that whoever finds it later knows whether it is still needed.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The `polywire run` that made it.
    run: Option<ProcessId>,
    /// What was started.
    app: PathBuf,
    /// Where the gateway's token is for this session alone; `None` when it asks for none.
    token_file: Option<PathBuf>,
}

impl Note {
    fn of(edit: &Open) -> Option<Self> {
        serde_json::from_str(edit.note.as_deref()?).ok()
    }

    /// Whether `run` is there, or else the Desktop that it started.
    fn is_needed(&self) -> bool {
        let is_alive = |run: &ProcessId| run.is_alive().is_ok_and(|alive| alive);
        self.run.as_ref().is_some_and(is_alive) || !App::at(self.app.clone()).running().is_empty()
    }
}

/// An edit that is taken back when Desktop has ended.
pub(super) struct Session {
    journal: Journal,
    file: PathBuf,
    token_file: Option<PathBuf>,
    /// What is remembered with it, by which it is told from another one.
    note: String,
}

impl Session {
    /// Has Codex use this gateway.
    ///
    /// # Errors
    /// Another session holds the configuration, or it cannot be edited. Nothing is left of this one then.
    pub(super) fn begin(
        app: &App,
        settings: &Settings,
        gateway: SocketAddr,
        token: Option<&Secret>,
        model: &str,
    ) -> anyhow::Result<Self> {
        let file = ConfigurationFile::find(None)?;
        let journal = journal(&settings.paths);
        checks::check(&file, !journal.layers(&file.path)?.is_empty())?;
        let token_file = token.map(|_| token_file(&settings.paths));
        let note = serde_json::to_string(&Note {
            run: ProcessId::own().ok(),
            app: app.program().to_owned(),
            token_file: token_file.clone(),
        })?;
        let session = Self {
            journal,
            file: file.path,
            token_file,
            note,
        };
        let begun = session.write(gateway, token, model);
        if begun.is_err() {
            session.remove_token();
        }
        begun.map(|()| session)
    }

    /// Writes the token first, then the configuration, which says where it is.
    fn write(
        &self,
        gateway: SocketAddr,
        token: Option<&Secret>,
        model: &str,
    ) -> anyhow::Result<()> {
        let source = match (token, &self.token_file) {
            (Some(token), Some(file)) => written_token(file, token)?,
            (Some(_) | None, _) => TokenSource::NoneNeeded,
        };
        let wanted = wanted(gateway, model, &source);
        Ok(again_when_changed(|| {
            let plan = self.journal.plan_session(&self.file, &wanted)?;
            self.journal.carry_out(&plan, Some(self.note.clone()))
        })?)
    }

    /// The file that is edited.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Takes the edit back.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.remove_token();
        take_back(&self.journal, &self.file, Some(&self.note))?;
        Ok(())
    }

    fn remove_token(&self) {
        if let Some(file) = &self.token_file {
            remove_token(file);
        }
    }
}

/// Whether somebody needs the edit of a session: the `run` that made it, or the Desktop that it started.
pub(crate) fn is_needed(edit: &Open) -> bool {
    Note::of(edit).is_some_and(|note| note.is_needed())
}

/// Takes back the edits of sessions that have ended without doing so, as after a crash. What cannot be taken back is told, and tried again the
/// next time.
pub(crate) fn recover(paths: &Paths) {
    let journal = journal(paths);
    let open = match journal.open_edits() {
        Ok(open) => open,
        Err(error) => return tell_failure(&error),
    };
    for edit in open.iter().filter(|edit| edit.layer == Layer::Session) {
        if is_needed(edit) {
            continue;
        }
        match take_back(&journal, &edit.file, edit.note.as_deref()) {
            Ok(false) => {}
            Ok(true) => {
                if let Some(file) = Note::of(edit).and_then(|note| note.token_file) {
                    remove_token(&file);
                }
                note(format_args!(
                    "{}: took back what was left of a Codex Desktop session that had not ended well",
                    edit.file.display()
                ));
            }
            Err(error) => tell_failure(&error),
        }
    }
}

fn tell_failure(error: &JournalError) {
    note(format_args!(
        "warning: what was left of a Codex Desktop session is not taken back: {error}"
    ));
}

/// Takes the session of this note back. Tells whether it was there; another one, which has begun meanwhile, is left alone.
fn take_back(journal: &Journal, file: &Path, session: Option<&str>) -> Result<bool, JournalError> {
    again_when_changed(|| {
        let Some(plan) = journal.plan_restore(file, Layer::Session)? else {
            return Ok(false);
        };
        if plan.known_note() != session {
            return Ok(false);
        }
        journal.carry_out(&plan, None)?;
        for kept in plan.kept() {
            note(format_args!(
                "note: {}: {}",
                file.display(),
                preview::kept(kept, Purpose::Restore)
            ));
        }
        Ok(true)
    })
}

/// Desktop writes to its configuration too, and may do so at the same moment.
fn again_when_changed<T>(edit: impl Fn() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let mut done = edit();
    for _ in 1..ATTEMPTS {
        match done {
            Err(
                JournalError::Changed { .. } | JournalError::Replace(ReplaceError::Changed { .. }),
            ) => done = edit(),
            Ok(_) | Err(_) => break,
        }
    }
    done
}

/// The token is in a file of ours as long as Desktop runs, and Codex reads it from there. The gateway may be one of this run alone, whose
/// token `polywire token` does not know.
fn written_token(file: &Path, token: &Secret) -> anyhow::Result<TokenSource> {
    if let Some(folder) = file.parent() {
        make_private_folder(folder)
            .with_context(|| format!("the folder {} could not be made", folder.display()))?;
    }
    replace_atomically(file, token.reveal().as_bytes(), 0o600)?;
    let words = ["cat".to_owned(), file.display().to_string()];
    Ok(TokenSource::Command(words.to_vec()))
}

/// A file for one session: what ends one takes no other's token away.
fn token_file(paths: &Paths) -> PathBuf {
    let name = format!("desktop-token-{:016x}", rand::random::<u64>());
    paths.state_dir.join(name)
}

fn remove_token(file: &Path) {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => note(format_args!(
            "warning: {} holds the token of a gateway that has ended, and could not be removed: {error}",
            file.display()
        )),
        Ok(()) | Err(_) => {}
    }
}
