//! TOML files of all kinds, made by chance.

use proptest::prelude::*;
use toml::Table;

/// A piece of a generated file.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Blank,
    Comment(String),
    Header(Vec<&'static str>),
    Array(&'static str),
    Value(Vec<&'static str>, String),
}

const KEYS: &[&str] = &[
    "model",
    "a",
    "b",
    "tui",
    "model_providers",
    "polywire",
    "x y",
    "é",
];

pub(crate) fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(KEYS)
}

fn raw_value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "true",
        "\"s # no\"",
        "'l'",
        "nan",
        "1979-05-27",
        "\"\"\"\n[x]\n\"\"\"",
        "{}",
        "{ }",
        "[]",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|items| format!("[{}\n]", items.join(", # c\n"))),
                prop::collection::btree_map(key(), inner, 0..3).prop_map(|entries| {
                    let entries: Vec<String> = entries
                        .iter()
                        .map(|(key, value)| format!("\"{key}\"={value}"))
                        .collect();
                    format!("{{ {} }}", entries.join(" , "))
                }),
            ]
        })
}

pub(crate) fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        1 => Just(Piece::Blank),
        1 => "[ -~]{0,12}".prop_map(Piece::Comment),
        2 => prop::collection::vec(key(), 1..4).prop_map(Piece::Header),
        1 => key().prop_map(Piece::Array),
        5 => (prop::collection::vec(key(), 1..3), raw_value())
            .prop_map(|(path, raw)| Piece::Value(path, raw)),
    ]
}

fn quoted(path: &[&str]) -> String {
    let keys: Vec<String> = path.iter().map(|key| format!("\"{key}\"")).collect();
    keys.join(" . ")
}

/// A file of these pieces, without those that would make it no TOML any more.
pub(crate) fn file(pieces: &[(Piece, bool, bool)], has_mark: bool, is_finished: bool) -> Vec<u8> {
    let mut text = String::new();
    for (piece, is_crlf, is_noted) in pieces {
        let line = match piece {
            Piece::Blank => String::new(),
            Piece::Comment(comment) => format!("# {comment}"),
            Piece::Header(path) => format!("[{}]", quoted(path)),
            Piece::Array(key) => format!("[[ \"{key}\" ]]"),
            Piece::Value(path, raw) => format!("  {} = {raw}", quoted(path)),
        };
        let note = if *is_noted { " # note" } else { "" };
        let ending = if *is_crlf { "\r\n" } else { "\n" };
        let longer = format!("{text}{line}{note}{ending}");
        if longer.parse::<Table>().is_ok() {
            text = longer;
        }
    }
    if !is_finished {
        text.truncate(text.trim_end().len());
    }
    let mark = if has_mark { "\u{feff}" } else { "" };
    [mark, &text].concat().into_bytes()
}
