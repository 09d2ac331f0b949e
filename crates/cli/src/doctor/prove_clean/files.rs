//! The user's files, and what became of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use polywire_settings::{Environment, ProcessEnvironment, Settings};
use sha2::{Digest, Sha256};

use crate::doctor::known::user_files;

/// More of the user's files than this at one place are not compared, and more of Codex's own neither; a home of Codex has some hundreds.
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
    skipped: Vec<Skipped>,
}

/// What was not compared.
pub(super) struct Skipped {
    /// Where.
    pub(super) path: PathBuf,
    /// Why.
    pub(super) why: String,
    /// Whether it is the user's, and not Codex's own.
    pub(super) is_users: bool,
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
    /// A folder that may be made by the run: a place itself, which Codex makes when it is missing.
    Place,
    /// A folder in one.
    Folder,
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
        Self::read_within(places, FILES_MAX)
    }

    /// At each place so many of the user's files, and so many of Codex's own.
    fn read_within(places: &[Place], files_max: usize) -> Self {
        let mut tree = Self {
            files: BTreeMap::new(),
            skipped: Vec::new(),
        };
        for place in places {
            tree.add(place, files_max);
        }
        tree
    }

    fn add(&mut self, place: &Place, files_max: usize) {
        let (mut users, mut codexs) = (Room(files_max), Room(files_max));
        let mut waiting = vec![place.path.clone()];
        while let Some(path) = waiting.pop() {
            let own_name = place
                .is_codexs
                .then(|| codexs_name(&path, &place.path))
                .flatten();
            let room = if own_name.is_some() {
                &mut codexs
            } else {
                &mut users
            };
            if !room.take() {
                continue;
            }
            let is_users = own_name.is_none();
            match read(&path, &place.path, own_name) {
                Ok(Some((file, inside))) => {
                    waiting.extend(inside);
                    self.files.insert(path, file);
                }
                // Gone in the meantime: a lock or a temporary file.
                Ok(None) => {}
                Err(error) => self.skipped.push(Skipped {
                    path,
                    why: error.to_string(),
                    is_users,
                }),
            }
        }
        for (room, is_users) in [(users, true), (codexs, false)] {
            if room.0 == 0 {
                let whose = if is_users {
                    "of yours"
                } else {
                    "of Codex's own"
                };
                self.skipped.push(Skipped {
                    path: place.path.clone(),
                    why: format!("there are more than {files_max} files and folders {whose}"),
                    is_users,
                });
            }
        }
    }

    /// How many of the user's files were read.
    pub(super) fn of_users(&self) -> usize {
        let read = |file: &&File| match file.content {
            Content::Hash(_) | Content::Link(_) => file.codexs.is_none(),
            Content::Large(..) | Content::Special | Content::Place | Content::Folder => false,
        };
        self.files.values().filter(read).count()
    }

    /// Those of the user's files that are too large to be read.
    pub(super) fn large(&self) -> impl Iterator<Item = &PathBuf> {
        let is_large =
            |file: &File| file.codexs.is_none() && matches!(file.content, Content::Large(..));
        let large = self.files.iter().filter(move |(_, file)| is_large(file));
        large.map(|(path, _)| path)
    }

    /// What was not compared, and why.
    pub(super) fn skipped(&self) -> &[Skipped] {
        &self.skipped
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

/// How many more may be read. At 0 there were too many.
struct Room(usize);

impl Room {
    fn take(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

/// A file or folder, and what is in it. `None` when there is none.
fn read(
    path: &Path,
    place: &Path,
    codexs: Option<String>,
) -> std::io::Result<Option<(File, Vec<PathBuf>)>> {
    // The place itself may be a link to where the user keeps it.
    let about = if path == place {
        path.metadata()
    } else {
        path.symlink_metadata()
    };
    let found = about.and_then(|about| {
        let (content, inside) = if about.is_dir() {
            let inside: std::io::Result<Vec<PathBuf>> = std::fs::read_dir(path)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect();
            let content = if path == place {
                Content::Place
            } else {
                Content::Folder
            };
            (content, inside?)
        } else {
            (content(path, &about)?, Vec::new())
        };
        let file = File {
            mode: about.permissions().mode(),
            content,
            codexs,
        };
        Ok((file, inside))
    });
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn change(path: &Path, before: Option<&File>, after: Option<&File>) -> Option<Change> {
    let how = match (before, after) {
        (Some(before), Some(after)) if before.content != after.content => "was changed",
        (Some(before), Some(after)) if before.mode != after.mode => "got another mode",
        (Some(_), Some(_)) | (None, None) => return None,
        (None, Some(after)) if after.content == Content::Place => return None,
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
    // With the folders that lead to them, which Codex makes when they are missing.
    let leads = |own: &str| Path::new(own).starts_with(inside) && !name.is_empty();
    let listed = CODEXS_OWN
        .iter()
        .any(|own| inside.starts_with(own) || leads(own));
    // Its databases lie at the top, each with its journals.
    let is_database = inside.components().count() == 1 && name.contains(".sqlite");
    (listed || is_database).then_some(name)
}

#[cfg(test)]
mod tests;
