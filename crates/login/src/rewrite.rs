//! Writing `auth.json` so that it is the old file or the new one, and never half of either.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// How temporary files are called: hidden, and told from everybody else's.
const PREFIX: &str = ".auth.json-polywire-";

/// The most symbolic links that are followed, as in the kernel.
const LINKS_MAX: usize = 40;

/// A file that is about to get new contents.
///
/// Begun before the issuer is asked for them: where nothing can be written the refresh token must not be spent.
#[derive(Debug)]
pub(crate) struct Rewrite {
    target: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// A new file beside the old one, which it will replace.
    Replace(NamedTempFile),
    /// Over the old contents, as Codex does it. For where the folder takes no new file, or the file cannot be replaced, as when it is
    /// mounted into a container by itself. A crash in between may leave half a file, which is still better than tokens that are
    /// spent and written nowhere.
    InPlace,
}

/// Where a path leads, past symbolic links. A writer that renames over a link would replace the link.
pub(crate) fn target(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&target) else {
            break;
        };
        // A relative link starts from the folder that it is in.
        target = target.parent().unwrap_or(Path::new(".")).join(next);
    }
    target
}

impl Rewrite {
    /// Gets ready to write to where `path` leads, and removes what a crash left of earlier writes. To be called under the lock of the
    /// login: what looks like a leftover is one then.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let target = target(path);
        let way = match temporary_beside(&target) {
            Ok(file) => Way::Replace(file),
            Err(error) => {
                OpenOptions::new()
                    .write(true)
                    .open(&target)
                    .map_err(|_| error)?;
                Way::InPlace
            }
        };
        Ok(Self { target, way })
    }

    /// Writes the new contents, to the disk.
    pub(crate) fn commit(self, text: &str) -> io::Result<()> {
        match self.way {
            Way::Replace(file) => match written(file, text)?.persist(&self.target) {
                Ok(_) => sync_folder(&self.target),
                Err(_) => in_place(&self.target, text),
            },
            Way::InPlace => in_place(&self.target, text),
        }
    }
}

/// A new file with mode 0600 and the owner of the old one.
fn temporary_beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = target.parent().unwrap_or(Path::new("."));
    remove_leftovers(folder);
    let file = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempfile_in(folder)?;
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(target) {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.as_file().metadata()?;
        // Root renews somebody's login: the file must stay theirs.
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
    }
    Ok(file)
}

fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(PREFIX) && fs::remove_file(entry.path()).is_err() {
            tracing::debug!(path = %entry.path().display(), "a leftover stays");
        }
    }
}

/// The temporary file with the new contents, all of it on the disk: the name must not reach it before the contents do.
fn written(mut file: NamedTempFile, text: &str) -> io::Result<NamedTempFile> {
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn in_place(target: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(target)?;
    // Closed to others before the tokens are in it.
    polywire_credentials::make_private(target)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Brings the new name to the disk. Systems where a folder cannot be opened write it by themselves.
fn sync_folder(target: &Path) -> io::Result<()> {
    match File::open(target.parent().unwrap_or(Path::new("."))) {
        Ok(folder) => folder.sync_all(),
        Err(_) => Ok(()),
    }
}
