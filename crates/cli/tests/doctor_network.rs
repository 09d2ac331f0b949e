//! `polywire doctor`: the port, proxies, providers and the clock.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::net::TcpListener;

use polywire_testkit::{Reply, ScriptedUpstream};

use doctor::{Told, command, date, home, house, models};

#[path = "support/doctor.rs"]
mod doctor;

#[tokio::test]
async fn the_port() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut command = command(&home, &["--offline"]);
    command.env("POLYWIRE_LISTEN", address.to_string());
    let told = Told::by(command).await;
    assert_eq!(told.code, Some(1));
    let holder = format!("process {}", std::process::id());
    told.assert("port_taken", "problem", &address.to_string(), &holder);

    let house = house(models());
    let gateway = house.gateway().await;
    let mut command = self::command(&house.home, &["--offline"]);
    command.env("POLYWIRE_LISTEN", gateway.address().to_string());
    Told::by(command)
        .await
        .assert("port", "ok", "", "polywire runs there");
    gateway.stop().await;
}

#[tokio::test]
async fn variables_for_proxies() {
    let home = home();
    let with = |variables: &[(&str, &str)]| {
        let mut command = command(&home, &["--offline"]);
        command.envs(variables.iter().copied());
        Told::by(command)
    };
    let told = with(&[("HTTP_PROXY", "http://user:pass-word@proxy.example:3128")]).await;
    told.assert("proxy_takes_loopback", "warning", "HTTP_PROXY", "127.0.0.1");
    assert!(!told.all.contains("pass-word"), "{}", told.all);
    let told = with(&[
        ("HTTP_PROXY", "proxy.example:3128"),
        ("no_proxy", "127.0.0.0/8"),
    ])
    .await;
    told.assert("proxies", "ok", "", "leave this machine out");
    // What listens everywhere is found on this machine's own address, and what is excepted already stays.
    let told = with(&[
        ("HTTP_PROXY", "http://proxy.example:3128"),
        ("NO_PROXY", "127.0.0.1,internal.example"),
        ("POLYWIRE_LISTEN", "0.0.0.0:0"),
    ])
    .await;
    told.assert("proxies", "ok", "", "leave this machine out");
    let told = with(&[
        ("HTTP_PROXY", "http://proxy.example:3128"),
        ("NO_PROXY", "internal.example"),
    ])
    .await;
    let hint = told.one("proxy_takes_loopback")["hint"].as_str().unwrap();
    let mut shell = std::process::Command::new("sh");
    let exported = shell
        .args(["-c", &format!("{hint}; echo $NO_PROXY $no_proxy")])
        .env("NO_PROXY", "internal.example")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&exported.stdout),
        "internal.example,localhost,127.0.0.1 localhost,127.0.0.1\n"
    );
    let told = with(&[("ALL_PROXY", "socks://127.0.0.1:1080"), ("NO_PROXY", "*")]).await;
    told.assert(
        "proxy_unusable",
        "warning",
        "ALL_PROXY",
        "polywire cannot use",
    );
    // Only requests by TLS go there.
    let told = with(&[("HTTPS_PROXY", "http://proxy.example:3128")]).await;
    told.assert("proxies", "ok", "", "");
    let told = with(&[
        ("HTTPS_PROXY", "http://one.example:1"),
        ("https_proxy", "http://two.example:1"),
    ])
    .await;
    told.assert("proxy_spellings", "warning", "HTTPS_PROXY", "https_proxy");
    let told = with(&[
        ("ALL_PROXY", "ftp://user:pass-word@proxy.example:21"),
        ("NO_PROXY", "*"),
    ])
    .await;
    assert_eq!(told.code, Some(1));
    told.assert(
        "proxy_unusable",
        "problem",
        "ALL_PROXY",
        "no proxy that can be used",
    );
    assert!(!told.all.contains("pass-word"), "{}", told.all);
}

#[tokio::test]
async fn providers_that_answer_otherwise_than_they_should() {
    let cloudflare = Reply::html(
        403,
        "<!DOCTYPE html><title>Access denied</title><span class=\"cf-error-details\">Error code 1010</span>",
    )
    .header("Server", "cloudflare")
    .header("CF-RAY", "8f00ba4-FRA");
    let refused = Reply::error(
        401,
        "invalid_api_key",
        "Incorrect API key provided: sk-house",
    );
    let origin = Reply::new(522, "text/plain", "error code: 522");
    for (reply, id, severity, what) in [
        (cloudflare, "filtered", "problem", "1010"),
        (origin, "filtered", "problem", ""),
        (
            Reply::html(200, "<title>Sign in</title>"),
            "page",
            "problem",
            "Sign in",
        ),
        (refused, "key_refused", "problem", "HTTP 401"),
        (
            Reply::error(404, "none", "no such page"),
            "no_list",
            "notice",
            "404",
        ),
        (
            Reply::error(500, "broken", "try later"),
            "failing",
            "warning",
            "HTTP 500",
        ),
    ] {
        let house = house(reply);
        let told = Told::of(&house.home, &[]).await;
        told.assert(id, severity, "house, http", what);
        assert!(!told.all.contains("sk-house"), "{}", told.all);
    }
}

#[tokio::test]
async fn providers_that_cannot_be_reached() {
    let home = home();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let plain = ScriptedUpstream::start(|_, _| models());
    for (base_url, step) in [
        (format!("http://{closed}/v1"), "tcp: "),
        ("http://no-such-host.invalid/v1".to_owned(), "dns: "),
        (format!("https://{}/v1", plain.address()), "tls: "),
    ] {
        home.write(
            "config/polywire/config.toml",
            format!("[providers.far]\nkind = \"chat\"\nbase_url = \"{base_url}\"\nkey = \"sk-far-away\"\n"),
        );
        let told = Told::of(&home, &[]).await;
        assert_eq!(told.code, Some(1), "{told:#?}");
        told.assert("unreachable", "problem", "far, ", step);
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    for (seconds, severity, what) in [
        (7200, "problem", "behind"),
        (-7200, "problem", "ahead of"),
        (150, "warning", "behind"),
    ] {
        let house = house(models().header("Date", &date(seconds)));
        Told::of(&house.home, &[])
            .await
            .assert("clock", severity, "", what);
    }
}

#[tokio::test]
async fn a_clock_is_compared_with_the_nearest() {
    // From a cache: an hour old, and it says so.
    let cached = models().header("Date", &date(-3600)).header("Age", "3600");
    let cached = house(cached);
    let told = Told::of(&cached.home, &[]).await;
    told.assert("clock", "ok", "", "agrees");
    let right = ScriptedUpstream::start(|_, _| models().header("Date", &date(0)));
    let wrong = house(models().header("Date", &date(7200)));
    let path = wrong.home.config().join("polywire/config.toml");
    let settings = fs::read_to_string(path).unwrap();
    let settings = format!(
        "{settings}\n[providers.zzz]\nkind = \"chat\"\nbase_url = \"http://{}/v1\"\nkey = \"sk-zzz\"\n",
        right.address()
    );
    wrong.home.write("config/polywire/config.toml", settings);
    let told = Told::of(&wrong.home, &[]).await;
    assert_eq!(told.all_of("reached").len(), 2, "{told:#?}");
    told.assert("clock", "ok", "", "agrees");
}
