//! `polywire cleanup`: app-servers that nobody drives, and what a Codex Desktop leaves behind.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs::{self};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use polywire_processes::listeners;

use leftovers::{
    Alive, act_on, age, app_server, assert_kept, assert_stale, dead_pid, dead_socket, found, home,
    number, of_file, of_process, orphan, program, sees_all, text, wait_until,
};

#[path = "support/leftovers.rs"]
mod leftovers;

#[path = "support/processes.rs"]
mod processes;

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
