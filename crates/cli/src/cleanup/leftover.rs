//! What a program that ended badly has left behind, and how that was proven.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use polywire_processes::{Process, ProcessId};
use serde::Serialize;

/// What kind of thing was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The lock of an Electron profile, which keeps the next Desktop from starting.
    DesktopLock,
    /// A file with the number of a process of the Desktop package.
    DesktopPidFile,
    /// The socket by which a second start of Desktop hands over to the first.
    DesktopSocket,
    /// The server of Desktop's web assets.
    DesktopWebServer,
    /// A process of a Desktop whose main process has ended.
    DesktopHelper,
    /// A `codex app-server` that nobody talks to.
    AppServer,
    /// A file or socket of the CLI's own daemon.
    DaemonFile,
    /// A process of the CLI's own daemon.
    DaemonProcess,
    /// The gateway of a `polywire run`.
    RunGateway,
    /// A folder in which polywire's engine worked.
    EngineScratch,
    /// A folder in which `polywire doctor` tried something.
    DoctorFolder,
    /// The record of a gateway in the background.
    BackgroundGateway,
}

impl Kind {
    /// What it is, in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Kind::DesktopLock => "lock of a Desktop profile",
            Kind::DesktopPidFile => "pid file of Desktop",
            Kind::DesktopSocket => "hand-over socket of Desktop",
            Kind::DesktopWebServer => "web server of Desktop",
            Kind::DesktopHelper => "helper process of Desktop",
            Kind::AppServer => "codex app-server",
            Kind::DaemonFile => "file of Codex's daemon",
            Kind::DaemonProcess => "process of Codex's daemon",
            Kind::RunGateway => "gateway of a `polywire run`",
            Kind::EngineScratch => "work folder of an engine",
            Kind::DoctorFolder => "work folder of `polywire doctor`",
            Kind::BackgroundGateway => "record of a gateway in the background",
        }
    }
}

/// What was left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// A process, to be ended.
    Process {
        /// Which one.
        id: ProcessId,
        /// Its program.
        executable: Option<PathBuf>,
    },
    /// A file, link or socket, to be removed.
    File {
        /// Where.
        path: PathBuf,
        /// Which one.
        #[serde(skip)]
        mark: FileMark,
    },
    /// The record of a gateway in a file, to be taken out of it. The rest of the file stays.
    Record {
        /// Which file.
        path: PathBuf,
        /// Which one.
        #[serde(skip)]
        mark: FileMark,
    },
    /// A folder, to be removed with what is in it.
    Folder {
        /// Where.
        path: PathBuf,
        /// Which one.
        #[serde(skip)]
        mark: FileMark,
    },
}

/// Which file is meant, so that one which was put in its place is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMark {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl FileMark {
    /// The mark of a file, not of what it links to.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let about = std::fs::symlink_metadata(path)?;
        Ok(Self {
            device: about.dev(),
            inode: about.ino(),
            modified: (about.mtime(), about.mtime_nsec()),
        })
    }
}

impl Subject {
    pub(crate) fn process(process: &Process) -> Self {
        Subject::Process {
            id: process.id.clone(),
            executable: process.program().map(Path::to_owned),
        }
    }
}

impl Subject {
    /// Whether this number or path means it.
    pub(crate) fn is(&self, named: &str) -> bool {
        match self {
            Subject::Process { id, .. } => named.parse() == Ok(id.pid()),
            Subject::File { path, .. }
            | Subject::Record { path, .. }
            | Subject::Folder { path, .. } => path == Path::new(named),
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Process { id, executable } => {
                write!(f, "process {}", id.pid())?;
                match executable {
                    Some(path) => write!(f, " ({})", path.display()),
                    None => Ok(()),
                }
            }
            Subject::File { path, .. }
            | Subject::Record { path, .. }
            | Subject::Folder { path, .. } => {
                write!(f, "{}", path.display())
            }
        }
    }
}

/// Something that may have been left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Leftover {
    /// What kind of thing it is.
    pub(crate) kind: Kind,
    /// Which one.
    pub(crate) subject: Subject,
    /// What was found out about it, each a short sentence.
    pub(crate) proof: Vec<String>,
    /// Why it is kept; `None` when it is proven that nobody needs it.
    pub(crate) kept: Option<String>,
}

impl Leftover {
    /// Whether it is proven that nobody needs it.
    pub(crate) const fn is_stale(&self) -> bool {
        self.kept.is_none()
    }
}

/// Whose a process is and when it began. Others' are not looked at.
fn owner_and_start(process: &Process) -> String {
    let started = process
        .started_at
        .and_then(|time| Zoned::try_from(time).ok());
    match started {
        Some(time) => format!(
            "it is yours and began {}",
            time.strftime("%Y-%m-%d %H:%M:%S")
        ),
        None => "it is yours".to_owned(),
    }
}

/// Collects what is known of something, until it is stale or kept.
pub(crate) struct Case {
    kind: Kind,
    subject: Subject,
    proof: Vec<String>,
}

impl Case {
    pub(crate) fn of_process(kind: Kind, process: &Process) -> Self {
        Self {
            kind,
            subject: Subject::process(process),
            proof: vec![owner_and_start(process)],
        }
    }

    /// `None` when there is no such file, or it is not this user's.
    pub(crate) fn of_file(kind: Kind, path: &Path) -> Option<Self> {
        let about = std::fs::symlink_metadata(path).ok()?;
        if about.uid() != polywire_processes::own_user() {
            return None;
        }
        let mark = FileMark::of(path).ok()?;
        let path = path.to_owned();
        let subject = if about.is_dir() {
            Subject::Folder { path, mark }
        } else {
            Subject::File { path, mark }
        };
        Some(Self {
            kind,
            subject,
            proof: Vec::new(),
        })
    }

    /// The record in a file. `None` as for a file.
    pub(crate) fn of_record(kind: Kind, path: &Path) -> Option<Self> {
        let mut case = Self::of_file(kind, path)?;
        if let Subject::File { path, mark } = case.subject {
            case.subject = Subject::Record { path, mark };
        }
        Some(case)
    }

    /// Something that was found out.
    pub(crate) fn known(mut self, fact: impl Into<String>) -> Self {
        self.proof.push(fact.into());
        self
    }

    /// All is proven.
    pub(crate) fn stale(self) -> Leftover {
        let Self {
            kind,
            subject,
            proof,
        } = self;
        Leftover {
            kind,
            subject,
            proof,
            kept: None,
        }
    }

    /// It stays, and why.
    pub(crate) fn kept(self, why: impl Into<String>) -> Leftover {
        Leftover {
            kept: Some(why.into()),
            ..self.stale()
        }
    }
}
