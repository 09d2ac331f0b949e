//! `polywire provider add|edit|remove|default|list|show|presets` as people and scripts type them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use provider::{Desk, mode};

#[path = "support/provider.rs"]
mod provider;

/// A file with everything that must stay.
const MINE: &str = r#"# my settings

default_provider = "house"   # the one at home

[server]
listen = '127.0.0.1:4999'

[providers.house] # in the cellar
kind = "chat"
base_url = "http://127.0.0.1:8000/v1"
models = [
    "Qwen/Qwen3-Coder", # the good one
    { id = "small", context_window = 8_192 },
]

[aliases]
fast = "house/small"
"#;

/// The only provider is the default one. It stays that when it is alone no more.
#[tokio::test]
async fn a_second_provider_does_not_take_the_default_away() {
    let desk = Desk::new();
    let house = [
        "add",
        "house",
        "--kind",
        "chat",
        "--base-url",
        "http://127.0.0.1:9/v1",
    ];
    let added = desk.run(&house).await.done();
    assert!(
        added
            .stderr
            .contains("polywire provider models house --save"),
        "{added:?}"
    );
    let added = desk
        .run(&["add", "zai", "--key-env", "MY_KEY"])
        .await
        .done();
    assert!(
        added.stderr.contains("`house` stays the default provider"),
        "{added:?}"
    );
    let default = desk.run(&["default"]).await.done();
    assert_eq!(default.stdout.trim(), "house");
    let third = ["add", "groq", "--key-env", "MY_KEY", "--default"];
    let added = desk.run(&third).await.done();
    assert!(!added.stderr.contains("stays the default"), "{added:?}");
    let default = desk.run(&["default"]).await.done();
    assert_eq!(default.stdout.trim(), "groq");
}

#[tokio::test]
async fn a_first_provider_makes_the_file() {
    let desk = Desk::new();
    let added = desk
        .run(&["add", "zai", "--key-env", "MY_KEY"])
        .await
        .done();
    insta::assert_snapshot!(added.stdout, @"provider `zai` is added to CONFIG/polywire/config.toml");
    assert!(added.stderr.contains("set `MY_KEY`"), "{added:?}");
    assert_eq!(mode(&desk.file()), 0o600);
    insta::assert_snapshot!(desk.settings(), @r#"
    [providers.zai]
    preset = "zai"
    key = { env = "MY_KEY" }
    "#);
}

#[tokio::test]
async fn a_settings_file_in_the_working_directory() {
    let desk = Desk::new();
    desk.run(&["--config", "mine.toml", "add", "zai", "--key-env", "K"])
        .await
        .done();
    let file = desk.home.work().join("mine.toml");
    assert_eq!(mode(&file), 0o600);
    desk.piped(
        &["--config", "mine.toml", "edit", "zai", "--key-stdin"],
        "sk-1",
    )
    .await
    .done();
    let keys = fs::read_dir(desk.home.work().join("keys")).unwrap();
    let keys: Vec<_> = keys.map(|key| key.unwrap().path()).collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(mode(&keys[0]), 0o600);
    let listed = desk.run(&["--config", "mine.toml", "list"]).await.done();
    assert!(
        listed.stdout.contains("file keys/zai@mine-") && listed.stdout.contains(", present"),
        "{listed:?}"
    );
    assert!(!desk.file().exists());
}

#[tokio::test]
async fn everything_else_in_the_file_stays() {
    let desk = Desk::with(MINE);
    fs::set_permissions(desk.file(), fs::Permissions::from_mode(0o640)).unwrap();
    desk.run(&[
        "add",
        "cloud",
        "--preset",
        "custom",
        "--base-url",
        "https://api.example.com/v1/chat/completions/",
        "--models",
        "zai-org/GLM-5,b",
        "--header",
        "x-title=polywire",
        "--set",
        "profile.stop_max=1",
        "--name",
        "The cloud",
        "--auth",
        "header:api-key",
        "--key-command",
        "pass show 'my key'",
    ])
    .await
    .done();
    let added = desk.settings();
    let new = added
        .strip_prefix(MINE)
        .unwrap_or_else(|| panic!("{added}"));
    insta::assert_snapshot!(new);
    assert_eq!(mode(&desk.file()), 0o640);
    desk.run(&["remove", "cloud"]).await.done();
    let removed = desk.settings();
    assert!(removed.starts_with(MINE), "{removed}");
    // Sub-tables of a provider go with it.
    assert!(!removed.contains("cloud"), "{removed}");
}

#[tokio::test]
async fn single_values_are_edited_in_their_place() {
    let desk = Desk::with(MINE);
    desk.run(&[
        "edit",
        "house",
        "--base-url",
        "http://10.0.0.5:9/v1/",
        "--default-model",
        "small",
    ])
    .await
    .done();
    let expected = MINE
        .replace("http://127.0.0.1:8000/v1", "http://10.0.0.5:9/v1")
        .replace("},\n]\n", "},\n]\ndefault_model = \"small\"\n");
    assert_eq!(desk.settings(), expected);
    desk.run(&[
        "edit",
        "house",
        "--unset",
        "default_model",
        "--base-url",
        "http://127.0.0.1:8000/v1",
    ])
    .await
    .done();
    assert_eq!(desk.settings(), MINE);
    // What is so already is not written anew.
    let before = fs::metadata(desk.file()).unwrap().modified().unwrap();
    desk.run(&["edit", "house", "--kind", "chat"]).await.done();
    assert_eq!(
        fs::metadata(desk.file()).unwrap().modified().unwrap(),
        before
    );
}

#[tokio::test]
async fn what_would_not_work_is_not_written() {
    let desk = Desk::with(MINE);
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["add", "house", "--preset", "zai"],
            &[
                "there is a provider `house` already",
                "hint: `polywire provider edit house`",
            ],
        ),
        (
            &["add", "a/b", "--preset", "zai"],
            &["a provider's name has letters"],
        ),
        (
            &["add", "x"],
            &["what the provider is was not said", "hint: --preset"],
        ),
        (
            &["add", "--kind", "chat"],
            &["the provider has no name", "hint:"],
        ),
        (
            &["add", "x", "--preset", "zay"],
            &[
                "there is no preset `zay`",
                "hint: `polywire provider presets`",
            ],
        ),
        (
            &["add", "x", "--kind", "chat"],
            &["nothing was changed", "has no `base_url`", "hint:"],
        ),
        (
            &["add", "x", "--preset", "custom", "--base-url", "ftp://x"],
            &["must begin with `http://`"],
        ),
        (
            &["add", "x", "--preset", "azure-openai"],
            &["preset `azure-openai` cannot know yours", "hint:"],
        ),
        (
            &["add", "command-code-private"],
            &["keeps for its own client", "private_api = true"],
        ),
        (
            &["edit", "house", "--set", "nonsense=1"],
            &[
                "nothing was changed",
                "there is no key `nonsense` here",
                "hint:",
            ],
        ),
        (
            &["edit", "house", "--set", "profile.reasoning_back=7"],
            &["nothing was changed", "`house`"],
        ),
        (
            &["edit", "house", "--set", "private_api=maybe"],
            &["nothing was changed", "config.toml:"],
        ),
        (
            &["edit", "house", "--set", "a..b=1"],
            &["`a..b` is no path of keys", "hint:"],
        ),
        (
            &["edit", "house", "--header", "host=x"],
            &["nothing was changed", "`host` cannot be set"],
        ),
        (
            &["edit", "house"],
            &["what to change was not said", "hint:"],
        ),
        (
            &["edit", "nobody", "--name", "x"],
            &["there is no provider `nobody`", "hint:"],
        ),
        (
            &["edit", "demo", "--name", "x"],
            &["provider `demo` is built in"],
        ),
        (
            &["remove", "nobody"],
            &["there is no provider `nobody`", "hint:"],
        ),
        (&["remove", "demo"], &["provider `demo` is built in"]),
        (
            &["default", "nobody"],
            &["there is no provider `nobody`", "hint:"],
        ),
        (
            &["show", "zai"],
            &["there is no provider `zai`", "hint: it is a preset"],
        ),
    ];
    for (arguments, what) in cases {
        desk.run(arguments).await.failed(what);
        assert_eq!(desk.settings(), MINE, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_broken_file_is_not_touched_and_the_place_is_named() {
    for (broken, place) in [
        ("default_provider = \"a\nx = 1\n", "config.toml:1:"),
        (
            "[server]\nlissten = 1\n",
            "config.toml:2:1: there is no key `lissten`",
        ),
        (
            "default_provider = \"gone\"\n",
            "there is no provider `gone`",
        ),
    ] {
        let desk = Desk::with(broken);
        desk.run(&["add", "zai", "--key-env", "K"])
            .await
            .failed(&[place]);
        assert_eq!(desk.settings(), broken);
        let keys = desk.key_file("zai");
        desk.piped(&["add", "zai", "--key-stdin"], "sk-1234")
            .await
            .failed(&[place]);
        assert!(!keys.exists());
    }
}

#[tokio::test]
async fn the_default_goes_with_its_provider() {
    let desk = Desk::with(MINE);
    desk.run(&["add", "zai", "--default", "--key-env", "K"])
        .await
        .done();
    assert_eq!(desk.run(&["default"]).await.done().stdout, "zai\n");
    assert!(
        desk.settings()
            .contains("default_provider = \"zai\"   # the one at home")
    );
    let removed = desk.run(&["remove", "zai"]).await.done();
    assert!(
        removed
            .stderr
            .contains("it was the default one; now that is `house`"),
        "{removed:?}"
    );
    desk.run(&["default", "house"]).await.done();
    let removed = desk.run(&["remove", "house"]).await.done();
    // The alias that led there is worth a word.
    assert!(
        removed.stderr.contains("warning: `aliases.fast`"),
        "{removed:?}"
    );
    desk.run(&["default", "--none"]).await.done();
    let none = desk.run(&["default", "groq"]).await.done();
    assert!(none.stderr.contains("its key is missing"), "{none:?}");
    assert!(
        desk.settings()
            .contains("[aliases]\nfast = \"house/small\"\n")
    );
}

#[tokio::test]
async fn a_preset_with_a_key_in_the_environment_becomes_ones_own_when_it_is_edited() {
    let desk = Desk::new();
    let with_key = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.env("GROQ_API_KEY", "gsk-0123456789abcdef");
        command
    };
    let listed = desk
        .run_with(with_key(&["list", "--json"]), "")
        .await
        .done()
        .json();
    let groq = &listed[0];
    assert_eq!(groq["id"], "groq");
    assert_eq!(groq["default"], true);
    assert_eq!(groq["origin"], "environment (GROQ_API_KEY)");
    assert_eq!(groq["key"]["masked"], "***cdef");
    let removed = desk.run_with(with_key(&["remove", "groq"]), "").await;
    removed.failed(&["is there because GROQ_API_KEY is set", "hint: unset"]);
    desk.run_with(
        with_key(&["edit", "groq", "--default-model", "llama-3.3-70b-versatile"]),
        "",
    )
    .await
    .done();
    insta::assert_snapshot!(desk.settings(), @r#"
    [providers.groq]
    preset = "groq"
    default_model = "llama-3.3-70b-versatile"
    "#);
}

#[tokio::test]
async fn lists_and_pages() {
    let desk = Desk::with(
        "default_provider = \"house\"\n[providers.zai]\npreset = \"zai\"\nkey = { env = \"ZK\" }\nheaders = { Authorization = \"Basic c2VjcmV0\", x-title = \"t\" }\n[providers.short]\npreset = \"groq\"\nkey = \"gsk-short\"\n[providers.shop]\npreset = \"mistral\"\nkey = { command = [\"pass\", \"show\", \"very-private\"] }\n[providers.house]\nkind = \"chat\"\nbase_url = \"http://127.0.0.1:8000/v1\"\n[providers.local]\nkind = \"codex-app-server\"\n",
    );
    let with_key = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.env("ZK", "sk-0123456789abcdef");
        command
    };
    let list = desk.run_with(with_key(&["list"]), "").await.done();
    insta::assert_snapshot!(list.stdout);
    let mut pages = String::new();
    for provider in ["zai", "short", "shop", "house", "demo"] {
        let page = desk
            .run_with(with_key(&["show", provider]), "")
            .await
            .done();
        pages.push_str(&page.stdout);
        pages.push('\n');
    }
    insta::assert_snapshot!(pages);
    for secret in ["0123456789", "gsk-short", "c2VjcmV0", "very-private"] {
        for arguments in [
            &["list"][..],
            &["list", "--json"],
            &["show", "zai", "--json"],
            &["show", "short", "--json"],
            &["show", "shop", "--json"],
        ] {
            let shown = desk.run_with(with_key(arguments), "").await.done();
            assert!(!format!("{shown:?}").contains(secret), "{shown:?}");
        }
    }
    let page = desk
        .run_with(with_key(&["show", "zai", "--json"]), "")
        .await
        .done()
        .json();
    assert_eq!(page["base_url"]["origin"], "preset zai");
    assert_eq!(page["key"]["value"]["place"], "ZK");
    assert_eq!(page["headers"]["value"]["Authorization"], "***");
    let missing = desk.run(&["show", "zai"]).await.done();
    assert!(missing.stderr.contains("`ZK` is not set"), "{missing:?}");
    assert!(missing.stderr.contains("hint: set `ZK`"), "{missing:?}");
}

#[tokio::test]
async fn presets_are_found_by_name_and_model() {
    let desk = Desk::new();
    let all = desk.run(&["presets", "--json"]).await.done().json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), polywire_catalog::presets().len());
    assert!(
        all.iter()
            .all(|preset| preset["id"].is_string() && preset["about"].is_string())
    );
    let found = desk.run(&["presets", "GLM-5.3-Flash"]).await.done();
    assert!(found.stdout.contains("\nzai "), "{found:?}");
    assert!(!found.stdout.contains("groq"), "{found:?}");
    let none = desk.run(&["presets", "no such thing"]).await.done();
    assert!(
        none.stdout.is_empty() && none.stderr.contains("--kind chat"),
        "{none:?}"
    );
}

#[tokio::test]
async fn many_at_once_lose_nothing() {
    let desk = Desk::with(MINE);
    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    let adding = names.iter().map(|name| {
        let desk = &desk;
        async move {
            desk.run(&["add", name, "--preset", "groq", "--key-env", "K"])
                .await
                .done()
        }
    });
    // Keys change at the same time: of some providers, and of one again and again.
    let keyed: Vec<String> = (0..4).map(|number| format!("k{number}")).collect();
    let keying = keyed.iter().map(|name| {
        let desk = &desk;
        async move {
            let add = ["add", name, "--preset", "groq", "--key-stdin"];
            desk.piped(&add, &format!("gsk-{name}")).await.done()
        }
    });
    let changing = (0..10).map(|number| {
        let desk = &desk;
        async move {
            let key = format!("sk-{number}");
            let change = match number % 2 {
                0 => ["edit", "house", "--key-stdin", "--key-in", "file"].as_slice(),
                _ => &["edit", "house", "--key-env", "K"],
            };
            desk.piped(change, &key).await.done()
        }
    });
    futures_util::future::join3(
        futures_util::future::join_all(adding),
        futures_util::future::join_all(keying),
        futures_util::future::join_all(changing),
    )
    .await;
    let settings = desk.settings();
    for name in &keyed {
        let key = fs::read_to_string(desk.key_file(name)).unwrap();
        assert_eq!(key, format!("gsk-{name}\n"));
    }
    // Whatever came last: the key is there if it is named, and gone if it is not.
    assert_eq!(
        settings.contains("keys/house"),
        desk.key_file("house").exists(),
        "{settings}"
    );
    let settings: String = settings
        .split_inclusive('\n')
        .filter(|line| *line != "key = { env = \"K\" }\n" && !line.contains("keys/house"))
        .collect();
    assert!(settings.starts_with(MINE), "{settings}");
    for name in &names {
        assert_eq!(
            settings.matches(&format!("[providers.{name}]")).count(),
            1,
            "{settings}"
        );
    }
    desk.run(&["list"]).await.done();
}

#[tokio::test]
async fn a_command_line_that_is_wrong_ends_with_2_and_repeats_nothing() {
    let desk = Desk::with(MINE);
    for (arguments, what) in [
        (
            &["edit", "house", "--header", "Authorization: Bearer sk-0123"][..],
            "--header wants",
        ),
        (
            &["edit", "house", "--set", "profile.x: sk-0123"],
            "--set wants",
        ),
        (
            &["edit", "house", "--key-in", "file"],
            "hint: add --key-stdin",
        ),
        (
            &["export", "--passphrase-stdin"],
            "hint: add --with-secrets",
        ),
    ] {
        let refused = desk.run(arguments).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(what), "{refused:?}");
        assert!(!refused.stderr.contains("sk-0123"), "{refused:?}");
    }
    assert_eq!(desk.settings(), MINE);
}

#[tokio::test]
async fn a_default_that_the_environment_names_is_told() {
    let desk = Desk::with(MINE);
    for arguments in [
        &["default"][..],
        &["default", "house"],
        &["default", "--none"],
    ] {
        let mut command = desk.command(arguments);
        command.env("POLYWIRE_DEFAULT_PROVIDER", "house");
        let told = desk.run_with(command, "").await.done();
        assert!(
            told.stderr
                .contains("warning: POLYWIRE_DEFAULT_PROVIDER stands above"),
            "{told:?}"
        );
        let quiet = desk.run(arguments).await.done();
        assert!(!quiet.stderr.contains("POLYWIRE"), "{quiet:?}");
    }
}
