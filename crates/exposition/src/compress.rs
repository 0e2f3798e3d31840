//! Compression of a body, chunk by chunk.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::negotiate::Coding;

/// Compressed output is emitted in chunks of at least this size.
const CHUNK: usize = 16 * 1024;

/// The compressed chunks of a body. An error, which only the compressor can cause, ends the body.
pub struct Compressed<I> {
    chunks: I,
    encoder: Encoder,
}

enum Encoder {
    Identity,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Done,
}

impl<I: Iterator<Item = Bytes>> Compressed<I> {
    /// Compresses `chunks`.
    pub fn new(chunks: I, coding: Coding) -> io::Result<Self> {
        let encoder = match coding {
            Coding::Identity => Encoder::Identity,
            Coding::Gzip => {
                let level = Compression::new(1);
                Encoder::Gzip(Box::new(GzEncoder::new(Vec::with_capacity(CHUNK), level)))
            }
            Coding::Zstd => Encoder::Zstd(Box::new(zstd::stream::write::Encoder::new(
                Vec::with_capacity(CHUNK),
                1,
            )?)),
        };
        Ok(Self { chunks, encoder })
    }

    fn compress(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(chunk) = self.chunks.next() else {
                return self.finish();
            };
            let out = match &mut self.encoder {
                Encoder::Identity => return Ok(Some(chunk)),
                Encoder::Gzip(encoder) => {
                    encoder.write_all(&chunk)?;
                    encoder.get_mut()
                }
                Encoder::Zstd(encoder) => {
                    encoder.write_all(&chunk)?;
                    encoder.get_mut()
                }
                Encoder::Done => return Ok(None),
            };
            if out.len() >= CHUNK {
                let full = std::mem::replace(out, Vec::with_capacity(2 * CHUNK));
                return Ok(Some(full.into()));
            }
        }
    }

    fn finish(&mut self) -> io::Result<Option<Bytes>> {
        Ok(match std::mem::replace(&mut self.encoder, Encoder::Done) {
            Encoder::Identity | Encoder::Done => None,
            Encoder::Gzip(encoder) => Some(encoder.finish()?.into()),
            Encoder::Zstd(encoder) => Some(encoder.finish()?.into()),
        })
    }
}

impl<I: Iterator<Item = Bytes>> Iterator for Compressed<I> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.compress();
        if result.is_err() {
            self.encoder = Encoder::Done;
        }
        result.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn chunks() -> Vec<Bytes> {
        (0..2_000_u32)
            .map(|number| {
                Bytes::from(format!(
                    "callmeter_calls_total{{n=\"{number}\"}} {}\n",
                    number * 7_919
                ))
            })
            .collect()
    }

    fn body(coding: Coding) -> Vec<u8> {
        let compressed = Compressed::new(chunks().into_iter(), coding).unwrap();
        compressed.map(Result::unwrap).collect::<Vec<_>>().concat()
    }

    #[test]
    fn each_coding_reads_back() {
        let plain = chunks().concat();
        assert_eq!(body(Coding::Identity), plain);
        let mut read = Vec::new();
        let gzip = body(Coding::Gzip);
        assert!(gzip.len() * 3 < plain.len());
        flate2::read::GzDecoder::new(&gzip[..])
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, plain);
        assert_eq!(zstd::decode_all(&body(Coding::Zstd)[..]).unwrap(), plain);
    }

    #[test]
    fn an_empty_body_is_a_valid_one() {
        let gzip: Vec<_> = Compressed::new(std::iter::empty(), Coding::Gzip)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&gzip.concat()[..])
            .read_to_end(&mut read)
            .unwrap();
        assert!(read.is_empty());
    }
}
