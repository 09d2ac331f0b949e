//! Whose key is in which place: settings files and providers do not take each other's keys.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;

use provider::Desk;

#[path = "support/provider.rs"]
mod provider;

/// The keys in the files of the usual folder.
fn keys(desk: &Desk) -> Vec<String> {
    let folder = desk.home.config().join("polywire/keys");
    let files = fs::read_dir(folder).unwrap();
    let mut keys: Vec<String> = files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn settings_files_in_one_folder_do_not_take_each_others_keys() {
    let desk = Desk::new();
    let folder = desk.home.config().join("polywire");
    let file = |name: &str| folder.join(name).display().to_string();
    let files = [file("one.toml"), file("two.toml"), file("config.toml")];
    for (number, file) in files.iter().enumerate() {
        let add = [
            "--config",
            file,
            "add",
            "z",
            "--preset",
            "zai",
            "--key-stdin",
        ];
        desk.piped(&add, &format!("sk-{number}")).await.done();
    }
    assert_eq!(keys(&desk), ["sk-0\n", "sk-1\n", "sk-2\n"]);
    // The usual file has the plain name, also when it is named.
    assert_eq!(fs::read_to_string(desk.key_file("z")).unwrap(), "sk-2\n");
    let written = fs::read_to_string(&files[0]).unwrap();
    assert!(written.contains("{ file = \"keys/z@one-"), "{written}");
    // Another key of the same settings takes the place of the first.
    let edit = ["--config", &files[0], "edit", "z", "--key-stdin"];
    desk.piped(&edit, "sk-3").await.done();
    assert_eq!(keys(&desk), ["sk-1\n", "sk-2\n", "sk-3\n"]);
    let remove = ["--config", &files[0], "remove", "z"];
    desk.run(&remove).await.done();
    assert_eq!(keys(&desk), ["sk-1\n", "sk-2\n"]);
    // A copy names the same place, and does not take it away.
    let copy = file("copy.toml");
    fs::copy(&files[1], &copy).unwrap();
    let removed = desk.run(&["--config", &copy, "remove", "z"]).await.done();
    assert!(
        removed
            .stderr
            .contains("stays, because other settings files may name it"),
        "{removed:?}"
    );
    assert_eq!(keys(&desk), ["sk-1\n", "sk-2\n"]);
}

#[tokio::test]
async fn keys_of_before_go_on_working() {
    let desk = Desk::new();
    let one = desk.home.work().join("one.toml").display().to_string();
    desk.home.write(
        "work/one.toml",
        "[providers.z]\npreset = \"zai\"\nkey = { file = \"keys/z\" }\n",
    );
    desk.home.write("work/keys/z", "sk-of-before\n");
    let listed = desk.run(&["--config", &one, "list"]).await.done();
    assert!(listed.stdout.contains("keys/z, present"), "{listed:?}");
    let edit = ["--config", &one, "edit", "z", "--key-stdin"];
    let edited = desk.piped(&edit, "sk-new").await.done();
    assert!(
        edited
            .stderr
            .contains("keys/z stays, because other settings files"),
        "{edited:?}"
    );
    let old = desk.home.work().join("keys/z");
    assert_eq!(fs::read_to_string(old).unwrap(), "sk-of-before\n");
}

#[tokio::test]
async fn a_key_that_the_settings_do_not_name_is_not_written_over() {
    let desk = Desk::new();
    desk.home.write("config/polywire/keys/zai", "sk-unknown\n");
    let added = desk
        .piped(&["add", "zai", "--key-stdin"], "sk-1")
        .await
        .done();
    assert!(added.stderr.contains("keys/zai holds a key"), "{added:?}");
    assert_eq!(keys(&desk), ["sk-1\n", "sk-unknown\n"]);
    assert!(desk.settings().contains("keys/zai@config-"));
}

#[tokio::test]
async fn providers_that_share_a_key_keep_it() {
    let desk = Desk::with(
        "[providers.zai]\npreset = \"zai\"\nkey = { file = \"keys/zai\" }\n\n[providers.zai-2]\npreset = \"zai\"\nkey = { file = \"../polywire/keys/zai\" }\n",
    );
    desk.home.write("config/polywire/keys/zai", "sk-both\n");
    desk.piped(&["edit", "zai", "--key-stdin"], "sk-1")
        .await
        .done();
    assert_eq!(keys(&desk), ["sk-1\n", "sk-both\n"]);
    desk.run(&["edit", "zai", "--set", "key={ file = \"keys/zai\" }"])
        .await
        .done();
    let removed = desk.run(&["remove", "zai"]).await.done();
    assert!(
        removed
            .stderr
            .contains("stays, because `providers.zai-2` names it"),
        "{removed:?}"
    );
    assert_eq!(keys(&desk), ["sk-both\n"]);
}

/// The settings are the same by whichever way they are found, and before they are there.
#[tokio::test]
async fn links_lead_to_the_same_key() {
    let desk = Desk::new();
    let (real, link) = (desk.home.work().join("real"), desk.home.work().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let by_link = link.join("one.toml").display().to_string();
    let by_name = real.join("one.toml").display().to_string();
    let add = [
        "--config",
        &by_link,
        "add",
        "z",
        "--preset",
        "zai",
        "--key-stdin",
    ];
    desk.piped(&add, "sk-1").await.done();
    let edit = ["--config", &by_name, "edit", "z", "--key-stdin"];
    desk.piped(&edit, "sk-2").await.done();
    assert_eq!(fs::read_dir(real.join("keys")).unwrap().count(), 1);
    desk.run(&["--config", &by_name, "remove", "z"])
        .await
        .done();
    assert_eq!(fs::read_dir(real.join("keys")).unwrap().count(), 0);
}
