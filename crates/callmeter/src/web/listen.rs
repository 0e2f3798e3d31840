//! Listens on addresses in the format of Prometheus: `:10177`, `127.0.0.1:10177`, `[::1]:10177`,
//! `localhost:10177`.

use std::collections::BTreeSet;
use std::io;

use tokio::net::TcpListener;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address with --web.listen-address")]
pub struct ListenError {
    address: String,
    source: io::Error,
}

/// Listens on all of these addresses.
///
/// # Errors
/// If an address cannot be resolved or bound.
pub async fn bind_all(addresses: &[String]) -> Result<Vec<TcpListener>, ListenError> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.extend(bind(address).await?);
    }
    Ok(listeners)
}

/// Uses sockets that listen already, such as those of systemd.
///
/// # Errors
/// If the system refuses to use one of them.
pub fn adopt(sockets: Vec<std::net::TcpListener>) -> Result<Vec<TcpListener>, ListenError> {
    let adopt = |socket: std::net::TcpListener| {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    };
    sockets
        .into_iter()
        .map(adopt)
        .collect::<io::Result<_>>()
        .map_err(|source| ListenError {
            address: "the socket of systemd".to_owned(),
            source,
        })
}

/// Listens on an address: on all addresses that the host name has, such as 127.0.0.1 and ::1 for
/// `localhost`. Without a host, it is all IPv6 and IPv4 addresses of this machine.
///
/// # Errors
/// If the address is invalid, in use, or not permitted.
pub(super) async fn bind(address: &str) -> Result<Vec<TcpListener>, ListenError> {
    let bound = match address.strip_prefix(':') {
        Some(port) => bind_every(port).await.map(|listener| vec![listener]),
        None => bind_host(address).await,
    };
    bound.map_err(|source| ListenError {
        address: address.to_owned(),
        source,
    })
}

async fn bind_every(port: &str) -> io::Result<TcpListener> {
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported || is_no_ipv6(&error) => {
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        bound => bound,
    }
}

async fn bind_host(address: &str) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut bound = BTreeSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for mut found in tokio::net::lookup_host(address).await? {
        // The system chooses port 0 once, not for each address.
        if found.port() == 0
            && let Some(first) = listeners.first()
        {
            found.set_port(first.local_addr()?.port());
        }
        if !bound.insert(found) {
            continue;
        }
        match TcpListener::bind(found).await {
            Ok(listener) => listeners.push(listener),
            // The name has an address that this machine has not.
            Err(error) if is_no_ipv6(&error) => failure = error,
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() {
        return Err(failure);
    }
    Ok(listeners)
}

/// The errors of a machine without IPv6.
fn is_no_ipv6(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_format_of_an_address_is_accepted() {
        for address in [":0", "127.0.0.1:0", "localhost:0"] {
            assert!(bind(address).await.is_ok(), "{address}");
        }
        let taken = bind("127.0.0.1:0").await.unwrap();
        let address = taken[0].local_addr().unwrap().to_string();
        let error = bind(&address).await.unwrap_err().to_string();
        assert!(
            error.contains(&address) && error.contains("--web.listen-address"),
            "{error}"
        );
    }

    /// A client may try either address of `localhost`.
    #[tokio::test]
    async fn a_name_is_listened_on_at_all_its_addresses() {
        let named: BTreeSet<_> = tokio::net::lookup_host("localhost:0")
            .await
            .unwrap()
            .map(|address| address.ip())
            .collect();
        let listeners = bind("localhost:0").await.unwrap();
        let bound = listeners.iter().map(|one| one.local_addr().unwrap());
        let ips: BTreeSet<_> = bound.clone().map(|address| address.ip()).collect();
        assert_eq!(ips, named);
        let ports: BTreeSet<_> = bound.map(|address| address.port()).collect();
        assert_eq!(ports.len(), 1);
    }
}
