//! Whether the variables for proxies say what they should.
//!
//! polywire itself reaches this machine directly, whatever they say. Clients do not all do that: one that sends its requests for
//! `http://127.0.0.1` to a proxy does not find the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use polywire_settings::Proxy;

use super::check::Subject;
use super::finding::Finding;
use crate::configuration::variable;

/// Those by which requests go to a proxy.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Those that would take requests to the gateway, which are `http://`.
const TAKE_LOOPBACK: [&str; 2] = ["HTTP_PROXY", "ALL_PROXY"];

pub(crate) fn check(subject: &Subject) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in PROXIES {
        found.extend(disagreement(name));
        found.extend(unusable(name));
    }
    found.extend(disagreement("NO_PROXY"));
    found.extend(caught_loopback(subject));
    if found.is_empty() {
        let set = PROXIES.into_iter().find(|name| value(name).is_some());
        found.push(Finding::ok(
            "proxies",
            match set {
                Some(_) => "the variables for proxies leave this machine out",
                None => "no variable names a proxy",
            },
        ));
    }
    found
}

/// The value of a variable in either spelling, the lower case first, as most programs read it.
fn value(name: &str) -> Option<String> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    set(&name.to_ascii_lowercase()).or_else(|| set(name))
}

/// Programs differ in which spelling they read.
fn disagreement(name: &str) -> Option<Finding> {
    let lower = name.to_ascii_lowercase();
    let (upper_value, lower_value) = (variable(name)?, variable(&lower)?);
    (upper_value != lower_value).then(|| {
        Finding::warning(
            "proxy_spellings",
            format!("`{name}` and `{lower}` say different things, and programs differ in which they read"),
        )
        .at(name)
        .hint("set both to the same value, or unset one")
    })
}

/// A value that is no proxy. It is not shown: it may hold a password.
fn unusable(name: &str) -> Option<Finding> {
    let value = value(name)?;
    // Most programs take a host and a port alone for an `http://` proxy, and those with TLS as well.
    let whole = if value.contains("://") {
        value.replacen("https://", "http://", 1)
    } else {
        format!("http://{value}")
    };
    let whole = match whole.strip_suffix('/').unwrap_or(&whole) {
        // Without a port the scheme's own is meant.
        bare if bare
            .rsplit(':')
            .next()
            .is_some_and(|port| port.parse::<u16>().is_err()) =>
        {
            format!("{bare}:80")
        }
        bare => bare.to_owned(),
    };
    let error = Proxy::parse(&whole).err()?;
    // Desktops set `socks://`, and there are programs that understand it.
    let finding = if whole.to_ascii_lowercase().starts_with("socks") {
        Finding::warning(
            "proxy_unusable",
            format!(
                "polywire cannot use the proxy that it names, though other programs may: {error}"
            ),
        )
    } else {
        Finding::problem(
            "proxy_unusable",
            format!("it names no proxy that can be used: {error}"),
        )
    };
    Some(
        finding
            .at(name)
            .hint("correct or unset it; `proxy` of a provider sets one for that provider alone"),
    )
}

fn caught_loopback(subject: &Subject) -> Option<Finding> {
    let name = TAKE_LOOPBACK
        .into_iter()
        .find(|name| value(name).is_some())?;
    let host = match &subject.settings {
        Ok(settings) => reached_at(settings.server.listen.ip()).to_string(),
        Err(_) => "127.0.0.1".to_owned(),
    };
    let exceptions = value("NO_PROXY").unwrap_or_default();
    if excepts(&exceptions, &host) {
        return None;
    }
    Some(
        Finding::warning(
            "proxy_takes_loopback",
            format!("clients may send their requests for the gateway on {host} to the proxy, because `NO_PROXY` does not leave it out"),
        )
        .at(name)
        // What stands there already stays.
        .hint(format!("export NO_PROXY=\"${{NO_PROXY:+$NO_PROXY,}}localhost,{host}\" no_proxy=\"${{no_proxy:+$no_proxy,}}localhost,{host}\"")),
    )
}

/// Where clients of this machine find a gateway that listens there.
const fn reached_at(listens: IpAddr) -> IpAddr {
    match listens {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => listens,
    }
}

/// Whether a list of exceptions has this host, by name or as part of a network, as curl and most libraries read it.
fn excepts(list: &str, host: &str) -> bool {
    list.split([',', ' ']).map(str::trim).any(|entry| {
        entry == "*" || entry.trim_matches(['[', ']']) == host || in_network(entry, host)
    })
}

fn in_network(entry: &str, host: &str) -> bool {
    let Some((network, length)) = entry.split_once('/') else {
        return false;
    };
    let (Ok(network), Ok(host), Ok(length)) = (
        network.parse::<std::net::Ipv4Addr>(),
        host.parse::<std::net::Ipv4Addr>(),
        length.parse::<u32>(),
    ) else {
        return false;
    };
    let mask = u32::MAX
        .checked_shl(32_u32.saturating_sub(length))
        .unwrap_or(0);
    length <= 32 && u32::from(network) & mask == u32::from(host) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_hosts_networks_or_all() {
        for (list, expected) in [
            ("", false),
            ("localhost", false),
            ("127.0.0.1", true),
            ("internal, 127.0.0.1", true),
            ("*", true),
            ("127.0.0.0/8", true),
            ("10.0.0.0/8", false),
            ("0.0.0.0/0", true),
            ("127.0.0.0/40", false),
        ] {
            assert_eq!(excepts(list, "127.0.0.1"), expected, "{list}");
        }
        assert!(excepts("[::1]", "::1"));
    }
}
