//! What the tests of the wire share: a world with a frozen clock, and a client that shows every
//! byte of an exchange.

use std::collections::BTreeSet;

use callmeter_simulator::{LedgerQuery, Options, Running, Simulator};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A small world on a Thursday afternoon, with a frozen clock.
pub(crate) fn options() -> Options {
    Options {
        seed: 7,
        clients: 4,
        centers: 2,
        calls_per_day: Some(60),
        days: 2,
        start: Some("2026-08-06T18:00:00Z".parse().expect("a timestamp")),
        ahead: true,
        rates: 200,
        ..Options::default()
    }
}

pub(crate) async fn start(options: Options) -> Running {
    let running = Simulator::start(options).await.expect("it starts");
    running.freeze(true);
    running
}

/// Starts the world with some faults, written as on the command line.
pub(crate) async fn start_with(faults: &[&str]) -> Running {
    let mut options = options();
    for fault in faults {
        options.faults.merge_word(fault).expect("a fault");
    }
    start(options).await
}

/// A request body with HostedSuite's credentials.
pub(crate) fn body(members: &Value) -> String {
    let mut body = members.clone();
    let object = body.as_object_mut().expect("an object");
    for (name, value) in [
        ("CustomerName", "Acme"),
        ("UserName", "exporter"),
        ("Password", "simulated"),
    ] {
        object.entry(name).or_insert_with(|| value.into());
    }
    body.to_string()
}

/// What came back, byte for byte.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Exchange {
    pub(crate) fn status(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_prefix("HTTP/1.1 ").unwrap_or(line)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{}: ", name.to_lowercase());
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Head and body, without what changes from run to run.
    pub(crate) fn shown(&self) -> String {
        let head: Vec<_> = (self.head.lines())
            .filter(|line| !line.starts_with("date: "))
            .collect();
        format!("{}\n\n{}", head.join("\n"), self.text())
    }
}

/// Sends a request as it is written here and reads until the server closes.
pub(crate) async fn exchange(address: std::net::SocketAddr, request: &str) -> Exchange {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A connection that is cut off may end in an error; what was received counts.
    let _ = stream.read_to_end(&mut answer).await;
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Exchange {
            head: String::from_utf8(answer).expect("UTF-8"),
            body: Vec::new(),
        };
    };
    let body = answer.split_off(end + 4);
    answer.truncate(end);
    Exchange {
        head: String::from_utf8(answer)
            .expect("UTF-8")
            .replace("\r\n", "\n"),
        body,
    }
}

/// Posts a body to HostedSuite, with further headers.
pub(crate) async fn post(
    running: &Running,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Exchange {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: simulator\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for &(name, value) in headers {
        request.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    exchange(
        running.hostedsuite_address(),
        &format!("{request}\r\n{body}"),
    )
    .await
}

pub(crate) const JSON: [(&str, &str); 2] = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
];

/// Posts JSON to HostedSuite, credentials included, and wants JSON.
pub(crate) async fn ask(running: &Running, path: &str, members: Value) -> Exchange {
    post(running, path, &JSON, &body(&members)).await
}

/// A request to the PBX, with a token or without.
pub(crate) async fn pbx(
    running: &Running,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Exchange {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n{}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        authorization.unwrap_or_default(),
        body.len()
    );
    exchange(running.portsip_address(), &request).await
}

pub(crate) const LOGIN: &str =
    r#"{"username":"billing","password":"simulated","domain":"pbx.example.com"}"#;

/// Signs in at the PBX and returns the access token.
pub(crate) async fn token(running: &Running) -> String {
    let granted = pbx(running, "POST", "/api/auth/sign_in", None, LOGIN).await;
    let token = granted.json()["access_token"].clone();
    token.as_str().expect("a token").to_owned()
}

pub(crate) const CALLS: &str = "/api/calls";

/// Asks for a page of calls, which must succeed.
pub(crate) async fn page(running: &Running, members: Value) -> Value {
    let answer = ask(running, CALLS, members).await;
    assert_eq!(answer.status(), "200 OK");
    answer.json()
}

pub(crate) fn ids(page: &Value) -> Vec<String> {
    let items = page["Items"].as_array().expect("items");
    let id = |item: &Value| item["Id"].as_str().expect("an id").to_owned();
    items.iter().map(id).collect()
}

pub(crate) fn unique(pages: &[Vec<String>]) -> BTreeSet<String> {
    pages.iter().flatten().cloned().collect()
}

/// The ids that the ledger has.
pub(crate) fn truth(running: &Running) -> BTreeSet<String> {
    let ledger = running.ledger(&LedgerQuery::default());
    assert_eq!(ledger.ids.len() as u64, ledger.total.calls);
    ledger.ids.into_iter().collect()
}
