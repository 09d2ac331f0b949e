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
        let mut fault = Fault::new(
            FaultClass::InvalidRequest,
            format!("the working directory `{wanted}` {problem}; {roots}"),
        );
        fault.param = Some("metadata.cwd".to_owned());
        fault
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
    Ok(resolved)
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
}
