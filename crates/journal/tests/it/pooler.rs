//! A pooler before the server that gives each transaction the same connection, as PgBouncer does in
//! transaction mode.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Asks whether the server can do TLS.
const TLS: u32 = 80_877_103;

/// Starts one before the server at a port; returns its own port. It ends with the test's process.
pub(crate) fn start(server: u16) -> u16 {
    let mut upstream = TcpStream::connect(("127.0.0.1", server)).unwrap();
    let parameters = b"user\0callmeter\0database\0postgres\0client_encoding\0UTF8\0\0";
    let length = u32::try_from(8 + parameters.len()).unwrap();
    let version = 196_608_u32;
    upstream.write_all(&length.to_be_bytes()).unwrap();
    upstream.write_all(&version.to_be_bytes()).unwrap();
    upstream.write_all(parameters).unwrap();
    let (greeting, _) = answer(&mut upstream).unwrap();
    let upstream = Arc::new(Mutex::new(upstream));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (upstream, greeting) = (Arc::clone(&upstream), greeting.clone());
            // It ends with the client.
            thread::spawn(move || serve(client, &greeting, &upstream));
        }
    });
    port
}

fn serve(mut client: TcpStream, greeting: &[u8], upstream: &Mutex<TcpStream>) -> io::Result<()> {
    loop {
        let start = body(&mut client)?;
        if start.get(..4) == Some(&TLS.to_be_bytes()[..]) {
            client.write_all(b"N")?;
            continue;
        }
        client.write_all(greeting)?;
        break;
    }
    let mut sent = Vec::new();
    let mut transaction = None;
    loop {
        let kind = message(&mut client, &mut sent)?;
        if kind == b'X' {
            return Ok(());
        }
        // A query, or the end of a group of messages.
        if kind == b'Q' || kind == b'S' {
            let mut server = match transaction.take() {
                Some(server) => server,
                None => upstream.lock().unwrap(),
            };
            server.write_all(&sent)?;
            sent.clear();
            let (answer, status) = answer(&mut server)?;
            client.write_all(&answer)?;
            if status != b'I' {
                transaction = Some(server);
            }
        }
    }
}

/// What the server sends until it is ready for the next query, and the state of its transaction.
fn answer(server: &mut TcpStream) -> io::Result<(Vec<u8>, u8)> {
    let mut answer = Vec::new();
    while message(server, &mut answer)? != b'Z' {}
    let status = answer.last().copied().unwrap_or_default();
    Ok((answer, status))
}

/// Reads a message and adds it to `all`; returns its kind.
fn message(from: &mut TcpStream, all: &mut Vec<u8>) -> io::Result<u8> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    let body = body(from)?;
    all.push(kind[0]);
    all.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    all.extend(body);
    Ok(kind[0])
}

/// Reads what follows a length.
fn body(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length).saturating_sub(4);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut body)?;
    Ok(body)
}
