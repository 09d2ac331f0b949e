//! The Codex home of an engine: the login of the user, the settings of ours, nothing else.

use std::io;
use std::path::{Path, PathBuf};

use polywire_conversation::Fault;
use toml::{Table, Value};

use crate::fault::unusable;
use crate::settings::EngineSettings;

/// What is taken from the user's home: the login and the two files by which Codex guards it. Whoever refreshes the login must
/// hold the same locks, whichever home they work in.
const LINKED: [&str; 3] = ["auth.json", "auth.lock", "auth.json.lock"];

/// A number that no count of tokens reaches.
const UNLIMITED: i64 = 1_000_000_000_000;

/// The parts of Codex that put tools or texts of their own into a turn, or look into the user's folders. A turn of a client that
/// speaks to a model must hold what the client said, and nothing else. And what suits a person at a terminal only.
const FEATURES_OFF: [&str; 18] = [
    "apps",
    "browser_use",
    "computer_use",
    "goals",
    "hooks",
    "image_generation",
    "in_app_browser",
    "memories",
    "plugins",
    "remote_plugin",
    // Runs the user's shell, with his start-up files, for every thread, in a process group of its own that outlives a killed Codex.
    "shell_snapshot",
    "shell_tool",
    "skill_mcp_dependency_install",
    "skill_search",
    "sleep_tool",
    "tool_suggest",
    // Waits for a network that is down without an end, while the client hears nothing.
    "unbounded_connection_retries",
    "view_image",
];

/// Makes the home ready: folders, links to the login, the settings file.
///
/// # Errors
/// A [`Fault`] that names the file that could not be made.
pub(crate) fn prepare(settings: &EngineSettings) -> Result<(), Fault> {
    let home = &settings.engine_home;
    if same_place(home, &settings.login_home) {
        return Err(unusable(format!(
            "the engine's home `{}` is the Codex home of the user; it must be another folder. hint: leave `engine_home` out",
            home.display()
        )));
    }
    let failed = |path: &Path, error: &io::Error| {
        unusable(format!(
            "`{}` could not be made ready: {error}",
            path.display()
        ))
    };
    for folder in [
        home.clone(),
        home.join("home"),
        scratch(settings),
        settings.default_cwd.clone(),
    ] {
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    }
    make_private(home).map_err(|error| failed(home, &error))?;
    for name in LINKED {
        let link = home.join(name);
        link_to(&settings.login_home.join(name), &link).map_err(|error| failed(&link, &error))?;
    }
    let path = home.join("config.toml");
    let text = config(settings)
        .map_err(|error| unusable(format!("`codex_config` cannot be written: {error}")))?;
    write_if_changed(&path, text.as_bytes()).map_err(|error| failed(&path, &error))
}

/// Where files lie that live as long as a turn.
pub(crate) fn scratch(settings: &EngineSettings) -> PathBuf {
    settings.engine_home.join("scratch")
}

/// Where the engine's list of models lies.
pub(crate) fn catalog_path(settings: &EngineSettings) -> PathBuf {
    settings.engine_home.join("models.json")
}

/// Codex's settings for the engine: ours, and above them what the user has chosen.
fn config(settings: &EngineSettings) -> Result<String, toml::ser::Error> {
    let mut config = Table::new();
    let mut set = |path: &[&str], value: Value| insert(&mut config, path, value);
    for key in [
        "check_for_update_on_startup",
        "include_apps_instructions",
        "include_collaboration_mode_instructions",
        "include_environment_context",
        "include_permissions_instructions",
    ] {
        set(&[key], Value::Boolean(false));
    }
    set(&["skills", "include_instructions"], Value::Boolean(false));
    set(&["agents", "enabled"], Value::Boolean(false));
    set(&["analytics", "enabled"], Value::Boolean(false));
    set(
        &["tools", "experimental_request_user_input", "enabled"],
        Value::Boolean(false),
    );
    set(&["web_search"], Value::String("disabled".to_owned()));
    set(
        &["cli_auth_credentials_store"],
        Value::String("file".to_owned()),
    );
    // AGENTS.md and its like: a turn of a client is told what the client tells it.
    set(&["project_doc_max_bytes"], Value::Integer(0));
    // Codex would shorten results of tools, and replace the history by a summary, without telling anybody.
    set(&["tool_output_token_limit"], Value::Integer(1_000_000_000));
    set(&["model_context_window"], Value::Integer(UNLIMITED));
    set(
        &["model_auto_compact_token_limit"],
        Value::Integer(UNLIMITED),
    );
    // A thread is let go when nobody will come back to it; Codex would keep it in memory for half an hour.
    set(&["thread_unload_delay_secs"], Value::Integer(0));
    for feature in FEATURES_OFF {
        set(&["features", feature], Value::Boolean(false));
    }
    merge(&mut config, settings.codex_config.clone());
    toml::to_string(&config)
}

/// The limits in tokens that a model of the engine's own list has.
pub(crate) const fn unlimited() -> i64 {
    UNLIMITED
}

fn insert(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let inner = table
                .entry(*key)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Puts `above` over `table`, table by table.
fn merge(table: &mut Table, above: Table) {
    for (key, value) in above {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

fn same_place(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Makes a symbolic link that points to `target`. One that points elsewhere is replaced; a file in its place is an error, because
/// somebody has put it there.
fn link_to(target: &Path, link: &Path) -> io::Result<()> {
    match std::fs::read_link(link) {
        Ok(current) if current == target => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let message =
                "there is a file of its own where the link to the login belongs; move it away";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Err(error) => return Err(error),
    }
    // Made aside and renamed: other processes may do the same at this moment, and a Codex at work must always find a link.
    let aside = tempfile::tempdir_in(link.parent().unwrap_or(Path::new(".")))?;
    let fresh = aside.path().join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, &fresh)?;
    #[cfg(windows)]
    std::os::windows::fs::symlink_file(target, &fresh)?;
    std::fs::rename(&fresh, link)
}

/// Replaces a file's content in one step; only its owner may read it, because settings may hold keys.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    if std::fs::read(path).is_ok_and(|current| current == content) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Closes a folder to everybody else.
fn make_private(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    {
        std::fs::metadata(folder).map(drop)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn many_make_the_same_links_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("auth.json");
        for round in 0..50 {
            let target = folder.path().join(format!("login-{round}"));
            std::thread::scope(|scope| {
                let makers: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| link_to(&target, &link)))
                    .collect();
                for maker in makers {
                    maker.join().unwrap().unwrap();
                }
            });
            assert_eq!(std::fs::read_link(&link).unwrap(), target);
        }
        std::fs::remove_file(&link).unwrap();
        std::fs::write(&link, "somebody's").unwrap();
        let refused = link_to(folder.path(), &link).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }
}
