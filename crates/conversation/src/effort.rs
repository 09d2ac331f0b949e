//! Which reasoning effort to ask for, of those that a provider knows.

/// The efforts from least to most. `ultra` is another word for `max`.
const SCALE: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const MINIMAL: usize = 1;
const XHIGH: usize = 5;
const MAX: usize = 6;

/// Whether `effort` asks for no thinking at all.
pub fn is_off(effort: &str) -> bool {
    effort == SCALE[0]
}

/// The allowed effort that comes nearest to the wanted one.
///
/// The wanted one itself; else the next higher below `max`, because more thinking than asked for is safer than less; else the
/// next lower. Only who asked for `xhigh` or more gets `max`. `None` for a word that is not on the scale and not allowed as it
/// stands, or when nothing fits.
pub fn nearest<'a>(wanted: &'a str, allowed: &[&'a str]) -> Option<&'a str> {
    if allowed.contains(&wanted) {
        return Some(wanted);
    }
    let rank = rank(wanted)?;
    let top = if rank >= XHIGH { MAX } else { XHIGH };
    let higher = (rank + 1).max(MINIMAL)..=top;
    let lower = (MINIMAL..rank.min(XHIGH + 1)).rev();
    let synonym = (rank == MAX).then_some(MAX);
    synonym
        .into_iter()
        .chain(higher)
        .chain(lower)
        .find_map(|rank| {
            allowed
                .iter()
                .copied()
                .find(|&name| self::rank(name) == Some(rank))
        })
}

fn rank(effort: &str) -> Option<usize> {
    if effort == "ultra" {
        return Some(MAX);
    }
    SCALE.iter().position(|&name| name == effort)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, allowed: &[&str], expected: Option<&str>) {
        assert_eq!(
            nearest(wanted, allowed),
            expected,
            "{wanted} of {allowed:?}"
        );
    }

    #[test]
    fn nearest_allowed() {
        let glm = ["low", "high", "max"];
        check("high", &glm, Some("high"));
        check("medium", &glm, Some("high"));
        check("minimal", &glm, Some("low"));
        check("none", &glm, Some("low"));
        check("xhigh", &glm, Some("max"));
        check("ultra", &glm, Some("max"));
        check("ultra", &["low", "ultra"], Some("ultra"));
        check("max", &["low", "medium", "xhigh"], Some("xhigh"));
        check("high", &["low", "medium", "max"], Some("medium"));
        check("high", &["low", "medium", "xhigh"], Some("xhigh"));
        check("none", &["none", "high"], Some("none"));
        check("low", &["none", "high"], Some("high"));
        check("low", &["max"], None);
        check("default", &["none", "default"], Some("default"));
        check("whatever", &glm, None);
        check("low", &[], None);
    }
}
