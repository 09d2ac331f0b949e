//! What the tests of the store share.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::time::{SystemTime, UNIX_EPOCH};

use polywire_store::{Limits, Outcome, Receipt, Store, StoredResponse};

pub(crate) const DAY_S: u64 = 24 * 60 * 60;

pub(crate) fn now_unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

pub(crate) fn store() -> Store {
    Store::in_memory(Limits::default()).unwrap()
}

/// A response that tells by its texts which one it is.
pub(crate) fn response(id: &str, parent: Option<&str>) -> StoredResponse {
    StoredResponse {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        created_unix_s: now_unix_s(),
        input_items: format!("[\"{id} in\"]"),
        output_items: format!("[\"{id} out\"]"),
        response: format!("{{\"id\":\"{id}\"}}"),
        model: "test-model".to_owned(),
    }
}

pub(crate) fn receipt(id: &str) -> Receipt {
    Receipt {
        id: id.to_owned(),
        began_unix_ms: now_unix_s() * 1000,
        dialect: "responses".to_owned(),
        model_asked: "fast".to_owned(),
        target: "house/small/one".to_owned(),
        outcome: Outcome::Finished,
        ..Receipt::default()
    }
}
