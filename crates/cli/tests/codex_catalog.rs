//! The model catalog of Codex as a file.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/codex_edits.rs"]
mod codex_edits;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use codex_edits::{home, polywire, run};
use polywire_testkit::{CodexCli, Running, TempHome};
use serde_json::Value;

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
