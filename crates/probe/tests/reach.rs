//! Servers that refuse, hang, speak no TLS, show bad certificates or answer with the pages of others: what is found out about each.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test that calls them"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use polywire_credentials::Proxy;
use polywire_probe::{Filter, Finding, Reach, reach_within};
use polywire_testkit::{ProxyScript, Reply, ScriptedProxy, ScriptedUpstream, within};
use polywire_upstream::StepLimits;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const KEY: &str = "sk-a-secret-of-the-tests";

/// For what comes in time: far longer than anything on this machine takes.
const PATIENT: StepLimits = StepLimits {
    each: Duration::from_secs(30),
    answer: Duration::from_secs(30),
    body_bytes_max: 64 * 1024,
};

/// For what never comes.
const IMPATIENT: StepLimits = StepLimits {
    each: Duration::from_millis(300),
    answer: Duration::from_millis(300),
    body_bytes_max: 64 * 1024,
};

async fn reached(url: &str, proxy: &str, limits: &StepLimits) -> Reach {
    let proxy = Proxy::parse(proxy).unwrap();
    let mut authorization = http::HeaderValue::try_from(format!("Bearer {KEY}")).unwrap();
    authorization.set_sensitive(true);
    let request: Request<Full<Bytes>> = Request::get(url)
        .header("authorization", authorization)
        .body(Full::default())
        .unwrap();
    within(
        "an address to be tried",
        reach_within(&proxy, request, limits),
    )
    .await
}

async fn direct(url: &str) -> Reach {
    reached(url, "none", &PATIENT).await
}

fn steps(reach: &Reach) -> Vec<&'static str> {
    reach.steps.iter().map(|step| step.step).collect()
}

/// The step that failed and what is said of it, hint included.
fn stopped(reach: &Reach) -> (&'static str, String) {
    let Finding::Stopped {
        step,
        message,
        hint,
    } = &reach.finding
    else {
        panic!("{reach:?}");
    };
    (*step, format!("{message}\n{hint}"))
}

async fn answering(reply: Reply) -> Reach {
    let upstream = ScriptedUpstream::start(move |_, _| reply.clone());
    let reach = direct(&format!("{}/models", upstream.base_url())).await;
    let asked = upstream.received();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/v1/models");
    assert_eq!(
        asked[0].headers.get("host"),
        Some(upstream.address().to_string().as_str())
    );
    reach
}

#[tokio::test]
async fn a_provider_that_answers() {
    let reach = answering(Reply::json(
        200,
        &json!({"data": [{"id": "a"}, {"id": "b"}]}),
    ))
    .await;
    assert_eq!(reach.finding, Finding::Works { models: Some(2) });
    assert_eq!(steps(&reach), ["dns", "tcp", "http"]);
    assert_eq!(reach.proxy, None);
    assert!(reach.finding.is_reached() && reach.finding.hint().is_none());
    assert!(reach.body.starts_with(b"{"));
    let json = reach.to_json();
    assert_eq!(json["finding"], "works");
    assert_eq!(json["steps"][2]["found"], "200");
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    // Reserved for this (RFC 6761), so that no name server knows it.
    let reach = direct("https://provider.invalid/v1/models").await;
    let (step, said) = stopped(&reach);
    assert_eq!(step, "dns");
    assert!(
        said.contains("`provider.invalid`") && said.contains("`base_url`"),
        "{said}"
    );
    assert!(reach.steps.is_empty() && !reach.finding.is_reached());
}

/// A port where nobody listens any more.
async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let address = closed_port().await;
    let reach = direct(&format!("http://{address}/v1/models")).await;
    let (step, said) = stopped(&reach);
    assert_eq!((step, steps(&reach)), ("tcp", vec!["dns"]));
    assert!(
        said.contains(&address.to_string()) && said.contains("is the server running"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_is_silent() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = silent.local_addr().unwrap();
    let reach = reached(&format!("http://{address}/"), "none", &IMPATIENT).await;
    let (step, said) = stopped(&reach);
    assert_eq!((step, steps(&reach)), ("http", vec!["dns", "tcp"]));
    assert!(said.contains("no answer comes within 0.3 s"), "{said}");
    let reach = reached(&format!("https://{address}/"), "none", &IMPATIENT).await;
    let (step, said) = stopped(&reach);
    assert_eq!((step, steps(&reach)), ("tls", vec!["dns", "tcp"]));
    assert!(said.contains("`http://`"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_no_http_server() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let greeting = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
        stream
    };
    let url = format!("http://{address}/");
    let (reach, _stream) = tokio::join!(direct(&url), greeting);
    let (step, said) = stopped(&reach);
    assert_eq!(step, "http");
    assert!(said.contains("no HTTP"), "{said}");
}

#[tokio::test]
async fn a_server_that_answers_tls_in_plain_text() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let url = format!("https://{address}/");
    let (reach, _stream) = tokio::join!(direct(&url), answer);
    let (step, said) = stopped(&reach);
    assert_eq!(step, "tls");
    assert!(
        said.contains("does not speak TLS") && said.contains("`http://`"),
        "{said}"
    );
}

/// What is said of a server that shows this certificate, which it signed itself.
async fn with_certificate(names: &[&str], end: (i32, u8, u8)) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(end.0, end.1, end.2);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shaking_hands = async {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.err()
    };
    let url = format!("https://localhost:{}/", address.port());
    let (reach, _refused) = tokio::join!(direct(&url), shaking_hands);
    let (step, said) = stopped(&reach);
    assert_eq!((step, steps(&reach)), ("tls", vec!["dns", "tcp"]));
    said
}

#[tokio::test]
async fn bad_certificates_are_told_apart() {
    let said = with_certificate(&["localhost"], (2120, 1, 1)).await;
    assert!(
        said.contains("nobody whom this machine trusts") && said.contains("SSL_CERT_FILE"),
        "{said}"
    );
    let said = with_certificate(&["localhost"], (2021, 1, 1)).await;
    assert!(
        said.contains("has expired") && said.contains("clock"),
        "{said}"
    );
}

#[tokio::test]
async fn refusals_in_the_providers_words_without_the_key() {
    let words = format!("Incorrect API key provided: {KEY}.");
    let reach = answering(Reply::error(401, "invalid_api_key", &words)).await;
    let Finding::KeyRefused { status: 401, words } = &reach.finding else {
        panic!("{reach:?}");
    };
    assert!(
        words.contains("Incorrect API key provided: ***."),
        "{words}"
    );
    assert!(reach.finding.is_reached());
    let reach = answering(Reply::error(403, "forbidden", "no rights")).await;
    assert!(reach.finding.message().contains("no rights"), "{reach:?}");
    assert!(reach.finding.hint().unwrap().contains("rights"));
    let reach = answering(Reply::error(
        429,
        "insufficient_quota",
        "You exceeded your current quota",
    ))
    .await;
    assert!(
        matches!(reach.finding, Finding::Limited { status: 429, .. }),
        "{reach:?}"
    );
    let reach = answering(Reply::error(404, "not_found", "no such path")).await;
    assert_eq!(reach.finding, Finding::NoList { status: 404 });
    let reach = answering(Reply::error(500, "server_error", "oops")).await;
    assert!(
        matches!(reach.finding, Finding::Failing { status: 500, .. }),
        "{reach:?}"
    );
}

#[tokio::test]
async fn pages_and_redirects() {
    let reach = answering(Reply::html(200, "<html><title>Sign in</title></html>")).await;
    let title = Some("Sign in".to_owned());
    assert_eq!(reach.finding, Finding::Page { status: 200, title });
    assert!(reach.finding.hint().unwrap().contains("`base_url`"));
    let moved = Reply::new(308, "text/plain", "").header("location", "https://other.example/v1");
    let reach = answering(moved).await;
    assert!(
        reach.finding.message().contains("https://other.example/v1"),
        "{reach:?}"
    );
    let challenge = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
    let reach = answering(Reply::html(403, challenge).header("server", "cloudflare")).await;
    let filter = Filter::Challenge;
    assert_eq!(
        reach.finding,
        Finding::Filtered {
            status: 403,
            filter
        }
    );
    let reach = answering(Reply::new(403, "text/plain", "error code: 1010")).await;
    let filter = Filter::Signature;
    assert_eq!(
        reach.finding,
        Finding::Filtered {
            status: 403,
            filter
        }
    );
    assert!(reach.finding.hint().unwrap().contains("User-Agent"));
    assert!(!reach.finding.is_reached());
}

#[tokio::test]
async fn through_a_proxy() {
    let upstream = ScriptedUpstream::start(|_, _| Reply::json(200, &json!({"data": []})));
    let script = ProxyScript {
        authorization: Some("Basic dXNlcjpwYXNz".to_owned()),
        ..ProxyScript::default()
    };
    let proxy = ScriptedProxy::start(script);
    let url = format!("{}/models", upstream.base_url());
    let reach = reached(&url, &proxy.url_of("user:pass"), &PATIENT).await;
    assert_eq!(reach.finding, Finding::Works { models: Some(0) });
    assert_eq!(steps(&reach), ["dns", "tcp", "proxy", "http"]);
    assert_eq!(reach.proxy.as_deref(), Some(proxy.url().as_str()));
    assert!(!format!("{reach:?}").contains("pass"));
    let reach = reached(&url, &proxy.url(), &PATIENT).await;
    let (step, said) = stopped(&reach);
    assert_eq!((step, steps(&reach)), ("proxy", vec!["dns", "tcp"]));
    assert!(
        said.contains(&proxy.url()) && said.contains("user:password"),
        "{said}"
    );
    let nobody = closed_port().await;
    let reach = reached(&url, &format!("http://{nobody}"), &PATIENT).await;
    let (step, said) = stopped(&reach);
    assert_eq!(step, "tcp");
    assert!(said.contains("is the proxy running"), "{said}");
}
