//! A lasting edit of Codex's configuration: what is written, that the real Codex works on it, and that it is taken back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use polywire_testkit::{
    CodexCli, CodexRun, Ended, Gateway, House, ResponsesStream, Running, ScriptedUpstream,
    TempHome, Terminal, Tokens, Tree, answer,
};
use serde_json::Value;
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_polywire");
const HOMES: &str = env!("CARGO_TARGET_TMPDIR");

/// Settings with a port, so that Codex can find the gateway again.
const SETTINGS: &str = "default_provider = 'demo'\n[server]\nlisten = '127.0.0.1:4891'\n";

const USERS: &str = "# mine\nmodel = 'gpt-5.1' # best\r\n\n[mcp_servers.docs]\ncommand = \"docs\"\nenv = { DOCS_TOKEN = \"very-secret\" }";

fn home(config: Option<&str>) -> TempHome {
    let home = TempHome::new(HOMES);
    home.write("config/polywire/config.toml", SETTINGS);
    if let Some(config) = config {
        home.write("codex/config.toml", config);
    }
    home
}

fn config(home: &TempHome) -> PathBuf {
    home.codex_home().join("config.toml")
}

fn polywire(home: &TempHome, arguments: &[&str]) -> Command {
    let mut command = home.command(PROGRAM);
    command.arg("codex").args(arguments);
    command
}

async fn run(home: &TempHome, arguments: &[&str]) -> Ended {
    Running::start(polywire(home, arguments)).ended().await
}

/// A command that must work, and what it says on standard output.
async fn done(home: &TempHome, arguments: &[&str]) -> String {
    let ended = run(home, arguments).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.stdout.join("\n")
}

/// A command that must fail with 1 and say why on the error stream alone.
async fn complaint(home: &TempHome, arguments: &[&str]) -> String {
    let ended = run(home, arguments).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
    said
}

/// What is shown, without the names of the temporary home and of the program.
fn general(home: &TempHome, shown: &str) -> String {
    let folder = home.codex_home().parent().unwrap().display().to_string();
    shown.replace(&folder, "HOME").replace(PROGRAM, "POLYWIRE")
}

#[tokio::test]
async fn it_is_shown_written_and_taken_back() {
    let home = home(Some(USERS));
    fs::set_permissions(config(&home), fs::Permissions::from_mode(0o640)).unwrap();
    let before = Tree::codex_configuration(&home.codex_home());

    let shown = done(&home, &["diff", "-p", "demo"]).await;
    insta::assert_snapshot!("diff", general(&home, &shown));
    assert!(!shown.contains("very-secret"), "{shown}");
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));

    let written = run(&home, &["apply", "-p", "demo", "--yes"]).await;
    assert_eq!(written.code(), Some(0), "{written:?}");
    let said = written.stdout.join("\n");
    assert!(said.starts_with(&shown), "{said}");
    assert!(said.contains("until `polywire codex restore`"), "{said}");
    // Nobody serves there.
    let told = written.stderr.join("\n");
    assert!(
        told.contains("no gateway that serves demo runs on 127.0.0.1:4891\nhint: "),
        "{told}"
    );
    let token = home.state().join("polywire/token");
    let token = fs::read_to_string(token).unwrap();
    let now = fs::read_to_string(config(&home)).unwrap();
    assert!(
        !now.contains(token.trim()),
        "no secret in another tool's file: {now}"
    );

    // Once more changes nothing.
    let again = done(&home, &["apply", "-p", "demo", "--yes"]).await;
    assert!(
        again.ends_with("config.toml says all of it already"),
        "{again}"
    );
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), now);

    let dry = done(&home, &["restore", "--dry-run"]).await;
    assert!(dry.contains("\n-model = \"demo/demo\" # best\n"), "{dry}");
    assert!(dry.contains("\n+model = 'gpt-5.1' # best\n"), "{dry}");
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), now);

    let restored = done(&home, &["restore"]).await;
    assert!(restored.starts_with("Took back from "), "{restored}");
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
    let nothing = done(&home, &["restore"]).await;
    assert!(
        nothing.ends_with("config.toml holds nothing of polywire's"),
        "{nothing}"
    );
}

#[tokio::test]
async fn a_file_that_was_not_there_is_private_and_goes_again() {
    let home = home(None);
    fs::remove_dir(home.codex_home()).unwrap();
    done(&home, &["apply", "--yes"]).await;
    let mode = fs::metadata(config(&home)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let restored = done(&home, &["restore"]).await;
    assert!(restored.starts_with("Removed "), "{restored}");
    assert!(!home.codex_home().exists());
}

/// Whatever lies around what polywire writes: nothing of it is shown but its keys.
#[tokio::test]
async fn nothing_of_the_users_is_shown() {
    let secrets = r#"model = 'gpt-5.1' # key = secret-1
notify = ["curl", "https://u:secret-2@host"]
model_providers.own.http_headers = { X-Auth = 'secret-3' }
# api_key = 'secret-4'
deep = [[{ a = """
secret-5
""" }], 'secret-6'] # and
model_providers.own.query_params.k = '''
secret-7
secret-8'''
limit = 7
"#;
    let home = home(Some(secrets));
    let has_none = |shown: &str| {
        assert!(!shown.contains("secret-"), "{shown}");
        assert!(shown.contains("demo/demo"), "{shown}");
    };
    let shown = done(&home, &["diff", "-p", "demo"]).await;
    has_none(&shown);
    insta::assert_snapshot!("diff_of_secrets", general(&home, &shown));
    has_none(&done(&home, &["diff", "--json"]).await);
    has_none(&done(&home, &["apply", "--yes"]).await);
    has_none(&done(&home, &["restore", "--dry-run"]).await);
    has_none(&done(&home, &["restore", "--json"]).await);
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), secrets);
}

#[tokio::test]
async fn programs_get_json() {
    let home = home(Some(USERS));
    let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let shown = parsed(done(&home, &["diff", "--json"]).await);
    assert_eq!(
        (&shown["changes"], &shown["written"]),
        (&true.into(), &false.into())
    );
    assert_eq!(shown["file"], config(&home).display().to_string());
    assert!(
        shown["diff"].as_str().unwrap().contains("+model_provider"),
        "{shown}"
    );
    let written = parsed(done(&home, &["apply", "--yes", "--json"]).await);
    assert_eq!(written["written"], true);
    assert_eq!(written["diff"], shown["diff"]);
    let ours = fs::read_to_string(config(&home)).unwrap();
    fs::write(config(&home), ours.replace("demo/demo", "theirs")).unwrap();
    let back = parsed(done(&home, &["restore", "--json"]).await);
    assert_eq!(back["written"], true);
    let kept = back["kept"][0].as_str().unwrap();
    assert!(kept.starts_with("`model` was changed since"), "{kept}");
    let nothing = parsed(done(&home, &["restore", "--json"]).await);
    assert_eq!(nothing["changes"], false);
    let refused = run(&home, &["apply", "--json"]).await;
    assert_eq!(refused.code(), Some(2), "{refused:?}");
}

#[tokio::test]
async fn what_the_user_changes_meanwhile_stays() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let ours = fs::read_to_string(config(&home)).unwrap();
    let theirs = ours.replace("\"demo/demo\"", "'theirs'").replace(
        "wire_api = \"responses\"\n",
        "wire_api = \"responses\"\nrequest_max_retries = 9\n",
    );
    let theirs = format!("{theirs}\n[projects.\"/home/me\"]\ntrust_level = \"trusted\"\n");
    fs::write(config(&home), theirs).unwrap();
    let restored = run(&home, &["restore"]).await;
    assert_eq!(restored.code(), Some(0), "{restored:?}");
    let told = restored.stderr.join("\n");
    assert!(
        told.contains("note: `model` was changed since polywire set it, while `model_provider` was still polywire's; it is again what it was before"),
        "{told}"
    );
    assert!(told.contains("note: [model_providers.polywire] stays, because `model_providers.polywire.request_max_retries`"), "{told}");
    let left = fs::read_to_string(config(&home)).unwrap();
    assert!(
        left.starts_with("# mine\nmodel = 'gpt-5.1' # best\r\n\n[mcp_servers.docs]\n"),
        "{left}"
    );
    assert!(left.contains("request_max_retries = 9\n"), "{left}");
    assert!(
        left.contains("[projects.\"/home/me\"]\ntrust_level = \"trusted\"\n"),
        "{left}"
    );
    assert!(!left.contains("model_provider ="), "{left}");
}

#[tokio::test]
async fn a_profile_is_a_file_of_its_own() {
    let home = home(Some(USERS));
    let before = Tree::codex_configuration(&home.codex_home());
    let said = done(&home, &["apply", "--profile", "gw", "--yes"]).await;
    assert!(said.contains("`codex --profile gw` uses polywire from now on, until `polywire codex restore --profile gw`"), "{said}");
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
    let profile = home.codex_home().join("gw.config.toml");
    assert!(
        fs::read_to_string(&profile)
            .unwrap()
            .starts_with("model = \"demo/demo\"\n")
    );
    // The other file has nothing to take back.
    let nothing = done(&home, &["restore"]).await;
    assert!(
        nothing.ends_with("config.toml holds nothing of polywire's"),
        "{nothing}"
    );
    done(&home, &["restore", "--profile", "gw"]).await;
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
}

#[tokio::test]
async fn what_would_keep_codex_from_starting_is_refused() {
    let chat = "a = 1\n[model_providers.old]\nname = 'Old'\nwire_api = 'chat'\n";
    let table: &[(&str, &[&str], &str)] = &[
        (
            chat,
            &["apply", "--yes"],
            "config.toml, line 4: `wire_api = \"chat\"` of provider `old`",
        ),
        (
            chat,
            &["diff", "--profile", "gw"],
            "config.toml, line 4: `wire_api = \"chat\"` of provider `old`",
        ),
        (
            "profile = 'z'\n",
            &["diff"],
            "config.toml, line 1: Codex does not start with a top-level `profile`",
        ),
        (
            "[profiles.gw]\nmodel = 'x'\n",
            &["diff", "--profile", "gw"],
            "[profiles.gw] of the old form",
        ),
        (
            "a = [\n",
            &["apply", "--yes"],
            "config.toml, line 1, column 6: ",
        ),
        (
            "[model_providers.polywire]\nname = 'Mine'\n",
            &["diff"],
            "has a provider `polywire` already",
        ),
        (
            "a = 1\n[model_providers.x]\nname = 'X'\nauth = { command = 'x' }\nenv_key = 'X'\n",
            &["apply", "--yes"],
            "config.toml, line 5: provider `x` has `auth` and `env_key`",
        ),
        (
            "model_providers = 3\n",
            &["diff"],
            "`model_providers` is not a table",
        ),
        (
            "",
            &["diff", "--profile", "../up"],
            "`../up` is no name for a profile",
        ),
        ("", &["apply"], "nobody is here to be asked"),
        (
            "",
            &["diff", "-p", "zai"],
            "there is no key for provider `zai`",
        ),
    ];
    for (content, arguments, expected) in table {
        let home = home(Some(content));
        let ended = run(&home, arguments).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let said = ended.stderr.join("\n");
        assert!(said.contains(expected), "`{expected}` is not in:\n{said}");
        assert_eq!(fs::read_to_string(config(&home)).unwrap(), *content);
        assert_eq!(fs::read_dir(home.codex_home()).unwrap().count(), 1);
    }
    let home = home(Some(USERS));
    home.write(
        "config/polywire/config.toml",
        "[server]\nlisten = '127.0.0.1:0'\n",
    );
    let said = complaint(&home, &["diff", "-p", "demo"]).await;
    assert!(
        said.contains("let the system choose the gateway's port"),
        "{said}"
    );
    // An old table of another profile is nobody's business.
    home.write("config/polywire/config.toml", SETTINGS);
    home.write("codex/config.toml", "[profiles.z]\nmodel = 'x'\n");
    done(&home, &["diff"]).await;
}

#[tokio::test]
async fn a_read_only_file_stays_as_it_is() {
    let home = home(Some(USERS));
    fs::set_permissions(config(&home), fs::Permissions::from_mode(0o444)).unwrap();
    let ended = run(&home, &["apply", "--yes"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.stderr.join("\n");
    assert!(
        said.contains("config.toml is read-only\nhint: `chmod u+w "),
        "{said}"
    );
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
}

#[tokio::test]
async fn a_full_disk_leaves_the_file_as_it_is() {
    let long = format!("{USERS}\n{}", "# a line of some length\n".repeat(400));
    let home = home(Some(&long));
    // No file may become longer than this, which fails a write as a full disk does.
    let limited = async |arguments: &[&str]| {
        let mut command = home.command("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" codex \"$@\""]);
        command.arg(PROGRAM).args(arguments);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let said = ended.stderr.join("\n");
        assert!(
            said.contains("nothing could be written in the folder of"),
            "{said}"
        );
        assert!(said.contains("because: "), "{said}");
        // Nothing half written is left.
        assert_eq!(fs::read_dir(home.codex_home()).unwrap().count(), 1);
    };
    limited(&["apply", "--yes"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), long);
    done(&home, &["apply", "--yes"]).await;
    let ours = fs::read_to_string(config(&home)).unwrap();
    limited(&["restore"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), ours);
    done(&home, &["restore"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), long);
}

#[tokio::test]
async fn the_command_for_the_token_carries_what_a_desktop_would_not_know() {
    let home = home(None);
    let plain = home.codex_home().with_file_name("home");
    let args = async |variables: &[(&str, &Path)]| {
        let mut command = polywire(&home, &["diff", "-p", "demo"]);
        command
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME");
        command.envs(variables.iter().copied());
        command.env("POLYWIRE_LISTEN", "127.0.0.1:4891");
        let ended = Running::start(command).ended().await;
        let line = ended
            .stdout
            .iter()
            .find(|line| line.starts_with("+args = "));
        line.unwrap_or_else(|| panic!("{ended:?}")).clone()
    };
    assert_eq!(args(&[]).await, "+args = [\"token\"]");
    let usual = plain.join(".local/state");
    assert_eq!(
        args(&[("XDG_STATE_HOME", &usual)]).await,
        "+args = [\"token\"]"
    );
    let other = home.state();
    let expected = format!(
        "+args = [\"XDG_STATE_HOME={}\", \"{PROGRAM}\", \"token\"]",
        other.display()
    );
    assert_eq!(args(&[("XDG_STATE_HOME", &other)]).await, expected);
    let named = home.config().join("polywire/config.toml");
    let expected = format!("+args = [\"token\", \"--config\", \"{}\"]", named.display());
    assert_eq!(args(&[("POLYWIRE_CONFIG", &named)]).await, expected);
}

#[tokio::test]
async fn however_the_folder_is_named_it_is_the_same_file() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let link = home.work().join("link");
    std::os::unix::fs::symlink(home.codex_home(), &link).unwrap();
    let mut command = polywire(&home, &["restore"]);
    command.env("CODEX_HOME", format!("{}//", link.display()));
    let restored = Running::start(command).ended().await;
    assert_eq!(restored.code(), Some(0), "{restored:?}");
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
}

#[tokio::test]
async fn a_folder_that_was_moved_and_linked_is_the_same() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let moved = home.work().join("dotfiles");
    fs::rename(home.codex_home(), &moved).unwrap();
    std::os::unix::fs::symlink(&moved, home.codex_home()).unwrap();
    let again = done(&home, &["apply", "--yes"]).await;
    assert!(again.ends_with("says all of it already"), "{again}");
    done(&home, &["restore"]).await;
    assert_eq!(
        fs::read_to_string(moved.join("config.toml")).unwrap(),
        USERS
    );
}

#[tokio::test]
async fn what_is_there_without_a_record_is_not_denied() {
    let home = home(Some(USERS));
    done(&home, &["apply", "--yes"]).await;
    let ours = fs::read_to_string(config(&home)).unwrap();
    for arguments in [&["restore"][..], &["restore", "--json"]] {
        let other = home.work().join("state");
        let mut command = polywire(&home, arguments);
        command.env("XDG_STATE_HOME", &other);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let said = ended.stderr.join("\n");
        let folder = other.join("polywire/edits").display().to_string();
        assert!(said.contains(&folder), "{said}");
        assert!(said.contains("\nhint: "), "{said}");
    }
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), ours);
    done(&home, &["restore"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
}

/// An upgrade moves the name to the next version; the program behind it goes.
#[tokio::test]
async fn the_command_for_the_token_is_the_name_on_the_search_path() {
    let home = home(None);
    let bin = home.work().join("bin");
    fs::create_dir(&bin).unwrap();
    let link = bin.join("polywire");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    let diff = async |program: &Path, path: &str| {
        let mut command = home.command(program);
        command
            .args(["codex", "diff", "-p", "demo"])
            .env("PATH", path);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.stdout.join("\n")
    };
    let named = format!("\"{}\", \"token\"]", link.display());
    let path = bin.display().to_string();
    for (program, path) in [(Path::new(PROGRAM), path.as_str()), (&link, "/nonexistent")] {
        let shown = diff(program, path).await;
        assert!(shown.contains(&named), "{shown}");
    }
    // Another program of that name is another program.
    fs::remove_file(&link).unwrap();
    fs::copy("/bin/true", &link).unwrap();
    let shown = diff(Path::new(PROGRAM), &path).await;
    assert!(
        shown.contains(&format!("\"{PROGRAM}\", \"token\"]")),
        "{shown}"
    );
}

#[tokio::test]
async fn many_at_once_leave_nothing_behind() {
    let home = home(Some(USERS));
    for _ in 0..4 {
        let words: [&[&str]; 2] = [&["apply", "-p", "demo", "--yes"], &["restore"]];
        let running = words.iter().cycle().take(6);
        let running: Vec<Running> = running
            .map(|arguments| Running::start(polywire(&home, arguments)))
            .collect();
        for running in running {
            let ended = running.ended().await;
            let said = ended.stderr.join("\n");
            // One that another has overtaken says so.
            assert!(
                ended.code() == Some(0) || said.contains("has changed since"),
                "{ended:?}"
            );
        }
    }
    done(&home, &["restore"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
    assert_eq!(fs::read_dir(home.codex_home()).unwrap().count(), 1);
}

#[tokio::test]
async fn at_a_terminal_it_asks() {
    let home = home(Some(USERS));
    for (key, code, is_written) in [("n\r", 1, false), ("\r", 1, false), ("y\r", 0, true)] {
        let mut terminal = Terminal::start(polywire(&home, &["apply"]));
        terminal.shows("Write this to").await;
        terminal.type_keys(key);
        assert_eq!(terminal.ended().await, Some(code), "{}", terminal.text());
        let content = fs::read_to_string(config(&home)).unwrap();
        assert_eq!(content != USERS, is_written, "{}", terminal.text());
    }
    done(&home, &["restore"]).await;
    assert_eq!(fs::read_to_string(config(&home)).unwrap(), USERS);
}

/// A house whose gateway has the token that `polywire token` prints, and a Codex that is configured for a provider of its own.
async fn furnished(own: &ScriptedUpstream) -> (House, Gateway) {
    let house = House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(|_, _| answer("From polywire.")),
    );
    let gateway = house.gateway().await;
    house.home.write("state/polywire/token", gateway.token());
    let config = format!(
        "# The user's own.\nmodel = 'own-model'\nmodel_provider = 'own'\ncheck_for_update_on_startup = false\n\n\
         [analytics]\nenabled = false\n\n[mcp_servers.docs]\ncommand = 'true'\nenabled = false\n\n\
         [model_providers.own]\nname = 'Own'\nbase_url = '{}'\nexperimental_bearer_token = 'sk-own'\n\
         request_max_retries = 0\nstream_max_retries = 0",
        own.base_url()
    );
    house.home.write("codex/config.toml", config);
    house.home.write("codex/AGENTS.md", "Be kind.\n");
    (house, gateway)
}

async fn exec(codex: &CodexCli, home: &TempHome, arguments: &[&str]) -> CodexRun {
    let mut command = codex.command(home);
    // As a desktop starts it: without what a shell sets.
    for name in [
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
    ] {
        command.env_remove(name);
    }
    command
        .args(["exec", "--json", "--skip-git-repo-check"])
        .args(arguments);
    CodexRun::read(Running::start(command).ended().await)
}

async fn mcp_list(codex: &CodexCli, home: &TempHome) -> Vec<String> {
    let mut command = codex.command(home);
    command.args(["mcp", "list", "--json"]);
    let listed = Running::start(command).ended().await;
    assert_eq!(listed.code(), Some(0), "{listed:?}");
    assert!(listed.stdout.join("").contains("docs"), "{listed:?}");
    listed.stdout
}

#[tokio::test]
async fn the_real_codex_works_on_it_and_goes_back_to_its_own() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let own = ScriptedUpstream::start(|_, _| {
        ResponsesStream::new("resp_1")
            .text("msg_1", "From its own.")
            .completed(Tokens::default())
    });
    let (house, gateway) = furnished(&own).await;
    let home = &house.home;
    let address = gateway.address().to_string();
    let edit = async |arguments: &[&str]| {
        let mut command = polywire(home, arguments);
        command.env("POLYWIRE_LISTEN", &address);
        let ended = Running::start(command).ended().await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(ended.stderr.is_empty(), "{ended:?}");
    };
    let before = Tree::codex_configuration(&home.codex_home());
    let servers = mcp_list(&codex, home).await;

    edit(&["apply", "-p", "house", "-m", "test-model", "--yes"]).await;
    // `assert_clean` finds a warning of missing metadata, and any other.
    let turn = exec(&codex, home, &["hello"]).await;
    turn.assert_clean();
    assert_eq!(turn.messages(), ["From polywire."]);
    let asked = house.upstream.received();
    assert!(
        asked
            .iter()
            .all(|request| request.json()["model"] == "test-model")
    );
    assert_eq!(own.received().len(), 0);
    assert_eq!(mcp_list(&codex, home).await, servers);
    // A conversation is bound to the id of its provider, which is one and the same for all that polywire serves.
    let resume = ["-m", "demo/demo", "resume", turn.thread_id(), "and now?"];
    let resumed = exec(&codex, home, &resume).await;
    // Codex warns that the model is another one.
    assert_eq!(resumed.ended.code(), Some(0), "{resumed:#?}");
    assert_eq!(resumed.thread_id(), turn.thread_id());
    assert!(
        resumed.messages().concat().contains("demo model"),
        "{resumed:#?}"
    );
    assert_eq!(house.upstream.received().len(), asked.len());
    // Codex has the catalog of the gateway, by the same token.
    let cache = fs::read_to_string(home.codex_home().join("models_cache.json")).unwrap();
    assert!(cache.contains("house/test-model"), "{cache}");

    edit(&["restore"]).await;
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
    let of_its_own = exec(&codex, home, &["hello"]).await;
    assert_eq!(of_its_own.messages(), ["From its own."], "{of_its_own:#?}");
    assert_eq!(own.received().last().unwrap().json()["model"], "own-model");
    assert_eq!(mcp_list(&codex, home).await, servers);
    before.assert_same(&Tree::codex_configuration(&home.codex_home()));
    // The conversation that began on polywire goes on with `run`, which has the same provider id.
    let resumed = house
        .exec(&codex, &["resume", turn.thread_id(), "still there?"])
        .await;
    assert_eq!(resumed.messages(), ["From polywire."], "{resumed:#?}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_real_codex_works_on_a_profile() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let own = ScriptedUpstream::start(|_, _| {
        ResponsesStream::new("resp_1")
            .text("msg_1", "From its own.")
            .completed(Tokens::default())
    });
    let (house, gateway) = furnished(&own).await;
    let mut apply = polywire(
        &house.home,
        &["apply", "-p", "house", "--profile", "gw", "--yes"],
    );
    apply.env("POLYWIRE_LISTEN", gateway.address().to_string());
    let applied = Running::start(apply).ended().await;
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    let turn = exec(&codex, &house.home, &["--profile", "gw", "hello"]).await;
    turn.assert_clean();
    assert_eq!(turn.messages(), ["From polywire."]);
    let turn = exec(&codex, &house.home, &["hello"]).await;
    assert_eq!(turn.messages(), ["From its own."], "{turn:#?}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_real_codex_works_without_a_token() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let house = House::new(
        PROGRAM,
        HOMES,
        ScriptedUpstream::start(|_, _| answer("For all.")),
    );
    let gateway = house.gateway_with(&[("POLYWIRE_AUTH", "none")]).await;
    let mut apply = polywire(&house.home, &["apply", "-p", "house", "--yes"]);
    apply.env("POLYWIRE_LISTEN", gateway.address().to_string());
    apply.env("POLYWIRE_AUTH", "none");
    let applied = Running::start(apply).ended().await;
    assert_eq!(applied.code(), Some(0), "{applied:?}");
    let turn = exec(&codex, &house.home, &["hello"]).await;
    turn.assert_clean();
    assert_eq!(turn.messages(), ["For all."]);
    gateway.stop().await;
}

#[tokio::test]
async fn the_catalog_is_read_by_the_real_codex() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let home = home(None);
    let file = home.work().join("models.json");
    let mut command = polywire(
        &home,
        &["catalog", "-m", "demo/another", "-o", "models.json"],
    );
    command.env("PATH", codex.search_path());
    let written = Running::start(command).ended().await;
    assert_eq!(written.code(), Some(0), "{written:?}");
    assert!(written.stderr.is_empty(), "{written:?}");
    let said = written.stdout.join("\n");
    assert!(
        said.contains(&format!("`model_catalog_json = \"{}\"`", file.display())),
        "{said}"
    );
    let whole: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(whole["models"][0]["slug"], "demo/another");
    assert_eq!(whole["models"][0]["model"], "demo/another");
    let mut models = codex.command(&home);
    models
        .args(["debug", "models", "-c"])
        .arg(format!("model_catalog_json='{}'", file.display()));
    let read = Running::start(models).ended().await;
    assert_eq!(read.code(), Some(0), "{read:?}");
    assert!(
        read.stdout.join("").contains("\"slug\":\"demo/another\""),
        "{read:?}"
    );
    // Nothing of the check is left in the user's Codex.
    assert!(!home.codex_home().join("models_cache.json").exists());
}

fn program(home: &TempHome, script: &str) -> PathBuf {
    let path = home.write("bin/codex", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.parent().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_that_is_no_catalog_is_not_written_over() {
    let home = home(None);
    let write = async |name: &str| run(&home, &["catalog", "--no-check", "-o", name]).await;
    home.write("work/mine.toml", "a = 1\n");
    home.write("work/mine.json", "{\"a\": 1}\n");
    for name in ["mine.toml", "mine.json"] {
        let before = fs::read(home.work().join(name)).unwrap();
        let refused = write(name).await;
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        let said = refused.stderr.join("\n");
        assert!(said.contains("is no catalog of models\nhint: "), "{said}");
        assert_eq!(fs::read(home.work().join(name)).unwrap(), before);
    }
    for _ in 0..2 {
        let written = write("models.json").await;
        assert_eq!(written.code(), Some(0), "{written:?}");
    }
}

#[tokio::test]
async fn a_catalog_that_codex_refuses_is_not_written() {
    let home = home(None);
    let script = "#!/bin/sh\necho 'Error: failed to parse as JSON: missing field `x` at line 2 column 9' >&2\nexit 1\n";
    let bin = program(&home, script);
    let with = |arguments: &[&str], path: &Path| {
        let mut command = polywire(&home, arguments);
        command.env("PATH", path);
        command
    };
    let refused = Running::start(with(&["catalog", "-o", "models.json"], &bin))
        .ended()
        .await;
    assert_eq!(refused.code(), Some(1), "{refused:?}");
    let said = refused.stderr.join("\n");
    assert!(
        said.contains("refuses this catalog at the entry `demo"),
        "{said}"
    );
    assert!(said.contains("missing field `x`"), "{said}");
    assert!(!home.work().join("models.json").exists());
    let unchecked = Running::start(with(&["catalog", "--no-check"], &bin))
        .ended()
        .await;
    assert_eq!(unchecked.code(), Some(0), "{unchecked:?}");
    assert_eq!(unchecked.stdout[0], "{\"models\":[");
    let without = Running::start(with(&["catalog"], &home.work()))
        .ended()
        .await;
    assert_eq!(without.code(), Some(0), "{without:?}");
    assert!(
        without
            .stderr
            .join("\n")
            .contains("Codex is not installed here"),
        "{without:?}"
    );
}
