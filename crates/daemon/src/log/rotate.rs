//! Writing a log that does not grow without end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{inode, part};
use crate::DaemonError;
use crate::files::make_private_folder;

/// How much of a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// The most bytes of one file. A line that begins below it is written whole.
    pub bytes_max: u64,
    /// How many older files are kept beside it.
    pub keep: usize,
}

/// How often it is looked whether the file is still the one of that name. Somebody may have moved or removed it.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// What is to be done with each file that is begun.
type OnFile = Box<dyn FnMut(&File) + Send>;

/// A log file with mode 0600 that moves aside when it is full: `log` becomes `log.1`, that becomes `log.2`, and the oldest is removed.
///
/// Write whole lines: between two writes the file may change. When moving aside fails, the file grows on and is tried again after as
/// many bytes: a long log is better than a lost one.
pub struct RotatingLog {
    path: PathBuf,
    limits: LogLimits,
    file: File,
    inode: u64,
    /// The bytes of the file when it is next moved aside, and those written so far.
    full_at: u64,
    written: u64,
    looked_at: Instant,
    on_file: OnFile,
}

impl RotatingLog {
    /// Opens the log to append to it. `on_file` is given the file now, and each one that is begun later.
    ///
    /// # Errors
    /// The file or its folder cannot be made.
    pub fn open(
        path: &Path,
        limits: LogLimits,
        mut on_file: impl FnMut(&File) + Send + 'static,
    ) -> Result<Self, DaemonError> {
        make_private_folder(path.parent().unwrap_or(Path::new(".")))?;
        let opened = append_private(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|source| DaemonError::write(path, source))?;
        on_file(&file);
        Ok(Self {
            path: path.to_owned(),
            limits,
            file,
            inode: inode(&metadata),
            full_at: limits.bytes_max,
            written: metadata.len(),
            looked_at: Instant::now(),
            on_file: Box::new(on_file),
        })
    }

    /// Begins the next file if this one is full, or is no longer the one of that name.
    fn turn_page(&mut self) {
        let is_full = self.written >= self.full_at;
        if !is_full && self.looked_at.elapsed() < LOOK_INTERVAL {
            return;
        }
        self.looked_at = Instant::now();
        // Another process that writes to the same log may have moved it aside when it was full.
        if !self.is_named() || (is_full && self.move_aside()) {
            self.begin_file();
        }
    }

    /// Whether the file is still the one of that name.
    fn is_named(&self) -> bool {
        let found = fs::metadata(&self.path);
        found.is_ok_and(|found| inode(&found) == self.inode)
    }

    /// Moves the files aside. `false` when that fails.
    fn move_aside(&mut self) -> bool {
        for age in (0..self.limits.keep).rev() {
            let moved = fs::rename(part(&self.path, age), part(&self.path, age + 1));
            let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
            if moved.as_ref().is_err_and(|error| !missing(error)) {
                self.full_at = self.written + self.limits.bytes_max;
                return false;
            }
        }
        if self.limits.keep == 0 && fs::remove_file(&self.path).is_err() {
            self.full_at = self.written + self.limits.bytes_max;
            return false;
        }
        true
    }

    fn begin_file(&mut self) {
        let Ok(file) = append_private(&self.path) else {
            // The old file takes what comes; its name is looked for again in a moment.
            return;
        };
        let Ok(metadata) = file.metadata() else {
            return;
        };
        (self.on_file)(&file);
        self.inode = inode(&metadata);
        self.written = metadata.len();
        self.full_at = self.limits.bytes_max;
        self.file = file;
    }
}

/// Opens a file to append to it; one that is made has mode 0600 from its first byte.
///
/// # Errors
/// It cannot be opened or made.
pub fn append_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Write for RotatingLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.turn_page();
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(log: &mut RotatingLog, text: &str) {
        log.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    fn texts(path: &Path) -> Vec<String> {
        let parts = (0..).map(|age| fs::read_to_string(part(path, age)));
        parts.map_while(Result::ok).collect()
    }

    #[test]
    fn full_files_move_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/gateway.log");
        let limits = LogLimits {
            bytes_max: 4,
            keep: 2,
        };
        let (sent, begun) = std::sync::mpsc::channel();
        let mut log = RotatingLog::open(&path, limits, move |file| {
            sent.send(inode(&file.metadata().unwrap())).unwrap();
        })
        .unwrap();
        for text in ["aaa", "bbbbbb", "c", "d", "e"] {
            line(&mut log, text);
        }
        assert_eq!(texts(&path), ["e\n", "c\nd\n", "bbbbbb\n"]);
        assert_eq!(begun.try_iter().count(), 4, "each file is told");
        #[cfg(unix)]
        for age in 0..3 {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(part(&path, age)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // What another process wrote into it counts when it is opened again.
        drop(log);
        fs::write(&path, "xxxx").unwrap();
        let mut log = RotatingLog::open(&path, limits, |_| {}).unwrap();
        line(&mut log, "f");
        assert_eq!(texts(&path), ["f\n", "xxxx", "c\nd\n"]);
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let limits = LogLimits {
            bytes_max: 2,
            keep: 0,
        };
        let mut log = RotatingLog::open(&path, limits, |_| {}).unwrap();
        line(&mut log, "a");
        line(&mut log, "b");
        assert_eq!(texts(&path), ["b\n"]);
    }

    #[test]
    fn a_log_that_cannot_move_aside_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let limits = LogLimits {
            bytes_max: 2,
            keep: 1,
        };
        // A folder of that name that is not empty cannot be replaced.
        fs::create_dir_all(part(&path, 1).join("full")).unwrap();
        let mut log = RotatingLog::open(&path, limits, |_| {}).unwrap();
        for text in ["a", "b", "c"] {
            line(&mut log, text);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn of_two_who_write_one_moves_it_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let limits = LogLimits {
            bytes_max: 4,
            keep: 3,
        };
        let mut one = RotatingLog::open(&path, limits, |_| {}).unwrap();
        let mut other = RotatingLog::open(&path, limits, |_| {}).unwrap();
        line(&mut one, "aaa");
        line(&mut other, "bbb");
        line(&mut one, "c");
        line(&mut other, "d");
        assert_eq!(texts(&path), ["c\nd\n", "aaa\nbbb\n"]);
    }

    #[test]
    fn a_log_that_somebody_took_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let limits = LogLimits {
            bytes_max: 100,
            keep: 1,
        };
        let mut log = RotatingLog::open(&path, limits, |_| {}).unwrap();
        line(&mut log, "a");
        fs::rename(&path, folder.path().join("taken")).unwrap();
        log.looked_at -= LOOK_INTERVAL;
        line(&mut log, "b");
        assert_eq!(texts(&path), ["b\n"]);
    }
}
