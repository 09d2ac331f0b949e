//! A lasting edit of Codex's configuration: that the real Codex works on it, and afterwards on its own again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "support/codex_edits.rs"]
mod codex_edits;

use std::fs;

use codex_edits::{HOMES, PROGRAM, polywire};
use polywire_testkit::{
    CodexCli, CodexRun, Gateway, House, ResponsesStream, Running, ScriptedUpstream, TempHome,
    Tokens, Tree, answer,
};

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
