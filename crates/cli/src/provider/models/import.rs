//! A list of models from standard input, from a file, or from the command line itself.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};

/// The longest text of a list that is read.
const LIST_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Ends of names of files that hold lists. No model is called so.
const ENDS_OF_FILES: [&str; 4] = [".txt", ".csv", ".json", ".toml"];

/// Beginnings of paths. No model is called so.
const BEGINNINGS_OF_PATHS: [&str; 4] = ["/", "./", "../", "~"];

/// `-` is standard input, the name of a file that is there is the file, and everything else is the list itself.
///
/// # Errors
/// The file cannot be read, or is not there, or has more than any list.
pub(super) fn text(list: &str) -> anyhow::Result<String> {
    if list == "-" {
        return read(std::io::stdin().lock(), "standard input");
    }
    let path = Path::new(list);
    match path.metadata() {
        Ok(about) if about.is_dir() => bail!(
            "`{list}` is a folder, and no list of models\nhint: name a file; if it is a model, `--add` takes its name as it is"
        ),
        Ok(_) => {
            let place = path.display().to_string();
            let file = fs::File::open(path)
                .with_context(|| format!("the list could not be read from {place}"))?;
            read(file, &place)
        }
        Err(_) if is_path(list) => bail!(
            "there is no file `{list}`\nhint: if it is a model, `--add` takes its name as it is"
        ),
        Err(_) => Ok(list.to_owned()),
    }
}

/// Whether a single name is one of a file.
fn is_path(list: &str) -> bool {
    let name = list.trim().to_ascii_lowercase();
    let is_single = !name.contains([',', '\n', '\r']);
    is_single
        && (BEGINNINGS_OF_PATHS
            .iter()
            .any(|begin| name.starts_with(begin))
            || ENDS_OF_FILES.iter().any(|end| name.ends_with(end)))
}

fn read(input: impl Read, place: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    input
        .take(LIST_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("the list could not be read from {place}"))?;
    if text.len() as u64 > LIST_BYTES_MAX {
        bail!(
            "{place} has more than {} MiB, and is no list of models\nhint: nothing was changed",
            LIST_BYTES_MAX / 1024 / 1024
        );
    }
    // Files of Windows begin with a mark that belongs to no name.
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}
