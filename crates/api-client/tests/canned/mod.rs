//! A server that answers from a script, byte by byte: what real ones do when they misbehave.
//!
//! Shared by the tests of the clients.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared source: each test crate uses a part of it"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Sends the first bytes at once, the others one by one with a pause after each, and closes.
    Drip(Vec<u8>, Vec<u8>, Duration),
    /// Sends these bytes, then this many more, and closes.
    Flood(Vec<u8>, u64),
    /// Says nothing until the client goes.
    Silence,
    /// Closes at once.
    Close,
}

/// An answer with a status, one content type and a body.
pub fn answer(status: &str, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
    with_headers(status, &[("Content-Type", content_type)], body)
}

/// An answer with these headers.
pub fn with_headers(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    Reply::Raw(bytes)
}

/// A JSON answer with status 200.
pub fn json(body: impl AsRef<[u8]>) -> Reply {
    answer("200 OK", "application/json; charset=utf-8", body)
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Seen(pub String);

impl Seen {
    /// `METHOD /path?query`
    pub fn line(&self) -> &str {
        let line = self.0.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next()?;
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The request for a snapshot: the address, which changes, left out.
    pub fn golden(&self) -> String {
        let (head, body) = self.0.split_once("\r\n\r\n").unwrap_or((&self.0, ""));
        let mut lines = head.lines();
        let mut text = lines.next().unwrap_or_default().to_owned();
        let mut headers: Vec<_> = lines
            .filter(|line| !line.to_ascii_lowercase().starts_with("host:"))
            .map(str::to_ascii_lowercase)
            .collect();
        headers.sort();
        for header in headers {
            text.push('\n');
            text.push_str(&header);
        }
        text.push_str("\n\n");
        text.push_str(body);
        text
    }
}

pub struct Canned {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Canned {
    /// Starts a server; the script is given each request and how many came before it.
    pub async fn start(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&script)));
                }
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// A server that gives one answer to everything.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone()).await
    }

    pub fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<impl Fn(&Seen, usize) -> Reply>,
) {
    let Some(request) = receive(&mut stream).await else {
        return;
    };
    let reply = {
        let mut seen = seen.lock().unwrap();
        let before = seen.len();
        seen.push(request.clone());
        script(&request, before)
    };
    // A client that has had enough closes early: that is no fault of the test.
    let _ = send(&mut stream, reply).await;
}

async fn send(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Raw(bytes) => stream.write_all(&bytes).await?,
        Reply::Drip(head, bytes, pause) => {
            stream.write_all(&head).await?;
            for byte in bytes {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Reply::Flood(bytes, count) => {
            stream.write_all(&bytes).await?;
            let block = vec![b' '; 64 * 1024];
            for _ in 0..count / block.len() as u64 {
                stream.write_all(&block).await?;
            }
        }
        Reply::Silence => {
            let mut rest = [0; 1];
            let _ = stream.read(&mut rest).await;
        }
        Reply::Close => {}
    }
    stream.shutdown().await
}

async fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        let count = stream.read(&mut block).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&block[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse().ok())?
            })
            .unwrap_or(0_usize);
        if body.len() >= length {
            return Some(Seen(text));
        }
    }
}
