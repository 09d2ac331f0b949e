//! Reading a log while it is written, through its changes of file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{inode, part};

/// How much of a file is read at a time, from its end towards its beginning.
const BLOCK_BYTES: u64 = 64 * 1024;

/// The most older parts that are looked at. More than anybody keeps.
const PARTS_MAX: usize = 1000;

/// A part of the log was removed before it could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it is missing: an offset in what was read.
    pub at: usize,
}

/// Reads what is written to a log from now on.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// The file that is read, and how far; `None` as long as there is none.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    inode: u64,
    read: u64,
}

impl Follower {
    /// Begins at the end of the log, and gives its last lines, older parts included where the newest has not as many.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn with_last_lines(path: &Path, count: usize) -> io::Result<(Self, Vec<u8>)> {
        let mut follower = Self {
            path: path.to_owned(),
            open: None,
        };
        let Some(mut newest) = Open::at(path)? else {
            return Ok((follower, Vec::new()));
        };
        let (mut lines, mut text) = newest.last_lines(count)?;
        for age in 1..PARTS_MAX {
            if lines >= count {
                break;
            }
            let Some(mut older) = Open::at(&part(path, age))? else {
                break;
            };
            // It has moved aside since it was opened.
            if older.inode == newest.inode {
                continue;
            }
            let (more, mut before) = older.last_lines(count - lines)?;
            before.append(&mut text);
            text = before;
            lines += more;
        }
        follower.open = Some(newest);
        Ok((follower, text))
    }

    /// Reads what was written since it was last asked. Adds it to what `out` holds; gives a [`Gap`] when some of it is gone.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&mut self, out: &mut Vec<u8>) -> io::Result<Option<Gap>> {
        let Some(current) = &mut self.open else {
            return match Open::at(&self.path)? {
                // All of it was written since.
                Some(named) => self.turn_pages(named, out).map(|_| None),
                None => Ok(None),
            };
        };
        let Some(named) = Open::at(&self.path)? else {
            // It is being moved aside, or somebody has removed it: what comes stands in the file that is open.
            current.rest(out)?;
            return Ok(None);
        };
        if named.inode == current.inode {
            let cut = named.file.metadata()?.len() < current.read;
            let at = out.len();
            if cut {
                current.read = 0;
            }
            current.rest(out)?;
            return Ok(cut.then_some(Gap { at }));
        }
        // Nothing more is written to a file that was moved aside.
        current.rest(out)?;
        self.turn_pages(named, out)
    }

    /// Reads the files that were begun since the one that is open, and goes on with the newest.
    fn turn_pages(&mut self, named: Open, out: &mut Vec<u8>) -> io::Result<Option<Gap>> {
        let known = self.open.as_ref().map(|open| open.inode);
        let last_written = self.open.as_ref().and_then(Open::written_at);
        let mut newer = vec![named];
        let mut gap = Some(Gap { at: out.len() });
        for age in 1..PARTS_MAX {
            let Some(older) = Open::at(&part(&self.path, age))? else {
                break;
            };
            if Some(older.inode) == known {
                gap = None;
                break;
            }
            // The files move while we look: one that was seen as younger is not read twice.
            if newer.iter().all(|seen| seen.inode != older.inode) {
                newer.push(older);
            }
        }
        if gap.is_some() {
            // Where somebody has removed the file, the older parts are those that were there before.
            newer.retain(|page| page.written_at() >= last_written);
        }
        for page in newer.iter_mut().rev() {
            page.rest(out)?;
        }
        self.open = newer.into_iter().next();
        Ok(gap)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let inode = inode(&file.metadata()?);
        Ok(Some(Self {
            file,
            inode,
            read: 0,
        }))
    }

    fn written_at(&self) -> Option<SystemTime> {
        self.file.metadata().ok()?.modified().ok()
    }

    fn rest(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.read))?;
        self.read += self.file.read_to_end(out)? as u64;
        Ok(())
    }

    /// The last lines, and how many they are. The file counts as read.
    fn last_lines(&mut self, count: usize) -> io::Result<(usize, Vec<u8>)> {
        let end = self.file.metadata()?.len();
        self.read = end;
        let mut begin = end;
        let mut text = Vec::new();
        while begin > 0 && starts_of_lines(&text).count() <= count {
            let bytes = BLOCK_BYTES.min(begin);
            begin -= bytes;
            self.file.seek(SeekFrom::Start(begin))?;
            let mut block = Vec::new();
            (&self.file).take(bytes).read_to_end(&mut block)?;
            block.append(&mut text);
            text = block;
        }
        let starts: Vec<usize> = starts_of_lines(&text).collect();
        let lines = starts.len().min(count);
        match starts.get(starts.len() - lines) {
            Some(&start) => Ok((lines, text.split_off(start))),
            None => Ok((0, Vec::new())),
        }
    }
}

/// Where lines begin.
fn starts_of_lines(text: &[u8]) -> impl Iterator<Item = usize> {
    let after = |at: usize| at == 0 || text[at - 1] == b'\n';
    (0..text.len()).filter(move |&at| after(at))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::log::{LogLimits, RotatingLog};

    fn log(path: &Path, keep: usize) -> RotatingLog {
        let limits = LogLimits {
            bytes_max: 30,
            keep,
        };
        RotatingLog::open(path, limits, |_| {}).unwrap()
    }

    fn write(log: &mut RotatingLog, numbers: std::ops::Range<usize>) {
        for number in numbers {
            log.write_all(format!("line {number}\n").as_bytes())
                .unwrap();
        }
    }

    fn lines(numbers: std::ops::Range<usize>) -> String {
        let lines: Vec<String> = numbers.map(|number| format!("line {number}\n")).collect();
        lines.concat()
    }

    #[test]
    fn last_lines_reach_into_older_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        write(&mut log(&path, 9), 0..20);
        for count in [0, 1, 3, 7, 20] {
            let (_, text) = Follower::with_last_lines(&path, count).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), lines(20 - count..20));
        }
        let (_, all) = Follower::with_last_lines(&path, usize::MAX).unwrap();
        assert_eq!(String::from_utf8(all).unwrap(), lines(0..20));
    }

    #[test]
    fn lines_longer_than_a_block_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let long = format!("{}\n", "x".repeat(200_000));
        fs::write(&path, format!("a\n{long}b")).unwrap();
        let (_, text) = Follower::with_last_lines(&path, 2).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), format!("{long}b"));
    }

    #[test]
    fn nothing_is_lost_or_told_twice_through_changes_of_file() {
        for burst in 1..40 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("gateway.log");
            let (mut follower, none) = Follower::with_last_lines(&path, 5).unwrap();
            assert!(none.is_empty());
            let mut log = log(&path, 100);
            let mut seen = Vec::new();
            for from in (0..200).step_by(burst) {
                write(&mut log, from..(from + burst).min(200));
                assert_eq!(follower.read(&mut seen).unwrap(), None);
            }
            assert_eq!(String::from_utf8(seen).unwrap(), lines(0..200), "{burst}");
        }
    }

    #[test]
    fn what_is_gone_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let mut log = log(&path, 1);
        write(&mut log, 0..1);
        let (mut follower, _) = Follower::with_last_lines(&path, 1).unwrap();
        write(&mut log, 1..50);
        let mut seen = Vec::new();
        let gap = follower.read(&mut seen).unwrap().unwrap();
        let after = String::from_utf8(seen.split_off(gap.at)).unwrap();
        let before = String::from_utf8(seen).unwrap();
        assert!(
            lines(1..50).starts_with(&before) && !before.is_empty(),
            "{before}"
        );
        assert!(
            lines(1..50).ends_with(&after) && !after.is_empty(),
            "{after}"
        );

        fs::write(&path, "cut\n").unwrap();
        let mut seen = Vec::new();
        follower.read(&mut seen).unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), "cut\n");
    }
}
