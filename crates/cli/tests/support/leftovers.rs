//! What the tests of `polywire cleanup` have in common: leftovers made on purpose.

#![allow(dead_code, reason = "every test program uses a part of it")]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, SystemTime};

use polywire_processes::{ProcessId, end};
use polywire_testkit::{Ended, Running, TempHome};
use serde_json::{Value, json};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

pub(crate) fn home() -> TempHome {
    TempHome::new(env!("CARGO_TARGET_TMPDIR"))
}

pub(crate) async fn cleanup(home: &TempHome, arguments: &[&str]) -> Ended {
    let mut command = home.command(PROGRAM);
    command.arg("cleanup").args(arguments);
    Running::start(command).ended().await
}

/// Acts on this alone: this machine may have leftovers of others.
pub(crate) async fn act_on(home: &TempHome, only: &[String], arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["--yes"];
    for subject in only {
        all.extend(["--only", subject]);
    }
    found(home, &[&all, arguments].concat()).await
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

pub(crate) fn number(id: &ProcessId) -> String {
    id.pid().to_string()
}

/// What was found, after an exit with 0; with 1 when one of the wanted was not.
pub(crate) async fn found(home: &TempHome, arguments: &[&str]) -> Vec<Value> {
    let ended = cleanup(home, &[&["--json"], arguments].concat()).await;
    let unknown = ended.stderr.join("\n").contains("nothing was found of");
    let expected = Some(i32::from(unknown));
    assert_eq!(ended.code(), expected, "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    json["leftovers"].as_array().unwrap().clone()
}

pub(crate) fn of_file<'a>(found: &'a [Value], path: &Path) -> &'a Value {
    let name = path.to_str().unwrap();
    let is_it =
        |subject: &Value| subject["file"]["path"] == name || subject["folder"]["path"] == name;
    let leftover = found.iter().find(|leftover| is_it(&leftover["subject"]));
    leftover.unwrap_or_else(|| panic!("no {name} in {found:#?}"))
}

pub(crate) fn of_process<'a>(found: &'a [Value], id: &ProcessId) -> Option<&'a Value> {
    found
        .iter()
        .find(|leftover| leftover["subject"]["process"]["id"]["pid"] == id.pid())
}

#[track_caller]
pub(crate) fn assert_stale(leftover: &Value, why: &str) {
    assert_eq!(leftover["stale"], true, "{leftover:#}");
    assert!(leftover["proof"].to_string().contains(why), "{leftover:#}");
}

#[track_caller]
pub(crate) fn assert_kept(leftover: &Value, why: &str) {
    assert_eq!(leftover["stale"], false, "{leftover:#}");
    assert!(leftover["kept"].to_string().contains(why), "{leftover:#}");
}

/// A process that lives until this is dropped.
pub(crate) struct Alive(pub(crate) Child);

impl Alive {
    pub(crate) fn sleep() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }

    pub(crate) fn id(&self) -> ProcessId {
        ProcessId::of(self.0.id()).unwrap().unwrap()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A process whose parent has ended. It is ended when this is dropped.
pub(crate) struct Orphan {
    pub(crate) id: ProcessId,
    pub(crate) input: Option<ChildStdin>,
}

impl Drop for Orphan {
    fn drop(&mut self) {
        end(&self.id, Duration::from_secs(1)).unwrap();
    }
}

/// A program of this name that takes no notice of its input's end: a shell that runs the script of its first argument.
pub(crate) fn program(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    // Not written by ourselves: what another test starts at this moment would hold it open for a while, and it could not be run.
    let copied = Command::new("cp").arg("/bin/sh").arg(&path).status();
    assert!(copied.unwrap().success());
    path
}

/// Lets a shell start `program` with these arguments and end.
pub(crate) fn orphan(
    program: &Path,
    arguments: &str,
    folder: &Path,
    variables: &[(&str, &Path)],
) -> Orphan {
    orphan_by(Command::new("sh"), program, arguments, folder, variables)
}

pub(crate) fn orphan_by(
    mut shell: Command,
    program: &Path,
    arguments: &str,
    folder: &Path,
    variables: &[(&str, &Path)],
) -> Orphan {
    let script = format!(
        "exec 3<&0; '{}' <&3 3<&- {arguments} >/dev/null 2>&1 & echo $!",
        program.display()
    );
    let mut parent = shell
        .args(["-c", &script])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = parent.stdin.take();
    let mut pid = String::new();
    parent
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut pid)
        .unwrap();
    parent.wait().unwrap();
    let id = ProcessId::of(pid.trim().parse().unwrap()).unwrap().unwrap();
    wait_until("the orphan to run its program", || {
        id.look()
            .unwrap()
            .is_some_and(|process| process.program() == Some(program))
    });
    Orphan { id, input }
}

pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = SystemTime::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(SystemTime::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The number of a process that has ended.
pub(crate) fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// In a container nothing is proven of process numbers, because those outside cannot be seen.
pub(crate) fn sees_all() -> bool {
    let sees_all = polywire_processes::sees_all_processes();
    if !sees_all {
        eprintln!("not run: in a container, files with process numbers are kept");
    }
    sees_all
}

/// Makes a file as old as one whose process is long gone.
pub(crate) fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_hours(24);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(then)
        .unwrap();
}

/// A socket at which nobody listens any more.
pub(crate) fn dead_socket(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(path).unwrap());
}

/// What Codex writes of a process in its own pid files.
pub(crate) fn codex_pid_file(pid: u32, start: u64, boot: &str) -> String {
    json!({
        "pid": pid,
        "processStartTime": "Wed Nov 25 20:36:52 2026",
        "processIdentity": {"bootId": boot, "startTicks": start},
    })
    .to_string()
}

/// A `codex` whose `app-server` hangs.
pub(crate) fn app_server(folder: &Path) -> PathBuf {
    fs::write(folder.join("app-server"), "while sleep 0.2; do :; done\n").unwrap();
    program(folder, "codex")
}
