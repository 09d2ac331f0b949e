//! A lasting edit of Codex's configuration: what is shown, what is written, what is refused, and that it is taken back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/codex_edits.rs"]
mod codex_edits;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use codex_edits::{
    PROGRAM, SETTINGS, USERS, complaint, config, done, general, home, polywire, run,
};
use polywire_testkit::{Running, Terminal, Tree};
use serde_json::Value;

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
        told.contains("no gateway runs on 127.0.0.1:4891\nhint: "),
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
