//! A text for the eyes of others.

use std::ops::Range;

use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Source, Span};

use super::layout::Layout;
use super::lines::Splice;

/// What stands in place of what is hidden.
const HIDDEN: &str = "***";

/// The text with every string hidden, in every line that it takes, but those in the values at these paths; and of remarks what stands behind a `=`,
/// because they may be settings that are out of use. Keys, numbers and lines stay.
pub(super) fn masked(text: &str, layout: &Layout, shown: &[&[String]]) -> String {
    let shown: Vec<Range<usize>> = shown
        .iter()
        .filter_map(|path| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            Some(layout.entry(&path)?.value.clone())
        })
        .collect();
    let is_shown = |span: Span| {
        shown
            .iter()
            .any(|range| range.start <= span.start() && span.end() <= range.end)
    };
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut events: Vec<Event> = Vec::new();
    parse_document(&tokens, &mut events, &mut ());
    let mut masked = text.to_owned();
    // The last first, so that the places of the others stay.
    for event in events.iter().rev().filter(|event| !is_shown(event.span())) {
        let range = event.span().start()..event.span().end();
        if let Some(instead) = instead(event, &text[range.clone()]) {
            let splice = Splice {
                range,
                text: instead,
            };
            masked = splice.apply(&masked);
        }
    }
    masked
}

/// What is written in place of a string or a remark.
fn instead(event: &Event, written: &str) -> Option<String> {
    if event.kind() == EventKind::Comment {
        let (before, _) = written.split_once('=')?;
        return Some(format!("{before}= {HIDDEN}"));
    }
    let is_string = event.kind() == EventKind::Scalar && event.encoding().is_some();
    is_string.then(|| {
        let more = format!("\n{HIDDEN}").repeat(written.matches('\n').count());
        format!("\"{HIDDEN}\"{more}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_hidden_and_lines_stay() {
        let text = "a = 'x' # b = c\n\"k y\" = {z = \"x\", n = 1}\n[[t]]\na = '''\nx\nx''' # no\nl = [\"x\", true]\n";
        let expected = "a = 'x' # b = ***\n\"k y\" = {z = \"***\", n = 1}\n[[t]]\na = \"***\"\n***\n*** # no\nl = [\"***\", true]\n";
        let layout = Layout::of(text);
        assert_eq!(masked(text, &layout, &[&["a".to_owned()]]), expected);
    }
}
