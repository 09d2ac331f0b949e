//! Whether others of this machine can read what is secret.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use polywire_credentials::is_private;
use polywire_processes::own_user;
use polywire_settings::KeySource;

use super::check::Subject;
use super::codex_config::profiles;
use super::codex_secrets::holds_secrets;
use super::finding::Finding;

/// A file or folder, and why others must not read it.
struct Secret {
    path: PathBuf,
    why: &'static str,
}

pub(crate) fn check(subject: &Subject) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut looked = 0;
    for secret in secrets(subject) {
        let path = &secret.path;
        found.extend(foreign_owner(path));
        match is_private(path) {
            Ok(true) => looked += 1,
            Ok(false) => found.push(open(&secret)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => found.push(
                Finding::warning("mode_unknown", format!("its mode cannot be read: {error}"))
                    .at(path.display())
                    .hint("look at the modes and owners of the folders that lead to it"),
            ),
        }
    }
    if found.is_empty() {
        let what = format!("nobody else can read what is secret ({looked} files and folders)");
        found.push(Finding::ok("modes", what));
    }
    found
}

/// A file of this user's that is another's, as programs make that are run with `sudo`.
fn foreign_owner(path: &Path) -> Option<Finding> {
    let owner = path.metadata().ok()?.uid();
    let own = own_user();
    (owner != own).then(|| {
        let path = path.display();
        Finding::warning(
            "foreign_owner",
            format!("it belongs to user {owner}, and you are user {own}"),
        )
        .at(&path)
        .hint(format!("sudo chown {own} '{path}'"))
    })
}

fn open(secret: &Secret) -> Finding {
    let path = secret.path.display();
    let mode = if secret.path.is_dir() { "700" } else { "600" };
    Finding::problem(
        "open_mode",
        format!(
            "other users of this machine can read it, and it holds {}",
            secret.why
        ),
    )
    .at(&path)
    .hint(format!("chmod {mode} '{path}'"))
}

fn secrets(subject: &Subject) -> Vec<Secret> {
    let secret = |path: PathBuf, why| Secret { path, why };
    let home = &subject.codex_places.home;
    let mut all = vec![secret(home.join("auth.json"), "the login of Codex")];
    for file in std::iter::once(home.join("config.toml")).chain(profiles(home)) {
        if std::fs::read_to_string(&file).is_ok_and(|text| holds_secrets(&text)) {
            all.push(secret(file, "keys or tokens of Codex's providers or tools"));
        }
    }
    let Ok(settings) = &subject.settings else {
        return all;
    };
    let paths = &settings.paths;
    all.extend([
        secret(paths.env_file.clone(), "keys of providers"),
        secret(paths.token_file.clone(), "the token of the gateway"),
        secret(settings.store.path.clone(), "stored responses and receipts"),
    ]);
    let literal = settings
        .keys
        .values()
        .any(|key| matches!(key, KeySource::Literal(_)));
    let proxied = settings
        .proxies
        .values()
        .any(polywire_settings::Proxy::has_password);
    if literal || proxied {
        all.push(secret(paths.config_file.clone(), "keys or passwords"));
    }
    for key in settings.keys.values() {
        if let KeySource::File(path) = key {
            all.push(secret(path.clone(), "the key of a provider"));
        }
    }
    all
}
