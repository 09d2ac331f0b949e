//! Whatever is put and deleted, by two handles in turn: the store says the same as a map in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::path::Path;

use polywire_store::{ChainError, Limits, Store, StoredResponse};
use proptest::prelude::*;
use support::response;

mod support;

/// Ids are few, so that they meet.
const IDS: u8 = 6;

/// More than there are ids: a chain that is longer goes round.
const LENGTH_MAX: usize = IDS as usize;

#[derive(Clone, Debug)]
enum Step {
    Put { id: u8, parent: Option<u8> },
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = (0..IDS, prop::option::of(0..IDS)).prop_map(|(id, parent)| Step::Put { id, parent });
    let step = prop_oneof![3 => put, 1 => (0..IDS).prop_map(Step::Delete)];
    prop::collection::vec(step, 1..25)
}

type Model = BTreeMap<String, StoredResponse>;

/// A chain as ids, or what is wrong with it.
fn expected(model: &Model, id: &str) -> String {
    let mut chain: Vec<&str> = Vec::new();
    let mut next = Some(id);
    while let Some(wanted) = next {
        let Some(found) = model.get(wanted) else {
            return match chain.last() {
                None => format!("unknown {wanted}"),
                Some(child) => format!("{child} broken by {wanted}"),
            };
        };
        if chain.len() == LENGTH_MAX {
            return "too long".to_owned();
        }
        chain.push(&found.id);
        next = found.parent.as_deref();
    }
    chain.reverse();
    chain.join(" ")
}

fn told(chain: Result<Vec<StoredResponse>, ChainError>) -> String {
    match chain {
        Ok(chain) => {
            let ids: Vec<String> = chain.into_iter().map(|response| response.id).collect();
            ids.join(" ")
        }
        Err(ChainError::Unknown { id }) => format!("unknown {id}"),
        Err(ChainError::Broken { id, missing }) => format!("{id} broken by {missing}"),
        Err(ChainError::TooLong { .. }) => "too long".to_owned(),
        Err(error @ (ChainError::TooLarge { .. } | ChainError::Store(_))) => panic!("{error}"),
    }
}

async fn apply(store: &Store, model: &mut Model, step: Step) {
    let name = |id: u8| format!("resp_{id}");
    match step {
        Step::Put { id, parent } => {
            let put = response(&name(id), parent.map(name).as_deref());
            model.insert(put.id.clone(), put.clone());
            store.put(put).await.unwrap();
        }
        Step::Delete(id) => {
            let there = model.remove(&name(id)).is_some();
            assert_eq!(store.delete(&name(id)).await.unwrap(), there);
        }
    }
}

async fn check(path: &Path, steps: Vec<Step>) {
    let limits = Limits {
        chain_length_max: LENGTH_MAX,
        ..Limits::default()
    };
    let stores = [
        Store::open(path, limits).unwrap(),
        Store::open(path, limits).unwrap(),
    ];
    let mut model = Model::new();
    for (number, step) in steps.into_iter().enumerate() {
        apply(&stores[number % 2], &mut model, step).await;
    }
    for store in &stores {
        for id in (0..IDS).map(|id| format!("resp_{id}")) {
            assert_eq!(store.get(&id).await.unwrap().as_ref(), model.get(&id));
            assert_eq!(told(store.chain(&id).await), expected(&model, &id), "{id}");
        }
        let totals = store.totals().await.unwrap();
        let bytes: u64 = model.values().map(StoredResponse::bytes).sum();
        let count = model.len() as u64;
        assert_eq!((totals.responses, totals.responses_bytes), (count, bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(&folder.path().join("store"), steps));
    }
}
