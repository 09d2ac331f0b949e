//! Engines as people configure them.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use polywire_settings::{EngineSettings, Overrides, Settings, load};
use tempfile::TempDir;

/// Loads a settings file of this mode in a home of its own, with these variables.
fn load_in(
    text: &str,
    mode: u32,
    variables: &[(&str, &str)],
    provider: Option<&str>,
) -> (TempDir, Result<Settings, String>) {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/polywire");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let mut environment: BTreeMap<String, String> = variables
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    environment.insert("HOME".to_owned(), home.path().display().to_string());
    let overrides = Overrides {
        default_provider: provider.map(str::to_owned),
        ..Overrides::default()
    };
    let loaded = load(&overrides, &environment).map_err(|error| error.to_string());
    (home, loaded)
}

fn engine(loaded: Result<Settings, String>) -> EngineSettings {
    let mut settings = loaded.unwrap();
    let (_, engine) = settings.engines.pop_first().unwrap();
    engine
}

fn variable<'e>(engine: &'e EngineSettings, name: &str) -> Option<&'e str> {
    let (_, value) = engine.environment.iter().find(|(known, _)| known == name)?;
    value.to_str()
}

#[test]
fn an_engine_needs_nothing_but_its_kind() {
    let check = |(home, loaded): (TempDir, Result<Settings, String>), id: &str| {
        let own = home.path().join(".local/state/polywire/engines").join(id);
        let engine = engine(loaded);
        assert_eq!(engine.codex, PathBuf::from("codex"));
        assert_eq!(engine.login_home, home.path().join(".codex"));
        assert_eq!(engine.engine_home, own.join("codex-home"));
        assert_eq!(engine.default_cwd, own.join("workspace"));
        assert_eq!(engine.allowed_roots, [own.join("workspace")]);
        assert_eq!(
            (engine.workers, engine.max_queue, engine.max_waiting),
            (4, 64, 64)
        );
        assert_eq!(engine.queue_timeout, Duration::from_secs(30));
        assert_eq!(engine.timeout, Duration::from_mins(30));
        assert_eq!(engine.waiting_timeout, Duration::from_mins(10));
        assert_eq!(
            (engine.ephemeral, engine.agent, engine.fast),
            (true, false, false)
        );
    };
    for kind in ["codex-exec", "codex-app-server"] {
        let text = format!("[providers.mine]\nkind = \"{kind}\"");
        check(load_in(&text, 0o644, &[], None), "mine");
        check(load_in("", 0o644, &[], Some(kind)), kind);
    }
}

#[test]
fn everything_about_an_engine_can_be_said() {
    let text = r#"
        [providers.mine]
        preset = "codex-app-server"
        codex = "~/bin/codex"
        codex_home = "~/other"
        engine_home = "/engine"
        codex_config.model_provider = "x"
        codex_config.model_providers.x = { name = "X", base_url = "http://127.0.0.1:1/v1" }
        ephemeral = false
        workers = 2
        max_queue = 0
        queue_timeout = 1
        timeout = 2
        max_waiting = 0
        waiting_timeout = 3
        default_cwd = "~/work"
        allowed_roots = ["~/work", "/srv"]
        agent = true
        fast = true
        environment = ["MINE"]
        default_model = "gpt-5.5"
    "#;
    let variables = [
        ("MINE", "1"),
        ("ZAI_API_KEY", "secret"),
        ("PATH", "/bin"),
        ("HTTPS_PROXY", "http://p:1"),
    ];
    let (home, loaded) = load_in(text, 0o600, &variables, None);
    let engine = engine(loaded);
    assert_eq!(engine.codex, home.path().join("bin/codex"));
    assert_eq!(engine.login_home, home.path().join("other"));
    assert_eq!(engine.engine_home, PathBuf::from("/engine"));
    assert_eq!(engine.codex_config["model_provider"].as_str(), Some("x"));
    assert_eq!(
        (engine.workers, engine.max_queue, engine.max_waiting),
        (2, 0, 0)
    );
    assert_eq!(
        [engine.queue_timeout, engine.timeout, engine.waiting_timeout],
        [1, 2, 3].map(Duration::from_secs)
    );
    assert_eq!(engine.default_cwd, home.path().join("work"));
    assert_eq!(
        engine.allowed_roots,
        [home.path().join("work"), PathBuf::from("/srv")]
    );
    assert_eq!(
        (engine.ephemeral, engine.agent, engine.fast),
        (false, true, true)
    );
    assert_eq!(variable(&engine, "MINE"), Some("1"));
    assert_eq!(variable(&engine, "PATH"), Some("/bin"));
    assert_eq!(variable(&engine, "HTTPS_PROXY"), Some("http://p:1"));
    // Keys of providers are nobody's business there, and nothing of the environment shows.
    assert_eq!(variable(&engine, "ZAI_API_KEY"), None);
    assert!(!format!("{engine:?}").contains("http://p:1"));
}

#[test]
fn the_login_is_where_codex_looks_for_it() {
    let text = "[providers.mine]\nkind = \"codex-exec\"";
    let (_, loaded) = load_in(text, 0o600, &[("CODEX_HOME", "/elsewhere")], None);
    assert_eq!(engine(loaded).login_home, PathBuf::from("/elsewhere"));
}

#[test]
fn a_proxy_of_the_provider_stands_above_the_environment() {
    let text =
        |proxy: &str| format!("[providers.mine]\nkind = \"codex-exec\"\nproxy = \"{proxy}\"");
    let variables = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")];
    let (_, loaded) = load_in(&text("http://u:s@q:2"), 0o600, &variables, None);
    let through = engine(loaded);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        assert_eq!(variable(&through, name), Some("http://u:s@q:2"), "{name}");
    }
    assert_eq!(variable(&through, "NO_PROXY"), None);
    assert!(!format!("{through:?}").contains("u:s"));
    let (_, loaded) = load_in(&text("none"), 0o600, &variables, None);
    assert_eq!(variable(&engine(loaded), "HTTPS_PROXY"), None);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let check = |text: &str, mode: u32, expected: &str| {
        let (_, loaded) = load_in(text, mode, &[], None);
        let error = loaded.unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    let mine = |line: &str| format!("[providers.mine]\nkind = \"codex-app-server\"\n{line}");
    check(
        &mine("workers = 0"),
        0o600,
        "providers.mine.workers`: is 0, and must be from 1 to 64",
    );
    check(
        &mine("timeout = 0"),
        0o600,
        "providers.mine.timeout`: is 0 seconds",
    );
    check(
        &mine("base_url = \"http://x\""),
        0o600,
        "means nothing to a program on this machine",
    );
    check(&mine("worker = 1"), 0o600, "did you mean `workers`?");
    let token = mine("codex_config.model_providers.x.experimental_bearer_token = \"t\"");
    check(&token, 0o644, "mine");
    let (_, loaded) = load_in(&token, 0o600, &[], None);
    assert_eq!(engine(loaded).provider, "mine");
    let elsewhere = "[providers.mine]\npreset = \"zai\"\nagent = true";
    check(
        elsewhere,
        0o600,
        "it belongs to the kinds `codex-exec` and `codex-app-server`",
    );
}
