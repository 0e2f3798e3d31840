//! Listens on addresses in the format of Prometheus: `:10177`, `127.0.0.1:10177`, `[::1]:10177`,
//! `localhost:10177`.

use tokio::net::TcpListener;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address with --web.listen-address")]
pub struct ListenError {
    address: String,
    source: std::io::Error,
}

/// Listens on an address. Without a host, it is all IPv6 and IPv4 addresses of this machine.
///
/// # Errors
/// If the address is invalid, in use, or not permitted.
pub async fn bind(address: &str) -> Result<TcpListener, ListenError> {
    let bound = match address.strip_prefix(':') {
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported || is_no_ipv6(&error) => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            bound => bound,
        },
        None => TcpListener::bind(address).await,
    };
    bound.map_err(|source| ListenError {
        address: address.to_owned(),
        source,
    })
}

/// The errors of a machine without IPv6.
fn is_no_ipv6(error: &std::io::Error) -> bool {
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
        let address = taken.local_addr().unwrap().to_string();
        let error = bind(&address).await.unwrap_err().to_string();
        assert!(
            error.contains(&address) && error.contains("--web.listen-address"),
            "{error}"
        );
    }
}
