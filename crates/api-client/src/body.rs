//! Reads bodies within bounds.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;

use crate::transport::TransportError;

/// Why a body could not be received in full.
pub(crate) enum BodyError {
    TooLarge,
    Transport(TransportError),
}

/// Reads a body to its end, or fails at the first byte beyond `limit` (counted after
/// decompression).
pub(crate) async fn read(response: reqwest::Response, limit: u64) -> Result<Bytes, BodyError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut stream = std::pin::pin!(response.bytes_stream());
    let next = |error: reqwest::Error| BodyError::Transport(TransportError::from(error));
    let Some(first) = stream.try_next().await.map_err(next)? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 > limit {
        return Err(BodyError::TooLarge);
    }
    // Most answers are one chunk, which needs no copy.
    let Some(second) = stream.try_next().await.map_err(next)? else {
        return Ok(first);
    };
    // An announced length is only a hint: a server may lie, so it reserves at most 1 MiB.
    let hint = usize::try_from(announced.min(1024 * 1024)).unwrap_or(0);
    let mut body = BytesMut::with_capacity(hint.max(first.len() + second.len()));
    body.extend_from_slice(&first);
    let mut chunk = Some(second);
    while let Some(bytes) = chunk {
        if (body.len() + bytes.len()) as u64 > limit {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&bytes);
        chunk = stream.try_next().await.map_err(next)?;
    }
    Ok(body.freeze())
}

/// The body without a UTF-8 byte order mark, which some gateways add.
pub fn strip_bom(body: &Bytes) -> Bytes {
    if body.starts_with(b"\xEF\xBB\xBF") {
        body.slice(3..)
    } else {
        body.clone()
    }
}
