//! Where polywire itself is, for those who are to find it again.

use std::path::PathBuf;

use anyhow::Context;

use crate::configuration;
use crate::run::program;

/// The path by which polywire was called: as the search path has it, or a link. A package manager moves such a name to the next version; where
/// the name leads to, the program is gone then.
pub(super) fn own_program() -> anyhow::Result<PathBuf> {
    let real = std::env::current_exe().context("where polywire itself is")?;
    let called = std::env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(|called| called.file_name());
    let found = name.and_then(|name| {
        let search_path = configuration::variable("PATH");
        program::find(name.to_str()?, search_path.as_deref())
    });
    let called = called.filter(|called| called.components().count() > 1);
    let mut names = found.into_iter().chain(called);
    let leads_here = |name: &PathBuf| {
        !name.starts_with("/proc") && name.canonicalize().ok() == real.canonicalize().ok()
    };
    let name = names.find(leads_here);
    name.map_or(Ok(real), |name| Ok(std::path::absolute(name)?))
}
