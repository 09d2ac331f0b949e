//! Edits of TOML files.

use polywire_client_files::{EditError, TomlText};

/// The first line of the input is a path, its keys separated by `/`; what follows is a file.
///
/// A file that is read is written to the byte. A value that is set is there, and putting it back leaves the file to the byte. Nothing is
/// refused because it would change something else.
pub fn toml_edits(input: &[u8]) {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (Ok(path), file) = (std::str::from_utf8(&input[..end]), &input[end + 1..]) else {
        return;
    };
    let path: Vec<&str> = path.split('/').collect();
    let Ok(before) = TomlText::parse(file) else {
        return;
    };
    assert_eq!(before.to_bytes(), file);
    let mut text = before.clone();
    match text.set(&path, "value") {
        Ok(()) => {
            assert_eq!(
                text.get(&path).and_then(|value| value.as_str()),
                Some("value")
            );
            if let Err(error) = text.put_back(&path, &before) {
                panic!("{error}");
            }
            assert_eq!(text.to_bytes(), file);
        }
        Err(EditError::IsTable { .. } | EditError::NotATable { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    match text.remove(&path) {
        Ok(was_there) => assert_eq!(was_there, before.get(&path).is_some()),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(text.get(&path), None);
}
