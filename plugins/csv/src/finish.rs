//! Finishes files: a file that is full or whose period is over gets its final name, or waits to be
//! compressed.

use std::time::Duration;

use callmeter_plugin_sdk::batch::Timestamp;

use crate::archive::{Archive, Message};
use crate::config::{Compress, Place, Rotate};
use crate::error::Result;
use crate::names;
use crate::part::publish;
use crate::state::{Packing, inode_at, sync_directory};

/// A file whose period is over is finished after this time without a batch, because late records of
/// the period may still come.
pub(crate) const QUIET: Duration = Duration::from_mins(1);

impl Archive {
    /// Makes a stream's file durable and gives it its final name.
    pub(crate) fn finish(&mut self, stream: &str) -> Result<()> {
        let permanent = self.is_permanent();
        let Some(part) = self.parts.get_mut(stream) else {
            return Ok(());
        };
        part.sync()?;
        // From here on nothing is written to it, even if the state cannot be saved at once.
        let bytes = part.len();
        self.parts.remove(stream);
        let open = self.state.streams.get_mut(stream);
        if let Some(open) = open.and_then(|known| known.open.as_mut()) {
            open.bytes = bytes;
            let name = open.name.trim_end_matches(names::PARTIAL);
            open.becomes = Some(match self.compress {
                Compress::None => name.to_owned(),
                Compress::Gzip => format!("{name}{}", names::PACKED),
            });
        }
        if permanent {
            self.close(stream);
        } else if self.compress == Compress::Gzip {
            self.queue(stream);
        }
        // The file is closed for good: its batches must not be written to another one.
        let (done, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(pending, _)| pending == stream);
        self.pending = rest;
        self.state.remember(done.into_iter().map(|(_, id)| id));
        self.unsaved = true;
        self.save()?;
        if let Some(wake) = &self.wake {
            // The caretaker is gone only when the instance ends.
            let _ = wake.send(Message::Work);
        }
        self.complete(stream)
    }

    /// Puts a finished file among those that wait to be compressed. That is done outside of calls,
    /// because its time grows with the file.
    pub(crate) fn queue(&mut self, stream: &str) {
        let Some(known) = self.state.streams.get_mut(stream) else {
            return;
        };
        if let Some(open) = known.open.take() {
            known.packing.push(Packing {
                name: open.name,
                bytes: open.bytes,
                inode: open.inode,
                period: known.period.clone(),
                part: known.part,
                packed: None,
            });
            self.unsaved = true;
        }
    }

    /// Publishes a file whose final name is in the state. It can be repeated after a failure or
    /// crash at any point.
    pub(crate) fn complete(&mut self, stream: &str) -> Result<()> {
        let directory = self.place.directory().to_owned();
        loop {
            let Some(known) = self.state.streams.get_mut(stream) else {
                return Ok(());
            };
            let Some((from, becomes, inode)) = known.open.as_ref().and_then(|open| {
                Some((
                    directory.join(&open.name),
                    open.becomes.clone()?,
                    open.inode,
                ))
            }) else {
                return Ok(());
            };
            match inode_at(&from)? {
                // It was published before a crash.
                None => break,
                found if inode.is_some() && found != inode => {
                    self.host.error(format_args!(
                        "{} is not the file that was written here; it is left as it is",
                        from.display()
                    ));
                    break;
                }
                Some(_) => {}
            }
            if publish(&from, &directory.join(&becomes))? {
                break;
            }
            // The name is taken: use the next number, and store it in the state first.
            known.part += 1;
            let Place::Directory { prefix, .. } = &self.place else {
                return Ok(());
            };
            let name = names::file(prefix, stream, &known.period, known.part);
            if let Some(open) = &mut known.open {
                open.becomes = Some(name);
            }
            self.save()?;
        }
        sync_directory(&directory)?;
        self.close(stream);
        self.save()
    }

    /// Finishes files whose period is over and that were not written to for a while.
    pub(crate) fn finish_overdue(&mut self, now: Timestamp) -> Result<()> {
        if self.rotate == Rotate::Never || self.last_write.elapsed() < QUIET {
            return Ok(());
        }
        let current = names::period(self.rotate, now);
        let overdue: Vec<String> = self
            .parts
            .iter()
            .filter(|(stream, part)| {
                let period = self.state.streams.get(*stream).map(|known| &known.period);
                // A period after the current one is from a clock that was ahead.
                part.len() > 0
                    && part.is_synced()
                    && period.is_some_and(|period| *period != current)
            })
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in overdue {
            if !self.pending.iter().any(|(pending, _)| *pending == stream) {
                self.finish(&stream)?;
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn pretend_quiet(&mut self) {
        let now = std::time::Instant::now();
        self.last_write = now.checked_sub(QUIET).unwrap_or(now);
    }
}
