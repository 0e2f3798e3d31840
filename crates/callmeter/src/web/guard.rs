//! Passes requests on, or refuses them, as the file of `--web.config.file` says.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_web_config::Access;

use super::peer::Peer;

/// Passes a request to its handler, or refuses it.
pub(super) async fn guard(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Response {
    let from = request.extensions().get::<Peer>().map(|peer| peer.0);
    let admission = access.admit(request.headers(), from).await;
    let mut response = match admission.refusal() {
        None => next.run(request).await,
        Some(refusal) => {
            let mut response = (refusal.status(), refusal.text()).into_response();
            response.headers_mut().extend(refusal.header());
            response
        }
    };
    admission.add_headers(response.headers_mut());
    response
}
