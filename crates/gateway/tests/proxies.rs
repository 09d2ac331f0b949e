//! The way out of one provider: its own proxy, none, and what is told when it does not work.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use polywire_conversation::{Fault, FaultClass};
use polywire_credentials::Proxy;
use polywire_gateway::turn::Answer;
use polywire_gateway::{Configuration, Gateway};
use polywire_testkit::{Proxied, ProxyScript, ScriptedProxy, ScriptedUpstream, answer, within};
use support::{begun, configuration, gateway, impatient, provider, turn};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

/// `user:p@ss`, as it stands in an address and as it is sent.
const USER: &str = "user:p%40ss";
const AUTHORIZATION: &str = "Basic dXNlcjpwQHNz";

fn upstream() -> ScriptedUpstream {
    ScriptedUpstream::start(|_, _| answer("hello"))
}

/// A gateway on these providers, each with its proxy.
fn house(providers: &[(&str, &ScriptedUpstream, Option<&str>)]) -> Arc<Gateway> {
    let configured = providers
        .iter()
        .map(|(id, upstream, _)| provider(id, upstream))
        .collect();
    let proxies = providers.iter().filter_map(|(id, _, proxy)| {
        let proxy = Proxy::parse((*proxy)?).unwrap();
        Some(((*id).to_owned(), proxy))
    });
    gateway(Configuration {
        proxies: proxies.collect(),
        ..impatient(configuration(configured))
    })
}

async fn fault(gateway: &Arc<Gateway>, model: &str) -> Fault {
    match begun(gateway, model).await {
        Answer::Failed { fault, .. } => fault,
        Answer::Stream { .. } | Answer::FailedStream { .. } | Answer::Whole { .. } => {
            panic!("no failure")
        }
    }
}

fn tunnel(to: &ScriptedUpstream, authorization: Option<&str>) -> Proxied {
    Proxied {
        method: "CONNECT".to_owned(),
        target: to.address().to_string(),
        authorization: authorization.map(str::to_owned),
    }
}

#[tokio::test]
async fn a_proxy_of_ones_own_holds_for_loopback_too_and_its_connections_are_kept() {
    let (upstream, proxy) = (upstream(), ScriptedProxy::start(ProxyScript::default()));
    let gateway = house(&[("a", &upstream, Some(&proxy.url()))]);
    for _ in 0..20 {
        assert_eq!(turn(&gateway, "a/model").await.as_deref(), Ok("hello"));
    }
    assert_eq!(upstream.received().len(), 20);
    // How many depends on whether a connection is free again when the next turn begins.
    let connections = upstream.connections();
    assert!(connections < 20, "none was used again");
    assert_eq!(proxy.proxied(), vec![tunnel(&upstream, None); connections]);
    // What is for the provider does not tell of the proxy.
    assert_eq!(upstream.received()[0].path, "/v1/chat/completions");
}

#[tokio::test]
async fn user_and_password_are_sent_to_the_proxy_and_to_nobody_else() {
    let upstream = upstream();
    let proxy = ScriptedProxy::start(ProxyScript {
        authorization: Some(AUTHORIZATION.to_owned()),
        leads_to: None,
    });
    let gateway = house(&[("a", &upstream, Some(&proxy.url_of(USER)))]);
    assert_eq!(turn(&gateway, "a/model").await.as_deref(), Ok("hello"));
    assert_eq!(proxy.proxied(), [tunnel(&upstream, Some(AUTHORIZATION))]);
    assert!(!upstream.received()[0].headers.has("proxy-authorization"));
}

#[tokio::test]
async fn each_provider_has_its_own_way_to_the_same_address() {
    let upstream = upstream();
    let proxies = [(); 2].map(|()| ScriptedProxy::start(ProxyScript::default()));
    let gateway = house(&[
        ("first", &upstream, Some(&proxies[0].url())),
        ("second", &upstream, Some(&proxies[1].url())),
        ("none", &upstream, Some("none")),
        ("usual", &upstream, None),
    ]);
    for model in ["first/model", "second/model", "none/model", "usual/model"] {
        assert_eq!(turn(&gateway, model).await.as_deref(), Ok("hello"));
    }
    for proxy in &proxies {
        assert_eq!(proxy.proxied(), [tunnel(&upstream, None)]);
    }
    assert_eq!(upstream.connections(), 4);
}

/// Serves one connection as a SOCKS 5 proxy (RFC 1928) that wants a user and a password (RFC 1929); gives them, and where the
/// connection was to lead.
async fn socks(listener: tokio::net::TcpListener) -> (String, String) {
    let (mut client, _) = listener.accept().await.unwrap();
    let mut methods = vec![0; usize::from(two(&mut client).await[1])];
    client.read_exact(&mut methods).await.unwrap();
    assert!(methods.contains(&2), "{methods:?}");
    client.write_all(&[5, 2]).await.unwrap();
    let [_, length] = two(&mut client).await;
    let user = text(&mut client, length).await;
    let length = client.read_u8().await.unwrap();
    let password = text(&mut client, length).await;
    client.write_all(&[1, 0]).await.unwrap();
    // CONNECT to an IPv4 address.
    let mut head = [0; 4];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(head, [5, 1, 0, 1]);
    let address = Ipv4Addr::from(client.read_u32().await.unwrap());
    let port = client.read_u16().await.unwrap();
    let mut provider = TcpStream::connect((address, port)).await.unwrap();
    client
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    copy_bidirectional(&mut client, &mut provider)
        .await
        .unwrap();
    (format!("{user}:{password}"), format!("{address}:{port}"))
}

async fn two(client: &mut TcpStream) -> [u8; 2] {
    let mut two = [0; 2];
    client.read_exact(&mut two).await.unwrap();
    two
}

async fn text(client: &mut TcpStream, length: u8) -> String {
    let mut text = vec![0; usize::from(length)];
    client.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_socks_proxy_is_asked_for_the_provider_with_user_and_password() {
    let upstream = upstream();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("socks5://{USER}@{}", listener.local_addr().unwrap());
    let gateway = house(&[("a", &upstream, Some(&proxy))]);
    let turned = Box::pin(async {
        let said = turn(&gateway, "a/model").await;
        // Its connections go with it, and so the proxy's end.
        drop(gateway);
        said
    });
    let (said, (user, target)) = within(
        "a turn",
        Box::pin(async { tokio::join!(turned, socks(listener)) }),
    )
    .await;
    assert_eq!(said.as_deref(), Ok("hello"));
    assert_eq!(user, "user:p@ss");
    assert_eq!(target, upstream.address().to_string());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password_and_not_gone_around() {
    let upstream = upstream();
    let proxy = ScriptedProxy::start(ProxyScript {
        authorization: Some("Basic other".to_owned()),
        leads_to: None,
    });
    let gateway = house(&[("a", &upstream, Some(&proxy.url_of(USER)))]);
    let fault = fault(&gateway, "a/model").await;
    assert_eq!(fault.class, FaultClass::NetworkCut);
    assert_eq!(
        fault.message,
        format!(
            "provider `a` cannot be reached at {} through the proxy http://***@{}: tunnel error: proxy authorization required. hint: \
             look at `proxy` under [providers.a]",
            upstream.base_url(),
            proxy.address()
        )
    );
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_gone_around() {
    let upstream = upstream();
    // Bound and closed again, so that nobody listens there.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for scheme in ["http", "socks5", "socks5h"] {
        let gateway = house(&[("a", &upstream, Some(&format!("{scheme}://{address}")))]);
        let fault = fault(&gateway, "a/model").await;
        assert_eq!(fault.class, FaultClass::NetworkCut, "{scheme}");
        let named = format!("through the proxy {scheme}://{address}: ");
        assert!(fault.message.contains(&named), "{}", fault.message);
    }
    assert_eq!(upstream.connections(), 0);
}
