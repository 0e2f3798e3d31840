//! One of the two servers: accepts connections, applies the faults to requests, and routes them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::control;
use crate::faults::{Delivery, Echo, EchoEncoding, Instead, Plan};
use crate::hostedsuite;
use crate::portsip::{self, ApiError};
use crate::requests::Side;
use crate::state::State;

const MOST_CONNECTIONS: usize = 2_048;
const MOST_BODY_BYTES: usize = 1 << 20;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between the halves of a body, so that the first one is sent.
const FLUSH: Duration = Duration::from_millis(20);

type Body = UnsyncBoxBody<Bytes, io::Error>;

#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<State>,
    side: Side,
    tls: Option<TlsAcceptor>,
    portsip: Router,
    control: Router,
}

/// The connection is closed instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("the disconnect fault closed the connection")]
struct Disconnect;

impl Server {
    pub(crate) fn new(state: &Arc<State>, side: Side, tls: Option<TlsAcceptor>) -> Self {
        // The PBX is also under /portsip/api of HostedSuite's port, for setups with one port.
        let routes = portsip::router(state);
        let portsip = match side {
            Side::PortSip => Router::new().nest("/api", routes),
            Side::HostedSuite => Router::new().nest("/portsip/api", routes),
        };
        Self {
            state: Arc::clone(state),
            side,
            tls,
            portsip,
            control: control::router(state),
        }
    }

    pub(crate) async fn serve(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                _ = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Most likely, no file descriptor is left.
                tokio::time::sleep(FLUSH).await;
                continue;
            };
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            let server = self.clone();
            connections.spawn(async move {
                server.connection(stream).await;
                drop(slot);
            });
        }
    }

    async fn connection(self, stream: TcpStream) {
        // Answers are written at once, so there is nothing to wait for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        match self.tls.clone() {
            None => self.exchange(stream).await,
            Some(tls) => match tokio::time::timeout(HEADER_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.exchange(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
                Err(_) => tracing::debug!("no TLS in time"),
            },
        }
    }

    async fn exchange(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.respond(request));
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended");
        }
    }

    async fn respond(
        &self,
        request: http::Request<Incoming>,
    ) -> Result<Response<Body>, Disconnect> {
        let path = request.uri().path().to_lowercase();
        if path.starts_with("/_sim/") {
            let Ok(response) = (self.control.clone())
                .oneshot(request.map(axum::body::Body::new))
                .await;
            return Ok(response.map(|body| body.map_err(io::Error::other).boxed_unsync()));
        }
        let side = match self.side {
            Side::HostedSuite if !path.starts_with("/portsip/") => Side::HostedSuite,
            _ => Side::PortSip,
        };
        let method = request.method().clone();
        let count = |status| {
            (self.state.requests).count(side, method.as_str(), &path, status);
        };

        let plan = self.state.request_faults.plan(&self.state.faults(), &path);
        tokio::time::sleep(plan.wait).await;
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MOST_BODY_BYTES).collect().await else {
            count(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
            return Ok(whole(with_status(StatusCode::PAYLOAD_TOO_LARGE)));
        };
        let body = body.to_bytes();
        if matches!(plan.instead, Some(Instead::Disconnect)) {
            count(0);
            return Err(Disconnect);
        }
        let mut response = match side {
            Side::HostedSuite => self.hostedsuite(&head, &body, &plan),
            Side::PortSip => self.portsip(head, body, &plan).await,
        };
        if let Some(date) = self.state.faults().date_skew.and_then(date_ahead_by) {
            response.headers_mut().insert(DATE, date);
        }
        count(response.status().as_u16());
        Ok(match plan.delivery {
            Delivery::AtOnce => whole(response),
            Delivery::Stalled(pause) => in_halves(response, pause, End::Whole),
            Delivery::CutOff => in_halves(response, FLUSH, End::CutOff),
        })
    }

    fn hostedsuite(
        &self,
        head: &http::request::Parts,
        body: &Bytes,
        plan: &Plan,
    ) -> Response<Bytes> {
        let echo = match &plan.instead {
            Some(Instead::Echo(echo)) => Some(echo),
            Some(instead) => return in_front(instead),
            None => None,
        };
        let request = hostedsuite::Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
        };
        hostedsuite::answer(&self.state, &request, echo)
    }

    async fn portsip(
        &self,
        head: http::request::Parts,
        body: Bytes,
        plan: &Plan,
    ) -> Response<Bytes> {
        let authorization = head.headers.get(http::header::AUTHORIZATION);
        let authorization = authorization
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if plan.expire_token {
            self.state.pbx.expire(authorization);
        }
        if plan.change_deck && head.uri.path().contains("/call_rates") {
            self.state.pbx.change_deck();
        }
        let response = match &plan.instead {
            Some(Instead::Echo(echo)) => {
                let repeated = repeat(echo, authorization, &body);
                axum::response::IntoResponse::into_response(ApiError::with_request(repeated))
            }
            Some(instead) => return in_front(instead),
            None => {
                let request = http::Request::from_parts(head, axum::body::Body::from(body));
                let Ok(response) = self.portsip.clone().oneshot(request).await;
                response
            }
        };
        let (head, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(head, body.to_bytes()),
            Err(_) => with_status(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The value of `Date` on a machine whose clock is ahead by so many seconds.
fn date_ahead_by(seconds: i64) -> Option<HeaderValue> {
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    HeaderValue::try_from(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

/// A request to the PBX as an error repeats it, with the token.
fn repeat(echo: &Echo, authorization: &str, body: &[u8]) -> String {
    use base64::Engine as _;
    let body = String::from_utf8_lossy(body);
    let request = format!("Authorization: {authorization}\n\n{body}");
    match echo.encoding {
        EchoEncoding::Jsv | EchoEncoding::Json => request,
        EchoEncoding::Url => url::form_urlencoded::byte_serialize(request.as_bytes()).collect(),
        EchoEncoding::Base64 => base64::engine::general_purpose::STANDARD.encode(request),
    }
}

/// The answer of a gateway in front of the server.
fn in_front(instead: &Instead) -> Response<Bytes> {
    match instead {
        Instead::Throttle(throttle) => {
            let mut response = with_status(StatusCode::TOO_MANY_REQUESTS);
            if let Some(seconds) = throttle.retry_after {
                let seconds = HeaderValue::from(seconds);
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
            response
        }
        Instead::ServerError(error) => {
            let status = StatusCode::from_u16(error.status);
            page(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE))
        }
        // The caller has handled Echo and Disconnect.
        Instead::Html | Instead::Echo(_) | Instead::Disconnect => page(StatusCode::OK),
    }
}

fn with_status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// A gateway's page.
fn page(status: StatusCode) -> Response<Bytes> {
    let body = format!(
        "<!DOCTYPE html>\n<html><head><title>{status}</title></head>\n\
         <body><center><h1>{status}</h1></center><hr><center>gateway</center></body></html>\n"
    );
    let mut response = with_status(status);
    *response.body_mut() = Bytes::from(body);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    response
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    CutOff,
}

/// Sends the first half of a body, waits, and sends the other half or breaks
/// the connection, although the length of all of it was announced.
fn in_halves(response: Response<Bytes>, pause: Duration, end: End) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let (first, second) = (body.slice(..body.len() / 2), body.slice(body.len() / 2..));
    // Even for an empty body one byte must be missing.
    let announced = if end == End::CutOff {
        body.len().max(1)
    } else {
        body.len()
    };
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(announced));
    let parts = [Some(first), None];
    let frames = stream::unfold(parts.into_iter(), move |mut parts| {
        let second = second.clone();
        async move {
            if let Some(first) = parts.next()? {
                return Some((Ok(Frame::data(first)), parts));
            }
            tokio::time::sleep(pause).await;
            let last = match end {
                End::Whole => Ok(Frame::data(second)),
                End::CutOff => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            };
            Some((last, parts))
        }
    });
    Response::from_parts(head, StreamBody::new(frames).boxed_unsync())
}
