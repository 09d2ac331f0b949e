//! A place for the program under test to live in, away from the user's files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

/// A temporary home folder with its own XDG folders, `CODEX_HOME`, and an empty work folder.
///
/// Removed when dropped.
#[derive(Debug)]
pub struct TempHome {
    folder: TempDir,
}

/// The folders of a [`TempHome`].
const FOLDERS: [&str; 9] = [
    "home", "config", "state", "data", "cache", "codex", "work", "runtime", "tmp",
];

impl TempHome {
    /// Makes one below `parent`, which `env!("CARGO_TARGET_TMPDIR")` is meant to be.
    ///
    /// Commands started in it have a temporary folder of their own beside `CODEX_HOME`, because Codex refuses to create
    /// its helper programs below the temporary folder.
    pub fn new(parent: impl AsRef<Path>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("home-")
            .tempdir_in(parent)
            .expect("a temporary home");
        for name in FOLDERS {
            // Private, as the XDG runtime folder has to be.
            fs::DirBuilder::new()
                .mode(0o700)
                .create(folder.path().join(name))
                .expect("a folder in a temporary home");
        }
        Self { folder }
    }

    /// `CODEX_HOME`.
    pub fn codex_home(&self) -> PathBuf {
        self.folder.path().join("codex")
    }

    /// The folder that the client works in.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// `XDG_CONFIG_HOME`.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// `XDG_STATE_HOME`.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Writes a file readable by its owner only, with the folders that lead to it.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder in a temporary home");
        }
        fs::write(&path, content).expect("a file in a temporary home");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a private file");
        path
    }

    /// A command that knows this home and nothing of the user's environment but the search path.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", at("home"))
            .env("XDG_CONFIG_HOME", at("config"))
            .env("XDG_STATE_HOME", at("state"))
            .env("XDG_DATA_HOME", at("data"))
            .env("XDG_CACHE_HOME", at("cache"))
            .env("XDG_RUNTIME_DIR", at("runtime"))
            .env("CODEX_HOME", at("codex"))
            .env("TMPDIR", at("tmp"))
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("SHELL", "/bin/sh")
            .current_dir(at("work"));
        command
    }
}

/// The files below a folder, with their modes and contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    mode: u32,
    content: Vec<u8>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.content);
        write!(f, "{:o} {text:?}", self.mode)
    }
}

impl Tree {
    /// Reads all files and links below `root` whose path relative to it is `wanted`.
    pub fn read(root: &Path, wanted: impl Fn(&Path) -> bool) -> Self {
        let mut entries = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for item in fs::read_dir(&folder).expect("a folder to read").flatten() {
                let path = item.path();
                let Ok(about) = fs::symlink_metadata(&path) else {
                    // Gone in the meantime: a lock or a temporary file.
                    continue;
                };
                let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
                if about.is_dir() {
                    folders.push(path);
                } else if wanted(&name) {
                    let content = match fs::read_link(&path) {
                        Ok(target) => target.into_os_string().into_encoded_bytes(),
                        Err(_) if about.is_file() => fs::read(&path).unwrap_or_default(),
                        Err(_) => Vec::new(),
                    };
                    let mode = about.permissions().mode();
                    entries.insert(name, Entry { mode, content });
                }
            }
        }
        Self(entries)
    }

    /// The files below `CODEX_HOME` that configure Codex and hold its login, not those in which it keeps its own state
    /// (sessions, databases, caches, its installation id).
    pub fn codex_configuration(codex_home: &Path) -> Self {
        Self::read(codex_home, |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let shipped = path.components().any(|part| {
                // Skills that Codex unpacks by itself, and its scratch folder.
                [".system", "tmp", ".tmp", "packages"]
                    .contains(&part.as_os_str().to_string_lossy().as_ref())
            });
            let kinds = ["toml", "md", "rules", "json"];
            let kind = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // Codex keeps the catalog it fetched in this file.
            let cache = name == "models_cache.json";
            !shipped && !cache && (kinds.contains(&kind.as_str()) || name.contains("config"))
        })
    }

    /// The paths in it.
    pub fn paths(&self) -> Vec<&Path> {
        self.0.keys().map(PathBuf::as_path).collect()
    }

    /// Fails unless `later` holds the same files with the same modes and bytes.
    pub fn assert_same(&self, later: &Self) {
        let mut differences = Vec::new();
        for (path, before) in &self.0 {
            match later.0.get(path) {
                None => differences.push(format!("{} is gone", path.display())),
                Some(after) if after != before => {
                    differences.push(format!(
                        "{} changed: {before:?} -> {after:?}",
                        path.display()
                    ));
                }
                Some(_) => {}
            }
        }
        for path in later.0.keys().filter(|path| !self.0.contains_key(*path)) {
            differences.push(format!("{} is new", path.display()));
        }
        assert!(differences.is_empty(), "files changed: {differences:#?}");
    }
}
