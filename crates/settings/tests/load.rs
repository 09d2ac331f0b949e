//! Settings as people write them: what comes out, or what they are told.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use polywire_settings::{AuthMode, KeySource, Overrides, Settings, Watch, load};
use tempfile::TempDir;

/// A home folder with what the test puts into it.
struct Home {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Home {
    fn new(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut variables: BTreeMap<String, String> = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let home = folder.path().to_str().unwrap().to_owned();
        variables.insert("HOME".to_owned(), home);
        Self { folder, variables }
    }

    fn with_config(text: &str) -> Self {
        let home = Self::new(&[]);
        home.write("config.toml", text, 0o600);
        home
    }

    fn config_dir(&self) -> PathBuf {
        self.folder.path().join(".config/polywire")
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::create_dir_all(self.config_dir()).unwrap();
        let path = self.config_dir().join(name);
        fs::write(&path, text).unwrap();
        set_mode(&path, mode);
    }

    fn load(&self) -> Result<Settings, String> {
        self.load_with(&Overrides::default())
    }

    fn load_with(&self, overrides: &Overrides) -> Result<Settings, String> {
        load(overrides, &self.variables).map_err(|error| self.without_home(&error.to_string()))
    }

    /// The outcome as text: what matters of the settings, or the error.
    fn outcome(&self, overrides: &Overrides) -> String {
        match self.load_with(overrides) {
            Ok(settings) => self.without_home(&shown(&settings)),
            Err(error) => format!("error: {error}\n"),
        }
    }

    fn without_home(&self, text: &str) -> String {
        text.replace(self.folder.path().to_str().unwrap(), "~")
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

fn shown(settings: &Settings) -> String {
    let origin = |key: &str| {
        let origin = settings.origins.get(key);
        origin.map_or_else(String::new, |origin| format!(" ({origin})"))
    };
    let mut text = String::new();
    let server = &settings.server;
    writeln!(
        text,
        "listen {}{}, auth {:?}{}",
        server.listen,
        origin("server.listen"),
        server.auth,
        origin("server.auth"),
    )
    .unwrap();
    let default = settings.catalog.default_provider.as_deref();
    let default_origin = origin("default_provider");
    writeln!(text, "default {}{default_origin}", default.unwrap_or("-")).unwrap();
    for provider in &settings.catalog.providers {
        let key = match &settings.keys[&provider.id] {
            KeySource::Literal(_) => "literal".to_owned(),
            KeySource::Env(name) => format!("${name}"),
            KeySource::File(path) => path.display().to_string(),
            KeySource::Command(command) => command.join(" "),
            KeySource::Keyring(entry) => format!("keyring {entry}"),
            KeySource::None => "-".to_owned(),
        };
        let present = if settings.key_is_present(&provider.id) {
            ""
        } else {
            " (missing)"
        };
        writeln!(
            text,
            "{} [{}] {} key {key}{present}{}",
            provider.id,
            provider.kind.name(),
            provider.base_url,
            origin(&format!("providers.{}", provider.id)),
        )
        .unwrap();
        if let Some(proxy) = settings.proxies.get(&provider.id) {
            let origin = origin(&format!("providers.{}.proxy", provider.id));
            writeln!(text, "  proxy {proxy}{origin}").unwrap();
        }
    }
    for warning in &settings.warnings {
        writeln!(text, "warning: {warning}").unwrap();
    }
    text
}

/// One case of a table: the file, and behind it what came of it.
fn case(text: &mut String, file: &str) {
    let home = Home::with_config(file);
    let outcome = home.outcome(&Overrides::default());
    for line in file.trim().lines() {
        writeln!(text, "{}", line.trim_start()).unwrap();
    }
    writeln!(text, "---\n{outcome}\n==========").unwrap();
}

#[test]
fn files_that_work() {
    let mut text = String::new();
    for file in [
        "",
        "\u{feff}default_provider = \"demo\"\r\n",
        r#"
            [providers.zai]
            preset = "zai"
        "#,
        r#"
            default_provider = "house"
            [server]
            listen = "127.0.0.1:9000"
            [providers.zai]
            preset = "zai"
            key = { env = "MY_KEY" }
            default_model = "glm-5.1"
            [providers.house]
            kind = "chat"
            base_url = "http://127.0.0.1:8000/v1/chat/completions"
            models = ["qwen3-coder"]
            [aliases]
            fast = "zai/glm-4.7-flash"
            [routes.main]
            targets = ["zai/glm-5.1", "house/qwen3-coder"]
        "#,
        r#"
            [providers.a]
            preset = "vllm"
            base_url = "https://gpu.example.com/v1/"
            key = "literal"
            [providers.b]
            preset = "groq"
            key = { file = "groq.key" }
            [providers.c]
            preset = "groq"
            key = { file = "~/keys/groq" }
            [providers.d]
            preset = "groq"
            key = { command = ["pass", "show", "groq"] }
            [providers.e]
            preset = "groq"
            key = { keyring = true }
            [providers.my-house]
            kind = "chat"
            base_url = "http://localhost:1/v1"
            auth = { header = "api-key" }
        "#,
        r#"
            [server]
            listen = "0.0.0.0:4891"
            [providers.demo]
            kind = "demo"
        "#,
        r#"
            [providers.cloud]
            preset = "azure-openai"
            base_url = "https://mine.openai.azure.com/openai/v1/responses"
            [providers.claude]
            kind = "messages"
            base_url = "https://claude.example.com/v1/messages"
            auth = { header = "x-api-key" }
            [providers.house]
            preset = "custom"
            base_url = "http://127.0.0.1:9/v1"
        "#,
        r#"
            [providers.private]
            preset = "command-code-private"
            private_api = true
        "#,
        r#"
            [providers.zai]
            preset = "zai"
            proxy = "http://user:p%40ss@proxy.example:3128/"
            [providers.groq]
            preset = "groq"
            proxy = "none"
            [providers.house]
            kind = "chat"
            base_url = "http://127.0.0.1:8000/v1"
            proxy = "socks5h://127.0.0.1:1080"
        "#,
        r#"
            [providers.zai]
            preset = "zai"
            [providers.groq]
            preset = "groq"
            [aliases]
            "zai/x" = "groq/y"
            nobody = "nothing"
        "#,
    ] {
        case(&mut text, file);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn files_that_do_not_work() {
    let mut text = String::new();
    for file in [
        "this is not TOML",
        "defaultprovider = \"zai\"",
        "[server]\nlissten = \"127.0.0.1:1\"",
        "[server]\nlisten = 4891",
        "[server]\nlisten = \"here\"",
        "[server]\nauth = \"password\"",
        "[server]\nlisten = \"0.0.0.0:1\"\nauth = \"none\"",
        "default_provider = \"zia\"\n[providers.zai]\npreset = \"zai\"",
        "default_provider = \"nothing\"",
        "[providers.zai]\nkey = \"x\"",
        "[providers.other]\nkey = \"x\"",
        "[providers.other]\nkind = \"chat\"",
        "[providers.other]\nkind = \"telepathy\"\nbase_url = \"https://x\"",
        "[providers.other]\nkind = \"command-code\"\nbase_url = \"https://x\"",
        "[providers.other]\npreset = \"command-code-private\"",
        "[providers.other]\npreset = \"command-code-private\"\nprivate_api = false",
        "[providers.zai]\npreset = \"zai\"\nprivate_api = true",
        "[providers.azure]\npreset = \"azure-openai\"",
        "[providers.house]\npreset = \"custom\"",
        "default_provider = \"azure-openai\"",
        "default_provider = \"command-code-private\"",
        "[providers.other]\nkind = \"chat\"\nbase_url = \"localhost:8000\"",
        "[providers.\"a/b\"]\npreset = \"zai\"",
        "[providers.zai]\npreset = \"zay\"",
        "[providers.zai]\npreset = \"acme\"",
        "[providers.zai]\npreset = \"zai\"\nkey = { keyring = false }",
        "[providers.zai]\npreset = \"zai\"\nkey = { env = \"A\", file = \"b\" }",
        "[providers.zai]\npreset = \"zai\"\nkey = { command = [] }",
        "[providers.zai]\npreset = \"zai\"\nkey = { envv = \"A\" }",
        "[providers.zai]\npreset = \"zai\"\nkey = 5",
        "[providers.zai]\npreset = \"zai\"\nmodels = [{ id = \"x\", contextwindow = 1 }]",
        "[providers.zai]\npreset = \"zai\"\nmodels = [5]",
        "[providers.zai]\npreset = \"zai\"\nauth = \"basic\"",
        "[providers.plan]\nkind = \"chatgpt\"\nkey = \"x\"",
        "[providers.zai]\npreset = \"zai\"\ncodex_home = \"~/.codex\"",
        "[providers.zai]\npreset = \"zai\"\ncodex_identity = true",
        "[providers.zai]\npreset = \"zai\"\nheaders = { \"a b\" = \"x\" }",
        "[providers.zai]\npreset = \"zai\"\nheaders = { Host = \"x\" }",
        "[providers.zai]\npreset = \"zai\"\nheaders = { X = \"a\\nb\" }",
        "[providers.zai]\npreset = \"zai\"\nproxy = \"proxy.example:3128\"",
        "[providers.zai]\npreset = \"zai\"\nproxy = \"https://proxy.example:3128\"",
        "[providers.zai]\npreset = \"zai\"\nproxy = \"http://user:p@ss@proxy.example:3128\"",
        "[providers.zai]\npreset = \"zai\"\nproxy = \"http://proxy.example\"",
        "[providers.zai]\npreset = \"zai\"\nproxy = true",
        "[providers.mine]\nkind = \"demo\"\nproxy = \"none\"",
        "[aliases]\na = \"b\"\nb = \"a\"",
        "[routes.main]\ntargets = []",
        "[routes.main]\ntarget = [\"a\"]",
        "[aliases]\nmain = \"demo\"\n[routes.main]\ntargets = [\"demo\"]",
    ] {
        case(&mut text, file);
    }
    insta::assert_snapshot!(text);
}

/// The settings file, the variables, and the command line.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a Overrides);

#[test]
fn environment_and_command_line() {
    let mut text = String::new();
    let file = "default_provider = \"groq\"\nlog = \"warn\"\n[server]\nlisten = \"127.0.0.1:1\"\n[providers.groq]\npreset = \"groq\"\n";
    let line = Overrides {
        listen: Some("localhost:3".to_owned()),
        auth: Some(AuthMode::Token),
        default_provider: Some("ollama".to_owned()),
        ..Overrides::default()
    };
    let bad_line = Overrides {
        listen: Some("nowhere".to_owned()),
        ..Overrides::default()
    };
    let none = Overrides::default();
    let cases: &[Case<'_>] = &[
        ("", &[("ZAI_API_KEY", "k")], &none),
        ("", &[("ZAI_API_KEY", " ")], &none),
        ("", &[("ZAI_API_KEY", "k"), ("GROQ_API_KEY", "k")], &none),
        (file, &[("ZAI_API_KEY", "k"), ("GROQ_API_KEY", "k")], &none),
        (
            file,
            &[
                ("POLYWIRE_LISTEN", "127.0.0.1:2"),
                ("POLYWIRE_AUTH", "none"),
                ("POLYWIRE_DEFAULT_PROVIDER", "demo"),
            ],
            &none,
        ),
        (
            file,
            &[
                ("POLYWIRE_LISTEN", "127.0.0.1:2"),
                ("POLYWIRE_AUTH", "none"),
                ("POLYWIRE_DEFAULT_PROVIDER", "demo"),
            ],
            &line,
        ),
        // Each variable brings the first form of the service; others and those without an address want to be named.
        ("", &[("OPENAI_API_KEY", "k")], &none),
        ("", &[("COMMAND_CODE_API_KEY", "k")], &none),
        (
            "",
            &[("AZURE_OPENAI_API_KEY", "k"), ("GITHUB_TOKEN", "k")],
            &none,
        ),
        (
            "",
            &[
                ("OPENAI_API_KEY", "k"),
                ("POLYWIRE_DEFAULT_PROVIDER", "openai-chat"),
            ],
            &none,
        ),
        (file, &[("POLYWIRE_LISTEN", "8080")], &none),
        (file, &[("POLYWIRE_LISTEN", "x")], &none),
        (file, &[("POLYWIRE_LISTEN", "127.0.0.1:2")], &bad_line),
        (file, &[("POLYWIRE_AUTH", "never")], &none),
        (file, &[("POLYWIRE_TOKEN", "two words")], &none),
        (file, &[("POLYWIRE_DEFAULT_PROVIDER", "grok")], &none),
        (file, &[("POLYWIRE_CONFIG", "/does/not/exist.toml")], &none),
    ];
    for (file, variables, overrides) in cases {
        let home = Home::new(variables);
        home.write("config.toml", file, 0o600);
        let outcome = home.outcome(overrides);
        writeln!(text, "{variables:?} {:?}\n---\n{outcome}", overrides.listen).unwrap();
        text.push_str("==========\n");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_preset_keeps_what_the_user_does_not_change() {
    let home = Home::with_config(
        r#"
            [providers.zai]
            preset = "zai"
            name = "My GLM"
            models = ["glm-5.1", "glm-9", { id = "glm-5", context_window = 1000 }]
            headers = { "X-Team" = "blue" }
            profile = { structured_output = "prompt" }
        "#,
    );
    let settings = home.load().unwrap();
    let provider = settings.catalog.provider("zai").unwrap();
    let windows: Vec<_> = provider
        .models
        .iter()
        .map(|model| (model.id.as_str(), model.context_window))
        .collect();
    assert_eq!(
        windows,
        [
            ("glm-5.1", Some(204_800)),
            ("glm-9", None),
            ("glm-5", Some(1000))
        ]
    );
    assert_eq!(provider.name, "My GLM");
    assert_eq!(provider.headers, [("X-Team".to_owned(), "blue".to_owned())]);
    assert_eq!(
        provider.profile["structured_output"].as_str(),
        Some("prompt")
    );
    assert_eq!(
        provider.profile["reasoning_back"].as_str(),
        Some("reasoning_content")
    );
}

#[cfg(unix)]
#[test]
fn a_key_in_a_file_that_others_can_read_is_refused() {
    let literal = "[providers.zai]\npreset = \"zai\"\nkey = \"sk-1\"\n";
    let home = Home::with_config(literal);
    home.load().unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660] {
        home.write("config.toml", literal, mode);
        assert_eq!(
            home.load().unwrap_err(),
            "`~/.config/polywire/config.toml` holds the key of `zai`, and others can read the file\n\
             hint: run `chmod 600 ~/.config/polywire/config.toml`, or use `key = { env = \"…\" }`"
        );
    }
    // So is the password of a proxy.
    let proxy =
        "[providers.zai]\npreset = \"zai\"\nproxy = \"http://user:pass@proxy.example:3128\"\n";
    home.write("config.toml", proxy, 0o644);
    assert_eq!(
        home.load().unwrap_err(),
        "`~/.config/polywire/config.toml` holds the password of the proxy of `zai`, and others can read the file\n\
         hint: run `chmod 600 ~/.config/polywire/config.toml`"
    );
    home.write("config.toml", &proxy.replace("user:pass@", ""), 0o644);
    home.load().unwrap();
    // Without a key in it, everybody may read it.
    for (table, place) in [
        ("headers = { X-Api-Key = \"a\" }", "headers.X-Api-Key"),
        (
            "profile = { extra_body = { token = \"a\" } }",
            "profile.extra_body.token",
        ),
    ] {
        let text = format!("[providers.zai]\npreset = \"zai\"\n{table}\n");
        home.write("config.toml", &text, 0o644);
        assert_eq!(
            home.load().unwrap_err(),
            format!(
                "`~/.config/polywire/config.toml` holds a secret in `providers.zai.{place}`, and others can read the file\n\
                 hint: run `chmod 600 ~/.config/polywire/config.toml`"
            )
        );
        home.write("config.toml", &text, 0o600);
        home.load().unwrap();
    }
    home.write("config.toml", "[providers.zai]\npreset = \"zai\"\n", 0o644);
    home.load().unwrap();
}

#[tokio::test]
async fn keys_come_from_the_environment_before_the_env_file() {
    let mut home = Home::new(&[("GROQ_API_KEY", "from-environment")]);
    home.write(
        ".env",
        "ZAI_API_KEY='from-file'\nGROQ_API_KEY=from-file\nnonsense\n",
        0o600,
    );
    let settings = home.load().unwrap();
    for (provider, expected) in [("zai", "from-file"), ("groq", "from-environment")] {
        let key = settings.key(provider).await.unwrap().unwrap();
        assert_eq!(key.reveal(), expected, "{provider}");
    }
    assert_eq!(settings.key("demo").await.unwrap(), None);
    assert_eq!(
        home.without_home(&settings.warnings.join("\n")),
        "`~/.config/polywire/.env` line 3 is not `NAME=value`"
    );
    // Nothing of it shows.
    let debug = format!("{settings:?}");
    assert!(!debug.contains("from-file") && !debug.contains("from-environment"));

    #[cfg(unix)]
    {
        set_mode(&home.config_dir().join(".env"), 0o644);
        let settings = home.load().unwrap();
        assert!(settings.catalog.provider("zai").is_none());
        assert_eq!(
            home.without_home(&settings.warnings.join("\n")),
            "`~/.config/polywire/.env` is not read, because others can read it too; run `chmod 600 ~/.config/polywire/.env`"
        );
    }
    home.variables.clear();
    assert_eq!(
        home.load().unwrap_err(),
        "there is no home folder; set `HOME` or `XDG_CONFIG_HOME`"
    );
}

#[tokio::test]
async fn a_missing_key_is_told_when_it_is_needed() {
    let home = Home::with_config("[providers.zai]\npreset = \"zai\"\n");
    let settings = home.load().unwrap();
    let error = settings.key("zai").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment variable `ZAI_API_KEY` is not set"
    );
    assert_eq!(
        home.without_home(&settings.key_hint("zai")),
        "set `ZAI_API_KEY`, or add `key` to `[providers.zai]` in ~/.config/polywire/config.toml; keys are made at https://z.ai/manage-apikey/apikey-list"
    );
    // Where a key is named, the hint is about that place.
    for (key, hint) in [
        ("{ env = \"ZK\" }", "set `ZK`, or take"),
        (
            "{ file = \"zai.key\" }",
            "put it into `~/.config/polywire/zai.key`, or take",
        ),
        (
            "{ command = [\"pass\", \"zai\"] }",
            "see what `pass` prints, or take",
        ),
        (
            "{ keyring = true }",
            "put it into the keyring as `provider.zai`, or take",
        ),
        (
            "{ keyring = \"provider.zai@one\" }",
            "put it into the keyring as `provider.zai@one`, or take",
        ),
        (
            "\"sk-1\"",
            "change `key` of `[providers.zai]` in ~/.config/polywire/config.toml, or take",
        ),
    ] {
        let home = Home::with_config(&format!("[providers.zai]\npreset = \"zai\"\nkey = {key}\n"));
        let found = home.without_home(&home.load().unwrap().key_hint("zai"));
        assert!(found.starts_with(hint), "{found}");
        assert!(
            found.contains("`polywire provider edit zai --key-stdin`"),
            "{found}"
        );
    }
}

#[test]
fn places_follow_the_command_line_then_the_environment_then_xdg() {
    let named = |config: &str| Overrides {
        config: Some(PathBuf::from(config)),
        ..Overrides::default()
    };
    let check = |variables: &[(&str, &str)], overrides: &Overrides, config: &str, token: &str| {
        let home = Home::new(variables);
        let paths = polywire_settings::Paths::find(overrides, &home.variables).unwrap();
        let shown = |path: &Path| home.without_home(path.to_str().unwrap());
        assert_eq!(shown(&paths.config_file), config);
        assert_eq!(shown(&paths.token_file), token);
        assert_eq!(paths.env_file, paths.config_file.with_file_name(".env"));
    };
    let none = Overrides::default();
    let token = "~/.local/state/polywire/token";
    check(&[], &none, "~/.config/polywire/config.toml", token);
    check(
        &[("XDG_CONFIG_HOME", "/x"), ("XDG_STATE_HOME", "/y")],
        &none,
        "/x/polywire/config.toml",
        "/y/polywire/token",
    );
    check(
        &[("XDG_CONFIG_HOME", "relative")],
        &none,
        "~/.config/polywire/config.toml",
        token,
    );
    check(&[("POLYWIRE_CONFIG", "/a.toml")], &none, "/a.toml", token);
    check(
        &[("POLYWIRE_CONFIG", "/a.toml")],
        &named("/b.toml"),
        "/b.toml",
        token,
    );
}

#[test]
fn changes_are_noticed_once() {
    let home = Home::with_config("");
    let mut watch = Watch::new(&home.load().unwrap().paths);
    let mut check = |expected: bool, what: &str| {
        assert_eq!(watch.changed(), expected, "{what}");
        assert!(!watch.changed(), "{what}, a second time");
    };
    check(false, "nothing happened");
    home.write("config.toml", "# longer\n", 0o600);
    check(true, "the file grew");
    home.write(".env", "A=1\n", 0o600);
    check(true, "an .env file appeared");
    // A file that replaces another of the same size, as careful editors do it.
    let other = home.config_dir().join("other");
    fs::write(&other, "# LONGER\n").unwrap();
    fs::rename(&other, home.config_dir().join("config.toml")).unwrap();
    check(true, "the file was replaced");
    fs::remove_file(home.config_dir().join("config.toml")).unwrap();
    check(true, "the file is gone");
}

#[test]
fn a_login_is_where_the_table_says_or_where_codex_has_it() {
    let table = |more: &str| format!("[providers.plan]\nkind = \"chatgpt\"\n{more}");
    for (more, variable, expected) in [
        ("", None, "HOME/.codex"),
        ("", Some("/codex"), "/codex"),
        ("codex_home = \"~/other\"", Some("/codex"), "HOME/other"),
        (
            "codex_home = \"beside\"",
            None,
            "HOME/.config/polywire/beside",
        ),
    ] {
        let mut home = Home::with_config(&table(more));
        home.variables
            .extend(variable.map(|value| ("CODEX_HOME".to_owned(), value.to_owned())));
        let settings = home.load().unwrap();
        let found = settings.logins["plan"].home.display().to_string();
        let found = found.replace(home.folder.path().to_str().unwrap(), "HOME");
        assert_eq!(found, expected, "{more} {variable:?}");
        // What there is to know of the one service of this kind is known without its preset being named.
        let provider = settings.catalog.provider("plan").unwrap();
        assert_eq!(provider.preset.as_deref(), Some("chatgpt"));
        assert!(!provider.models.is_empty() && provider.model_list.is_some());
        assert!(!provider.codex_identity);
    }
    let file =
        table("codex_identity = true\nmodels = [\"one\"]\nbase_url = \"http://127.0.0.1:1/x\"");
    let settings = Home::with_config(&file).load().unwrap();
    let provider = settings.catalog.provider("plan").unwrap();
    assert!(provider.codex_identity && provider.model_list.is_none());
    assert_eq!(provider.base_url, "http://127.0.0.1:1/x");
    // Named on the command line it needs no file.
    let line = Overrides {
        default_provider: Some("chatgpt".to_owned()),
        ..Overrides::default()
    };
    let settings = Home::new(&[]).load_with(&line).unwrap();
    assert!(settings.logins.contains_key("chatgpt"));
}

#[test]
fn values_of_the_wrong_type_are_not_repeated() {
    let provider = "[providers.a]\nkind = \"chat\"\nbase_url = \"https://a.example/v1\"\n";
    for line in [
        "key = { command = \"sk-secret\" }",
        "key = { command = \"a \\\", expected sk-secret\" }",
        "key = 1234567",
        "headers = \"sk-secret\"",
        "headers = { Authorization = 1234567 }",
        "proxy = 1234567",
        "models = \"sk-secret\"",
    ] {
        let said = Home::with_config(&format!("{provider}{line}\n"))
            .load()
            .unwrap_err();
        assert!(
            !said.contains("secret") && !said.contains("1234567"),
            "{said}"
        );
        assert!(
            said.contains("config.toml:4:") && said.contains("expected"),
            "{said}"
        );
    }
    let url = provider.replace("/v1", "/v1?api_key=sk-secret");
    let said = Home::with_config(&url).load().unwrap_err();
    assert!(!said.contains("secret"), "{said}");
}
