//! Stored responses: a request that goes on from an earlier response becomes one with the whole conversation in it, and an answer
//! that is to be stored is kept.
//!
//! Providers are asked without state of theirs: whatever the upstream, the history is ours. Items keep their bytes on the way in
//! and out, because providers' prompt caches depend on them.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use polywire_conversation::{Fault, FaultClass, Origin, Retry, Text};
use polywire_store::{ChainError, Responses, StoredResponse, history};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::CONNECTION_MEMORY_BYTES_MAX;
use crate::references::{Sources, resolve};

/// Where responses are kept.
pub type ResponseStore = Arc<dyn Responses>;

/// A Responses request as far as storing is concerned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thread {
    /// The response that it goes on from.
    pub(crate) parent: Option<String>,
    /// Whether the client wants the answer stored.
    pub(crate) store: bool,
    /// The input items of this request alone, as a JSON array.
    own_items: String,
    model: String,
}

/// A request body with the conversation before it put in.
pub(crate) struct Expanded {
    pub(crate) body: Bytes,
    pub(crate) thread: Thread,
}

/// The top level of a body: its members as they are written, in order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(polywire_wire::Key(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

impl<'a> Members<'a> {
    fn get(&self, key: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(name, _)| name == key)?;
        (found.1.get() != "null").then_some(found.1)
    }
}

/// A response in a chain of them.
pub(crate) type Link = Arc<StoredResponse>;

/// What a connection that carries several turns remembers of them, so that one can go on from another without the store.
#[derive(Clone, Default)]
pub struct ConnectionMemory(Arc<Mutex<Vec<Link>>>);

impl ConnectionMemory {
    fn known(&self) -> Vec<Link> {
        self.lock().clone()
    }

    /// Remembers a response, and forgets the oldest when there are too many or they are too large.
    pub(crate) fn remember(&self, response: StoredResponse) {
        let mut known = self.lock();
        known.push(Arc::new(response));
        let mut bytes: u64 = known.iter().map(|known| known.bytes()).sum();
        while bytes > CONNECTION_MEMORY_BYTES_MAX && known.len() > 1 {
            bytes -= known.remove(0).bytes();
        }
    }

    /// Forgets a response, because going on from it has failed.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().retain(|known| known.id != id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the conversation before a request into it. `memory` is that of the connection that it came on, if it carries several; the
/// body is then a `response.create` message.
///
/// A body that cannot be read is left as it is: whoever parses it next says what is wrong with it.
///
/// # Errors
/// A fault with code `previous_response_not_found` when the earlier response is not known, one with `item_not_found` when an item is
/// referred to that is not, and others when they cannot be read. The
/// conversation is never begun from nothing in silence.
pub(crate) async fn expand(
    body: Bytes,
    memory: Option<&ConnectionMemory>,
    store: Option<&ResponseStore>,
) -> Result<Expanded, Fault> {
    let Some((mut thread, rest)) = read(&body, memory.is_some()) else {
        return Ok(Expanded {
            body,
            thread: Thread::default(),
        });
    };
    let remembered = memory.map(ConnectionMemory::known).unwrap_or_default();
    let before = match &thread.parent {
        Some(parent) => chain(parent, &remembered, store).await?,
        None => Vec::new(),
    };
    let sources = Sources {
        before: &before,
        remembered: &remembered,
        store,
    };
    match resolve(&thread.own_items, &sources).await? {
        Some(resolved) => thread.own_items = resolved,
        None if thread.parent.is_none() && memory.is_none() => {
            return Ok(Expanded { body, thread });
        }
        None => {}
    }
    let before = history(&since_summary(before));
    let body = with_history(&rest, &before, &thread.own_items);
    Ok(Expanded {
        body: body.into(),
        thread,
    })
}

/// What a body says about its thread, and its members but for those that are about it.
fn read(body: &[u8], is_message: bool) -> Option<(Thread, String)> {
    let Ok(members) = serde_json::from_slice::<Members<'_>>(body) else {
        return None;
    };
    let word = |key: &str| -> Option<String> { serde_json::from_str(members.get(key)?.get()).ok() };
    let parent = match members.get("previous_response_id") {
        Some(raw) => Some(serde_json::from_str(raw.get()).ok()?),
        None => None,
    };
    let own_items = match members.get("input") {
        Some(raw) if raw.get().starts_with('[') => raw.get().to_owned(),
        Some(raw) if raw.get().starts_with('"') => format!(
            r#"[{{"type":"message","role":"user","content":{}}}]"#,
            raw.get()
        ),
        Some(_) => return None,
        None => "[]".to_owned(),
    };
    let thread = Thread {
        parent,
        // The protocol stores unless told otherwise.
        store: members.get("store").is_none_or(|raw| raw.get() == "true"),
        own_items,
        model: word("model").unwrap_or_default(),
    };
    let mut rest = String::new();
    for (key, value) in &members.0 {
        let of_message = is_message && matches!(&**key, "type" | "generate" | "stream");
        if of_message || matches!(&**key, "previous_response_id" | "input") {
            continue;
        }
        let mut name = Vec::new();
        Text::plain(&**key).write_string(&mut name);
        rest.push(',');
        rest.push_str(&String::from_utf8_lossy(&name));
        rest.push(':');
        rest.push_str(value.get());
    }
    if is_message {
        rest.push_str(",\"stream\":true");
    }
    Some((thread, rest))
}

fn with_history(rest: &str, before: &str, own: &str) -> String {
    let before = before.strip_suffix(']').unwrap_or(before);
    let own = own.trim_start();
    let own = own.strip_prefix('[').unwrap_or(own).trim_start();
    let comma = if before.ends_with('[') || own.starts_with(']') {
        ""
    } else {
        ","
    };
    format!("{{\"input\":{before}{comma}{own}{rest}}}")
}

/// The response of this id and all that it goes on from, the root first. What the connection remembers goes on from what it
/// remembered before, and in the end from what is stored.
async fn chain(
    parent: &str,
    remembered: &[Link],
    store: Option<&ResponseStore>,
) -> Result<Vec<Link>, Fault> {
    let mut newest_first: Vec<Link> = Vec::new();
    let mut wanted = parent;
    let mut earlier = remembered;
    while let Some(at) = earlier.iter().rposition(|known| known.id == wanted) {
        let known = &earlier[at];
        newest_first.push(Arc::clone(known));
        let Some(before) = &known.parent else {
            newest_first.reverse();
            return Ok(newest_first);
        };
        wanted = before;
        // A parent is older than its child, so this comes to an end whatever the ids are.
        earlier = &earlier[..at];
    }
    let Some(store) = store else {
        return Err(not_found(
            wanted,
            "responses are not stored here. hint: set `responses = true` under [store], or send the whole conversation",
        ));
    };
    let stored = store.chain(wanted).await.map_err(|error| match error {
        ChainError::Unknown { .. } => not_found(wanted, "no response of this id is stored"),
        other => not_found(wanted, &other.to_string()),
    })?;
    let mut chain: Vec<Link> = stored.into_iter().map(Arc::new).collect();
    chain.extend(newest_first.into_iter().rev());
    Ok(chain)
}

/// The chain from its last summary on: a response that was asked for one stands in the place of all before it.
fn since_summary(mut chain: Vec<Link>) -> Vec<Link> {
    let is_summary = |link: &Link| {
        memchr::memmem::find(link.input_items.as_bytes(), b"\"compaction_trigger\"").is_some()
            && link.output_items.contains("\"compaction\"")
    };
    if let Some(at) = chain.iter().rposition(is_summary) {
        chain.drain(..at);
        let mut summary = StoredResponse::clone(&chain[0]);
        "[]".clone_into(&mut summary.input_items);
        chain[0] = Arc::new(summary);
    }
    chain
}

/// A response that is not there.
pub(crate) fn not_found(id: &str, why: &str) -> Fault {
    Fault {
        origin: Origin::Client,
        retry: Retry::Never,
        param: Some("previous_response_id".to_owned()),
        ..Fault::new(
            FaultClass::NotFound,
            format!("previous response `{id}` cannot be used: {why}"),
        )
        .with_code("previous_response_not_found")
    }
}

/// The members of a response object that a record is made of.
#[derive(Deserialize)]
struct ResponseObject<'a> {
    id: String,
    #[serde(default)]
    created_at: Option<f64>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

impl Thread {
    /// After a turn that failed: its connection remembers no longer what it went on from, so that a client that repeats it sends the
    /// conversation again.
    pub(crate) fn forget_parent(&self, memory: Option<&ConnectionMemory>) {
        if let (Some(memory), Some(parent)) = (memory, &self.parent) {
            memory.forget(parent);
        }
    }

    /// The record of an answer to this request. `None` when the object cannot be read.
    pub(crate) fn record(&self, response: &[u8]) -> Option<StoredResponse> {
        let object: ResponseObject<'_> = serde_json::from_slice(response).ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time stamp; some providers write it with a fraction"
        )]
        let created_unix_s = object.created_at.unwrap_or_default() as u64;
        Some(StoredResponse {
            id: object.id,
            parent: self.parent.clone(),
            created_unix_s,
            input_items: self.own_items.clone(),
            output_items: object.output.map_or("[]", RawValue::get).to_owned(),
            response: String::from_utf8_lossy(response).into_owned(),
            model: self.model.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id: &str, parent: Option<&str>, input: &str, output: &str) -> StoredResponse {
        StoredResponse {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            created_unix_s: 0,
            input_items: input.to_owned(),
            output_items: output.to_owned(),
            response: "{}".to_owned(),
            model: "m".to_owned(),
        }
    }

    async fn expanded(body: &str, earlier: &[StoredResponse]) -> Result<(String, Thread), Fault> {
        let memory = (!earlier.is_empty()).then(ConnectionMemory::default);
        for known in earlier {
            memory
                .iter()
                .for_each(|memory| memory.remember(known.clone()));
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        let expanded = expand(body, memory.as_ref(), None).await?;
        Ok((
            String::from_utf8(expanded.body.to_vec()).unwrap(),
            expanded.thread,
        ))
    }

    #[tokio::test]
    async fn a_thread_is_put_before_its_continuation() {
        let earlier = [
            kept("a", None, r#"[{"n": 1.0}]"#, "[2]"),
            kept("b", Some("a"), "[]", "[3]"),
        ];
        let (body, thread) = expanded(
            r#"{"model":"m","previous_response_id":"b","input":"hi \u00e9","x":[1 ,2]}"#,
            &earlier,
        )
        .await
        .unwrap();
        assert_eq!(
            body,
            r#"{"input":[{"n": 1.0},2,3,{"type":"message","role":"user","content":"hi \u00e9"}],"model":"m","x":[1 ,2],"stream":true}"#
        );
        assert_eq!(thread.parent.as_deref(), Some("b"));
        assert!(thread.store);
        let (body, _) = expanded(r#"{"previous_response_id":"a","input":[]}"#, &earlier)
            .await
            .unwrap();
        assert_eq!(body, r#"{"input":[{"n": 1.0},2],"stream":true}"#);
    }

    #[tokio::test]
    async fn bodies_without_a_thread_pass_as_they_are() {
        for body in [
            r#"{"model":"m","input":"hi","store":false}"#,
            r#"{"previous_response_id":null}"#,
            r#"{"previous_response_id":7,"input":[]}"#,
            "not json",
            "[]",
        ] {
            let (same, _) = expanded(body, &[]).await.unwrap();
            assert_eq!(same, body);
        }
    }

    #[tokio::test]
    async fn a_summary_stands_in_the_place_of_what_was_before_it() {
        let earlier = [
            kept("a", None, "[1]", "[2]"),
            kept(
                "b",
                Some("a"),
                r#"[{"type":"compaction_trigger"}]"#,
                r#"[{"type":"compaction"}]"#,
            ),
            kept("c", Some("b"), "[3]", "[4]"),
        ];
        let (body, _) = expanded(r#"{"previous_response_id":"c","input":[5]}"#, &earlier)
            .await
            .unwrap();
        assert_eq!(
            body,
            r#"{"input":[{"type":"compaction"},3,4,5],"stream":true}"#
        );
    }

    #[tokio::test]
    async fn an_unknown_response_is_named() {
        let fault = expanded(r#"{"previous_response_id":"gone","input":[]}"#, &[])
            .await
            .unwrap_err();
        assert_eq!(fault.code.as_deref(), Some("previous_response_not_found"));
        assert!(fault.message.contains("`gone`"), "{fault}");
    }

    #[test]
    fn answers_are_recorded() {
        let thread = Thread {
            parent: Some("a".to_owned()),
            own_items: "[1]".to_owned(),
            ..Thread::default()
        };
        let record = thread
            .record(br#"{"id":"resp_1","created_at":5,"output":[{"x": 1.50}]}"#)
            .unwrap();
        assert_eq!(record.output_items, r#"[{"x": 1.50}]"#);
        assert_eq!((record.id.as_str(), record.created_unix_s), ("resp_1", 5));
        assert!(thread.record(b"{}").is_none());
    }
}
