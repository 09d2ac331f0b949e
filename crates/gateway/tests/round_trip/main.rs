//! Any conversation, put into the form of a provider and read back as if a client had sent it, is the same conversation; what is
//! missing is named by a loss.
//!
//! Every piece of a conversation has words of its own, so that it can be found again wherever it went. Pieces are looked for in
//! their order: a piece that has moved counts as missing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed, and its readers are people"
)]

mod conversations;
mod facts;
mod way;

use facts::{Fact, Media, Voice, facts, find, tools};
use polywire_conversation::{Loss, Request};
use proptest::prelude::*;
use way::{Way, ways};

/// Checks one conversation on one way.
fn check(request: &Request<'_>, way: &Way) -> Result<(), TestCaseError> {
    let Ok(rendered) = (way.render)(request) else {
        // A request that is refused says why.
        return Ok(());
    };
    let shown = String::from_utf8_lossy(&rendered.body).into_owned();
    let back = (way.parse)(&rendered.body);
    let back = back.map_err(|fault| {
        TestCaseError::fail(format!("{}: {:?} {fault}: {shown}", way.name, fault.param))
    })?;
    let found = facts(&back, Some(&rendered.ledger));
    let mut missing = Vec::new();
    let mut cursor = facts::Cursor::default();
    for fact in facts(request, None) {
        if !find(&fact, &found, &mut cursor) && !fact.is_explained(&rendered.losses) {
            missing.push(fact);
        }
    }
    let losses: Vec<String> = rendered.losses.iter().map(Loss::to_string).collect();
    prop_assert!(
        missing.is_empty(),
        "{}: {missing:#?}\nare missing in {shown}\nlosses: {losses:#?}\nfound: {found:#?}",
        way.name
    );
    let offered = tools(&back, Some(&rendered.ledger));
    for tool in tools(request, None) {
        let named = |loss: &Loss| loss.to_string().contains(&format!("`{}`", tool.name));
        prop_assert!(
            offered.contains(&tool) || rendered.losses.iter().any(named),
            "{}: {tool:?} is missing in {shown}\nlosses: {losses:#?}",
            way.name
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_goes_out_is_what_came_in(request in conversations::request()) {
        for way in ways() {
            check(&request, &way)?;
        }
    }
}

/// The property sees what is missing: a piece that nobody wrote is not found.
#[test]
fn what_is_missing_is_seen() {
    let request = Request {
        instructions: Some("T0z".into()),
        ..Request::default()
    };
    let found = facts(&request, None);
    let lost = Fact::Media(
        Voice::User,
        Media::Image,
        "https://a.example/T1z.png".to_owned(),
    );
    let mut cursor = facts::Cursor::default();
    assert!(find(&found[0], &found, &mut cursor));
    assert!(!find(&lost, &found, &mut cursor));
    assert!(!lost.is_explained(&[Loss::note("input: file", "left out")]));
    assert!(lost.is_explained(&[Loss::note("input: image", "left out")]));
}
