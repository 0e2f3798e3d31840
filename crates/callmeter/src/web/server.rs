//! Accepts connections, with TLS if configured, and limits their number, their time and the size of
//! request heads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::access::Access;
use super::stall::StallGuard;
use crate::stop::Stop;

/// The limits for clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Concurrent connections per address. More wait in the queue of the system.
    pub(super) connections: usize,
    /// Time for a TLS handshake.
    pub(super) handshake: Duration,
    /// Time for the head of a request, and between two requests.
    pub(super) head: Duration,
    /// Time without a client accepting a byte of the response.
    pub(super) stall: Duration,
    /// Size of the head of a request.
    pub(super) head_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            head_bytes: 32 * 1024,
        }
    }
}

/// Serves until stopped, then lets requests in progress finish.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    access: Arc<Access>,
    bounds: Bounds,
    mut stop: Stop,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let Some(Ok(place)) = stop.unless_stopped(Arc::clone(&room).acquire_owned()).await else {
            break;
        };
        let Some(accepted) = stop.unless_stopped(listener.accept()).await else {
            break;
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually no file descriptor is left: wait for others to close.
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (app, access) = (app.clone(), Arc::clone(&access));
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let ended = connection(stream, app, &access, bounds, watcher).await;
            if let Err(error) = ended {
                debug!(error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    app: Router,
    access: &Access,
    bounds: Bounds,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), String> {
    // Chunks are large: waiting to fill packets would only delay the last one.
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let stream = StallGuard::new(stream, bounds.stall);
    match access.tls() {
        None => http(stream, app, bounds, watcher).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let stream = tokio::time::timeout(bounds.handshake, handshake)
                .await
                .map_err(|_| "the TLS handshake took too long".to_owned())?
                .map_err(|error| format!("TLS handshake: {error}"))?;
            http(stream, app, bounds, watcher).await
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    bounds: Bounds,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), String> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let served = watcher.watch(connection).await;
    served.map_err(|error| error.to_string())
}
