//! The body of a scrape, written in chunks while it is sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use callmeter_meter::{FamilyId, Position, Snapshot, Source};
use prometheus::proto::MetricFamily;

use crate::negotiate::Format;
use crate::protobuf::ProtobufEncoder;
use crate::registry;
use crate::text::{Dialect, TextEncoder};

/// Chunks have at least this many bytes, and at most one block more.
const CHUNK: usize = 64 * 1024;

/// What a scrape asks for, besides the format.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The families named by `name[]`, with or without the `_total` of counters; empty for all.
    pub names: BTreeSet<String>,
    /// The accounts whose series are written; an empty name stands for series of no account. Empty
    /// for all.
    pub accounts: BTreeSet<String>,
    /// Whether to write `_created` lines in OpenMetrics.
    pub created_lines: bool,
    /// The start of the process in microseconds since 1970: the created timestamp of the registry's
    /// counters.
    pub process_start: Option<i64>,
}

/// Snapshot and registry in a format, as an iterator over chunks of about 64 KiB. The memory of a
/// scrape does not grow with the snapshot.
pub struct Exposition {
    snapshot: Arc<Snapshot>,
    registry: Vec<MetricFamily>,
    options: Options,
    encoder: Encoder,
    at: At,
}

enum Encoder {
    Text(TextEncoder),
    Protobuf(ProtobufEncoder),
}

/// How far the body is written.
#[derive(Clone, Copy)]
enum At {
    /// Before the family with this index in the table.
    Family(usize),
    /// Within that family.
    Block(usize, Position),
    /// Before the registry's family with this index.
    Registry(usize),
    /// Before the end line.
    End,
    /// After the end line.
    Done,
}

impl Exposition {
    /// Writes `snapshot` and, after it, `registry` (from `prometheus::Registry::gather`).
    pub fn new(
        snapshot: Arc<Snapshot>,
        registry: Vec<MetricFamily>,
        format: Format,
        options: Options,
    ) -> Self {
        let (snapshot, registry) = if options.accounts.is_empty() {
            (snapshot, registry)
        } else {
            (
                Arc::new(snapshot.only(&options.accounts)),
                registry::only(registry, &options.accounts),
            )
        };
        let created = options.created_lines;
        let encoder = match format {
            Format::Text(_) => {
                Encoder::Text(TextEncoder::new(Dialect::Prometheus, snapshot.view()))
            }
            Format::OpenMetrics(_) => Encoder::Text(TextEncoder::new(
                Dialect::OpenMetrics { created },
                snapshot.view(),
            )),
            Format::Protobuf => Encoder::Protobuf(ProtobufEncoder::new(&snapshot)),
        };
        Self {
            snapshot,
            registry,
            options,
            encoder,
            at: At::Family(0),
        }
    }

    fn wants(&self, name: &str) -> bool {
        let names = &self.options.names;
        names.is_empty()
            || names.contains(name)
            || name
                .strip_suffix("_total")
                .is_some_and(|base| names.contains(base))
    }

    /// Writes the next piece.
    fn step(&mut self, out: &mut Vec<u8>) {
        self.at = match self.at {
            At::Family(place) => self.family(out, place),
            At::Block(place, position) => self.block(out, place, position),
            At::Registry(place) => self.registry_family(out, place),
            At::End => {
                if let Encoder::Text(encoder) = &self.encoder {
                    encoder.end(out);
                }
                At::Done
            }
            At::Done => At::Done,
        };
    }

    fn family(&mut self, out: &mut Vec<u8>, place: usize) -> At {
        let Some(id) = FamilyId::ALL.get(place).copied() else {
            return At::Registry(0);
        };
        let family = id.family();
        let position = Position::default();
        // A family without series has no header either.
        if family.source == Source::Registry
            || !self.wants(family.name)
            || self.snapshot.next_block(id, &mut { position }).is_none()
        {
            return At::Family(place + 1);
        }
        match &mut self.encoder {
            Encoder::Text(encoder) => encoder.header(out, family),
            Encoder::Protobuf(encoder) => encoder.header(out, family, self.snapshot.blocks(id)),
        }
        At::Block(place, position)
    }

    fn block(&mut self, out: &mut Vec<u8>, place: usize, mut position: Position) -> At {
        let id = FamilyId::ALL.get(place).copied();
        let block = id.and_then(|id| {
            let block = self.snapshot.next_block(id, &mut position)?;
            Some((id.family(), block))
        });
        let Some((family, block)) = block else {
            return At::Family(place + 1);
        };
        match &mut self.encoder {
            Encoder::Text(encoder) => encoder.block(out, family, &block),
            Encoder::Protobuf(encoder) => encoder.block(out, family, &block),
        }
        At::Block(place, position)
    }

    fn registry_family(&mut self, out: &mut Vec<u8>, place: usize) -> At {
        let Some(family) = self.registry.get(place) else {
            return At::End;
        };
        let next = At::Registry(place + 1);
        let name = family.name();
        if family.get_metric().is_empty()
            || !self.wants(name)
            || !self.snapshot.view().shows_name(name)
            || registry::is_meters(name)
        {
            return next;
        }
        let created = self.options.process_start;
        match &mut self.encoder {
            Encoder::Text(encoder) => {
                encoder.registry_header(out, family);
                for metric in family.get_metric() {
                    encoder.registry_metric(out, family, metric, created);
                }
            }
            Encoder::Protobuf(encoder) => encoder.registry_family(out, family, created),
        }
        next
    }
}

impl Iterator for Exposition {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if matches!(self.at, At::Done) {
            return None;
        }
        let mut out = Vec::with_capacity(CHUNK + CHUNK / 2);
        while out.len() < CHUNK && !matches!(self.at, At::Done) {
            self.step(&mut out);
        }
        (!out.is_empty()).then(|| out.into())
    }
}
