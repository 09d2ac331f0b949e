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

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::{Command, Stdio};

    use super::*;

    const OLD: &str = "the old login";

    /// Names the file to the child of `a_crash_before_the_rename`.
    const CRASH_AT: &str = "POLYWIRE_TEST_CRASH_AT";

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn old_login() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        fs::write(&path, OLD).unwrap();
        (folder, path)
    }

    /// Not a test by itself: the process that is killed between writing and renaming.
    #[test]
    fn crash_here() {
        let Some(path) = std::env::var_os(CRASH_AT) else {
            return;
        };
        let rewrite = Rewrite::begin(Path::new(&path)).unwrap();
        let Way::Replace(file) = rewrite.way else {
            panic!("the folder takes new files");
        };
        let _written = written(file, "the new login").unwrap();
        println!("written");
        // Until the parent kills us.
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn a_crash_before_the_rename() {
        let (folder, path) = old_login();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rewrite::tests::crash_here", "--nocapture"])
            .env(CRASH_AT, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("written")));
        child.kill().unwrap();
        child.wait().unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
        let left = names(folder.path());
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left[0].starts_with(PREFIX), "{left:?}");
        assert_eq!(
            fs::read_to_string(folder.path().join(&left[0])).unwrap(),
            "the new login"
        );
        assert_eq!(mode(&folder.path().join(&left[0])), 0o600);
        // The next write takes away what was left, and nothing else that looks a little like it.
        fs::write(folder.path().join(".auth-xyz"), "Codex's own").unwrap();
        Rewrite::begin(&path)
            .unwrap()
            .commit("the next login")
            .unwrap();
        assert_eq!(names(folder.path()), [".auth-xyz", "auth.json"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "the next login");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn what_is_begun_and_given_up_leaves_nothing() {
        let (folder, path) = old_login();
        drop(Rewrite::begin(&path).unwrap());
        assert_eq!(names(folder.path()), ["auth.json"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_is_written_over() {
        let (folder, path) = old_login();
        // Root makes files in any folder; then it is replaced, which is as good.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
        Rewrite::begin(&path).unwrap().commit("new").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");

        let in_place = Rewrite {
            target: path.clone(),
            way: Way::InPlace,
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        in_place.commit("newer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn where_nothing_can_be_written_is_found_out_at_once() {
        let (folder, path) = old_login();
        for nowhere in [folder.path().join("gone/auth.json"), path.join("below")] {
            assert!(Rewrite::begin(&nowhere).is_err(), "{}", nowhere.display());
        }
    }

    #[test]
    fn links_are_followed_to_their_end() {
        let (folder, path) = old_login();
        let link = |name: &str, to: &str| {
            let link = folder.path().join(name);
            symlink(to, &link).unwrap();
            link
        };
        fs::create_dir(folder.path().join("sub")).unwrap();
        let near = link("sub/near", "../auth.json");
        let far = link("far", "sub/near");
        assert_eq!(
            target(&far).canonicalize().unwrap(),
            path.canonicalize().unwrap()
        );
        assert_eq!(
            target(&near).canonicalize().unwrap(),
            path.canonicalize().unwrap()
        );
        assert_eq!(target(&path), path);
        let dangling = link("dangling", "later.json");
        assert_eq!(target(&dangling), folder.path().join("later.json"));
        // One that leads to itself ends.
        let circle = link("circle", "circle");
        assert_eq!(target(&circle), circle);
    }
}
