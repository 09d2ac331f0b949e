//! A thread that moves from provider to provider and home again. Each of them is a strict judge, as the real ones are: whatever it
//! does not know is answered with 400.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod moving;
mod support;

use moving::client::Thread;
use moving::{Places, State, World};
use polywire_gateway::ClientDialect;
use support::clients::DIALECTS;

/// Home, abroad three times, and home again.
const JOURNEY: [&str; 5] = ["anthropic", "deepseek", "custom", "openai", "anthropic"];

/// The same, begun abroad.
const ABROAD: [&str; 5] = ["deepseek", "anthropic", "openai", "custom", "anthropic"];

/// From another home, whose state is of another kind.
const ENCRYPTED: [&str; 5] = ["openai", "deepseek", "anthropic", "custom", "openai"];

/// Every way in which a client may go on a journey.
fn journeys() -> impl Iterator<Item = (&'static [&'static str], Thread)> {
    [&JOURNEY, &ABROAD, &ENCRYPTED]
        .into_iter()
        .flat_map(|journey| {
            DIALECTS.into_iter().flat_map(move |dialect| {
                [true, false].map(|stream| (journey.as_slice(), Thread::new(dialect, stream)))
            })
        })
}

/// Every provider finishes its turn, calls and all, before the thread moves.
#[tokio::test]
async fn threads_move_between_turns() {
    for (journey, mut thread) in journeys() {
        let places = Places::new(journey);
        for place in journey {
            thread.user("What now?");
            let calls = thread.ask(&places, place, true).await;
            assert_eq!(calls, 2, "{place}");
            thread.ask(&places, place, false).await;
        }
        check(&places.world(), journey[4]);
    }
}

/// Every provider gets the results of the calls that another has made.
#[tokio::test]
async fn threads_move_within_turns() {
    for (journey, mut thread) in journeys() {
        let places = Places::new(journey);
        thread.user("What now?");
        for place in journey {
            let calls = thread.ask(&places, place, true).await;
            assert_eq!(calls, 2, "{place}");
        }
        thread.ask(&places, journey[4], false).await;
        check(&places.world(), journey[4]);
    }
}

/// What clients hold can be damaged on the way, or come from another gateway, or from none.
#[tokio::test]
async fn foreign_and_broken_state_reaches_nobody() {
    const BLOB: &str = "gAAAAABnowhere";
    let tampering: [fn(&str) -> String; 4] = [
        |sealed| sealed[..sealed.len() - 1].to_owned(),
        |sealed| sealed.replacen("pw1.", "pw1.e", 1),
        |sealed| sealed.replacen("pw1.", "pw9.", 1),
        |_| BLOB.to_owned(),
    ];
    for home in ["anthropic", "openai"] {
        for dialect in DIALECTS {
            for tamper in tampering {
                let places = Places::new(&JOURNEY);
                let mut thread = Thread::new(dialect, true);
                thread.user("What now?");
                thread.ask(&places, home, true).await;
                places.world().mint_elsewhere(BLOB);
                let tampered = thread.tamper(tamper);
                assert!(tampered > 0, "{dialect:?} holds nothing of {home}");
                // What led to a call is remembered for clients of the other dialects, so it may come home all the same.
                if matches!(dialect, ClientDialect::Responses) {
                    let minted = places.world().minted.remove(home).unwrap();
                    for state in minted {
                        places.world().mint_elsewhere(&state.secret);
                    }
                }
                for place in ["anthropic", "deepseek", "custom", "openai"] {
                    thread.ask(&places, place, true).await;
                }
                assert_eq!(places.world().complaints, Vec::<String>::new());
            }
        }
    }
}

/// Everybody was content, and home got everything back that it had minted.
fn check(world: &World, home: &str) {
    assert_eq!(world.complaints, Vec::<String>::new());
    let last = world.last_body(home);
    let states = world.minted[home].iter();
    // What the last answer minted came back with nobody yet.
    let states: Vec<&State> = states
        .filter(|state| state.turn + 1 < world.turns)
        .collect();
    assert!(states.len() >= 2, "{states:?}");
    let mut places = states.iter().map(|state| last.find(&state.secret));
    let first = places.next().flatten();
    let in_order = places.try_fold(first, |before, at| (at > before).then_some(at));
    assert!(
        first.is_some() && in_order.is_some(),
        "{states:?} did not come home in this order: {last}"
    );
}
