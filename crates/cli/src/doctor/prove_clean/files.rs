//! The user's files, and what became of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use polywire_settings::{Environment, ProcessEnvironment, Settings};
use sha2::{Digest, Sha256};

use crate::doctor::known::user_files;

/// More files than this are not compared; a home of Codex has some hundreds.
const FILES_MAX: usize = 20_000;

/// Larger files are compared by size and time alone. Settings are a thousand times smaller.
const HASHED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What Codex writes in its own home whenever it runs: seen with Codex 0.169, or named in its program. And its databases.
const CODEXS_OWN: [&str; 17] = [
    ".sandbox_migration",
    ".tmp",
    "app-server-control",
    "app-server-daemon",
    "archived_sessions",
    "history.jsonl",
    "installation_id",
    "log",
    "models_cache.json",
    "packages",
    "session_index.jsonl",
    "sessions",
    "shell_snapshots",
    "skills/.system",
    "thread-writer-locks",
    "tmp",
    "version.json",
];

/// A file, or a folder with all that is in it.
pub(super) struct Place {
    path: PathBuf,
    /// Whether it is the home of Codex.
    is_codexs: bool,
}

/// Where the user's files are that a run could touch.
pub(super) fn places(codex_home: &Path, settings: Option<&Settings>) -> Vec<Place> {
    let place = |path: PathBuf| Place {
        path,
        is_codexs: false,
    };
    let mut places = vec![Place {
        path: codex_home.to_owned(),
        is_codexs: true,
    }];
    if let Some(home) = ProcessEnvironment.home() {
        places.extend(user_files().map(|name| place(home.join(name))));
    }
    if let Some(settings) = settings {
        places.push(place(settings.paths.config_dir.clone()));
    }
    places
}

/// What was found at the places.
pub(super) struct Tree {
    files: BTreeMap<PathBuf, File>,
    skipped: BTreeMap<PathBuf, String>,
}

#[derive(PartialEq, Eq)]
struct File {
    mode: u32,
    content: Content,
    /// The file's name in the home of Codex, when it is there and Codex's own.
    codexs: Option<String>,
}

#[derive(PartialEq, Eq)]
enum Content {
    Hash([u8; 32]),
    Link(PathBuf),
    /// Size and time, for what is too large to be read.
    Large(u64, Option<std::time::SystemTime>),
    /// A socket or the like.
    Special,
}

/// A file that is not what it was.
pub(super) struct Change {
    /// Where.
    pub(super) path: PathBuf,
    /// `was changed`, `was made`, `was removed`, `got another mode`.
    pub(super) how: &'static str,
    /// Whether Codex writes it whenever it runs.
    pub(super) is_codexs: bool,
    /// Its name in the home of Codex, or its path.
    pub(super) name: String,
}

impl Tree {
    pub(super) fn read(places: &[Place]) -> Self {
        let mut tree = Self {
            files: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };
        for place in places {
            tree.add(place);
        }
        tree
    }

    fn add(&mut self, place: &Place) {
        let mut waiting = vec![place.path.clone()];
        while let Some(path) = waiting.pop() {
            // The place itself may be a link to where the user keeps it.
            let about = if path == place.path {
                path.metadata()
            } else {
                path.symlink_metadata()
            };
            let about = match about {
                Ok(about) => about,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.skipped.insert(path, error.to_string());
                    continue;
                }
            };
            if about.is_dir() {
                match std::fs::read_dir(&path) {
                    Ok(entries) => waiting.extend(entries.flatten().map(|entry| entry.path())),
                    Err(error) => drop(self.skipped.insert(path, error.to_string())),
                }
                continue;
            }
            if self.files.len() >= FILES_MAX {
                let why = format!("there are more than {FILES_MAX} files");
                self.skipped.insert(place.path.clone(), why);
                return;
            }
            match content(&path, &about) {
                Ok(content) => {
                    let file = File {
                        mode: about.permissions().mode(),
                        content,
                        codexs: place
                            .is_codexs
                            .then(|| codexs_name(&path, &place.path))
                            .flatten(),
                    };
                    self.files.insert(path, file);
                }
                // Gone in the meantime: a lock or a temporary file.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => drop(self.skipped.insert(path, error.to_string())),
            }
        }
    }

    /// How many of the files are the user's.
    pub(super) fn of_users(&self) -> usize {
        self.files
            .values()
            .filter(|file| file.codexs.is_none())
            .count()
    }

    /// What was not compared, and why.
    pub(super) fn skipped(&self) -> impl Iterator<Item = (&PathBuf, &String)> {
        self.skipped.iter()
    }

    /// What is not as it was.
    pub(super) fn changes(&self, later: &Self) -> Vec<Change> {
        let paths: std::collections::BTreeSet<&PathBuf> =
            self.files.keys().chain(later.files.keys()).collect();
        paths
            .into_iter()
            .filter_map(|path| change(path, self.files.get(path), later.files.get(path)))
            .collect()
    }
}

fn change(path: &Path, before: Option<&File>, after: Option<&File>) -> Option<Change> {
    let how = match (before, after) {
        (Some(before), Some(after)) if before.content != after.content => "was changed",
        (Some(before), Some(after)) if before.mode != after.mode => "got another mode",
        (Some(_), Some(_)) | (None, None) => return None,
        (None, Some(_)) => "was made",
        (Some(_), None) => "was removed",
    };
    let codexs = after.or(before).and_then(|file| file.codexs.clone());
    Some(Change {
        path: path.to_owned(),
        how,
        is_codexs: codexs.is_some(),
        name: codexs.unwrap_or_else(|| path.display().to_string()),
    })
}

fn content(path: &Path, about: &std::fs::Metadata) -> std::io::Result<Content> {
    if about.is_symlink() {
        return Ok(Content::Link(std::fs::read_link(path)?));
    }
    if !about.is_file() {
        return Ok(Content::Special);
    }
    if about.len() > HASHED_BYTES_MAX {
        return Ok(Content::Large(about.len(), about.modified().ok()));
    }
    Ok(Content::Hash(Sha256::digest(std::fs::read(path)?).into()))
}

/// The name of a file below the home of Codex, when it is one that Codex writes whenever it runs.
fn codexs_name(path: &Path, home: &Path) -> Option<String> {
    let inside = path.strip_prefix(home).ok()?;
    let name = inside.to_string_lossy().into_owned();
    let listed = CODEXS_OWN.iter().any(|own| inside.starts_with(own));
    // Its databases lie at the top, each with its journals.
    let is_database = inside.components().count() == 1 && name.contains(".sqlite");
    (listed || is_database).then_some(name)
}
