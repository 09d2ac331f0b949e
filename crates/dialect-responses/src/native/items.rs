//! The items of an answer as they were done, for a last event that does not repeat them.

use serde_json::value::RawValue;

use super::splice::{self, Edit};

/// The items that are done, each with its place in the output.
#[derive(Debug, Default)]
pub(super) struct Items(Vec<(u64, String)>);

impl Items {
    /// An item is done. One without a place comes behind the others.
    pub(super) fn done(&mut self, place: Option<&RawValue>, item: &str) {
        let named = place.and_then(|raw| raw.get().parse().ok());
        let place = named.unwrap_or_else(|| self.0.last().map_or(0, |(last, _)| last + 1));
        let at = self.0.partition_point(|(before, _)| *before < place);
        match self.0.get_mut(at) {
            // Told twice: the last word counts.
            Some((same, known)) if *same == place => item.clone_into(known),
            Some(_) | None => self.0.insert(at, (place, item.to_owned())),
        }
    }

    /// The response with these items as its output; nothing when it has some, or when there are none.
    pub(super) fn fill(&self, response: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let members = splice::object(response)?;
        let mut output = members
            .pieces
            .iter()
            .filter(|member| member.key == "output");
        let lacks = output.all(|output| {
            let list = splice::array(output.value);
            output.value == "null" || list.is_some_and(|list| list.pieces.is_empty())
        });
        if !lacks {
            return None;
        }
        let items: Vec<&str> = self.0.iter().map(|(_, item)| item.as_str()).collect();
        let items = format!("[{}]", items.join(","));
        let more = (!members.has("output")).then(|| ("output", items.clone()));
        Some(members.rewrite(
            |_, member| match &*member.key {
                "output" => Edit::Replace(items.clone()),
                _ => Edit::Keep,
            },
            more.as_slice(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(done: &[(Option<&str>, &str)], response: &str, expected: Option<&str>) {
        let mut items = Items::default();
        for (place, item) in done {
            let place: Option<Box<RawValue>> =
                place.map(|place| RawValue::from_string(place.to_owned()).unwrap());
            items.done(place.as_deref(), item);
        }
        assert_eq!(items.fill(response).as_deref(), expected, "{response}");
    }

    #[test]
    fn an_empty_output_is_filled_in_the_order_of_places() {
        let done = [
            (Some("2"), "{\"c\":1}"),
            (Some("0"), "{\"a\":1}"),
            (Some("1"), "{\"x\":1}"),
            (Some("1"), "{\"b\":1}"),
            (None, "{\"d\":1}"),
        ];
        let whole = "[{\"a\":1},{\"b\":1},{\"c\":1},{\"d\":1}]";
        for (response, expected) in [
            (
                "{\"id\":1,\"output\":[ ]}",
                format!("{{\"id\":1,\"output\":{whole}}}"),
            ),
            (
                "{\"output\":null, \"id\":1}",
                format!("{{\"output\":{whole}, \"id\":1}}"),
            ),
            ("{\"id\":1}", format!("{{\"id\":1,\"output\":{whole}}}")),
        ] {
            check(&done, response, Some(&expected));
        }
        check(&done, "{\"output\":[{}]}", None);
        check(&done, "[]", None);
        check(&[], "{\"output\":[]}", None);
    }
}
