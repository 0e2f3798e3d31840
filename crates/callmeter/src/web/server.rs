//! Accepts connections, with TLS if configured, and limits their number, their time and the size of
//! request heads.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::connections::{Activity, Busy, Connections};
use super::peer::Peer;
use super::stall::StallGuard;
use crate::stop::Stop;
use prometheus_web_config::Access;

/// The limits for clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Concurrent connections per address. Beyond it, idle ones are closed.
    pub(super) connections: usize,
    /// Time for a request after which its connection is closed if there is no room for others.
    pub(super) request: Duration,
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
            request: Duration::from_secs(10),
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
    let connections = Connections::new(bounds.connections, bounds.request);
    loop {
        let Some(accepted) = stop.unless_stopped(listener.accept()).await else {
            break;
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer::of(address)),
            Err(error) => {
                // Usually no file descriptor is left: wait for others to close.
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(mut place) = stop.unless_stopped(connections.place(peer)).await else {
            break;
        };
        let client = Client {
            peer,
            activity: place.activity(),
        };
        let (app, access) = (app.clone(), Arc::clone(&access));
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = connection(stream, client, app, &access, bounds, watcher) => ended,
                () = place.lost() => Err("closed to make room for others".to_owned()),
            };
            if let Err(error) = ended {
                debug!(error, "connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

/// Where requests come from.
#[derive(Clone)]
struct Client {
    peer: Peer,
    activity: Activity,
}

async fn connection(
    stream: TcpStream,
    client: Client,
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
        None => http(stream, client, app, bounds, watcher).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(stream);
            let stream = tokio::time::timeout(bounds.handshake, handshake)
                .await
                .map_err(|_| "the TLS handshake took too long".to_owned())?
                .map_err(|error| format!("TLS handshake: {error}"))?;
            http(stream, client, app, bounds, watcher).await
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: Client,
    app: Router,
    bounds: Bounds,
    watcher: hyper_util::server::graceful::Watcher,
) -> Result<(), String> {
    let app = TowerToHyperService::new(app);
    let app = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client.peer);
        let busy = client.activity.busy();
        let response = app.call(request);
        async move {
            let response: Response<Body> = response.await?;
            Ok::<_, Infallible>(response.map(|body| BusyBody { body, _busy: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .serve_connection(TokioIo::new(stream), app);
    let served = watcher.watch(connection).await;
    served.map_err(|error| error.to_string())
}

/// A body whose connection is busy until it was sent.
struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
