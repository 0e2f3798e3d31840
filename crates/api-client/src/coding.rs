//! Content codings: gzip is undone, anything else is named.
//!
//! Requests ask for gzip only. Gateways spell it in other ways, apply it twice, or send what nobody
//! asked for.

use std::io::Write as _;

use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The most codings of one answer.
const MOST_LAYERS: usize = 3;

/// How much is given to a decoder at once: what comes out of that is at most some 4 MiB.
const STEP: usize = 4 * 1024;

/// Undoes the codings of one answer.
#[derive(Default)]
pub(crate) struct Decoder {
    /// The coding that was applied last comes first.
    layers: Vec<MultiGzDecoder<Vec<u8>>>,
    begun: bool,
}

/// Why the coded bytes cannot be read.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// More comes out than allowed.
    TooLarge,
    /// They are damaged, or end early.
    Damaged(std::io::Error),
}

impl Decoder {
    /// A decoder for an answer with these headers; the name of the coding if it is not known.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let mut layers = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
                match name.as_str() {
                    "" | "identity" | "none" => {}
                    "gzip" | "x-gzip" if layers.len() < MOST_LAYERS => {
                        layers.push(MultiGzDecoder::new(Vec::new()));
                    }
                    _ => {
                        return Err(name
                            .chars()
                            .filter(char::is_ascii_graphic)
                            .take(40)
                            .collect());
                    }
                }
            }
        }
        Ok(Self {
            layers,
            begun: false,
        })
    }

    /// Whether a body that ends early is recognized, because it is coded.
    pub(crate) fn marks_end(&self) -> bool {
        !self.layers.is_empty()
    }

    /// The next part of the body from the next part of the answer. At most about `room` bytes.
    pub(crate) fn decode(&mut self, bytes: Bytes, room: u64) -> Result<Bytes, DecodeError> {
        // No text begins like this: the header was lost on the way.
        if !self.begun && self.layers.is_empty() && bytes.starts_with(b"\x1F\x8B") {
            self.layers.push(MultiGzDecoder::new(Vec::new()));
        }
        self.begun |= !bytes.is_empty();
        if self.layers.is_empty() {
            return Ok(bytes);
        }
        let mut decoded = BytesMut::new();
        for step in bytes.chunks(STEP) {
            decoded.extend_from_slice(&self.step(step)?);
            if decoded.len() as u64 > room {
                return Err(DecodeError::TooLarge);
            }
        }
        Ok(decoded.freeze())
    }

    fn step(&mut self, coded: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut bytes = coded.to_vec();
        for layer in &mut self.layers {
            layer.write_all(&bytes).map_err(DecodeError::Damaged)?;
            bytes = std::mem::take(layer.get_mut());
        }
        Ok(bytes)
    }

    /// The rest of the body, after the answer has ended. An empty answer is an empty body.
    pub(crate) fn end(&mut self) -> Result<Bytes, DecodeError> {
        if !self.begun {
            return Ok(Bytes::new());
        }
        let mut rest = Vec::new();
        for layer in &mut self.layers {
            layer.write_all(&rest).map_err(DecodeError::Damaged)?;
            layer.try_finish().map_err(DecodeError::Damaged)?;
            rest = std::mem::take(layer.get_mut());
        }
        Ok(rest.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decoder(codings: &[&str]) -> Result<Decoder, String> {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().unwrap());
        }
        Decoder::of(&headers)
    }

    fn decoded(codings: &[&str], bytes: &[u8], piece: usize) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = decoder(codings).unwrap();
        let mut body = Vec::new();
        for piece in bytes.chunks(piece) {
            body.extend(decoder.decode(Bytes::copy_from_slice(piece), 1_000_000)?);
        }
        body.extend(decoder.end()?);
        Ok(body)
    }

    #[test]
    fn every_spelling_is_undone_in_any_pieces() {
        let text = b"{\"balance\":1}".repeat(1_000);
        let once = gzip(&text);
        let twice = gzip(&once);
        let two_members = [gzip(b"{\"bal"), gzip(b"ance\":1}")].concat();
        for piece in [1, 7, 100_000] {
            for codings in [
                &["gzip"],
                &["GZIP"],
                &["x-gzip"],
                &["X-GZip "],
                &["identity, gzip"],
            ] {
                assert_eq!(decoded(codings, &once, piece).unwrap(), text, "{codings:?}");
            }
            for codings in [&["gzip, gzip"][..], &["gzip", "Gzip"]] {
                assert_eq!(
                    decoded(codings, &twice, piece).unwrap(),
                    text,
                    "{codings:?}"
                );
            }
            for codings in [&[][..], &["identity"], &[""]] {
                assert_eq!(decoded(codings, &text, piece).unwrap(), text, "{codings:?}");
            }
            assert_eq!(
                decoded(&["gzip"], &two_members, piece).unwrap(),
                b"{\"balance\":1}"
            );
        }
        assert_eq!(decoded(&[], &once, 100_000).unwrap(), text, "no header");
        assert_eq!(decoded(&["gzip"], b"", 1).unwrap(), b"");
    }

    #[test]
    fn what_nobody_asked_for_is_named() {
        for coding in ["br", "deflate", "ZSTD", "gzip, br", "gzip,gzip,gzip,gzip"] {
            let name = decoder(&[coding]).err().unwrap();
            assert!(coding.to_ascii_lowercase().contains(&name), "{name}");
        }
    }

    #[test]
    fn damage_an_early_end_and_a_bomb_are_errors() {
        let text = b"{\"balance\":1}".repeat(100);
        let once = gzip(&text);
        for end in 1..once.len() {
            assert!(decoded(&["gzip"], &once[..end], 10).is_err(), "{end}");
        }
        assert!(decoded(&["gzip"], &text, 10).is_err(), "not gzip");
        let bomb = gzip(&vec![0; 100_000_000]);
        assert!(matches!(
            decoded(&["gzip"], &bomb, bomb.len()),
            Err(DecodeError::TooLarge)
        ));
    }
}
