//! Where in a text everything stands: headers, keys, values.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the parser's kinds of events each place wants two or three; what is not TOML was refused before"
)]

use std::ops::Range;

use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Source, Span};

/// A document by its headers, in the order of the text. The first block has no header: it is what stands before all of them.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) blocks: Vec<Block>,
}

/// A header and the entries below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) header: Option<Header>,
    pub(super) entries: Vec<Entry>,
}

/// `[a.b]` or `[[a.b]]`.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) path: Vec<String>,
    /// From the first bracket to the last.
    pub(super) span: Range<usize>,
    /// It is an element of an array of tables, or a table inside of one: no path of keys leads here.
    pub(super) in_array: bool,
}

/// A key with its value, in a block or in an inline table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The whole path, from the root of the document.
    pub(super) path: Vec<String>,
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    /// The entries of a value that is an inline table.
    pub(super) inline: Option<Vec<Entry>>,
    /// In an inline table, where the comma behind the value stands.
    pub(super) comma: Option<usize>,
}

impl Block {
    pub(super) fn path(&self) -> &[String] {
        self.header.as_ref().map_or(&[], |header| &header.path)
    }

    /// Whether a path of keys leads to what is in this block.
    pub(super) fn is_reachable(&self) -> bool {
        self.header.as_ref().is_none_or(|header| !header.in_array)
    }
}

impl Layout {
    /// Reads the layout of a text that is known to be TOML.
    pub(super) fn of(text: &str) -> Self {
        let source = Source::new(text);
        let tokens = source.lex().into_vec();
        let mut events: Vec<Event> = Vec::new();
        parse_document(&tokens, &mut events, &mut ());
        let mut scan = Scan {
            source,
            events: events.into_iter(),
        };
        scan.layout()
    }

    /// Whether a header of exactly this path is there.
    pub(super) fn has_header(&self, path: &[&str]) -> bool {
        let mut headers = self.blocks.iter().filter(|block| block.header.is_some());
        headers.any(|block| block.is_reachable() && block.path() == path)
    }

    /// The entry at exactly this path.
    pub(super) fn entry(&self, path: &[&str]) -> Option<&Entry> {
        let reachable = self.blocks.iter().filter(|block| block.is_reachable());
        reachable
            .flat_map(|block| &block.entries)
            .find_map(|entry| entry.find(path))
    }
}

impl Entry {
    fn find(&self, path: &[&str]) -> Option<&Self> {
        if self.path == path {
            return Some(self);
        }
        if !begins_with(path, &self.path) {
            return None;
        }
        let inner = self.inline.as_ref()?;
        inner.iter().find_map(|entry| entry.find(path))
    }
}

/// Whether `path` is `beginning` or goes on from it.
pub(super) fn begins_with<A: AsRef<str>, B: AsRef<str>>(path: &[A], beginning: &[B]) -> bool {
    path.len() >= beginning.len()
        && beginning
            .iter()
            .zip(path)
            .all(|(one, other)| one.as_ref() == other.as_ref())
}

/// Reads the events of the parser.
struct Scan<'t> {
    source: Source<'t>,
    events: std::vec::IntoIter<Event>,
}

impl Scan<'_> {
    fn layout(&mut self) -> Layout {
        let mut blocks = vec![Block::default()];
        let mut arrays: Vec<Vec<String>> = Vec::new();
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                    let header = self.header(&event, &mut arrays);
                    blocks.push(Block {
                        header: Some(header),
                        entries: Vec::new(),
                    });
                }
                EventKind::SimpleKey => {
                    if let Some(block) = blocks.last_mut() {
                        let entry = self.entry(&event, block.path().to_vec());
                        block.entries.push(entry);
                    }
                }
                _ => {}
            }
        }
        Layout { blocks }
    }

    fn header(&mut self, open: &Event, arrays: &mut Vec<Vec<String>>) -> Header {
        let is_array = open.kind() == EventKind::ArrayTableOpen;
        let mut path = Vec::new();
        let mut end = open.span().end();
        for event in self.events.by_ref() {
            end = event.span().end();
            match event.kind() {
                EventKind::SimpleKey => path.push(key(self.source, &event)),
                EventKind::StdTableClose | EventKind::ArrayTableClose => break,
                _ => {}
            }
        }
        if is_array && !arrays.contains(&path) {
            arrays.push(path.clone());
        }
        Header {
            in_array: arrays.iter().any(|array| begins_with(&path, array)),
            span: open.span().start()..end,
            path,
        }
    }

    fn entry(&mut self, first: &Event, mut path: Vec<String>) -> Entry {
        path.push(key(self.source, first));
        let mut end = first.span().end();
        for event in self.events.by_ref() {
            match event.kind() {
                EventKind::SimpleKey => {
                    end = event.span().end();
                    path.push(key(self.source, &event));
                }
                EventKind::KeyValSep => break,
                _ => {}
            }
        }
        let (value, inline) = self.value(&path);
        Entry {
            path,
            key: first.span().start()..end,
            value,
            inline,
            comma: None,
        }
    }

    fn value(&mut self, path: &[String]) -> (Range<usize>, Option<Vec<Entry>>) {
        while let Some(event) = self.events.next() {
            let span = event.span();
            match event.kind() {
                EventKind::Scalar => return (range(span), None),
                EventKind::ArrayOpen => return (span.start()..self.array_end(span), None),
                EventKind::InlineTableOpen => {
                    let (end, entries) = self.inline_table(path, span);
                    return (span.start()..end, Some(entries));
                }
                _ => {}
            }
        }
        (0..0, None)
    }

    /// Where an array ends. What is inside has no path.
    fn array_end(&mut self, open: Span) -> usize {
        let mut depth = 1usize;
        for event in self.events.by_ref() {
            match event.kind() {
                EventKind::ArrayOpen => depth += 1,
                EventKind::ArrayClose => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return event.span().end();
            }
        }
        open.end()
    }

    fn inline_table(&mut self, path: &[String], open: Span) -> (usize, Vec<Entry>) {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::SimpleKey => {
                    let entry = self.entry(&event, path.to_vec());
                    entries.push(entry);
                }
                EventKind::ValueSep => {
                    if let Some(entry) = entries.last_mut() {
                        entry.comma = Some(event.span().start());
                    }
                }
                EventKind::InlineTableClose => return (event.span().end(), entries),
                _ => {}
            }
        }
        (open.end(), entries)
    }
}

fn range(span: Span) -> Range<usize> {
    span.start()..span.end()
}

/// A key as it is meant, without quotes and escapes.
fn key(source: Source<'_>, event: &Event) -> String {
    let mut decoded = std::borrow::Cow::Borrowed("");
    if let Some(raw) = source.get(event) {
        raw.decode_key(&mut decoded, &mut ());
    }
    decoded.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place() {
        let text = "a.b = {c = [1, {d = 2}], \"e f\".g = 3}\n[h.\"i\"] # x\nj = '''\n[no]\n'''\n[[k]]\n[k.l]\nm = 1\n";
        let layout = Layout::of(text);
        let found = |path: &[&str]| &text[layout.entry(path).unwrap().value.clone()];
        assert_eq!(found(&["a", "b", "c"]), "[1, {d = 2}]");
        assert_eq!(found(&["a", "b", "e f", "g"]), "3");
        assert_eq!(found(&["h", "i", "j"]), "'''\n[no]\n'''");
        // What is in an array has no path.
        assert!(layout.entry(&["a", "b", "c", "d"]).is_none());
        assert!(layout.entry(&["k", "l", "m"]).is_none());
        let headers: Vec<&str> = layout
            .blocks
            .iter()
            .filter_map(|block| Some(&text[block.header.as_ref()?.span.clone()]))
            .collect();
        assert_eq!(headers, ["[h.\"i\"]", "[[k]]", "[k.l]"]);
    }
}
