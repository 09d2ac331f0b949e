//! A proxy that remembers who asked it for what.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::http1::{Buffered, Head};

/// What a [`ScriptedProxy`] does.
#[derive(Clone, Debug, Default)]
pub struct ProxyScript {
    /// Where every connection leads, whatever its client asks for; `None`: there.
    pub leads_to: Option<SocketAddr>,
    /// The `Proxy-Authorization` without which it answers 407.
    pub authorization: Option<String>,
}

/// One connection as the proxy was asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// `CONNECT`, or the method of a request in absolute form.
    pub method: String,
    /// What was asked for: host and port behind `CONNECT`, else a URL.
    pub target: String,
    /// `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// An HTTP proxy on the loopback interface: tunnels, and requests in absolute form, one for each connection.
///
/// It runs in a thread of its own until it is dropped.
#[derive(Debug)]
pub struct ScriptedProxy {
    address: SocketAddr,
    proxied: Arc<Mutex<Vec<Proxied>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedProxy {
    /// Starts a proxy.
    pub fn start(script: ProxyScript) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .expect("a free port on the loopback interface");
        let address = listener.local_addr().expect("the address of the listener");
        let proxied = Arc::new(Mutex::default());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let proxied = Arc::clone(&proxied);
            move || serve(listener, &script, &proxied, stopped)
        });
        Self {
            address,
            proxied,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its URL with a user and a password, as `user:password`.
    pub fn url_of(&self, user: &str) -> String {
        format!("http://{user}@{}", self.address)
    }

    /// The connections that it was asked for so far, those that it refused included.
    pub fn proxied(&self) -> Vec<Proxied> {
        self.proxied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for ScriptedProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "a proxy panicked"
            );
        }
    }
}

fn serve(
    listener: std::net::TcpListener,
    script: &ProxyScript,
    proxied: &Arc<Mutex<Vec<Proxied>>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the proxy");
    runtime.block_on(async {
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
        // Dropped with the connections that are still open.
        let mut connections = JoinSet::new();
        let accepting = async {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                connections.spawn(connection(stream, script.clone(), Arc::clone(proxied)));
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
}

/// Serves one connection. One that breaks is its client's business.
async fn connection(
    stream: TcpStream,
    script: ProxyScript,
    proxied: Arc<Mutex<Vec<Proxied>>>,
) -> io::Result<()> {
    let mut client = Buffered::new(stream);
    let Some(head) = client.head().await? else {
        return Ok(());
    };
    let mut words = head.start_line.split(' ');
    let asked = Proxied {
        method: words.next().unwrap_or_default().to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        authorization: head.headers.get("proxy-authorization").map(str::to_owned),
    };
    let may_pass = script.authorization.is_none() || script.authorization == asked.authorization;
    proxied
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked.clone());
    if !may_pass {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        client.stream.write_all(refusal).await?;
        client.stream.shutdown().await?;
        // Closing before the client has sent its rest would reset the connection, and the answer with it.
        client.stream.read_to_end(&mut client.bytes).await?;
        return Ok(());
    }
    let (host, path) = host_and_path(&asked);
    let mut provider = match script.leads_to {
        Some(address) => TcpStream::connect(address).await?,
        None => TcpStream::connect(host).await?,
    };
    if asked.method == "CONNECT" {
        client.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        let request = in_origin_form(&head, &asked.method, path);
        provider.write_all(request.as_bytes()).await?;
    }
    provider.write_all(&client.bytes).await?;
    copy_bidirectional(&mut client.stream, &mut provider).await?;
    Ok(())
}

/// Where a connection leads, and the path of a request in absolute form.
fn host_and_path(asked: &Proxied) -> (&str, &str) {
    if asked.method == "CONNECT" {
        return (&asked.target, "");
    }
    let rest = asked
        .target
        .strip_prefix("http://")
        .unwrap_or(&asked.target);
    let path_at = rest.find('/').unwrap_or(rest.len());
    rest.split_at(path_at)
}

/// The head of a request as its provider gets it, without what was for the proxy.
fn in_origin_form(head: &Head, method: &str, path: &str) -> String {
    let fields = head.headers.0.iter();
    let fields: String = fields
        .filter(|(name, _)| !name.to_ascii_lowercase().starts_with("proxy-"))
        .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
        .collect();
    format!("{method} {path} HTTP/1.1\r\n{fields}\r\n")
}
