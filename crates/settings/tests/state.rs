//! What is kept, how strict turns are, and who searches the web: what comes out, or what people are told.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use polywire_settings::{KeySource, Overrides, Settings, load};
use tempfile::TempDir;

/// A home folder with a settings file, and variables.
struct Home {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Home {
    fn new(config: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut variables: BTreeMap<String, String> = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let home = folder.path().to_str().unwrap().to_owned();
        variables.insert("HOME".to_owned(), home);
        let config_dir = folder.path().join(".config/polywire");
        fs::create_dir_all(&config_dir).unwrap();
        fs::write(config_dir.join("config.toml"), config).unwrap();
        set_mode(&config_dir.join("config.toml"), 0o600);
        Self { folder, variables }
    }

    fn load(&self) -> Result<Settings, String> {
        load(&Overrides::default(), &self.variables).map_err(|error| error.to_string())
    }

    fn outcome(&self) -> String {
        let outcome = match self.load() {
            Ok(settings) => shown(&settings),
            Err(error) => format!("error: {error}\n"),
        };
        outcome.replace(self.folder.path().to_str().unwrap(), "~")
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
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let origin = &settings.origins[key];
        writeln!(text, "{key} {value} ({origin})").unwrap();
    };
    line("log_format", settings.log_format.name().to_owned());
    line("strict", settings.strict.to_string());
    let store = &settings.store;
    line("store.path", store.path.display().to_string());
    line("store.responses", store.responses.to_string());
    line("store.max_age_days", store.max_age_days.to_string());
    line("store.max_mb", store.max_mb.to_string());
    let receipts = &settings.receipts;
    line("receipts.enabled", receipts.enabled.to_string());
    line("receipts.max_age_days", receipts.max_age_days.to_string());
    line("receipts.max_count", receipts.max_count.to_string());
    let Some(search) = &settings.search else {
        return text;
    };
    line("search.provider", search.provider.name().to_owned());
    line("search.url", search.url.clone().unwrap_or_default());
    line("search.max_results", search.max_results.to_string());
    let key = match &search.key {
        KeySource::Literal(_) => "literal".to_owned(),
        KeySource::Env(name) => format!("${name}"),
        KeySource::File(path) => path.display().to_string(),
        KeySource::Command(command) => command.join(" "),
        KeySource::Keyring(entry) => format!("keyring {entry}"),
        KeySource::None => "-".to_owned(),
    };
    let present = settings.search_key_is_present();
    line("search.key", format!("{key} present {present}"));
    text
}

/// The settings file and the variables.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn table(cases: &[Case<'_>]) -> String {
    let mut text = String::new();
    for (config, variables) in cases {
        let outcome = Home::new(config, variables).outcome();
        writeln!(text, "{config}\n{variables:?}\n---\n{outcome}==========").unwrap();
    }
    text
}

#[test]
fn what_works() {
    let text = table(&[
        ("", &[]),
        ("strict = true", &[]),
        ("strict = true", &[("POLYWIRE_STRICT", "false")]),
        ("log_format = \"json\"", &[]),
        ("log_format = \"json\"", &[("POLYWIRE_LOG_FORMAT", "text")]),
        ("", &[("POLYWIRE_STRICT", "1")]),
        ("", &[("POLYWIRE_STRICT", "")]),
        ("", &[("XDG_STATE_HOME", "/y"), ("XDG_CONFIG_HOME", "/x")]),
        (
            "[store]\npath = \"~/turns.sqlite3\"\nresponses = false\nmax_age_days = 7\nmax_mb = 20",
            &[],
        ),
        ("[store]\npath = \"beside.sqlite3\"", &[]),
        ("[store]\npath = \"/a/b\"", &[("POLYWIRE_STORE", "c/d")]),
        (
            "[receipts]\nenabled = false\nmax_age_days = 1\nmax_count = 10",
            &[],
        ),
        ("[search]\nprovider = \"brave\"", &[]),
        (
            "[search]\nprovider = \"tavily\"\nmax_results = 20",
            &[("TAVILY_API_KEY", "k")],
        ),
        (
            "[search]\nprovider = \"brave\"\nkey = \"literal\"\nurl = \"https://search.example/v1/\"",
            &[],
        ),
        (
            "[search]\nprovider = \"brave\"\nkey = { file = \"brave.key\" }",
            &[],
        ),
        (
            "[search]\nprovider = \"searxng\"\nurl = \"http://127.0.0.1:8888\"",
            &[],
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn what_does_not_work() {
    let text = table(&[
        ("strict = \"yes\"", &[]),
        ("", &[("POLYWIRE_STRICT", "perhaps")]),
        ("log_format = \"xml\"", &[]),
        ("", &[("POLYWIRE_LOG_FORMAT", "yaml")]),
        ("[store]\nmax_days = 3", &[]),
        ("[store]\nmax_age_days = 0", &[]),
        ("[store]\nmax_age_days = -1", &[]),
        ("[store]\nmax_mb = 0", &[]),
        ("[store]\nresponses = 1", &[]),
        ("[receipts]\nmax_age_days = 0", &[]),
        ("[receipts]\nmax_count = 0", &[]),
        ("[search]", &[]),
        ("[search]\nprovider = \"tavilly\"", &[]),
        ("[search]\nprovider = \"acme\"", &[]),
        ("[search]\nprovider = \"searxng\"", &[]),
        (
            "[search]\nprovider = \"searxng\"\nurl = \"localhost:8888\"",
            &[],
        ),
        (
            "[search]\nprovider = \"searxng\"\nurl = \"https:///search\"",
            &[],
        ),
        ("[search]\nprovider = \"brave\"\nmax_results = 0", &[]),
        ("[search]\nprovider = \"brave\"\nmax_results = 21", &[]),
        (
            "[search]\nprovider = \"brave\"\nkey = { keyring = false }",
            &[],
        ),
    ]);
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_key_of_the_search_service() {
    let brave = "[search]\nprovider = \"brave\"";
    let home = Home::new(brave, &[("BRAVE_API_KEY", "search-key")]);
    let settings = home.load().unwrap();
    let key = settings.search_key().await.unwrap().unwrap();
    assert_eq!(key.reveal(), "search-key");
    assert!(!format!("{settings:?}").contains("search-key"));
    let missing = Home::new(brave, &[]).load().unwrap();
    let error = missing.search_key().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment variable `BRAVE_API_KEY` is not set"
    );
    let none = Home::new("", &[("BRAVE_API_KEY", "search-key")]);
    assert_eq!(none.load().unwrap().search_key().await.unwrap(), None);
}

#[cfg(unix)]
#[test]
fn a_search_key_in_a_file_that_others_can_read_is_refused() {
    let home = Home::new("[search]\nprovider = \"brave\"\nkey = \"k\"", &[]);
    home.load().unwrap();
    set_mode(
        &home.folder.path().join(".config/polywire/config.toml"),
        0o644,
    );
    let error = home.load().unwrap_err();
    assert!(error.contains("holds the key of `search`"), "{error}");
}
