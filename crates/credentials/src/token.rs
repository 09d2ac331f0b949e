//! The gateway's own token: what a client has to show.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::{Secret, is_private, make_private, make_private_folder};

/// The token's beginning: tells people, and secret scanners, what it is.
const PREFIX: &str = "pw-";

/// Random bytes in a token: more than anybody can guess.
const RANDOM_BYTES: usize = 32;

/// The fewest characters that a token file may hold. A shorter one was cut or typed by hand.
const LENGTH_MIN: usize = 16;

/// The token could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The folder of the token file could not be made.
    #[error("the folder `{}` for the gateway's token could not be made", path.display())]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file could not be read.
    #[error("the gateway's token could not be read from `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token file could not be written.
    #[error("the gateway's token could not be written to `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the token file, and that could not be changed.
    #[error("`{}` holds the gateway's token and others can read it\nhint: run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Why it could not be changed.
        source: io::Error,
    },
    /// The token file does not hold a token.
    #[error("`{}` does not hold a usable token\nhint: delete it, and a new one is made at the next start", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for the gateway's token")]
    Random,
}

/// The gateway's token: read from its file, which is made when it is missing.
///
/// The file has mode 0600 from its first moment and appears whole or not at all; of two processes that start at once, both
/// get the token of the first. A file that others can read is closed to them.
///
/// # Errors
/// See [`TokenError`].
pub fn ensure_token(path: &Path) -> Result<Secret, TokenError> {
    if let Some(token) = read(path)? {
        return Ok(token);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    make_private_folder(folder).map_err(|source| TokenError::MakeFolder {
        path: folder.to_owned(),
        source,
    })?;
    let token = generate()?;
    let written = write_new(folder, path, &token);
    match written {
        Ok(()) => Ok(token),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read(path)?.ok_or_else(|| TokenError::Write {
                path: path.to_owned(),
                source: error,
            })
        }
        Err(source) => Err(TokenError::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The token in the file, or `None` when there is no file.
fn read(path: &Path) -> Result<Option<Secret>, TokenError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(TokenError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    close(path).map_err(|source| TokenError::Exposed {
        path: path.to_owned(),
        source,
    })?;
    let token = text.trim();
    let usable = token.len() >= LENGTH_MIN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !usable {
        return Err(TokenError::Unusable {
            path: path.to_owned(),
        });
    }
    Ok(Some(Secret::new(token)))
}

fn close(path: &Path) -> io::Result<()> {
    if is_private(path)? {
        Ok(())
    } else {
        make_private(path)
    }
}

fn write_new(folder: &Path, path: &Path, token: &Secret) -> io::Result<()> {
    // A temporary file has mode 0600 from its creation.
    let mut file = tempfile::Builder::new()
        .prefix(".token-")
        .tempfile_in(folder)?;
    writeln!(file, "{}", token.reveal())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

fn generate() -> Result<Secret, TokenError> {
    let mut bytes = [0u8; RANDOM_BYTES];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| TokenError::Random)?;
    let mut token = String::with_capacity(PREFIX.len() + 2 * RANDOM_BYTES);
    token.push_str(PREFIX);
    for byte in bytes {
        // Writing into a string cannot fail.
        write!(token, "{byte:02x}").map_err(|_| TokenError::Random)?;
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_token_is_made_once_and_kept() {
        let folder = folder();
        let path = folder.path().join("state/polywire/token");
        let first = ensure_token(&path).unwrap();
        assert_eq!(ensure_token(&path).unwrap(), first);
        assert!(first.reveal().starts_with(PREFIX));
        assert_eq!(first.reveal().len(), PREFIX.len() + 2 * RANDOM_BYTES);
        let other = ensure_token(&folder.path().join("other")).unwrap();
        assert_ne!(other, first);
        #[cfg(unix)]
        {
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
        }
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_at_once_get_one_token() {
        let folder = folder();
        let path = folder.path().join("token");
        let tokens: Vec<String> = std::thread::scope(|scope| {
            let start = || ensure_token(&path).unwrap().reveal().to_owned();
            let started: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            started.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_closed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        let path = folder.path().join("token");
        fs::write(&path, "a-token-of-my-own\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(ensure_token(&path).unwrap().reveal(), "a-token-of-my-own");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn what_is_no_token_is_refused_and_left_alone() {
        for text in [
            "",
            "short",
            "two words that are long",
            "größere-tokens-gibt-es",
        ] {
            let folder = folder();
            let path = folder.path().join("token");
            fs::write(&path, text).unwrap();
            let error = ensure_token(&path).unwrap_err();
            assert!(
                matches!(error, TokenError::Unusable { .. }),
                "{text}: {error}"
            );
            assert!(error.to_string().contains("\nhint: delete it"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn places_where_nothing_can_be_written_are_named() {
        let folder = folder();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = ensure_token(&file.join("below/token")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&file.display().to_string()), "{text}");
    }
}
