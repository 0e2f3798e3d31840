//! `callmeter healthcheck`: asks a running exporter whether it is ready. An image without a shell
//! and without curl needs it.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::exit::Failure;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Succeeds if the exporter is ready. One that asks for a password, or for TLS, is not asked
/// further: it answers.
///
/// # Errors
/// If it does not answer, or is not ready.
pub fn run(address: &str) -> Result<(), Failure> {
    let start = ask(address).map_err(|error| Failure::failed(format!("{address}: {error}")))?;
    let text = String::from_utf8_lossy(&start);
    // 0x15 starts an alert of TLS.
    let is_ready = text.starts_with("HTTP/1.1 200")
        || text.starts_with("HTTP/1.1 401")
        || start.first() == Some(&0x15);
    if is_ready {
        Ok(())
    } else {
        let line = text.lines().next().unwrap_or_default();
        Err(Failure::failed(format!("{address} is not ready: {line}")))
    }
}

/// The start of the answer.
fn ask(address: &str) -> std::io::Result<Vec<u8>> {
    let mut failure = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.write_all(REQUEST)?;
                let mut start = Vec::new();
                stream.take(64).read_to_end(&mut start)?;
                return Ok(start);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
