//! How long the gateway of a run lives: as long as those who use it, neither longer nor shorter.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::net::SocketAddr;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use polywire_testkit::{
    Call, ChatStream, CodexCli, House, Running, ScriptedUpstream, Terminal, answer,
};
use processes::{gateways_of, processes_of, until};
use tokio::process::Command;

#[path = "support/processes.rs"]
mod processes;

fn house() -> House {
    house_on(ScriptedUpstream::start(|_, _| answer("hello")))
}

fn house_on(upstream: ScriptedUpstream) -> House {
    House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    )
}

/// `polywire run` of a shell script, which tells first where its gateway is.
fn script(house: &House, script: &str) -> Command {
    let mut command = house.polywire();
    command.args(arguments(script));
    command
}

/// The same by way of `setsid` (util-linux), with the terminal as the one whose keys are signals.
fn script_with_keys(house: &House, script: &str) -> Command {
    let mut command = house.home.command("setsid");
    command
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_polywire")])
        .args(arguments(script));
    command
}

fn arguments(script: &str) -> Vec<String> {
    let script = format!("echo gateway $OPENAI_BASE_URL; {script}");
    [
        "run",
        "-p",
        "house",
        "-m",
        "test-model",
        "--",
        "sh",
        "-c",
        &script,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn address(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

/// Whether a gateway answers there.
async fn answers(address: SocketAddr) -> bool {
    match tokio::net::TcpStream::connect(address).await {
        Ok(stream) => drop(stream),
        Err(_) => return false,
    }
    Call::get("/health").send(address).await.status == 200
}

fn number(line: &str) -> Pid {
    let last = line.split_whitespace().last().unwrap();
    Pid::from_raw(last.parse().unwrap())
}

/// Waits until nothing of a home is left.
async fn assert_nothing_stays(house: &House) {
    until("the end of all processes", || {
        processes_of(&house.home).is_empty()
    })
    .await;
}

#[tokio::test]
async fn it_ends_with_its_client() {
    let house = house();
    let run = Running::start(script(&house, "exit 3"));
    let gateway = address(&run.stdout_line("gateway ").await);
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
    // Not a moment later: `run` waits for it.
    assert_eq!(gateways_of(&house.home), []);
    assert!(!answers(gateway).await);
}

#[tokio::test]
async fn it_stays_for_what_the_client_has_left_behind() {
    let house = house();
    let run = Running::start(script(
        &house,
        "sleep 600 </dev/null >/dev/null 2>&1 & echo left $!",
    ));
    let gateway = address(&run.stdout_line("gateway ").await);
    let left = number(&run.stdout_line("left ").await);
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(
        ended.stderr.join("\n").contains("the gateway stays"),
        "{ended:?}"
    );
    assert!(answers(gateway).await);
    kill(left, Signal::SIGTERM).unwrap();
    assert_nothing_stays(&house).await;
    assert!(!answers(gateway).await);
}

#[tokio::test]
async fn a_killed_run_leaves_the_client_with_its_gateway_and_none_behind() {
    let house = house();
    let run = Running::start(script(
        &house,
        "echo run $PPID; while [ ! -e over ]; do sleep 0.05; done; echo over",
    ));
    let gateway = address(&run.stdout_line("gateway ").await);
    let id = number(&run.stdout_line("run ").await);
    kill(id, Signal::SIGKILL).unwrap();
    let is_gone = || {
        !processes_of(&house.home)
            .iter()
            .any(|process| process.id == id.as_raw())
    };
    until("the end of `run`", is_gone).await;
    assert!(answers(gateway).await);
    house.home.write("work/over", "");
    run.stdout_line("over").await;
    assert_nothing_stays(&house).await;
}

#[tokio::test]
async fn two_runs_have_a_gateway_each() {
    let house = house();
    let first = Running::start(script(&house, "while [ ! -e over ]; do sleep 0.05; done"));
    let one = address(&first.stdout_line("gateway ").await);
    let second = Running::start(script(&house, "true"));
    let other = address(&second.stdout_line("gateway ").await);
    assert_ne!(one, other);
    second.ended().await;
    assert!(answers(one).await);
    assert_eq!(gateways_of(&house.home).len(), 1);
    house.home.write("work/over", "");
    first.ended().await;
    assert_nothing_stays(&house).await;
}

#[tokio::test]
async fn keys_at_the_terminal_go_to_the_client_alone() {
    let house = house();
    let mut terminal = Terminal::start(script_with_keys(
        &house,
        "trap 'echo caught' INT; echo ready; while [ ! -e over ]; do sleep 0.05; done; exit 4",
    ));
    terminal.shows("ready").await;
    let gateway = address(&terminal.text());
    terminal.type_keys("\x03");
    terminal.shows("caught").await;
    assert!(answers(gateway).await);
    house.home.write("work/over", "");
    assert_eq!(terminal.ended().await, Some(4));
    assert_nothing_stays(&house).await;
}

#[tokio::test]
async fn nothing_stays_when_the_terminal_is_closed() {
    let house = house();
    let terminal = Terminal::start(script_with_keys(
        &house,
        "echo ready; while :; do sleep 0.05; done",
    ));
    terminal.shows("ready").await;
    assert_eq!(gateways_of(&house.home).len(), 1);
    // What the system sends then, to all whose terminal it is. The gateway is not among them.
    let gateways = gateways_of(&house.home);
    let others = processes_of(&house.home).into_iter();
    for process in others.filter(|process| !gateways.contains(process)) {
        kill(Pid::from_raw(process.id), Signal::SIGHUP).ok();
    }
    assert_nothing_stays(&house).await;
}

/// A client that stops itself, as programs do that read Ctrl-Z as a key, gives the terminal back to the shell.
#[tokio::test]
async fn a_client_that_stops_goes_on_when_the_shell_says_so() {
    let house = house();
    house.home.write(
        "work/client",
        "echo be\"\"fore; kill -STOP $$; echo af\"\"ter; exit 6\n",
    );
    let mut command = house.home.command("setsid");
    command.args(["--ctty", "--wait", "bash", "--norc", "--noprofile", "-i"]);
    let mut shell = Terminal::start(command);
    let program = env!("CARGO_BIN_EXE_polywire");
    shell.type_keys(&format!(
        "{program} run -p house -m test-model -- sh client\r"
    ));
    shell.shows("before").await;
    shell.shows("Stopped").await;
    assert_eq!(gateways_of(&house.home).len(), 1);
    shell.type_keys("fg\r");
    shell.shows("after").await;
    shell.type_keys("echo code $?\r");
    shell.shows("code 6").await;
    shell.type_keys("exit\r");
    shell.ended().await;
    assert_nothing_stays(&house).await;
}

#[tokio::test]
async fn a_request_to_end_is_passed_on() {
    let house = house();
    let run = Running::start(script(
        &house,
        "trap 'echo asked to end; exit 8' TERM; echo run $PPID; while :; do sleep 0.05; done",
    ));
    let id = number(&run.stdout_line("run ").await);
    kill(id, Signal::SIGTERM).unwrap();
    run.stdout_line("asked to end").await;
    assert_eq!(run.ended().await.code(), Some(8));
    assert_nothing_stays(&house).await;
}

/// Ctrl-C while the key is still being fetched: nothing was launched, and nothing stays.
#[tokio::test]
async fn a_run_can_be_given_up_before_the_client_runs() {
    let house = house();
    let settings = house.home.config().join("polywire/config.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let text = text.replace(
        "\"sk-house\"",
        "{ command = [\"sh\", \"-c\", \"touch asked; exec sleep 600\"] }",
    );
    house.home.write("config/polywire/config.toml", text);
    let run = Running::start(script(&house, "echo launched"));
    until("the key to be asked for", || {
        house.home.work().join("asked").exists()
    })
    .await;
    run.interrupt();
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    assert_nothing_stays(&house).await;
}

#[tokio::test]
async fn a_gateway_that_cannot_start_says_why() {
    let house = house();
    let settings = house.home.config().join("polywire/config.toml");
    house.home.write("occupied", "");
    let mut command = house.polywire();
    command
        .args(["run", "-p", "house", "--config"])
        .arg(settings)
        .args(["--", "true"])
        .env(
            "XDG_STATE_HOME",
            house.home.work().with_file_name("occupied"),
        );
    let ended = Running::start(command).ended().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(said.starts_with("error: the folder "), "{said}");
    assert_nothing_stays(&house).await;
}

/// A stream that is under way when its client is killed ends at the provider, too, and nothing is left.
#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let stalled = ChatStream::new().text("I was about").stall();
    let house = house_on(ScriptedUpstream::replies(vec![stalled]));
    let config = "check_for_update_on_startup = false\n[analytics]\nenabled = false\n";
    house.home.write("codex/config.toml", config);
    let run = house.start_exec(&codex, &["talk for long"]);
    house.upstream.requests(1).await;
    run.signal(Signal::SIGKILL);
    house.upstream.client_gone(0).await;
    assert_nothing_stays(&house).await;
}

/// The settings of a Codex that has been here before, so that its screen asks nothing.
fn write_codex_settings(house: &House) {
    let config = format!(
        "check_for_update_on_startup = false\n\n[analytics]\nenabled = false\n\n\
         [tui]\nscreen_reader_detection_done = true\n\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        house.home.work().display()
    );
    house.home.write("codex/config.toml", config);
}

/// Plain `codex` starts a server in the background, whose environment is that of the first one. One with overrides has its own
/// inside (observed with 0.169).
#[tokio::test]
async fn the_screen_of_codex_neither_leaves_a_daemon_nor_uses_that_of_the_user() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let house = house_on(ScriptedUpstream::start(|_, request| {
        if request.text().contains("the prompt") {
            answer("Answered by way of the gateway.")
        } else {
            answer(r#"{"title":"A talk"}"#)
        }
    }));
    write_codex_settings(&house);
    let daemon_files = ["packages", "app-server-daemon", "app-server-control"]
        .map(|name| house.home.codex_home().join(name));

    // First where there is no daemon, then beside one which cannot know the gateway's token.
    for with_daemon in [false, true] {
        let daemon = if with_daemon {
            let mut start = codex.command(&house.home);
            start.args(["app-server", "daemon", "start"]);
            let started = Running::start(start).ended().await;
            assert_eq!(started.code(), Some(0), "{started:?}");
            processes_of(&house.home)
        } else {
            Vec::new()
        };
        assert_eq!(daemon.is_empty(), !with_daemon);
        let turns = house.upstream.received().len();
        let mut screen = house.screen(&codex, &["the prompt"]);
        screen.shows("Answered by way of the gateway.").await;
        screen.shows("Worked for").await;
        screen.type_keys("\x03");
        assert_eq!(screen.ended().await, Some(0));
        assert!(house.upstream.received().len() > turns);
        until("the end of what the run has started", || {
            processes_of(&house.home) == daemon
        })
        .await;
        for file in &daemon_files {
            assert_eq!(file.exists(), with_daemon, "{}", file.display());
        }
        for process in daemon {
            kill(Pid::from_raw(process.id), Signal::SIGTERM).unwrap();
        }
    }
    assert_nothing_stays(&house).await;
}
