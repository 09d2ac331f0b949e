//! A Secret Service on a session bus of its own, as a Linux desktop has one.
//!
//! Interface: the Secret Service specification 0.2 of freedesktop.org, as far as storing, finding, reading and removing one secret takes.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, RefArg, Variant};
use dbus::blocking::Connection;
use dbus::channel::{Channel, MatchingReceiver, Sender};
use dbus::message::MatchRule;
use dbus::{Message, Path};
use tempfile::TempDir;

use crate::tools::found_or_said;
use crate::wait::DEADLINE;

/// What a locked service does when it is asked to unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It is not locked.
    No,
    /// Its user dismisses the question.
    Dismissed,
    /// Its user unlocks it.
    Unlocked,
}

/// A Secret Service on a bus of its own; both end when this is dropped.
#[derive(Debug)]
pub struct SecretService {
    address: String,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    daemon: Child,
    // Last, because the bus has its socket in it.
    _folder: TempDir,
}

#[derive(Debug)]
struct Shared {
    locked: Mutex<Locked>,
    items: Mutex<Vec<Item>>,
}

#[derive(Clone, Debug)]
struct Item {
    path: Path<'static>,
    attributes: HashMap<String, String>,
    label: String,
    secret: Vec<u8>,
}

/// A secret on the wire: session, parameters, value, content type.
type WireSecret = (Path<'static>, Vec<u8>, Vec<u8>, String);

const ROOT: &str = "/org/freedesktop/secrets";
const COLLECTION: &str = "/org/freedesktop/secrets/collection/login";
const SESSION: &str = "/org/freedesktop/secrets/session/s1";
const PROMPT: &str = "/org/freedesktop/secrets/prompt/p1";

impl SecretService {
    /// Starts one. `None`, with a word about it, where there is no `dbus-daemon`.
    pub fn start(locked: Locked) -> Option<Self> {
        let daemon = find_daemon();
        let daemon = found_or_said("`dbus-daemon`", "POLYWIRE_TEST_DBUS", &daemon)?;
        let folder = tempfile::tempdir().expect("a folder for a bus");
        let socket = folder.path().join("bus");
        let configuration = folder.path().join("bus.conf");
        let text = format!(
            r#"<busconfig><type>session</type><listen>unix:path={}</listen><policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#,
            socket.display()
        );
        fs::write(&configuration, text).expect("the configuration of a bus");
        let daemon = Command::new(daemon)
            .arg(format!("--config-file={}", configuration.display()))
            .arg("--nofork")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It complains where it may not raise its limits.
            .stderr(Stdio::null())
            .spawn()
            .expect("a bus");
        let address = format!("unix:path={}", socket.display());
        let shared = Arc::new(Shared {
            locked: Mutex::new(locked),
            items: Mutex::default(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let connection = connect(&address);
        connection
            .request_name("org.freedesktop.secrets", false, true, true)
            .expect("the name of the service");
        let thread = std::thread::spawn({
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            move || serve(&connection, &shared, &stop)
        });
        Some(Self {
            address,
            shared,
            stop,
            thread: Some(thread),
            daemon,
            _folder: folder,
        })
    }

    /// What `DBUS_SESSION_BUS_ADDRESS` has to be.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The secrets that it holds, by their labels.
    pub fn secrets(&self) -> Vec<(String, String)> {
        let items = self.shared.items();
        let shown = items.iter().map(|item| {
            let secret = String::from_utf8_lossy(&item.secret).into_owned();
            (item.label.clone(), secret)
        });
        shown.collect()
    }

    /// Locks it, or unlocks it.
    pub fn lock(&self, locked: Locked) {
        *self.shared.locked() = locked;
    }
}

impl Drop for SecretService {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}

impl Shared {
    fn items(&self) -> MutexGuard<'_, Vec<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_locked(&self) -> bool {
        *self.locked() != Locked::No
    }
}

fn find_daemon() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("dbus-daemon"));
    let mut found = found.filter(|program| program.is_file());
    found
        .next()
        .ok_or_else(|| "it is not in the search path".to_owned())
}

/// The bus needs a moment until it listens.
fn connect(address: &str) -> Connection {
    let begin = Instant::now();
    loop {
        let channel = Channel::open_private(address).and_then(|mut channel| {
            channel.register()?;
            Ok(channel)
        });
        match channel {
            Ok(channel) => return Connection::from(channel),
            Err(error) => assert!(begin.elapsed() < DEADLINE, "no bus at {address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn serve(connection: &Connection, shared: &Arc<Shared>, stop: &AtomicBool) {
    let shared = Arc::clone(shared);
    connection.start_receive(
        MatchRule::new_method_call(),
        Box::new(move |message, connection: &Connection| {
            for answer in answers(&message, &shared) {
                connection.send(answer).ok();
            }
            true
        }),
    );
    while !stop.load(Ordering::Relaxed) {
        connection.process(Duration::from_millis(20)).ok();
    }
}

/// What is sent back: the reply, and signals.
fn answers(call: &Message, shared: &Shared) -> Vec<Message> {
    let path = call.path().map(Path::into_static).unwrap_or_default();
    let member = call
        .member()
        .map(|member| member.to_string())
        .unwrap_or_default();
    let reply = call.method_return();
    let no_prompt = Path::from("/");
    let reply = match member.as_str() {
        "OpenSession" => reply.append2(Variant(String::new()), Path::from(SESSION)),
        "ReadAlias" => reply.append1(Path::from(COLLECTION)),
        "SearchItems" => {
            let wanted: HashMap<String, String> = call.read1().unwrap_or_default();
            let items = shared.items();
            let found = items.iter().filter(|item| {
                let mut wanted = wanted.iter();
                wanted.all(|(name, value)| item.attributes.get(name) == Some(value))
            });
            let found: Vec<Path<'static>> = found.map(|item| item.path.clone()).collect();
            let none = Vec::<Path<'static>>::new();
            if shared.is_locked() {
                reply.append2(none, found)
            } else {
                reply.append2(found, none)
            }
        }
        "Unlock" if shared.is_locked() => {
            reply.append2(Vec::<Path<'static>>::new(), Path::from(PROMPT))
        }
        "Unlock" => reply.append2(Vec::<Path<'static>>::new(), no_prompt),
        "Prompt" => {
            let is_dismissed = *shared.locked() == Locked::Dismissed;
            if !is_dismissed {
                *shared.locked() = Locked::No;
            }
            let completed = Message::signal(
                &Path::from(PROMPT),
                &"org.freedesktop.Secret.Prompt".into(),
                &"Completed".into(),
            );
            let completed = completed.append2(is_dismissed, Variant(String::new()));
            return vec![reply, completed];
        }
        "Get" => reply.append1(Variant(shared.is_locked())),
        "CreateItem" | "SetSecret" | "GetSecret" if shared.is_locked() => {
            let name = "org.freedesktop.Secret.Error.IsLocked".into();
            call.error(&name, c"it is locked")
        }
        "CreateItem" => {
            let (properties, secret): (PropMap, WireSecret) = call.read2().expect("an item");
            let item = Item {
                path: Path::from(format!("{COLLECTION}/{}", shared.items().len())),
                attributes: attributes(&properties),
                label: label(&properties),
                secret: secret.2,
            };
            let path = item.path.clone();
            shared.items().push(item);
            reply.append2(path, no_prompt)
        }
        "SetSecret" => {
            let secret: WireSecret = call.read1().expect("a secret");
            for item in shared.items().iter_mut().filter(|item| item.path == path) {
                item.secret.clone_from(&secret.2);
            }
            reply
        }
        "GetSecret" => {
            let items = shared.items();
            let found = items.iter().find(|item| item.path == path);
            let secret = found.map(|item| item.secret.clone()).unwrap_or_default();
            let wire: WireSecret = (
                Path::from(SESSION),
                Vec::new(),
                secret,
                "text/plain".to_owned(),
            );
            reply.append1(wire)
        }
        "Delete" => {
            shared.items().retain(|item| item.path != path);
            reply.append1(no_prompt)
        }
        other => {
            let name = "org.freedesktop.DBus.Error.UnknownMethod".into();
            let text = std::ffi::CString::new(format!("{other} at {ROOT}")).unwrap_or_default();
            call.error(&name, &text)
        }
    };
    vec![reply]
}

fn attributes(properties: &PropMap) -> HashMap<String, String> {
    let mut attributes = HashMap::new();
    let map = properties.get("org.freedesktop.Secret.Item.Attributes");
    let mut words = map.and_then(|map| map.0.as_iter()).into_iter().flatten();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let text = |word: &dyn RefArg| word.as_str().unwrap_or_default().to_owned();
        attributes.insert(text(name), text(value));
    }
    attributes
}

fn label(properties: &PropMap) -> String {
    let label = properties.get("org.freedesktop.Secret.Item.Label");
    let label = label.and_then(|label| label.0.as_str());
    label.unwrap_or_default().to_owned()
}
