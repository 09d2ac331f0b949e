//! Where a turn may work.

use std::path::{Path, PathBuf};

use polywire_conversation::{Fault, FaultClass};

/// The working directory that a turn asked for, with its symbolic links resolved.
///
/// # Errors
/// A [`Fault`] that names the directories which are allowed, when `wanted` is none, lies elsewhere or is not there.
pub(crate) fn resolve(wanted: &str, allowed: &[PathBuf]) -> Result<PathBuf, Fault> {
    let refused = |problem: &str| {
        let roots: Vec<String> = allowed
            .iter()
            .map(|root| format!("`{}`", root.display()))
            .collect();
        let roots = if roots.is_empty() {
            "none is allowed: set `allowed_roots` of the provider".to_owned()
        } else {
            format!("it must lie below one of {}", roots.join(", "))
        };
        bad(format!(
            "the working directory `{wanted}` {problem}; {roots}"
        ))
    };
    let path = Path::new(wanted);
    if !path.is_absolute() {
        return Err(refused("is not an absolute path"));
    }
    // A directory that lies elsewhere and one that is not there are told apart only for those that are allowed: whoever asks
    // should not learn what else there is on this machine.
    let Ok(resolved) = path.canonicalize() else {
        return Err(refused("cannot be used"));
    };
    let is_allowed = allowed.iter().any(|root| {
        root.canonicalize()
            .is_ok_and(|root| resolved.starts_with(root))
    });
    if !is_allowed {
        return Err(refused("cannot be used"));
    }
    if !resolved.is_dir() {
        return Err(refused("is no directory"));
    }
    // Codex is told of it in JSON.
    if resolved.to_str().is_none() {
        return Err(refused("has a name that is no text"));
    }
    Ok(resolved)
}

/// What is wrong with a resolved directory when it leads elsewhere by now. Turns wait in a queue, and an agent at work may put a
/// link in the place of a directory that it may write to.
pub(crate) fn replaced(resolved: &Path) -> Option<Fault> {
    let is_same = resolved.canonicalize().is_ok_and(|now| now == resolved);
    (!is_same).then(|| {
        bad(format!(
            "the working directory `{}` was replaced while the turn waited",
            resolved.display()
        ))
    })
}

fn bad(message: String) -> Fault {
    let mut fault = Fault::new(FaultClass::InvalidRequest, message);
    fault.param = Some("metadata.cwd".to_owned());
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_below_the_roots_are_taken() {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name);
        for folder in ["open/inner", "closed", "open-not"] {
            std::fs::create_dir_all(place(folder)).unwrap();
        }
        std::fs::write(place("open/file"), "").unwrap();
        #[cfg(unix)]
        for (link, target) in [("open/out", "closed"), ("in", "open/inner")] {
            std::os::unix::fs::symlink(place(target), place(link)).unwrap();
        }
        let roots = [place("open"), place("missing")];
        let check = |name: &str, expected: Result<&str, &str>| {
            let wanted = place(name).display().to_string();
            match (resolve(&wanted, &roots), expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found, place(expected).canonicalize().unwrap());
                }
                (Err(fault), Err(expected)) => {
                    assert!(fault.message.contains(expected), "{fault}");
                    assert!(fault.message.contains(&roots[0].display().to_string()));
                    assert_eq!(fault.status, 400);
                }
                (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
            }
        };
        check("open", Ok("open"));
        check("open/inner", Ok("open/inner"));
        check("open/inner/..", Ok("open"));
        check("in", Ok("open/inner"));
        for outside in [
            "closed",
            "open-not",
            "open/../closed",
            "open/out",
            "open/none",
        ] {
            check(outside, Err("cannot be used"));
        }
        check("open/file", Err("is no directory"));
        let fault = resolve("open", &roots).unwrap_err();
        assert!(
            fault.message.contains("no absolute path") || fault.message.contains("not an absolute")
        );
        let fault = resolve("/", &[]).unwrap_err();
        assert!(fault.message.contains("allowed_roots"), "{fault}");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_was_replaced_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        let work = root.join("work");
        std::fs::create_dir_all(&work).unwrap();
        let resolved = resolve(work.to_str().unwrap(), std::slice::from_ref(&root)).unwrap();
        assert_eq!(replaced(&resolved), None);
        std::fs::remove_dir(&work).unwrap();
        std::os::unix::fs::symlink("/", &work).unwrap();
        let fault = replaced(&resolved).unwrap();
        assert_eq!(fault.status, 400);
        let strange = root.join(std::ffi::OsStr::from_bytes(b"\xff"));
        std::fs::create_dir(&strange).unwrap();
        let link = root.join("link");
        std::os::unix::fs::symlink(&strange, &link).unwrap();
        let fault = resolve(link.to_str().unwrap(), &[root]).unwrap_err();
        assert!(fault.message.contains("no text"), "{fault}");
    }
}
