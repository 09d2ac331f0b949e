//! Edits of TOML files: each changes what it says and nothing else, and is taken back to the byte.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod generated;

use std::fs;
use std::path::Path;

use generated::{file, key, piece};
use polywire_client_files::{EditError, TomlText};
use proptest::prelude::*;
use toml::{Table, Value};

/// The files that were made to be difficult, with their names.
fn nasty_files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|kind| kind == "toml"));
    let read = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    let files: Vec<_> = read.collect();
    assert!(files.len() >= 20);
    files
}

/// What a lasting edit for a coding client sets, and more.
const PATHS: &[&[&str]] = &[
    &["model"],
    &["model_provider"],
    &["model_providers", "polywire", "name"],
    &["model_providers", "polywire", "auth", "command"],
    &["model_providers", "house", "http_headers", "x"],
    &["tui", "theme"],
    &["tools", "web search"],
    &["a", "b", "new"],
    &["empty", "k"],
    &["spaced", "k"],
    &["x", "c"],
    &["y", "d", "e"],
    &["shell", "env policy", "set", "B", "d"],
    &["x y", "z.w", "模型"],
];

fn values() -> Vec<Value> {
    vec![
        Value::from("zai/glm \"5\"\nand 'more'"),
        Value::from(true),
        Value::from(-1),
        Value::from(vec!["one", "two"]),
        Value::Table([("a b".to_owned(), Value::from(1))].into_iter().collect()),
    ]
}

fn flat(table: &Table, prefix: &[String], out: &mut Vec<(Vec<String>, String)>) {
    for (key, value) in table {
        let path: Vec<String> = prefix.iter().chain([key]).cloned().collect();
        match value.as_table() {
            Some(inner) => flat(inner, &path, out),
            None => out.push((path, value.to_string())),
        }
    }
}

fn all(text: &TomlText) -> Vec<(Vec<String>, String)> {
    let mut all = Vec::new();
    flat(text.root(), &[], &mut all);
    all
}

/// All values but those at or below a path.
fn others(text: &TomlText, path: &[&str]) -> Vec<(Vec<String>, String)> {
    let mut all = all(text);
    all.retain(|(of, _)| of.len() < path.len() || of.iter().zip(path).any(|(a, b)| a != b));
    all
}

/// Sets the paths one by one, checks what each edit did, and takes them back, last first or first first.
fn apply_and_take_back(name: &str, bytes: &[u8], edits: &[(Vec<&str>, Value)], backwards: bool) {
    let before = TomlText::parse(bytes).unwrap();
    assert_eq!(before.to_bytes(), bytes, "{name}");
    let mut text = before.clone();
    let mut done: Vec<&[&str]> = Vec::new();
    for (path, value) in edits {
        let earlier = text.clone();
        match text.set(path, value.clone()) {
            Ok(()) => {}
            Err(EditError::IsTable { .. } | EditError::NotATable { .. }) => {
                assert_eq!(text.to_bytes(), earlier.to_bytes(), "{name}");
                continue;
            }
            Err(error) => panic!("{name}: {path:?}: {error}\n{}", shown(&earlier)),
        }
        assert_eq!(text.get(path), Some(value), "{name}");
        assert_eq!(others(&text, path), others(&earlier, path), "{name}");
        // A value that is set inside of one that was set before goes with it.
        if !done.iter().any(|earlier| path.starts_with(earlier)) {
            done.push(path);
        }
    }
    if backwards {
        done.reverse();
    }
    let after = shown(&text);
    for path in &done {
        text.put_back(path, &before)
            .unwrap_or_else(|error| panic!("{name}: {path:?}: {error}\n{}", shown(&text)));
    }
    if backwards {
        assert_eq!(
            String::from_utf8_lossy(&text.to_bytes()),
            String::from_utf8_lossy(bytes),
            "{name} after:\n{after}"
        );
    } else {
        // In another order than it was done an empty line may stay or go.
        assert_eq!(all(&text), all(&before), "{name} after:\n{after}");
    }
}

fn shown(text: &TomlText) -> String {
    String::from_utf8(text.to_bytes()).unwrap()
}

#[test]
fn nasty_files_come_back_to_the_byte() {
    for (name, bytes) in nasty_files() {
        for (at, value) in values().into_iter().enumerate() {
            let edits: Vec<_> = PATHS
                .iter()
                .map(|path| (path.to_vec(), value.clone()))
                .collect();
            apply_and_take_back(&name, &bytes, &edits, at % 2 == 0);
            for edit in &edits {
                apply_and_take_back(&name, &bytes, std::slice::from_ref(edit), true);
            }
        }
    }
}

#[test]
fn every_value_of_nasty_files_can_be_replaced_and_taken_out() {
    for (name, bytes) in nasty_files() {
        let before = TomlText::parse(&bytes).unwrap();
        let mut paths = Vec::new();
        flat(before.root(), &[], &mut paths);
        for (path, _) in paths {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            if before.raw(&path).is_some() {
                apply_and_take_back(&name, &bytes, &[(path.clone(), Value::from("new"))], true);
            }
            // Whole arrays of tables as well.
            let mut text = before.clone();
            assert!(text.remove(&path).unwrap(), "{name}: {path:?}");
            assert_eq!(text.get(&path), None, "{name}");
            assert_eq!(others(&text, &path), others(&before, &path), "{name}");
            assert!(!text.remove(&path).unwrap());
        }
    }
}

#[track_caller]
fn check(before: &str, edit: impl Fn(&mut TomlText), expected: &str) {
    let mut text = TomlText::parse(before.as_bytes()).unwrap();
    edit(&mut text);
    assert_eq!(shown(&text), expected);
}

#[test]
fn what_edits_look_like() {
    let set =
        |path: &'static [&'static str]| move |text: &mut TomlText| text.set(path, "v").unwrap();
    check("", set(&["model"]), "model = \"v\"\n");
    check(
        "# mine\n\n[tui]\nx = 1\n",
        set(&["model"]),
        "# mine\n\nmodel = \"v\"\n\n[tui]\nx = 1\n",
    );
    check(
        "model = 'a' # best\n",
        set(&["model"]),
        "model = \"v\" # best\n",
    );
    check(
        "  a = 1 # one\n# two\n[t]",
        set(&["b"]),
        "  a = 1 # one\n  b = \"v\"\n# two\n[t]",
    );
    check("a = 1", set(&["t", "k"]), "a = 1\n\n[t]\nk = \"v\"");
    check(
        "t.k = 1\r\n[u]\r\n",
        set(&["t", "l", "m"]),
        "t.k = 1\r\nt.l.m = \"v\"\r\n[u]\r\n",
    );
    check("t = {}\n", set(&["t", "k"]), "t = {k = \"v\"}\n");
    check(
        "t = { a = 1 }\n",
        set(&["t", "k", "l"]),
        "t = { a = 1, k.l = \"v\" }\n",
    );
    check("[t]\n[u]\n", set(&["t", "k"]), "[t]\nk = \"v\"\n[u]\n");
    let remove = |path: &'static [&'static str]| {
        move |text: &mut TomlText| assert!(text.remove(path).unwrap())
    };
    check("a = 1 # mine\nb = 2\n", remove(&["a"]), "# mine\nb = 2\n");
    check(
        "a = 1\n\n# of p\n[p.x]\nk = 1\n# in\nl = 2\n\n# of q\n[q]\n[p.x.y]\n",
        remove(&["p"]),
        "a = 1\n\n# of p\n\n# of q\n[q]\n",
    );
    check(
        "t = { a = 1, b = 2 }\n",
        remove(&["t", "a"]),
        "t = { b = 2 }\n",
    );
    check(
        "[[h]]\na = 1\n[h.i]\nb = 2\n[[h]]\n[t]\n",
        remove(&["h"]),
        "[t]\n",
    );
}

#[test]
fn values_have_lines() {
    let text = TomlText::parse(b"\xef\xbb\xbfa = 1\r\n\r\n[t]\r\nk = [\r\n]\r\nl.m = 2").unwrap();
    let line = |path: &[&str]| text.line(path);
    assert_eq!(line(&["a"]), Some(1));
    assert_eq!(line(&["t", "k"]), Some(4));
    assert_eq!(line(&["t", "l", "m"]), Some(6));
    assert_eq!(line(&["t", "l"]), None);
}

#[test]
fn what_cannot_be_edited_is_refused_and_left_alone() {
    let before = "a = 1\n[t]\nk = 1\n[[h]]\nk = 1\n[h.i]\n";
    let mut text = TomlText::parse(before.as_bytes()).unwrap();
    for (path, raw, expected) in [
        (&[][..], "1", "no key was named"),
        (&["t"], "1", "`t` is a table, not a value"),
        (&["a", "b c", "d"], "1", "`a` is not a table"),
        (&["h", "i", "k"], "1", "`h` is not a table"),
        (&["h", "k"], "1", "`h` is not a table"),
        (&["a"], "", "`a` is not a TOML value"),
        (&["a"], "1\nb = 2", "`a` is not a TOML value"),
        (&["t", "x y"], "oops", "`t.\"x y\"` is not a TOML value"),
    ] {
        let error = text.set_raw(path, raw).unwrap_err().to_string();
        assert!(error.contains(expected), "{path:?}: {error}");
        assert_eq!(shown(&text), before);
    }
}

#[test]
fn mistakes_have_a_line_and_a_column() {
    for (bytes, expected) in [
        (&b"a = 1\nb = \n"[..], "line 2, column 5: "),
        (b"\xef\xbb\xbfa = 1\r\n\xc3\xa9 = x", "line 2, column 1: "),
        (b"a = 1\na = 2\n", "line 2, column 1: duplicate key"),
        (
            b"\xef\xbb\xbf\xef\xbb\xbfa = 1",
            "line 1, column 1: a second byte order mark",
        ),
        (b"a = \"\xff\"", "line 1, column 6: this is not UTF-8"),
        (b"[t]\nk = 1\n[t]\n", "line 3, column 2: duplicate key"),
    ] {
        let error = TomlText::parse(bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_are_taken_back_to_the_byte(
        pieces in prop::collection::vec((piece(), any::<bool>(), any::<bool>()), 0..14),
        has_mark: bool,
        is_finished: bool,
        paths in prop::collection::vec(
            (prop::collection::vec(key(), 1..4), prop::sample::select(values())), 1..6),
        backwards: bool,
    ) {
        let bytes = file(&pieces, has_mark, is_finished);
        apply_and_take_back("generated", &bytes, &paths, backwards);
    }

    #[test]
    fn removals_change_nothing_else(
        pieces in prop::collection::vec((piece(), any::<bool>(), any::<bool>()), 0..14),
        path in prop::collection::vec(key(), 1..4),
    ) {
        let bytes = file(&pieces, false, true);
        let before = TomlText::parse(&bytes).unwrap();
        let mut text = before.clone();
        let was_there = before.get(&path).is_some();
        prop_assert_eq!(text.remove(&path).unwrap(), was_there);
        prop_assert_eq!(others(&text, &path), others(&before, &path));
        prop_assert_eq!(text.get(&path), None);
    }
}
