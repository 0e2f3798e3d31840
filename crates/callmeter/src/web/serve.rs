//! Starts a server with all its paths.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::state::WebState;
use super::{routes, server};
use crate::stop::Stop;

/// Serves until stopped, then lets requests in progress finish.
///
/// # Errors
/// None at present. A failing connection does not end the server.
pub async fn serve(listener: TcpListener, state: WebState, stop: Stop) -> std::io::Result<()> {
    let access = Arc::clone(&state.access);
    let app = routes::router(state);
    server::serve(listener, app, access, server::Bounds::default(), stop).await
}
