//! Lists, item by item: what is noted between the items stays.

use std::ops::Range;

use toml::Value;
use toml::de::DeValue;

use super::{Edit, EditError, parse_value};

/// How many items a new list may have on one line.
const LINE_ITEMS_MAX: usize = 4;

impl Edit<'_> {
    /// The items of a list as they are written; none when there is no list.
    ///
    /// # Errors
    /// They are written as tables below headers of their own.
    pub fn items(&self, path: &[&str]) -> Result<Vec<Value>, EditError> {
        match (self.text.raw(path), self.text.get(path)) {
            (None, Some(_)) => Err(EditError::ListOfTables {
                path: self.paths.config_file.clone(),
                key: path.join("."),
            }),
            (_, Some(Value::Array(items))) => Ok(items.clone()),
            (_, _) => Ok(Vec::new()),
        }
    }

    /// Adds items, as they are to be written, at the end of a list, which is made where there is none.
    ///
    /// # Errors
    /// As [`items`](Self::items), and as [`set`](Self::set).
    pub fn add_items(&mut self, path: &[&str], raw_items: &[String]) -> Result<(), EditError> {
        let mut expected = self.items(path)?;
        let mut list = self.text.raw(path).unwrap_or("[]").to_owned();
        if list == "[]" && raw_items.len() > LINE_ITEMS_MAX {
            list = format!("[\n    {},\n]", raw_items.join(",\n    "));
        } else {
            for item in raw_items {
                list = with_item(&list, item);
            }
        }
        expected.extend(raw_items.iter().filter_map(|item| parse_value(item)));
        self.set_list(path, &list, expected)
    }

    /// Takes the items out of a list that `goes` names.
    ///
    /// # Errors
    /// As [`items`](Self::items).
    pub fn remove_items(
        &mut self,
        path: &[&str],
        goes: impl Fn(&Value) -> bool,
    ) -> Result<(), EditError> {
        let mut items = self.items(path)?;
        let Some(raw) = self.text.raw(path) else {
            return Ok(());
        };
        let mut list = raw.to_owned();
        // From the end, so that the numbers of those before stay.
        for (at, _) in items
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, item)| goes(item))
        {
            list = without_item(&list, at);
        }
        items.retain(|item| !goes(item));
        self.set_list(path, &list, items)
    }

    fn set_list(
        &mut self,
        path: &[&str],
        list: &str,
        expected: Vec<Value>,
    ) -> Result<(), EditError> {
        if parse_value(list) != Some(Value::Array(expected)) {
            return Err(
                self.refused(polywire_client_files::EditError::WouldChangeMore {
                    path: path.join("."),
                }),
            );
        }
        self.set_raw(path, list)
    }
}

/// Where the items of a list stand in its text, with their commas.
struct Item {
    value: Range<usize>,
    comma: Option<usize>,
}

fn items_of(list: &str) -> Vec<Item> {
    let Ok(value) = DeValue::parse(list) else {
        return Vec::new();
    };
    let items = value.get_ref().as_array();
    items
        .into_iter()
        .flat_map(|items| items.iter())
        .map(|item| Item {
            comma: comma_after(list, item.span().end),
            value: item.span(),
        })
        .collect()
}

/// The comma behind an item: past blanks, line ends and comments.
fn comma_after(list: &str, end: usize) -> Option<usize> {
    let mut in_comment = false;
    for (at, letter) in list[end..].char_indices() {
        match letter {
            '\n' => in_comment = false,
            '#' => in_comment = true,
            ',' if !in_comment => return Some(end + at),
            ']' if !in_comment => return None,
            _ => {}
        }
    }
    None
}

/// The list with one more item at its end: on a line of its own where the last one has one.
fn with_item(list: &str, item: &str) -> String {
    let items = items_of(list);
    let Some(last) = items.last() else {
        return with_first(list, item);
    };
    let line_start = list[..last.value.start].rfind('\n').map_or(0, |at| at + 1);
    let indent = &list[line_start..last.value.start];
    let end = last.comma.map_or(last.value.end, |comma| comma + 1);
    // A comma at the end stays the custom of the list.
    let comma = if last.comma.is_some() { "," } else { "" };
    let has_own_line = line_start > 0 && indent.trim().is_empty();
    let mut longer = list.to_owned();
    if has_own_line {
        let line_end = list[end..].find('\n').map_or(end, |at| end + at);
        let line_end = line_end - usize::from(list[..line_end].ends_with('\r'));
        let newline = if list.contains("\r\n") { "\r\n" } else { "\n" };
        // What is noted behind the last item stays there.
        let at_end = if list[end..line_end].contains(']') {
            end
        } else {
            line_end
        };
        longer.insert_str(at_end, &format!("{newline}{indent}{item}{comma}"));
    } else {
        longer.insert_str(end, &format!(" {item}{comma}"));
    }
    if last.comma.is_none() {
        longer.insert(last.value.end, ',');
    }
    longer
}

fn with_first(list: &str, item: &str) -> String {
    // Behind everything that is noted inside, on a line of its own where something is.
    let close = list.rfind(']').unwrap_or(list.len());
    let inside = &list[list.len().min(1)..close];
    let space = if inside.contains('#') && !inside.ends_with('\n') {
        "\n"
    } else {
        ""
    };
    format!("{}{space}{item}{}", &list[..close], &list[close..])
}

fn without_item(list: &str, at: usize) -> String {
    let items = items_of(list);
    let Some(item) = items.get(at) else {
        return list.to_owned();
    };
    let before = at.checked_sub(1).and_then(|at| items.get(at));
    let own_end = item.comma.map_or(item.value.end, |comma| comma + 1);
    let line_start = list[..item.value.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = list[own_end..].find('\n').map(|at| own_end + at + 1);
    let is_alone = line_start > 0 && list[line_start..item.value.start].trim().is_empty();
    let mut ranges = Vec::new();
    match line_end.filter(|end| is_alone && list[own_end..*end].trim().is_empty()) {
        // With its whole line.
        Some(end) => ranges.push(line_start..end),
        None if is_alone => ranges.push(item.value.start..own_end),
        None if item.comma.is_some() && before.is_none() => {
            let next = items.get(at + 1);
            ranges.push(item.value.start..next.map_or(own_end, |next| next.value.start));
        }
        None => {
            let start = before
                .and_then(|before| before.comma)
                .filter(|_| item.comma.is_none())
                .unwrap_or_else(|| list[..item.value.start].trim_end_matches([' ', '\t']).len());
            ranges.push(start..own_end);
        }
    }
    // The last item has no comma of its own; then the one before it needs none either.
    if item.comma.is_none()
        && let Some(comma) = before.and_then(|before| before.comma)
        && ranges.iter().all(|range| !range.contains(&comma))
    {
        ranges.push(comma..comma + 1);
    }
    ranges.sort_by_key(|range| std::cmp::Reverse(range.start));
    let mut shorter = list.to_owned();
    for range in ranges {
        shorter.replace_range(range, "");
    }
    shorter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_added_in_the_layout_of_the_list() {
        for (list, expected) in [
            ("[]", "[\"x\"]"),
            ("[\"a\"]", "[\"a\", \"x\"]"),
            ("[ \"a\" ]", "[ \"a\", \"x\" ]"),
            ("[\"a\", 'b',]", "[\"a\", 'b', \"x\",]"),
            ("[\n  \"a\", # one\n]", "[\n  \"a\", # one\n  \"x\",\n]"),
            (
                "[\n  \"a\" # one, or two\n]",
                "[\n  \"a\", # one, or two\n  \"x\"\n]",
            ),
            ("[\r\n\t'a',\r\n]", "[\r\n\t'a',\r\n\t\"x\",\r\n]"),
            ("[\n  \"a\"]", "[\n  \"a\",\n  \"x\"]"),
            ("[\n  # none yet\n]", "[\n  # none yet\n\"x\"]"),
            ("[{ id = \"a, b\" }]", "[{ id = \"a, b\" }, \"x\"]"),
        ] {
            assert_eq!(with_item(list, "\"x\""), expected, "{list}");
        }
    }

    #[test]
    fn items_are_taken_out_with_what_is_theirs() {
        for (list, at, expected) in [
            ("[\"a\"]", 0, "[]"),
            ("[\"a\", \"b\", \"c\"]", 0, "[\"b\", \"c\"]"),
            ("[\"a\", \"b\", \"c\"]", 1, "[\"a\", \"c\"]"),
            ("[\"a\", \"b\", \"c\"]", 2, "[\"a\", \"b\"]"),
            ("[\"a\", \"b\",]", 1, "[\"a\",]"),
            ("[\n  \"a\",\n  \"b\",\n]", 0, "[\n  \"b\",\n]"),
            ("[\n  \"a\",\n  \"b\"\n]", 1, "[\n  \"a\"\n]"),
            (
                "[\n  \"a\", # one\n  \"b\",\n]",
                0,
                "[\n   # one\n  \"b\",\n]",
            ),
        ] {
            assert_eq!(without_item(list, at), expected, "{list} {at}");
        }
    }
}
