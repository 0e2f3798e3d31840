//! Reads bodies within bounds.

use std::io::ErrorKind;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;

use crate::coding::{DecodeError, Decoder};
use crate::transport::{TransportError, TransportKind};

/// Why a body could not be received in full.
pub(crate) enum BodyError {
    TooLarge,
    Transport(TransportError),
}

impl From<DecodeError> for BodyError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge => Self::TooLarge,
            DecodeError::Damaged(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Transport(TransportError {
                    kind: TransportKind::BodyCut,
                    detail: "its gzip data end early".to_owned(),
                    proxy: None,
                })
            }
            DecodeError::Damaged(error) => Self::Transport(TransportError {
                kind: TransportKind::Other,
                detail: format!("the answer is declared as gzip, and its data are not: {error}"),
                proxy: None,
            }),
        }
    }
}

/// Reads a body to its end, or fails at the first byte beyond `limit` (counted after
/// decompression).
pub(crate) async fn read(
    response: reqwest::Response,
    mut decoder: Decoder,
    limit: u64,
) -> Result<Bytes, BodyError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut stream = std::pin::pin!(response.bytes_stream());
    let mut next = async |received: usize| {
        let room = limit.saturating_sub(received as u64);
        let chunk = stream.try_next().await;
        let chunk = chunk.map_err(|error| BodyError::Transport(TransportError::from(error)))?;
        let ended = chunk.is_none();
        let bytes = match chunk {
            Some(bytes) => decoder.decode(bytes, room)?,
            None => decoder.end()?,
        };
        if bytes.len() as u64 > room {
            return Err(BodyError::TooLarge);
        }
        Ok((bytes, ended))
    };
    let (first, ended) = next(0).await?;
    if ended {
        return Ok(first);
    }
    // Most answers are one chunk, which needs no copy.
    let (second, mut ended) = next(first.len()).await?;
    if ended && second.is_empty() {
        return Ok(first);
    }
    // An announced length is only a hint: a server may lie, so it reserves at most 1 MiB.
    let hint = usize::try_from(announced.min(1024 * 1024)).unwrap_or(0);
    let mut body = BytesMut::with_capacity(hint.max(first.len() + second.len()));
    body.extend_from_slice(&first);
    body.extend_from_slice(&second);
    while !ended {
        let (bytes, is_last) = next(body.len()).await?;
        body.extend_from_slice(&bytes);
        ended = is_last;
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
