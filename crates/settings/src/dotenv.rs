//! The `.env` file: `NAME=value` lines.

use std::collections::BTreeMap;

/// Reads `NAME=value` lines; gives the values, and the numbers of the lines that make no sense.
///
/// Understood are empty lines, `#` comments on a line of their own, `export ` in front, and single or double quotes around the
/// whole value. Nothing is expanded: a key may hold any character.
pub(crate) fn parse(text: &str) -> (BTreeMap<String, String>, Vec<usize>) {
    let mut values = BTreeMap::new();
    let mut unreadable = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Some((name, value)) => {
                values.insert(name.to_owned(), value.to_owned());
            }
            None => unreadable.push(index + 1),
        }
    }
    (values, unreadable)
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let legal = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    legal.then(|| (name, without_quotes(value.trim())))
}

fn without_quotes(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = "# keys\n\nA=1\nexport B = two words \nC=\"quoted # not a comment\"\nD='x=y'\nE=\n  F=\"half\nnonsense\n=x\nG H=1\n";
        let (values, unreadable) = parse(text);
        let read: Vec<String> = values
            .iter()
            .map(|(name, value)| format!("{name}=[{value}]"))
            .collect();
        assert_eq!(
            read,
            [
                "A=[1]",
                "B=[two words]",
                "C=[quoted # not a comment]",
                "D=[x=y]",
                "E=[]",
                "F=[\"half]",
            ]
        );
        assert_eq!(unreadable, [9, 10, 11]);
    }
}
