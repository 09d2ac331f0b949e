//! From a chain to the conversation so far.

use std::borrow::Borrow;

use crate::StoredResponse;

/// All items of a chain, input and output in the order of the turns, as the text of one JSON array.
///
/// The items keep their bytes: key order and digits matter to the caches of providers.
///
/// ```
/// # use polywire_store::{StoredResponse, history};
/// let turn = |input: &str, output: &str| StoredResponse {
///     id: String::new(),
///     parent: None,
///     created_unix_s: 0,
///     input_items: input.to_owned(),
///     output_items: output.to_owned(),
///     response: String::new(),
///     model: String::new(),
/// };
/// let chain = [turn("[1, 2]", "[]"), turn(" [ ]", "[{\"b\": 1.0}]")];
/// assert_eq!(history(&chain), "[1, 2,{\"b\": 1.0}]");
/// ```
pub fn history(chain: &[impl Borrow<StoredResponse>]) -> String {
    let turns = || chain.iter().map(Borrow::borrow);
    let bytes: usize = turns()
        .map(|turn| turn.input_items.len() + turn.output_items.len())
        .sum();
    let mut history = String::with_capacity(bytes + 2);
    history.push('[');
    for items in turns()
        .flat_map(|turn| [&turn.input_items, &turn.output_items])
        .map(|array| inside(array))
        .filter(|items| !items.is_empty())
    {
        if history.len() > 1 {
            history.push(',');
        }
        history.push_str(items);
    }
    history.push(']');
    history
}

/// What stands between the brackets. That they are there was checked when the response was stored.
fn inside(array: &str) -> &str {
    let array = array.trim();
    let items = array.strip_prefix('[').unwrap_or(array);
    items.strip_suffix(']').unwrap_or(items).trim()
}
