//! Codex with its screen, on a Chat Completions provider.

use polywire_testkit::{CodexCli, House, Received, ScriptedUpstream, Tree, answer};

/// The request by which Codex asks for a title, beside the first turn: a strict schema with the one property `title`
/// (observed with 0.169).
fn is_title_request(request: &Received) -> bool {
    let schema = &request.json()["response_format"]["json_schema"]["schema"];
    schema["properties"]["title"].is_object()
}

#[tokio::test]
async fn the_screen_gets_its_title_and_goes_on() {
    let Some(codex) = CodexCli::find() else {
        return;
    };
    let upstream = ScriptedUpstream::start(|_, request| {
        if is_title_request(request) {
            answer(r#"{"title":"A talk about tests"}"#)
        } else if request.text().contains("second prompt") {
            answer("Second answer.")
        } else {
            answer("First answer.")
        }
    });
    let house = House::new(
        env!("CARGO_BIN_EXE_polywire"),
        env!("CARGO_TARGET_TMPDIR"),
        upstream,
    );
    // Codex notes by itself what it has asked the user or found out about the terminal; here it has done so before. Its own
    // statistics would keep it from ending where there is no network.
    let config = format!(
        "check_for_update_on_startup = false\n\n[analytics]\nenabled = false\n\n\
         [tui]\nscreen_reader_detection_done = true\n\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n",
        house.home.work().display()
    );
    house.home.write("codex/config.toml", config);
    let before = Tree::codex_configuration(&house.home.codex_home());
    let mut screen = house.screen(&codex, &["first prompt"]);
    let title = house
        .upstream
        .requests_where(1, is_title_request)
        .await
        .remove(0);
    assert_eq!(title.json()["model"], "test-model");
    screen.shows("First answer.").await;
    screen.shows("A talk about tests").await;
    screen.submit("second prompt");
    screen.shows("Second answer.").await;
    // Written below each finished turn.
    screen.shows_times("Worked for", 2).await;
    assert_eq!(house.upstream.received().len(), 3);
    // Ctrl-C on an empty line ends it, once no turn is at work.
    screen.type_keys("\x03");
    assert_eq!(screen.ended().await, Some(0));
    before.assert_same(&Tree::codex_configuration(&house.home.codex_home()));
}
