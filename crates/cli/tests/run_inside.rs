//! What `polywire run` keeps apart: the run's own token and the user's keys, this user's gateway and those of others, one polywire and its next version.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use background::{Background, assert_says, ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_testkit::{Call, ChatStream, House, Running, ScriptedUpstream, answer, within};
use processes::{gateways_of, processes_of, until};
use tokio::process::Command;

#[path = "support/background.rs"]
mod background;
#[path = "support/processes.rs"]
mod processes;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");

fn house() -> House {
    House::new(
        PROGRAM,
        env!("CARGO_TARGET_TMPDIR"),
        ScriptedUpstream::start(|_, _| answer("hello")),
    )
}

fn with_answers() -> Background {
    Background::new(ScriptedUpstream::start(|_, _| answer("hello")), "")
}

/// `polywire run` of a shell script.
fn script(house: &House, script: &str) -> Command {
    let mut command = house.polywire();
    command.args(["run", "-p", "house", "--", "sh", "-c", script]);
    command
}

fn address(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

const TELL_GATEWAY: &str = "echo gateway $OPENAI_BASE_URL";

#[tokio::test]
async fn inside_of_a_run_its_token_is_nobodys_key() {
    let house = house();
    let outside = house.polywire();
    let list = |mut command: Command| {
        command.args(["provider", "list"]);
        command
    };
    let outside = ended(list(outside)).await;
    let inside = ended(script(&house, &format!("exec {PROGRAM} provider list"))).await;
    assert_eq!(inside.code(), Some(0), "{inside:?}");
    assert_eq!(inside.stdout, outside.stdout);
}

#[tokio::test]
async fn what_is_started_inside_of_a_run_has_nothing_of_it() {
    let background = with_answers();
    let script = script(
        &background.house,
        &format!("{PROGRAM} start && {PROGRAM} run -p house -- sleep 600 & sleep 600"),
    );
    let run = Running::start(script);
    run.stdout_line("polywire is running with pid").await;
    until("both gateways", || {
        gateways_of(&background.house.home).len() == 1
    })
    .await;
    for process in processes_of(&background.house.home) {
        let is_gateway = [" serve --background", " run-gateway"]
            .iter()
            .any(|words| process.command.contains(words));
        if !is_gateway {
            continue;
        }
        let environment = std::fs::read(format!("/proc/{}/environ", process.id)).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        for name in ["OPENAI_API_KEY=", "ANTHROPIC_API_KEY=", "POLYWIRE_RUN"] {
            assert!(!environment.contains(name), "{name} in {process:?}");
        }
    }
}

#[tokio::test]
async fn a_new_version_of_polywire_leaves_no_gateway_behind() {
    let house = house();
    let program = house.home.work().join("polywire");
    std::fs::copy(PROGRAM, &program).unwrap();
    let mut command = house.home.command(&program);
    command.args(["run", "-p", "house", "--", "sh", "-c"]).arg(
        "./polywire serve --listen 127.0.0.1:0 </dev/null >/dev/null 2>serve.log & echo left $!; \
         while ! grep -q listens serve.log; do sleep 0.05; done; \
         cp polywire next; mv next polywire",
    );
    command.env("POLYWIRE_TOKEN", "pw-a-token-for-tests-0123456789");
    let run = Running::start(command);
    let left = run.stdout_line("left ").await;
    let left = left.rsplit(' ').next().unwrap().parse().unwrap();
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let gateways = gateways_of(&house.home);
    kill(Pid::from_raw(left), Signal::SIGTERM).unwrap();
    assert_eq!(gateways, [], "{ended:?}");
}

/// Answers as a gateway that has everything, and tells what it was sent. Belongs to that user, who need not exist.
fn stranger(user: u32) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    use std::io::{Read, Write};
    let (listens, listening) = std::sync::mpsc::channel();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Of this thread alone. A socket belongs to whom its maker acts for.
        nix::unistd::setfsuid(user.into());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listens.send(listener.local_addr().unwrap()).unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let body = r#"{"service": "polywire", "status": "ok"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).ok();
            request.truncate(length);
            if tell
                .send(String::from_utf8_lossy(&request).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    (listening.recv().unwrap(), told)
}

#[tokio::test]
async fn the_token_goes_to_nobody_elses_gateway() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can make a socket of another user.
        return;
    }
    let house = house();
    let (theirs, asked) = stranger(65_534);
    let mut command = script(&house, TELL_GATEWAY);
    command
        .env("POLYWIRE_LISTEN", theirs.to_string())
        .env("POLYWIRE_TOKEN", "pw-a-token-for-tests-0123456789");
    let run = ended(command).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_ne!(address(&run.stdout[0]), theirs, "{run:?}");
    assert_says(
        &run.stderr.join("\n"),
        &["note: ", &theirs.to_string(), "another user"],
    );
    for request in asked.try_iter() {
        assert!(!request.contains("pw-a-token"), "{request}");
    }
}

#[tokio::test]
async fn the_gateway_in_the_background_is_used_wherever_it_listens_until_it_stops() {
    let gate = polywire_testkit::Gate::new();
    let script_gate = gate.clone();
    let upstream = ScriptedUpstream::start(move |_, _| {
        let stream = ChatStream::new().text("one").wait(&script_gate);
        stream.text("two").finish("stop").done()
    });
    let background = Background::new(upstream, "");
    background.done(&["start", "--listen", "127.0.0.1:0"]).await;
    let shared = background.address();
    let run = ended(script(&background.house, TELL_GATEWAY)).await;
    assert_eq!(address(&run.stdout[0]), shared, "{run:?}");

    let mut exchange = background.ask(true).open(shared).await;
    exchange.events_until("response.output_text.delta").await;
    let stop = Running::start(background.command(&["stop"]));
    within("the drain to begin", async {
        while Call::get("/ready").send(shared).await.status != 503 {}
    })
    .await;
    let mut command = script(&background.house, TELL_GATEWAY);
    command.env("POLYWIRE_LISTEN", shared.to_string());
    let run = ended(command).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    assert_ne!(address(&run.stdout[0]), shared, "{run:?}");
    gate.open();
    exchange.events_until("response.completed").await;
    assert_eq!(stop.ended().await.code(), Some(0));
}

#[tokio::test]
async fn signals_that_are_ignored_stay_so_for_the_client() {
    let house = house();
    let mut command = house.home.command("sh");
    let run = format!(
        "trap '' HUP INT QUIT; exec {PROGRAM} run -p house -- grep SigIgn /proc/self/status"
    );
    command.args(["-c", &run]);
    let told = ended(command).await;
    assert_eq!(told.code(), Some(0), "{told:?}");
    let mask = told.stdout[0].split_whitespace().last().unwrap();
    let mask = u64::from_str_radix(mask, 16).unwrap();
    // SIGHUP, SIGINT, SIGQUIT: bit N - 1.
    assert_eq!(mask & 0b111, 0b111, "{told:?}");
    let told = ended(script(&house, "exec grep SigIgn /proc/self/status")).await;
    let mask = told.stdout[0].split_whitespace().last().unwrap();
    assert_eq!(
        u64::from_str_radix(mask, 16).unwrap() & 0b111,
        0,
        "{told:?}"
    );
}

#[tokio::test]
async fn a_request_to_quit_is_passed_on() {
    let house = house();
    let run = Running::start(script(
        &house,
        "trap 'echo asked to quit; exit 8' QUIT; echo run $PPID; while :; do sleep 0.05; done",
    ));
    let id = run.stdout_line("run ").await;
    let id = id.rsplit(' ').next().unwrap().parse().unwrap();
    kill(Pid::from_raw(id), Signal::SIGQUIT).unwrap();
    run.stdout_line("asked to quit").await;
    assert_eq!(run.ended().await.code(), Some(8));
}

/// Writes a program that says what it is.
fn program(house: &House, path: &str, says: &str) {
    let path = house.home.write(path, format!("#!/bin/sh\necho {says}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn the_program_that_is_named_is_the_one_that_runs() {
    let house = house();
    program(&house, "work/tool", "mine");
    program(&house, "bin/tool", "another");
    program(&house, "work/own/other", "mine too");
    let search_path = format!(
        "{}:/usr/bin:/bin",
        house.home.work().join("../bin").display()
    );
    let run = |path: &str, arguments: &[&str]| {
        let mut command = house.polywire();
        command
            .args(["run", "--plain"])
            .args(arguments)
            .env("PATH", path);
        ended(command)
    };
    let named = run(&search_path, &["--program", "tool", "claude"]).await;
    assert_eq!(named.stdout, ["mine"], "{named:?}");
    let found = run(&format!(":{search_path}"), &["tool"]).await;
    assert_eq!(found.stdout, ["mine"], "{found:?}");
    let found = run("own:/usr/bin:/bin", &["other"]).await;
    assert_eq!(found.stdout, ["mine too"], "{found:?}");
    house.home.write("work/text", "no program");
    let refused = run(&search_path, &["--program", "text", "claude"]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert_says(
        &refused.stderr.join("\n"),
        &["there is no program at", "text", "hint:"],
    );
}

/// `polywire run` of a client that reads a file of ours.
fn claude(house: &House, program: &str) -> Command {
    let mut command = house.polywire();
    command.args(["run", "-p", "house", "claude", "--program", program]);
    command
}

/// One that was killed, and whose client lives on until there is a file `over`; with the file for the client.
async fn killed_run(house: &House) -> (Running, PathBuf) {
    let script = "#!/bin/sh\necho run $PPID file $2\nwhile [ ! -e over ]; do sleep 0.05; done\n";
    let client = house.home.write("bin/client", script);
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o700)).unwrap();
    let run = Running::start(claude(house, client.to_str().unwrap()));
    let line = run.stdout_line("run ").await;
    let mut words = line.split(' ');
    let id = Pid::from_raw(words.nth(1).unwrap().parse().unwrap());
    let file = PathBuf::from(words.nth(1).unwrap());
    assert!(file.exists());
    kill(id, Signal::SIGKILL).unwrap();
    until("the end of `run`", || {
        let processes = processes_of(&house.home);
        !processes.iter().any(|it| it.id == id.as_raw())
    })
    .await;
    (run, file)
}

/// Makes a file old enough to be taken for one that was left behind.
fn age(file: &Path) {
    let old = SystemTime::now() - Duration::from_mins(10);
    std::fs::File::open(file)
        .unwrap()
        .set_modified(old)
        .unwrap();
}

#[tokio::test]
async fn the_file_for_a_client_is_there_as_long_as_the_client() {
    let house = house();
    let (_run, file) = killed_run(&house).await;
    age(&file);
    let another = ended(claude(&house, "/bin/true")).await;
    assert_eq!(another.code(), Some(0), "{another:?}");
    assert!(file.exists());
    house.home.write("work/over", "");
    until("the end of all processes", || {
        processes_of(&house.home).is_empty()
    })
    .await;
    assert!(!file.exists());
}

/// The gateway in the background knows nothing of runs: the client itself shows that its file is needed.
#[tokio::test]
async fn the_file_for_a_client_of_a_shared_gateway_stays_as_well() {
    let background = with_answers();
    background.done(&["start"]).await;
    let house = &background.house;
    let (run, file) = killed_run(house).await;
    age(&file);
    let another = ended(claude(house, "/bin/true")).await;
    assert_eq!(another.code(), Some(0), "{another:?}");
    assert!(file.exists());
    house.home.write("work/over", "");
    until("the end of the client", || {
        let processes = processes_of(&house.home);
        !processes.iter().any(|it| it.command.contains("bin/client"))
    })
    .await;
    drop(run);
    // Nobody was left to remove it.
    ended(claude(house, "/bin/true")).await;
    assert!(!file.exists());
}

#[tokio::test]
async fn the_log_of_runs_does_not_grow_without_end() {
    let house = house();
    let path = house.home.config().join("polywire/config.toml");
    let mut settings = std::fs::read_to_string(path).unwrap();
    settings.push_str("\n[log_file]\nmax_mb = 1\nkeep = 1\n");
    house.home.write("config/polywire/config.toml", settings);
    let filled = "filled\n".repeat(1_000_000 / 7 + 1);
    house.home.write("state/polywire/run.log", filled);
    let ask = "for i in 1 2 3; do curl -sf -o /dev/null -H \"Authorization: Bearer $OPENAI_API_KEY\" \
               -H 'Content-Type: application/json' -d '{\"model\": \"test-model\", \"input\": \"hi\"}' \
               $OPENAI_BASE_URL/responses || exit 1; done";
    let run = ended(script(&house, ask)).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    let folder = house.home.state().join("polywire");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(text("run.log.1").starts_with("filled\n"));
    assert_eq!(text("run.log").matches("turn request_id=").count(), 3);
    let mode = folder
        .join("run.log")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
