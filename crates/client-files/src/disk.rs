//! What is done to files, one step at a time.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::replace::{folder_of, temporary_prefix};

/// A thing that is done to a file, and can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is opened whose lock is to be taken.
    Lock,
    /// A file is read.
    Read,
    /// A temporary file is made.
    Create,
    /// The first half of a content is written.
    Write,
    /// The second half is written.
    WriteRest,
    /// A content is brought to the disk.
    Sync,
    /// A temporary file is renamed over another one, or a file is given another name.
    Rename,
    /// The names in a folder are brought to the disk.
    SyncFolder,
    /// A file is removed.
    Remove,
    /// A folder is made.
    MakeFolder,
    /// A folder is removed.
    RemoveFolder,
}

/// Who is asked before every step. It lets tests fail any of them, or end the process there.
pub trait Steps: Send + Sync {
    /// Says yes, or how the step fails.
    ///
    /// # Errors
    /// The step is not done, and fails with this error.
    fn before(&self, step: Step, path: &Path) -> io::Result<()>;
}

/// Every step is done.
struct AllSteps;

impl Steps for AllSteps {
    fn before(&self, _: Step, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// The file system, with a word before every step.
#[derive(Clone)]
pub(crate) struct Disk {
    steps: Arc<dyn Steps>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self::asking(Arc::new(AllSteps))
    }

    pub(crate) fn asking(steps: Arc<dyn Steps>) -> Self {
        Self { steps }
    }

    /// The content of a file; `None` when there is none.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.steps.before(Step::Read, path)?;
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file to lock it, and makes it when it is missing.
    pub(crate) fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.steps.before(Step::Lock, path)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// A new file beside `target`, on the disk with all its content, with the owner and the mode of the old one or else `new_mode`.
    pub(crate) fn write_beside(
        &self,
        target: &Path,
        content: &[u8],
        old: Option<&Metadata>,
        new_mode: u32,
    ) -> io::Result<NamedTempFile> {
        self.steps.before(Step::Create, target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let mut file = tempfile::Builder::new()
            .prefix(&temporary_prefix(&name))
            .tempfile_in(folder_of(target))?;
        keep_owner_and_mode(file.as_file(), old, new_mode)?;
        let (half, rest) = content.split_at(content.len() / 2);
        self.steps.before(Step::Write, target)?;
        file.write_all(half)?;
        self.steps.before(Step::WriteRest, target)?;
        file.write_all(rest)?;
        self.steps.before(Step::Sync, target)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Renames a temporary file over its target.
    pub(crate) fn rename(&self, file: NamedTempFile, target: &Path) -> io::Result<()> {
        self.steps.before(Step::Rename, target)?;
        file.persist(target).map(drop).map_err(|error| error.error)
    }

    /// Gives a file another name in its folder.
    pub(crate) fn rename_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.steps.before(Step::Rename, from)?;
        fs::rename(from, to)
    }

    /// Brings the names in a folder to the disk. Systems where a folder cannot be opened write them by themselves.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.steps.before(Step::SyncFolder, folder)?;
        match File::open(folder) {
            Ok(folder) => folder.sync_all(),
            Err(_) => Ok(()),
        }
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.steps.before(Step::Remove, path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes a folder for its owner alone, if it is not there. The folder above must be.
    pub(crate) fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.steps.before(Step::MakeFolder, path)?;
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            Err(error) if !path.is_dir() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes a folder. One that is not empty stays, a link in its place does, and one that is gone is gone.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.steps.before(Step::RemoveFolder, path)?;
        match fs::remove_dir(path) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty
                        | io::ErrorKind::NotFound
                        | io::ErrorKind::NotADirectory
                ) =>
            {
                Err(error)
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, old: Option<&Metadata>, new_mode: u32) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let new = file.metadata()?;
    if let Some(old) = old
        && (old.uid(), old.gid()) != (new.uid(), new.gid())
    {
        // Root edits somebody's file: it must stay theirs.
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    let mode = old.map_or(new_mode, |old| old.permissions().mode() & 0o7777);
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_owner_and_mode(_: &File, _: Option<&Metadata>, _: u32) -> io::Result<()> {
    Ok(())
}
