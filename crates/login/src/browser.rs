//! A new login through a browser on this machine.
//!
//! Facts: seed-behaviours.md D6.10, and what `codex login` of Codex 0.169 does (seen on 2026-11-25): the browser is sent back to
//! `http://127.0.0.1:1455/auth/callback`, or to port 1457 when that one is taken.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use polywire_credentials::tokens_equal;
use polywire_upstream::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::ask::{ORIGINATOR, quoted};
use crate::exchange::{NewLogin, PERSON_WAIT, challenge, exchange, not_finished, random};
use crate::places::CLIENT_ID;
use crate::{LoginError, Places, url};

/// What Codex asks for. A login with less could not serve Codex itself.
const SCOPE: &str = "openid profile email offline_access api.connectors.read api.connectors.invoke";

/// Where the browser comes back to.
const CALLBACK: &str = "/auth/callback";

/// The most connections that are open at once. A browser opens one or two, some of them for nothing.
const CONNECTIONS_MAX: usize = 32;

/// The most bytes of a request. A browser's cookies for `127.0.0.1` come with it.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// How long a connection may take to say what it wants.
const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// A login that waits for the browser to come back.
#[derive(Debug)]
pub struct BrowserLogin {
    listener: TcpListener,
    issuer: String,
    redirect_uri: String,
    verifier: String,
    state: Arc<str>,
    url: String,
}

/// A browser that came back with our state: the rest of its query, and where it waits for a page.
struct Callback {
    stream: TcpStream,
    query: String,
}

impl BrowserLogin {
    /// Begins to wait on the first free port of [`Places::callback_ports`], on the loopback interface only.
    ///
    /// # Errors
    /// None of the ports is free.
    pub async fn begin(places: &Places) -> Result<Self, LoginError> {
        let (listener, port) = listen(&places.callback_ports).await?;
        let redirect_uri = format!("http://127.0.0.1:{port}{CALLBACK}");
        let (verifier, state) = (random()?, random()?);
        let query = url::query(&[
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", &redirect_uri),
            ("scope", SCOPE),
            ("code_challenge", &challenge(&verifier)),
            ("code_challenge_method", "S256"),
            ("id_token_add_organizations", "true"),
            ("codex_cli_simplified_flow", "true"),
            ("state", &state),
            ("originator", ORIGINATOR),
        ]);
        Ok(Self {
            listener,
            issuer: places.issuer.clone(),
            url: format!("{}/oauth/authorize?{query}", places.issuer),
            redirect_uri,
            verifier,
            state: state.into(),
        })
    }

    /// The address to open in a browser on this machine.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the browser to come back, and gets the tokens. What comes with a wrong state is refused and waited past: any page
    /// that is open in the browser could send it.
    ///
    /// # Errors
    /// The person or the issuer refused, nobody came back within 15 minutes, or the issuer gave no tokens.
    pub async fn finish(self, upstream: &Upstream) -> Result<NewLogin, LoginError> {
        let callback = tokio::time::timeout(PERSON_WAIT, self.callback()).await;
        let mut callback = callback.map_err(|_| {
            not_finished(format!(
                "the browser did not come back within {} minutes",
                PERSON_WAIT.as_secs() / 60
            ))
        })??;
        let login = self.tokens(&callback.query, upstream).await;
        let page = match &login {
            Ok(_) => page(
                "200 OK",
                "You are logged in",
                "polywire has the login. This page can be closed.",
            ),
            Err(_) => page(
                "400 Bad Request",
                "The login was not finished",
                "The terminal says why.",
            ),
        };
        send(&mut callback.stream, &page).await;
        login
    }

    async fn tokens(&self, query: &str, upstream: &Upstream) -> Result<NewLogin, LoginError> {
        if let Some(error) = url::field(query, "error") {
            let description = url::field(query, "error_description").unwrap_or_default();
            return Err(not_finished(format!(
                "the issuer says `{}` {}",
                quoted(&error),
                quoted(&description)
            )));
        }
        let code = url::field(query, "code").filter(|code| !code.is_empty());
        let code =
            code.ok_or_else(|| not_finished("the browser came back without a code".to_owned()))?;
        let redirect_uri = &self.redirect_uri;
        exchange(upstream, &self.issuer, &code, redirect_uri, &self.verifier).await
    }

    /// The first connection that brings our state.
    async fn callback(&self) -> Result<Callback, LoginError> {
        // Each connection by itself: browsers open some in advance and say nothing on them. They end with this set.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                        connections.spawn(converse(stream, Arc::clone(&self.state)));
                    }
                    // Too many, or one that was gone at once.
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, "a browser's connection failed"),
                },
                Some(ended) = connections.join_next() => {
                    if let Ok(Some(callback)) = ended {
                        return Ok(callback);
                    }
                }
            }
        }
    }
}

async fn listen(ports: &[u16]) -> Result<(TcpListener, u16), LoginError> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for port in ports {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await;
        match bound.and_then(|listener| Ok((listener.local_addr()?.port(), listener))) {
            Ok((port, listener)) => return Ok((listener, port)),
            Err(error) => failure = error,
        }
    }
    Err(LoginError::NoPort {
        ports: ports.to_vec(),
        source: Arc::new(failure),
    })
}

/// Hears what a connection wants. Gives it back when it is the browser that we wait for; answers everybody else.
async fn converse(mut stream: TcpStream, state: Arc<str>) -> Option<Callback> {
    let target = tokio::time::timeout(REQUEST_WAIT, target(&mut stream));
    let target = target.await.ok()??;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let refusal = if path != CALLBACK {
        page("404 Not Found", "Nothing is here", "")
    } else if url::field(query, "state").is_some_and(|given| tokens_equal(&given, &state)) {
        let query = query.to_owned();
        return Some(Callback { stream, query });
    } else {
        page(
            "400 Bad Request",
            "This is not the login that polywire waits for",
            "Open the address that the terminal shows.",
        )
    };
    send(&mut stream, &refusal).await;
    None
}

/// The target of a `GET` request, when its head has come whole.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut head).await.ok()?;
        if read == 0 || head.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut words = text.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    (method == "GET").then(|| target.to_owned())
}

/// A page, as a whole answer. Nothing from outside is on it.
fn page(status: &str, title: &str, text: &str) -> String {
    // The address holds the code; the page takes it out of the browser's history.
    let body = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>polywire</title>\
         <body style=\"font: 1.1em sans-serif; margin: 4em\"><h1>{title}</h1><p>{text}</p>\
         <script>history.replaceState(null, '', '/')</script>"
    );
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a page. A browser that is gone has no need of it.
async fn send(stream: &mut TcpStream, page: &str) {
    let sent = async {
        stream.write_all(page.as_bytes()).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "a browser left before its page");
    }
}
