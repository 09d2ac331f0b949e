//! `polywire cleanup` on real leftovers: dead and live processes, files that mean them, sockets.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use polywire_processes::{Process, ProcessId, boot_id, end, listeners, own_processes};
use polywire_testkit::{CodexCli, Ended, Running, TempHome, Terminal};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde_json::{Value, json};

#[path = "support/processes.rs"]
mod processes;

use processes::processes_of;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

fn home() -> TempHome {
    TempHome::new(env!("CARGO_TARGET_TMPDIR"))
}

async fn cleanup(home: &TempHome, arguments: &[&str]) -> Ended {
    let mut command = home.command(PROGRAM);
    command.arg("cleanup").args(arguments);
    Running::start(command).ended().await
}

/// Acts on this alone: this machine may have leftovers of others.
async fn act_on(home: &TempHome, only: &[String], arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["--yes"];
    for subject in only {
        all.extend(["--only", subject]);
    }
    found(home, &[&all, arguments].concat()).await
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn number(id: &ProcessId) -> String {
    id.pid().to_string()
}

/// What was found, after an exit with 0; with 1 when one of the wanted was not.
async fn found(home: &TempHome, arguments: &[&str]) -> Vec<Value> {
    let ended = cleanup(home, &[&["--json"], arguments].concat()).await;
    let unknown = ended.stderr.join("\n").contains("nothing was found of");
    let expected = Some(i32::from(unknown));
    assert_eq!(ended.code(), expected, "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    json["leftovers"].as_array().unwrap().clone()
}

fn of_file<'a>(found: &'a [Value], path: &Path) -> &'a Value {
    let name = path.to_str().unwrap();
    let is_it =
        |subject: &Value| subject["file"]["path"] == name || subject["folder"]["path"] == name;
    let leftover = found.iter().find(|leftover| is_it(&leftover["subject"]));
    leftover.unwrap_or_else(|| panic!("no {name} in {found:#?}"))
}

fn of_process<'a>(found: &'a [Value], id: &ProcessId) -> Option<&'a Value> {
    found
        .iter()
        .find(|leftover| leftover["subject"]["process"]["id"]["pid"] == id.pid())
}

#[track_caller]
fn assert_stale(leftover: &Value, why: &str) {
    assert_eq!(leftover["stale"], true, "{leftover:#}");
    assert!(leftover["proof"].to_string().contains(why), "{leftover:#}");
}

#[track_caller]
fn assert_kept(leftover: &Value, why: &str) {
    assert_eq!(leftover["stale"], false, "{leftover:#}");
    assert!(leftover["kept"].to_string().contains(why), "{leftover:#}");
}

/// A process that lives until this is dropped.
struct Alive(Child);

impl Alive {
    fn sleep() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }

    fn id(&self) -> ProcessId {
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
struct Orphan {
    id: ProcessId,
    input: Option<ChildStdin>,
}

impl Drop for Orphan {
    fn drop(&mut self) {
        end(&self.id, Duration::from_secs(1)).unwrap();
    }
}

/// A program of this name that takes no notice of its input's end: a shell that runs the script of its first argument.
fn program(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    // Not written by ourselves: what another test starts at this moment would hold it open for a while, and it could not be run.
    let copied = Command::new("cp").arg("/bin/sh").arg(&path).status();
    assert!(copied.unwrap().success());
    path
}

/// Lets a shell start `program` with these arguments and end.
fn orphan(program: &Path, arguments: &str, folder: &Path, variables: &[(&str, &Path)]) -> Orphan {
    orphan_by(Command::new("sh"), program, arguments, folder, variables)
}

fn orphan_by(
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

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = SystemTime::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(SystemTime::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The number of a process that has ended.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// In a container nothing is proven of process numbers, because those outside cannot be seen.
fn sees_all() -> bool {
    let sees_all = polywire_processes::sees_all_processes();
    if !sees_all {
        eprintln!("not run: in a container, files with process numbers are kept");
    }
    sees_all
}

/// Makes a file as old as one whose process is long gone.
fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_hours(24);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(then)
        .unwrap();
}

/// A socket at which nobody listens any more.
fn dead_socket(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drop(UnixListener::bind(path).unwrap());
}

#[tokio::test]
async fn nothing_is_found_where_nothing_was_left() {
    let home = home();
    let ended = cleanup(&home, &["--only", "/none"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, ["Nothing stale was found."], "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(
        said.contains("error: nothing was found of `/none`\nhint: "),
        "{said}"
    );
    let nowhere = home.work().join("nowhere");
    fs::create_dir_all(&nowhere).unwrap();
    for folder in [&nowhere, &home.work().join("missing")] {
        let ended = cleanup(&home, &["--desktop", &text(folder)]).await;
        assert_eq!(ended.code(), Some(2), "{ended:?}");
    }
    let ended = cleanup(&home, &["--desktop", &text(&nowhere)]).await;
    let said = ended.stderr.join("\n");
    assert!(
        said.contains("no Desktop is installed there") && said.contains("hint: "),
        "{said}"
    );
}

#[tokio::test]
async fn pid_files_are_stale_when_nobody_is_meant() {
    if !sees_all() {
        return;
    }
    let home = home();
    let sleeper = Alive::sleep();
    let dead = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let reused = home.write(
        "state/codex-desktop/webview.pid",
        sleeper.id().pid().to_string(),
    );
    age(&reused);
    let live = home.write(
        "state/chatgpt-desktop/app.pid",
        sleeper.id().pid().to_string(),
    );
    let strange = home.write("state/chatgpt-desktop/webview.pid", "of nobody");
    let shown = found(&home, &[]).await;
    assert_stale(of_file(&shown, &dead), "does not run");
    assert_stale(of_file(&shown, &reused), "another process now");
    assert_kept(of_file(&shown, &live), "runs");
    assert_kept(of_file(&shown, &strange), "no process number");
    assert!(dead.exists() && reused.exists(), "showing changes nothing");

    let (first, second) = (text(&dead), text(&reused));
    let done = cleanup(&home, &["--yes", "--only", &first, "--only", &second]).await;
    assert_eq!(done.code(), Some(0), "{done:?}");
    let said = done.stdout.join("\n");
    assert!(
        said.contains(&format!("removed: {}", dead.display())),
        "{said}"
    );
    assert!(!dead.exists() && !reused.exists());
    assert!(live.exists() && strange.exists());
    assert!(sleeper.id().is_alive().unwrap());
}

#[tokio::test]
async fn in_a_container_files_with_numbers_are_kept() {
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let folder = home.write("state/polywire/doctor-1/codex/a", "…");
    let folder = folder.parent().unwrap().parent().unwrap();
    let then = SystemTime::now() - Duration::from_hours(24);
    File::open(folder).unwrap().set_modified(then).unwrap();
    if !containers_are_possible() {
        return;
    }
    let mut command = home.command("unshare");
    command.args(CONTAINER).arg(PROGRAM);
    command.args(["cleanup", "--yes", "--json", "--only", &text(&file)]);
    command.args(["--only", &text(folder)]);
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout.join("\n")).unwrap();
    let found = json["leftovers"].as_array().unwrap();
    assert_kept(of_file(found, &file), "outside of it cannot be seen");
    assert_kept(of_file(found, folder), "outside of this container");
    assert!(file.exists() && folder.exists());
}

/// With processes and files of its own, for `unshare`.
const CONTAINER: [&str; 5] = [
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
];

fn containers_are_possible() -> bool {
    let tried = Command::new("unshare").args(CONTAINER).arg("true").status();
    let possible = tried.is_ok_and(|status| status.success());
    if !possible {
        eprintln!("not run: this system does not let us make a container");
    }
    possible
}

/// A process of this program, once it runs.
fn running(program: &Path) -> Process {
    let find = || {
        let all = own_processes().unwrap();
        all.into_iter()
            .find(|process| process.program() == Some(program))
    };
    wait_until("the program", || find().is_some());
    find().unwrap()
}

/// The number of a process in its own container.
fn inner_number(process: &Process) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id.pid())).unwrap();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inner = numbers.unwrap().split_whitespace().last().unwrap();
    inner.parse().unwrap()
}

#[tokio::test]
async fn the_files_of_a_daemon_in_a_container_are_kept() {
    if !sees_all() || !containers_are_possible() {
        return;
    }
    let home = home();
    let codex = app_server(&home.work());
    let mut container = Command::new("unshare");
    container
        .args(CONTAINER)
        .args(["--kill-child", "sh", "-c"])
        // Not the first process of the container, as it would be if the shell became it.
        .arg(format!("'{}' app-server; true", codex.display()))
        .current_dir(home.work())
        .env("CODEX_HOME", home.codex_home());
    let container = Alive(container.spawn().unwrap());
    let daemon = running(&codex);
    let inner = inner_number(&daemon);
    assert_ne!(inner, daemon.id.pid());
    let pid_file = home.write(
        "codex/app-server-daemon/daemon.pid",
        codex_pid_file(inner, daemon.id.start(), &boot_id().unwrap()),
    );
    let socket = home
        .codex_home()
        .join("app-server-control/app-server-control.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    symlink("/tmp/of-the-container-alone/control.sock", &socket).unwrap();
    let only = [&pid_file, &socket].map(|path| text(path));
    let done = act_on(&home, &only, &[]).await;
    for file in [&pid_file, &socket] {
        assert_kept(of_file(&done, file), "in a container");
    }
    drop(container);
    wait_until("the container's end", || !daemon.id.is_alive().unwrap());
    // Where its socket leads may still be somebody's.
    let done = act_on(&home, &only, &[]).await;
    assert_stale(of_file(&done, &pid_file), &inner.to_string());
    assert_kept(of_file(&done, &socket), "in a container");
}

#[tokio::test]
async fn a_pid_file_is_kept_while_its_socket_answers() {
    if !sees_all() {
        return;
    }
    let home = home();
    let pid_file = home.write("codex/app-server-daemon/daemon.pid", dead_pid().to_string());
    let socket = home
        .codex_home()
        .join("app-server-control/app-server-control.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let answering = UnixListener::bind(&socket).unwrap();
    // Nobody takes them in, so that its queue is full at last.
    let mut waiting = Vec::new();
    let connect = || {
        let own = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::io::ioctl_fionbio(&own, true).unwrap();
        let connected = rustix::net::connect(&own, &SocketAddrUnix::new(&socket).unwrap());
        connected.map(|()| own)
    };
    while let Ok(one) = connect() {
        waiting.push(one);
    }
    let done = act_on(&home, &[text(&pid_file), text(&socket)], &[]).await;
    assert_kept(of_file(&done, &pid_file), "somebody answers");
    drop((answering, waiting));
    let done = act_on(&home, &[text(&pid_file), text(&socket)], &[]).await;
    assert_stale(of_file(&done, &pid_file), "does not run");
    assert!(!pid_file.exists() && !socket.exists());
}

#[tokio::test]
async fn a_daemon_whose_home_is_in_its_container_is_left_alone() {
    if !sees_all() || !containers_are_possible() {
        return;
    }
    let home = home();
    let codex = app_server(&home.work());
    let inside = home.work().join("inside");
    fs::create_dir_all(&inside).unwrap();
    let script = format!(
        "mount -t tmpfs none '{0}' && mkdir '{0}/codex' && CODEX_HOME='{0}/codex' exec '{1}' app-server --listen unix:// --managed-daemon",
        inside.display(),
        codex.display()
    );
    let mut container = Command::new("unshare");
    container
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(home.work());
    let _container = Alive(container.spawn().unwrap());
    let daemon = running(&codex);
    assert!(!inside.join("codex").exists());
    let done = act_on(&home, &[number(&daemon.id)], &[]).await;
    assert_eq!(of_process(&done, &daemon.id), None, "{done:#?}");
    assert!(daemon.id.is_alive().unwrap());
}

#[tokio::test]
async fn processes_of_other_users_are_left_alone() {
    if !sees_all() {
        return;
    }
    if polywire_processes::own_user() != 0 {
        eprintln!("not run: only root can start processes of other users");
        return;
    }
    let home = home();
    let mut command = Command::new("sleep");
    let theirs = Alive(command.arg("60").uid(65534).spawn().unwrap());
    let file = home.write("state/codex-desktop/app.pid", theirs.id().pid().to_string());
    // In a folder that the other user may enter.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let codex = app_server(folder.path());
    let mut shell = Command::new("sh");
    shell.uid(65534);
    let mut server = orphan_by(shell, &codex, "app-server", folder.path(), &[]);
    drop(server.input.take());
    let only = [text(&file), number(&theirs.id()), number(&server.id)];
    let shown = act_on(&home, &only, &[]).await;
    assert_stale(of_file(&shown, &file), "another user");
    assert_eq!(of_process(&shown, &server.id), None);
    assert!(theirs.id().is_alive().unwrap());
    assert!(server.id.is_alive().unwrap());
}

/// A `codex` whose `app-server` hangs.
fn app_server(folder: &Path) -> PathBuf {
    fs::write(folder.join("app-server"), "while sleep 0.2; do :; done\n").unwrap();
    program(folder, "codex")
}

#[tokio::test]
async fn app_servers_that_nobody_can_drive_are_ended() {
    let home = home();
    let codex = app_server(&home.work());
    let mut abandoned = orphan(&codex, "app-server", &home.work(), &[]);
    drop(abandoned.input.take());
    let driven = orphan(&codex, "app-server", &home.work(), &[]);
    // As Desktop starts it: settings in front of the command.
    let configured = "-c '. ./app-server' app-server --analytics-default-enabled";
    let mut configured = orphan(&codex, configured, &home.work(), &[]);
    drop(configured.input.take());
    let nothing = orphan(&codex, "app-server </dev/null", &home.work(), &[]);
    let listens = orphan(
        &codex,
        "app-server --listen ws://127.0.0.1:1",
        &home.work(),
        &[],
    );
    let parented = Alive(
        Command::new(&codex)
            .arg("app-server")
            .current_dir(home.work())
            .stdin(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let shown = found(&home, &[]).await;
    let process = |id| of_process(&shown, id);
    assert_stale(process(&abandoned.id).unwrap(), "nobody");
    assert_stale(process(&abandoned.id).unwrap(), "also starts programs");
    assert_stale(process(&nothing.id).unwrap(), "nothing comes");
    assert_stale(process(&configured.id).unwrap(), "nobody");
    assert_stale(process(&configured.id).unwrap(), "it is yours and began");
    let own = std::process::id();
    assert_kept(
        process(&driven.id).unwrap(),
        &format!("process {own} can still drive it"),
    );
    assert_eq!(process(&listens.id), None);
    assert_eq!(process(&parented.id()), None);

    let ids = [&abandoned.id, &nothing.id, &driven.id, &listens.id];
    let done = act_on(&home, &ids.map(number), &[]).await;
    for ended in [&abandoned, &nothing] {
        assert_eq!(of_process(&done, &ended.id).unwrap()["done"], "ended");
        assert!(!ended.id.is_alive().unwrap());
    }
    for kept in [&driven.id, &listens.id, &parented.id()] {
        assert!(kept.is_alive().unwrap());
    }
}

#[tokio::test]
async fn the_lock_of_a_desktop_profile_goes_with_its_process() {
    if !sees_all() {
        return;
    }
    let home = home();
    let profile = home.config().join("Codex");
    fs::create_dir_all(&profile).unwrap();
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_str().unwrap();
    let lock = profile.join("SingletonLock");
    let socket = profile.join("SingletonSocket");
    let real_socket = home.work().join("scoped/SingletonSocket");
    symlink(&real_socket, &socket).unwrap();
    symlink("1234", profile.join("SingletonCookie")).unwrap();
    let sleeper = Alive::sleep();
    symlink(format!("{host}-{}", sleeper.id().pid()), &lock).unwrap();
    assert_kept(of_file(&found(&home, &[]).await, &lock), "runs");

    fs::remove_file(&lock).unwrap();
    symlink(format!("elsewhere-{}", dead_pid()), &lock).unwrap();
    assert_kept(of_file(&found(&home, &[]).await, &lock), "another machine");

    fs::remove_file(&lock).unwrap();
    symlink(format!("{host}-{}", dead_pid()), &lock).unwrap();
    fs::create_dir_all(real_socket.parent().unwrap()).unwrap();
    let answering = UnixListener::bind(&real_socket).unwrap();
    assert_kept(of_file(&found(&home, &[]).await, &lock), "somebody answers");

    drop(answering);
    let links = ["SingletonLock", "SingletonSocket", "SingletonCookie"];
    let links = links.map(|name| text(&profile.join(name)));
    let done = act_on(&home, &links, &[]).await;
    assert_stale(of_file(&done, &lock), "nobody answers");
    assert_eq!(fs::read_dir(&profile).unwrap().count(), 0, "{done:#?}");
}

#[tokio::test]
async fn a_hand_over_socket_stays_while_a_desktop_runs() {
    let home = home();
    let installed = home.work().join("desktop");
    let electron = program(&installed, "electron");
    fs::write(installed.join("app"), "while sleep 0.2; do :; done\n").unwrap();
    let arguments = ["--desktop", installed.to_str().unwrap()];
    let dead = home
        .work()
        .join("../runtime/codex-desktop/launch-action.sock");
    dead_socket(&dead);
    let dead = dead
        .parent()
        .unwrap()
        .canonicalize()
        .unwrap()
        .join("launch-action.sock");
    let answered = dead.parent().unwrap().with_file_name("chatgpt-desktop");
    fs::create_dir_all(&answered).unwrap();
    let answered = answered.join("launch-action.sock");
    let _listener = UnixListener::bind(&answered).unwrap();
    let desktop = Alive(
        Command::new(&electron)
            .arg("app")
            .current_dir(&installed)
            .spawn()
            .unwrap(),
    );
    let shown = found(&home, &arguments).await;
    assert_kept(
        of_file(&shown, &dead),
        &format!("process {}", desktop.id().pid()),
    );
    // Its file seems older than its process when the clock was set meanwhile.
    let pid = home.write(
        "state/codex-desktop/app.pid",
        desktop.id().pid().to_string(),
    );
    age(&pid);
    let shown = found(&home, &arguments).await;
    assert_kept(of_file(&shown, &pid), "is one of Desktop's");
    drop(desktop);
    let done = act_on(&home, &[text(&dead), text(&answered)], &arguments).await;
    assert_stale(of_file(&done, &dead), "no Desktop runs");
    assert_kept(of_file(&done, &answered), "somebody answers");
    assert!(!dead.exists() && answered.exists());
}

#[tokio::test]
async fn a_web_server_and_helpers_of_a_desktop_that_has_ended() {
    let home = home();
    let installed = home.work().join("desktop");
    let assets = installed.join("content/webview");
    fs::create_dir_all(&assets).unwrap();
    let electron = program(&installed, "electron");
    fs::write(installed.join("app"), "while sleep 0.2; do :; done\n").unwrap();
    let helper = program(&installed.join("resources"), "node_repl");
    let helper = orphan(&helper, "app", &installed, &[]);
    let service = program(&installed.join("bin"), "updater");
    let service = orphan(&service, "app", &installed, &[]);
    let python = Path::new("/usr/bin/python3");
    if !python.exists() || !listeners(5175).unwrap().is_empty() {
        eprintln!("not run: it needs python3 and port 5175");
        return;
    }
    let python = python.canonicalize().unwrap();
    let server = orphan(
        &python,
        "-m http.server 5175 --bind 127.0.0.1",
        &assets,
        &[],
    );
    wait_until("the web server", || !listeners(5175).unwrap().is_empty());
    let arguments = ["--desktop", installed.to_str().unwrap()];
    let desktop = Alive(
        Command::new(&electron)
            .arg("app")
            .current_dir(&installed)
            .spawn()
            .unwrap(),
    );
    // A folder of that name alone is anybody's.
    assert_eq!(of_process(&found(&home, &[]).await, &server.id), None);
    let shown = found(&home, &arguments).await;
    assert_kept(of_process(&shown, &server.id).unwrap(), "Desktop runs");
    assert_eq!(of_process(&shown, &helper.id), None);
    drop(desktop);
    let only = [&server.id, &helper.id, &service.id].map(number);
    let done = act_on(&home, &only, &arguments).await;
    assert_stale(of_process(&done, &server.id).unwrap(), "port 5175");
    assert_stale(of_process(&done, &helper.id).unwrap(), "no Desktop");
    assert!(!server.id.is_alive().unwrap());
    assert!(!helper.id.is_alive().unwrap());
    assert_eq!(of_process(&done, &service.id), None);
}

/// What Codex writes of a process in its own pid files.
fn codex_pid_file(pid: u32, start: u64, boot: &str) -> String {
    json!({
        "pid": pid,
        "processStartTime": "Wed Nov 25 20:36:52 2026",
        "processIdentity": {"bootId": boot, "startTicks": start},
    })
    .to_string()
}

#[tokio::test]
async fn files_of_codex_daemon_are_stale_when_it_has_ended() {
    if !sees_all() {
        return;
    }
    let home = home();
    let sleeper = Alive::sleep();
    let boot = boot_id().unwrap();
    let (pid, start) = (sleeper.id().pid(), sleeper.id().start());
    let daemon = home.write(
        "codex/app-server-daemon/daemon.pid",
        codex_pid_file(pid, start + 1, &boot),
    );
    let updater = home.write(
        "codex/app-server-daemon/daemon-updater.pid",
        codex_pid_file(pid, start, &boot),
    );
    let socket = home
        .codex_home()
        .join("app-server-control/app-server-control.sock");
    dead_socket(&socket);
    let lock = home.write("codex/app-server-daemon/daemon.lock", "");
    let log = home.write("codex/app-server-daemon/daemon.stderr.log", "why it ended");
    let shown = found(&home, &[]).await;
    assert_stale(of_file(&shown, &daemon), "started at another time");
    assert_stale(of_file(&shown, &socket), "nobody answers");
    assert_kept(of_file(&shown, &updater), "runs");

    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    let only = [&daemon, &socket, &updater].map(|path| text(path));
    let shown = act_on(&home, &only, &[]).await;
    assert_kept(of_file(&shown, &daemon), "daemon.lock");
    drop(held);

    // Before the machine was started anew.
    home.write(
        "codex/app-server-daemon/daemon.pid",
        codex_pid_file(pid, start, "another"),
    );
    let done = act_on(&home, &only, &[]).await;
    assert_stale(of_file(&done, &daemon), "before this machine");
    assert!(!daemon.exists() && !socket.exists());
    assert!(updater.exists() && lock.exists() && log.exists());
    assert!(sleeper.id().is_alive().unwrap());
}

#[tokio::test]
async fn a_daemon_whose_home_is_gone_is_ended() {
    let home = home();
    let codex = app_server(&home.work());
    let lost = home.work().join("lost");
    let arguments = "app-server --listen unix:// --managed-daemon";
    let lost = orphan(&codex, arguments, &home.work(), &[("CODEX_HOME", &lost)]);
    let there = orphan(
        &codex,
        arguments,
        &home.work(),
        &[("CODEX_HOME", &home.codex_home())],
    );
    let other = home.work().join("also-lost");
    let used = orphan(&codex, arguments, &home.work(), &[("CODEX_HOME", &other)]);
    let user = Command::new(&codex)
        .args(["app-server", "of", "somebody"])
        .current_dir(home.work())
        .env("CODEX_HOME", &other)
        .spawn();
    let _user = Alive(user.unwrap());
    let done = act_on(&home, &[&lost.id, &there.id, &used.id].map(number), &[]).await;
    assert_stale(of_process(&done, &lost.id).unwrap(), "is gone");
    assert_kept(of_process(&done, &used.id).unwrap(), "may be connected");
    assert_eq!(of_process(&done, &there.id), None);
    assert!(!lost.id.is_alive().unwrap());
    assert!(there.id.is_alive().unwrap());
    assert!(used.id.is_alive().unwrap());
}

#[tokio::test]
async fn an_engines_work_folders_are_removed_when_nobody_works_there() {
    if !sees_all() {
        return;
    }
    let home = home();
    home.write(
        "config/polywire/config.toml",
        "[providers.codex]\nkind = \"codex-exec\"\nengine_home = \"~/engine\"\n",
    );
    let folder = |name: &str| {
        let file = home.write(format!("home/engine/scratch/{name}/input.png"), "…");
        file.parent().unwrap().to_owned()
    };
    let [abandoned, at_work, strange, new] = ["turn-1", "turn-2", "mine", "turn-3"].map(folder);
    let file = home.write("home/engine/scratch/turn-list.txt", "mine");
    for path in [&abandoned, &at_work, &strange, &file] {
        let then = SystemTime::now() - Duration::from_hours(24);
        File::open(path).unwrap().set_modified(then).unwrap();
    }
    let held = File::open(&at_work).unwrap();
    held.lock_shared().unwrap();
    let all = [&abandoned, &at_work, &strange, &new, &file].map(|path| text(path));
    let done = act_on(&home, &all, &[]).await;
    assert_stale(of_file(&done, &abandoned), "nobody holds the lock");
    assert_kept(of_file(&done, &at_work), "polywire works in it");
    assert_kept(of_file(&done, &new), "a moment ago");
    assert_eq!(done.len(), 3, "{done:#?}");
    let mut left: Vec<_> = fs::read_dir(strange.parent().unwrap())
        .unwrap()
        .flatten()
        .collect();
    left.sort_by_key(fs::DirEntry::file_name);
    let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(left, ["mine", "turn-2", "turn-3", "turn-list.txt"]);
}

/// The only process of a home whose command has this in it.
fn only_process(home: &TempHome, wanted: &str) -> ProcessId {
    let find = || {
        let all = processes_of(home);
        let found = all.iter().find(|process| process.command.contains(wanted));
        found.map(|process| u32::try_from(process.id).unwrap())
    };
    wait_until(wanted, || find().is_some());
    ProcessId::of(find().unwrap()).unwrap().unwrap()
}

fn send(id: &ProcessId, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(id.pid().try_into().unwrap()), signal).unwrap();
}

/// A client need not carry the mark of its run. Its gateway knows it all the same, so one that answers is left alone.
#[tokio::test]
async fn the_gateway_of_a_run_is_ended_only_when_it_hangs() {
    let home = home();
    let mut run = home.command(PROGRAM);
    run.args(["run", "-p", "demo", "--", "env", "-i", "/bin/sleep", "777"]);
    let mut run = run.stdin(Stdio::null()).spawn().unwrap();
    let gateway = only_process(&home, " run-gateway ");
    let gateway = Orphan {
        id: gateway,
        input: None,
    };
    let client = || {
        let all = own_processes().unwrap();
        let mut children = all
            .into_iter()
            .filter(|process| process.parent == run.id().unwrap());
        children.find(|process| process.command_line == ["/bin/sleep", "777"])
    };
    wait_until("the client", || client().is_some());
    let client = Orphan {
        id: client().unwrap().id,
        input: None,
    };
    run.start_kill().unwrap();
    run.wait().await.unwrap();
    let only = [number(&gateway.id)];
    let look = |done: &[Value]| of_process(done, &gateway.id).unwrap()["kept"].to_string();
    let deadline = SystemTime::now() + Duration::from_mins(1);
    loop {
        let done = act_on(&home, &only, &[]).await;
        if look(&done).contains("it answers on 127.0.0.1:") {
            break;
        }
        assert!(SystemTime::now() < deadline, "{done:#?}");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(gateway.id.is_alive().unwrap() && client.id.is_alive().unwrap());

    send(&gateway.id, Signal::SIGSTOP);
    let done = act_on(&home, &only, &[]).await;
    assert_stale(of_process(&done, &gateway.id).unwrap(), "does not answer");
    assert!(!gateway.id.is_alive().unwrap());
}

#[tokio::test]
async fn on_a_terminal_it_asks() {
    if !sees_all() {
        return;
    }
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    for (answer, remains) in [("\r", true), ("y\r", false)] {
        let mut command = home.command(PROGRAM);
        command.args(["cleanup", "--only", &text(&file)]);
        let mut terminal = Terminal::start(command);
        terminal.shows("pid file of Desktop").await;
        terminal.shows("remove what is stale?").await;
        terminal.type_keys(answer);
        assert_eq!(terminal.ended().await, Some(0));
        assert_eq!(file.exists(), remains, "{}", terminal.text());
    }
}

#[tokio::test]
async fn what_is_needed_again_when_the_answer_comes_is_left() {
    if !sees_all() {
        return;
    }
    let home = home();
    let file = home.write("codex/app-server-daemon/daemon.pid", dead_pid().to_string());
    let lock = home.write("codex/app-server-daemon/daemon.lock", "");
    let mut command = home.command(PROGRAM);
    command.args(["cleanup", "--only", &text(&file)]);
    let mut terminal = Terminal::start(command);
    terminal.shows("remove what is stale?").await;
    // Codex begins to start its daemon.
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    terminal.type_keys("y\r");
    assert_eq!(terminal.ended().await, Some(1));
    terminal.shows("kept after all").await;
    assert!(file.exists());
}

#[tokio::test]
async fn without_a_terminal_nothing_is_done_unasked() {
    if !sees_all() {
        return;
    }
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let ended = cleanup(&home, &[]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(
        ended.stderr.join("\n").contains("cleanup --yes"),
        "{ended:?}"
    );
    assert!(file.exists());
}

#[tokio::test]
async fn what_cannot_be_removed_is_told() {
    if !sees_all() {
        return;
    }
    if polywire_processes::own_user() == 0 {
        eprintln!("not run: root can remove everything");
        return;
    }
    let home = home();
    let file = home.write("state/codex-desktop/app.pid", dead_pid().to_string());
    let folder = file.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o500)).unwrap();
    let ended = cleanup(&home, &["--yes", "--only", &text(&file)]).await;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.join("\n").contains("could not be removed"),
        "{ended:?}"
    );
}

/// What the real daemon writes of itself is understood: kept while it runs, stale when it was killed.
#[tokio::test]
async fn the_real_daemon_of_codex() {
    if !sees_all() {
        return;
    }
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = home();
    let mut command = codex.command(&home);
    command.args(["app-server", "daemon", "start"]);
    let started = Running::start(command).ended().await;
    assert_eq!(started.code(), Some(0), "{started:?}");
    let folder = home.codex_home();
    let names = ["daemon.pid", "daemon-updater.pid"];
    let pid_files = names.map(|name| folder.join("app-server-daemon").join(name));
    let processes = pid_files.clone().map(|path| {
        let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let pid = u32::try_from(file["pid"].as_u64().unwrap()).unwrap();
        // Ended when the test ends, however it ends.
        let id = ProcessId::of(pid).unwrap().unwrap();
        Orphan { id, input: None }
    });
    let socket = folder.join("app-server-control/app-server-control.sock");
    let shown = found(&home, &[]).await;
    for path in pid_files.iter().chain([&socket]) {
        assert_kept(of_file(&shown, path), "runs");
    }
    for process in &processes {
        assert_eq!(of_process(&shown, &process.id), None, "{shown:#?}");
    }
    // One that is stopped is told of and left alone, though the kernel takes connections for it.
    let daemon = &processes[0].id;
    send(daemon, Signal::SIGSTOP);
    let told = cleanup(&home, &["--yes", "--only", &number(daemon)]).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    let said = told.stdout.join("\n");
    assert!(said.contains("does not answer: it was stopped"), "{said}");
    assert!(
        said.contains("hint: `codex app-server daemon restart`"),
        "{said}"
    );
    send(daemon, Signal::SIGCONT);
    let told = cleanup(&home, &["--json", "--only", &number(daemon)]).await;
    let json: Value = serde_json::from_str(&told.stdout.join("\n")).unwrap();
    assert_eq!(json["stalls"], json!([]), "{json:#}");
    assert!(daemon.is_alive().unwrap());
    for process in &processes {
        // As a crash does, which leaves everything behind.
        send(&process.id, Signal::SIGKILL);
        wait_until("the daemon to end", || !process.id.is_alive().unwrap());
    }
    let only = [&pid_files[0], &pid_files[1], &socket].map(|path| text(path));
    let done = act_on(&home, &only, &[]).await;
    for path in pid_files.iter().chain([&socket]) {
        assert_stale(of_file(&done, path), "does not run");
        assert!(fs::symlink_metadata(path).is_err(), "{done:#?}");
    }
}
