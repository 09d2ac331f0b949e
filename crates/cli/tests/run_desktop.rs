//! Codex Desktop, played by a script: its configuration is polywire's while it runs, and the user's before and after, whatever happens.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use polywire_testkit::{
    CodexCli, Ended, House, Running, ScriptedUpstream, TempHome, Tree, answer, within,
};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

const USERS: &str = "# mine\nmodel = 'gpt-5.1' # best\n\n[tui]\ntheme = 'dark'";

/// What Desktop is here: it keeps what it finds, and goes on as its argument says. It never outlives a test that has failed for long.
const DESKTOP: &str = r#"#!/bin/sh
here=$(dirname "$0")
cp "$CODEX_HOME/config.toml" "$here/seen.toml" 2>/dev/null
echo "$CODEX_HOME" > "$here/home"
stay() {
    touch "$here/stays"
    count=0
    while [ ! -e "$here/stop" ] && [ $count -lt 1200 ]; do sleep 0.05; count=$((count + 1)); done
    rm "$here/stays"
}
case "$1" in
    stay) trap 'rm "$here/stays"; exit 3' TERM; stay ;;
    inner) stay ;;
    fork) sh "$here/start.sh" inner > /dev/null 2>&1 & ;;
    warm) echo 'Warm start: the running app was told to show its window' ;;
    write) printf '\n[projects."/home/me"]\ntrust_level = "trusted"\n' >> "$CODEX_HOME/config.toml" ;;
    token) cat "$(sed -n 's/^args = \["\(.*\)"\]$/\1/p' "$CODEX_HOME/config.toml")" > "$here/token" ;;
    codex) shift; exec "$@" > "$here/out" < /dev/null ;;
    *) echo "shown by Desktop: $*"; exit 7 ;;
esac
"#;

struct Place {
    house: House,
    app: PathBuf,
}

impl Place {
    fn new() -> Self {
        let upstream = ScriptedUpstream::start(|_, _| answer("From polywire."));
        let house = House::new(PROGRAM, HOMES, upstream);
        house.home.write("codex/config.toml", USERS);
        house.home.write("codex/auth.json", "{}");
        let app = house.home.write("app/start.sh", DESKTOP);
        fs::set_permissions(&app, fs::Permissions::from_mode(0o700)).unwrap();
        Self { house, app }
    }

    fn home(&self) -> &TempHome {
        &self.house.home
    }

    fn config(&self) -> String {
        fs::read_to_string(self.home().codex_home().join("config.toml")).unwrap()
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.app.with_file_name(name)
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.house.polywire();
        command
            .args(["run", "codex-desktop", "--program"])
            .arg(&self.app);
        command.args(options).arg("--").args(arguments);
        command
    }

    async fn ended(&self, options: &[&str], arguments: &[&str]) -> Ended {
        Running::start(self.run(options, arguments)).ended().await
    }

    async fn codex(&self, arguments: &[&str]) -> Ended {
        let mut command = self.house.polywire();
        command.arg("codex").args(arguments);
        // A gateway has to have a port for a lasting edit; nobody asks it here.
        command.env("POLYWIRE_LISTEN", "127.0.0.1:4891");
        Running::start(command).ended().await
    }

    /// Waits until Desktop is there, or no longer.
    async fn until_stays(&self, stays: bool) {
        let file = self.beside("stays");
        within("Desktop to come or go", async {
            while file.exists() != stays {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// The configuration is the user's again, and nothing of the session is left.
    fn assert_restored(&self) {
        assert_eq!(self.config(), USERS);
        self.assert_nothing_left();
    }

    fn token_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home().state().join("polywire")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.display().to_string().contains("desktop-token"));
        paths
    }

    fn assert_nothing_left(&self) {
        let state = self.home().state().join("polywire");
        assert_eq!(self.token_files(), Vec::<PathBuf>::new());
        let edits = fs::read_dir(state.join("edits")).unwrap();
        let edits: Vec<_> = edits.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(edits, ["lock"]);
    }
}

#[tokio::test]
async fn it_is_polywires_while_desktop_runs() {
    let place = Place::new();
    let before = Tree::codex_configuration(&place.home().codex_home());
    let ended = place.ended(&[], &["--a", "b"]).await;
    assert_eq!(ended.code(), Some(7), "Desktop's own code: {ended:?}");
    let said = ended.stdout.join("\n");
    assert!(
        said.contains("Codex Desktop runs on house/test-model."),
        "{said}"
    );
    let seen = fs::read_to_string(place.beside("seen.toml")).unwrap();
    for line in [
        "model = \"house/test-model\" # best\n",
        "model_provider = \"polywire\"\n",
        "theme = 'dark'\n",
        "command = \"cat\"\n",
    ] {
        assert!(seen.contains(line), "`{line}` is not in:\n{seen}");
    }
    let log = fs::read_to_string(place.home().state().join("polywire/desktop.log")).unwrap();
    assert_eq!(log, "shown by Desktop: --a b\n");
    before.assert_same(&Tree::codex_configuration(&place.home().codex_home()));
    place.assert_restored();
}

#[tokio::test]
async fn the_token_is_no_part_of_the_configuration() {
    let place = Place::new();
    let ended = place.ended(&[], &["token"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let token = fs::read_to_string(place.beside("token")).unwrap();
    assert!(token.starts_with("pw-"), "{token}");
    let seen = fs::read_to_string(place.beside("seen.toml")).unwrap();
    assert!(!seen.contains(&token), "{seen}");
    place.assert_restored();
}

#[tokio::test]
async fn the_real_codex_works_inside_of_it() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let place = Place::new();
    let program = codex.program().display().to_string();
    // Desktop speaks to Codex's app-server, which this starts and asks as Desktop does; and a Codex in its terminal works as well.
    let server = ["debug", "app-server", "send-message-v2", "hello"].as_slice();
    let exec = ["exec", "--json", "--skip-git-repo-check", "hello"].as_slice();
    for words in [server, exec] {
        let words = [&["codex", &program], words].concat();
        let ended = place.ended(&[], &words).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let events = fs::read_to_string(place.beside("out")).unwrap();
        assert!(events.contains("From polywire."), "{events}");
        assert!(!events.contains("metadata for"), "{events}");
        let asked = place.house.upstream.received();
        assert_eq!(asked.last().unwrap().json()["model"], "test-model");
        place.assert_restored();
    }
}

#[tokio::test]
async fn what_desktop_writes_meanwhile_stays() {
    let place = Place::new();
    let ended = place.ended(&[], &["write"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let expected = format!("{USERS}\n[projects.\"/home/me\"]\ntrust_level = \"trusted\"\n");
    assert_eq!(place.config(), expected);
    place.assert_nothing_left();
}

#[tokio::test]
async fn a_desktop_that_is_not_there_or_runs_already_is_told() {
    let place = Place::new();
    let missing = ["--program", "/nonexistent"];
    let mut command = place.house.polywire();
    command.args(["run", "codex-desktop"]).args(missing);
    let refused = Running::start(command).ended().await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let said = refused.stderr.join("\n");
    assert!(
        said.contains("no program at /nonexistent\nhint: `--program`"),
        "{said}"
    );

    let mut first = place.home().command("sh");
    first.arg(&place.app).arg("stay");
    let first = Running::start(first);
    place.until_stays(true).await;
    let refused = place.ended(&[], &[]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let said = refused.stderr.join("\n");
    assert!(
        said.contains("Codex Desktop is running already, as process"),
        "{said}"
    );
    assert!(said.contains("\nhint: close it first"), "{said}");
    assert_eq!(place.config(), USERS);
    fs::write(place.beside("stop"), "").unwrap();
    first.ended().await;

    // Its options mean nothing to others.
    let mut other = place.house.polywire();
    other.args(["run", "sh", "--no-config"]);
    let refused = Running::start(other).ended().await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
}

/// One that hangs cannot be closed: what it takes instead is told.
#[tokio::test]
async fn a_desktop_that_hangs_is_told() {
    let place = Place::new();
    place.home().write("app/resources/app.asar", "");
    let program = place.beside("electron");
    // Not written by ourselves: what another test starts at this moment would hold it open for a while, and it could not be run.
    let copied = std::process::Command::new("cp")
        .arg("/bin/sleep")
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let mut command = place.home().command(&program);
    command.arg("60");
    let desktop = Running::start(command);
    desktop.signal(Signal::SIGSTOP);
    let refused = place.ended(&[], &[]).await;
    desktop.signal(Signal::SIGCONT);
    desktop.signal(Signal::SIGTERM);
    desktop.ended().await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let said = refused.stderr.join("\n");
    assert!(
        said.contains("and hangs: Desktop was stopped") && said.contains("hint: `kill -CONT "),
        "{said}"
    );
    assert_eq!(place.config(), USERS);
}

/// A program that lies beside the one that was named is not Desktop, unless all of it looks like an application.
#[tokio::test]
async fn what_lies_beside_the_program_is_something_else() {
    let place = Place::new();
    let beside = place.home().write("app/server.sh", "sleep 60\n");
    let mut server = place.home().command("sh");
    server.arg(&beside);
    let server = Running::start(server);
    let ended = place.ended(&[], &[]).await;
    assert_eq!(ended.code(), Some(7), "{ended:?}");
    place.home().write("app/resources/app.asar", "");
    let refused = place.ended(&[], &[]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let said = refused.stderr.join("\n");
    assert!(said.contains("Codex Desktop is running already"), "{said}");
    server.signal(Signal::SIGTERM);
    server.ended().await;
    place.assert_restored();
}

#[tokio::test]
async fn a_request_to_end_is_passed_on_and_all_is_taken_back() {
    let place = Place::new();
    let running = Running::start(place.run(&[], &["stay"]));
    place.until_stays(true).await;
    assert!(place.config().contains("polywire"));
    running.signal(Signal::SIGTERM);
    let ended = running.ended().await;
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    place.assert_restored();
}

#[tokio::test]
async fn another_process_that_takes_over_is_waited_for() {
    let place = Place::new();
    let running = Running::start(place.run(&[], &["fork"]));
    running
        .stderr_line("another process of Codex Desktop took over")
        .await;
    assert!(place.config().contains("polywire"));
    place.until_stays(true).await;
    fs::write(place.beside("stop"), "").unwrap();
    let ended = running.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    place.assert_restored();
}

#[tokio::test]
async fn a_warm_start_keeps_everything_until_told_otherwise() {
    let place = Place::new();
    let running = Running::start(place.run(&[], &["warm"]));
    running.stderr_line("until you press Ctrl-C").await;
    assert!(place.config().contains("polywire"));
    running.interrupt();
    let ended = running.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    place.assert_restored();
}

#[tokio::test]
async fn a_crash_is_recovered_from_when_desktop_has_ended() {
    let place = Place::new();
    // Desktop lives on in a process group of its own.
    let mut command = place.run(&[], &["fork"]);
    command.kill_on_drop(true);
    let running = Running::start(command);
    running
        .stderr_line("another process of Codex Desktop took over")
        .await;
    place.until_stays(true).await;
    let polywire = owner(&place);
    nix::sys::signal::kill(polywire, Signal::SIGKILL).unwrap();
    running.ended().await;

    // It still needs its configuration.
    let meanwhile = place.codex(&["restore"]).await;
    assert_eq!(meanwhile.code(), Some(1), "{meanwhile:?}");
    let said = meanwhile.stderr.join("\n");
    assert!(
        said.contains("is in use by a session that polywire began\nhint: "),
        "{said}"
    );
    assert!(place.config().contains("polywire"));

    fs::write(place.beside("stop"), "").unwrap();
    place.until_stays(false).await;
    let recovered = within("the session to be recovered", async {
        loop {
            let next = place.codex(&["restore"]).await;
            // The last moments of the script.
            if next.code() == Some(0) {
                return next;
            }
        }
    })
    .await;
    let said = recovered.stderr.join("\n");
    assert!(
        said.contains("took back what was left of a Codex Desktop session"),
        "{said}"
    );
    place.assert_restored();
}

/// Who has begun the session, as the journal says.
fn owner(place: &Place) -> nix::unistd::Pid {
    let edits = place.home().state().join("polywire/edits");
    let mut entries = fs::read_dir(edits)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let record = entries.find(|path| path.extension().is_some()).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    let note: serde_json::Value = serde_json::from_str(record["note"].as_str().unwrap()).unwrap();
    let id = note["run"]["pid"].as_i64().unwrap();
    nix::unistd::Pid::from_raw(i32::try_from(id).unwrap())
}

/// Of two that begin at the same moment one holds the configuration, and keeps its token.
#[tokio::test]
async fn two_at_once_do_not_get_in_each_others_way() {
    let place = Place::new();
    let other = place.home().write("other/start.sh", DESKTOP);
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    for _ in 0..3 {
        let mut second = place.house.polywire();
        second
            .args(["run", "codex-desktop", "--program"])
            .arg(&other);
        second.args(["--", "stay"]);
        let mut running = vec![
            (Running::start(place.run(&[], &["stay"])), place.app.clone()),
            (Running::start(second), other.clone()),
        ];
        let has_one = || {
            running
                .iter()
                .position(|(_, app)| app.with_file_name("stays").exists())
        };
        let first = within("one Desktop", async {
            loop {
                if let Some(at) = has_one() {
                    return at;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let (holder, app) = running.remove(first);
        let (refused, _) = running.remove(0);
        let refused = refused.ended().await;
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        let said = refused.stderr.join("\n");
        assert!(said.contains("in use by a session"), "{said}");
        let tokens = place.token_files();
        assert_eq!(tokens.len(), 1, "{tokens:?}");
        let named = tokens[0].display().to_string();
        assert!(place.config().contains(&named), "{}", place.config());
        fs::write(app.with_file_name("stop"), "").unwrap();
        let ended = holder.ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        place.assert_restored();
        fs::remove_file(app.with_file_name("stop")).unwrap();
    }
}

#[tokio::test]
async fn a_lasting_edit_lies_below_it() {
    let place = Place::new();
    let applied = place.codex(&["apply", "-p", "demo", "--yes"]).await;
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    let lasting = place.config();
    let running = Running::start(place.run(&[], &["stay"]));
    place.until_stays(true).await;
    assert!(place.config().contains("house/test-model"));
    for arguments in [&["restore"][..], &["apply", "-p", "demo", "--yes"]] {
        let refused = place.codex(arguments).await;
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        assert!(
            refused.stderr.join("\n").contains("in use by a session"),
            "{refused:?}"
        );
    }
    fs::write(place.beside("stop"), "").unwrap();
    let ended = running.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(place.config(), lasting);
    // With a lasting edit in it, it is not plain.
    let refused = place.ended(&["--plain"], &[]).await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    assert!(
        refused
            .stderr
            .join("\n")
            .contains("\nhint: `polywire codex restore`"),
        "{refused:?}"
    );
    let restored = place.codex(&["restore"]).await;
    assert_eq!(restored.code(), Some(0), "{restored:?}");
    place.assert_restored();
}

#[tokio::test]
async fn plain_is_the_users_own_and_no_config_is_without_any() {
    let place = Place::new();
    let plain = place.ended(&["--plain"], &[]).await;
    assert_eq!(plain.code(), Some(7), "{plain:?}");
    assert_eq!(
        fs::read_to_string(place.beside("seen.toml")).unwrap(),
        USERS
    );
    fs::remove_file(place.beside("seen.toml")).unwrap();

    let before = Tree::codex_configuration(&place.home().codex_home());
    let default = place.ended(&["--no-config"], &[]).await;
    assert_eq!(default.code(), Some(7), "{default:?}");
    assert!(!place.beside("seen.toml").exists());
    let home = fs::read_to_string(place.beside("home")).unwrap();
    let home = PathBuf::from(home.trim());
    assert_eq!(
        home,
        place.home().state().join("polywire/codex-without-config")
    );
    let login = fs::read_link(home.join("auth.json")).unwrap();
    assert_eq!(login, place.home().codex_home().join("auth.json"));
    before.assert_same(&Tree::codex_configuration(&place.home().codex_home()));

    let refused = place.ended(&["--no-config", "-p", "house"], &[]).await;
    assert_eq!(refused.code(), Some(2), "{refused:?}");
}

#[tokio::test]
async fn conversations_without_a_configuration_are_the_users() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let place = Place::new();
    let address = place.house.upstream.base_url();
    let provider = format!("model_providers.own={{name=\"Own\",base_url=\"{address}\"}}");
    let program = codex.program().display().to_string();
    // The user has used Codex before.
    let list = [&program, "mcp", "list"].map(str::to_owned);
    let mut first = place.home().command(&list[0]);
    first.args(&list[1..]);
    Running::start(first).ended().await;
    fs::create_dir_all(place.home().codex_home().join("sessions")).unwrap();
    let exec = [
        "codex",
        &program,
        "exec",
        "--json",
        "--skip-git-repo-check",
        "-c",
        "model_provider=own",
        "-c",
        &provider,
        "hello",
    ];
    // Whether the provider understands it or not, the conversation has begun.
    place.ended(&["--no-config"], &exec).await;
    let events = fs::read_to_string(place.beside("out")).unwrap();
    let (_, id) = events
        .split_once("\"thread_id\":\"")
        .unwrap_or_else(|| panic!("{events}"));
    let id = &id[..36];
    let sessions = Tree::read(&place.home().codex_home().join("sessions"), |_| true);
    let is_it = |path: &&std::path::Path| path.display().to_string().contains(id);
    assert!(sessions.paths().iter().any(is_it), "{sessions:?}");
}
