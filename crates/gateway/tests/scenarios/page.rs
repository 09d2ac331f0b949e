//! `docs/scenarios.md`, made of what the scenarios have shown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use polywire_catalog::Kind;

use crate::Cell;
use crate::play::SCENARIOS;

/// A preset's place, its id, its kind, and its cells.
type Row = (usize, String, Kind, Vec<Cell>);

/// Compares the page with the one that is there, or writes it.
pub(crate) fn check(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md");
    let page = page(rows);
    if fs::read_to_string(&path).unwrap_or_default() == page {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch of the snapshots decides about this page, too"
    )]
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always");
    assert!(
        update,
        "docs/scenarios.md is not what the scenarios show; run `INSTA_UPDATE=always cargo test -p polywire-gateway --test scenarios`"
    );
    fs::write(&path, page).unwrap();
}

fn page(rows: &[Row]) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let mut page = String::from(INTRODUCTION);
    writeln!(page, "| preset | kind | {} |", SCENARIOS.join(" | ")).unwrap();
    writeln!(page, "|---|---|{}", "---|".repeat(SCENARIOS.len())).unwrap();
    for (_, preset, kind, cells) in rows {
        write!(page, "| `{preset}` | `{}` |", kind.name()).unwrap();
        for cell in cells {
            let (word, reason) = match cell {
                Cell::Yes => {
                    page.push_str(" yes |");
                    continue;
                }
                Cell::InWords(reason) => ("in words", reason),
                Cell::Cannot(reason) => ("cannot, because", reason),
            };
            let number = number(&mut reasons, reason);
            write!(page, " {word} [{number}](#reasons) |").unwrap();
        }
        page.push('\n');
    }
    page.push_str("\n## Reasons\n\nAs a turn's receipt has them.\n\n");
    for (index, reason) in reasons.iter().enumerate() {
        writeln!(page, "{}. {reason}", index + 1).unwrap();
    }
    page
}

/// The number of a reason, which is listed once.
fn number<'r>(reasons: &mut Vec<&'r str>, reason: &'r str) -> usize {
    if let Some(at) = reasons.iter().position(|known| *known == reason) {
        return at + 1;
    }
    reasons.push(reason);
    reasons.len()
}

const INTRODUCTION: &str = "\
# Scenarios

Made by a test that plays every scenario with every preset and its default model (`crates/gateway/tests/scenarios`), against an upstream that
answers as this kind of provider does; do not edit it here. A provider of your own has the row of `custom`, `custom-messages` or
`custom-responses` until its profile says more.

`yes`: what goes to the provider has what the scenario needs, and the answer comes to the client. `in words`: the model is told, and the
gateway checks the answer and asks once more where it has to. `cannot, because`: the turn is served without it, and the loss says why.

";
