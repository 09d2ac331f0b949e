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

/// The effort whose usual thinking budget comes nearest to `tokens` on a logarithmic scale.
///
/// The budgets are 1,024 tokens for `minimal`, 4,096 for `low`, 10,240 for `medium`, 20,480 for `high` and 32,768 for `xhigh`. No
/// budget is `max`: that one has no number.
pub fn of_budget(tokens: u64) -> &'static str {
    const BUDGETS: [(u64, usize); 5] = [
        (1_024, 1),
        (4_096, 2),
        (10_240, 3),
        (20_480, 4),
        (32_768, 5),
    ];
    let nearer = BUDGETS.windows(2).take_while(|pair| {
        // Nearer to the second than to the first: beyond the geometric mean of the two.
        let square = u128::from(tokens) * u128::from(tokens);
        square > u128::from(pair[0].0) * u128::from(pair[1].0)
    });
    SCALE[BUDGETS[nearer.count()].1]
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

    #[test]
    fn efforts_of_budgets() {
        for (tokens, expected) in [
            (0, "minimal"),
            (1_024, "minimal"),
            (2_048, "minimal"),
            (2_049, "low"),
            (4_096, "low"),
            (6_476, "low"),
            (6_477, "medium"),
            (10_000, "medium"),
            (14_481, "medium"),
            (14_482, "high"),
            (16_000, "high"),
            (25_905, "high"),
            (31_999, "xhigh"),
            (u64::MAX, "xhigh"),
        ] {
            assert_eq!(of_budget(tokens), expected, "{tokens}");
        }
    }
}
