//! The house rule about which crate may know what, checked on the resolved dependencies.
//!
//! A crate of ours is cut where a dependency must not exist; the tables below say which ones.

use crate::project::Project;

/// The crates without I/O, runtime, clock, environment and randomness: those arrive as arguments.
const PURE: &[&str] = &[
    "polywire-catalog",
    "polywire-conversation",
    "polywire-demo-model",
    "polywire-dialect-chat",
    "polywire-dialect-command-code",
    "polywire-dialect-messages",
    "polywire-dialect-responses",
    "polywire-plan",
    "polywire-schema",
    "polywire-sse",
    "polywire-wire",
];

/// What no pure crate may be linked with, directly or through others.
const IMPURE: &[&str] = &[
    // async runtimes and what stands on them
    "async-std",
    "futures-executor",
    "mio",
    "smol",
    "socket2",
    "tokio",
    "tokio-util",
    "tower",
    // HTTP, TLS and databases
    "axum",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "reqwest",
    "rusqlite",
    "rustls",
    // files, processes, environment, clock, randomness
    "chrono",
    "etcetera",
    "getrandom",
    "jiff",
    "nix",
    "rand",
    "tempfile",
    "time",
    // logging: a pure crate returns what there is to say
    "tracing",
    "tracing-subscriber",
];

/// Outer dependencies that only the crates named beside them may use, so that replacing one touches one place.
const HOMES: &[(&str, &[&str])] = &[
    ("anyhow", &["polywire-cli", "xtask"]),
    ("axum", &["polywire-server"]),
    ("clap", &["polywire-cli", "xtask"]),
    ("dbus", &["polywire-credentials", "polywire-testkit"]),
    ("dbus-secret-service", &["polywire-credentials"]),
    ("dialoguer", &["polywire-cli"]),
    ("etcetera", &["polywire-settings"]),
    ("hyper-rustls", &["polywire-upstream"]),
    ("indicatif", &["polywire-cli"]),
    (
        "jiff",
        &["polywire-cli", "polywire-login", "polywire-testkit"],
    ),
    ("rusqlite", &["polywire-store"]),
    ("rustls", &["polywire-upstream"]),
    ("tracing-subscriber", &["polywire-cli"]),
    ("webbrowser", &["polywire-cli"]),
];

/// Crates of ours that never meet: a turn joins dialects through the neutral model.
const STRANGERS: &[&str] = &[
    "polywire-dialect-chat",
    "polywire-dialect-command-code",
    "polywire-dialect-messages",
    "polywire-dialect-responses",
];

/// One line for each dependency that must not exist.
pub(super) fn violations(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    for name in PURE {
        if !project.member_names().any(|member| member == *name) {
            found.push(format!("`{name}` is listed as pure but is no member"));
        }
        let dependencies = project.all_dependencies(name);
        let impure = IMPURE
            .iter()
            .filter(|banned| dependencies.contains(*banned));
        found.extend(impure.map(|banned| format!("the pure `{name}` is linked with `{banned}`")));
    }
    for member in project.member_names() {
        let dependencies = project.direct_dependencies(member);
        let homeless = HOMES
            .iter()
            .filter(|(outer, homes)| dependencies.contains(outer) && !homes.contains(&member));
        found.extend(homeless.map(|(outer, homes)| {
            format!("`{member}` uses `{outer}`, which belongs to {homes:?}")
        }));
        if STRANGERS.contains(&member) {
            let known = STRANGERS.iter().filter(|name| dependencies.contains(*name));
            found.extend(known.map(|other| format!("`{member}` knows `{other}`")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::tests::project;

    const GOOD: &str = "polywire-catalog: polywire-conversation
        polywire-conversation: polywire-sse dev:tokio
        polywire-demo-model: polywire-conversation
        polywire-dialect-chat: polywire-conversation
        polywire-dialect-command-code: polywire-conversation
        polywire-dialect-messages: polywire-conversation
        polywire-dialect-responses: polywire-conversation
        polywire-plan: polywire-catalog
        polywire-schema: polywire-conversation
        polywire-wire: polywire-conversation
        polywire-sse: memchr
        memchr:
        polywire-server: axum
        axum: tokio
        tokio:";

    fn check(from: &str, to: &str, expected: &[&str]) {
        assert!(GOOD.contains(from), "{from}");
        assert_eq!(violations(&project(&GOOD.replace(from, to))), expected);
    }

    #[test]
    fn rules_hold_and_are_enforced() {
        check("memchr:\n", "memchr:\n", &[]);
        check(
            "memchr:\n",
            "memchr: tokio\n",
            &[
                "the pure `polywire-catalog` is linked with `tokio`",
                "the pure `polywire-conversation` is linked with `tokio`",
                "the pure `polywire-demo-model` is linked with `tokio`",
                "the pure `polywire-dialect-chat` is linked with `tokio`",
                "the pure `polywire-dialect-command-code` is linked with `tokio`",
                "the pure `polywire-dialect-messages` is linked with `tokio`",
                "the pure `polywire-dialect-responses` is linked with `tokio`",
                "the pure `polywire-plan` is linked with `tokio`",
                "the pure `polywire-schema` is linked with `tokio`",
                "the pure `polywire-sse` is linked with `tokio`",
                "the pure `polywire-wire` is linked with `tokio`",
            ],
        );
        check(
            "polywire-server:",
            "polywire-gateway:",
            &["`polywire-gateway` uses `axum`, which belongs to [\"polywire-server\"]"],
        );
        check(
            "polywire-dialect-chat: ",
            "polywire-dialect-chat: polywire-dialect-responses ",
            &["`polywire-dialect-chat` knows `polywire-dialect-responses`"],
        );
        check(
            "polywire-plan: ",
            "polywire-planning: ",
            &["`polywire-plan` is listed as pure but is no member"],
        );
    }
}
