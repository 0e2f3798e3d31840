//! The export of all call rates: one request, read while it arrives.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use api_client::{Error, Outcome, Tally, TransportError};
use bytes::{Buf as _, BytesMut};
use csv::{ReaderBuilder, StringRecord};
use futures_util::{Stream, TryStreamExt as _};
use memchr::memchr2_iter;

use crate::export_columns::{Header, MissingColumns};
use crate::generated::ByteStream;
use crate::rates::RowError;
use crate::{CallRate, Session};

const EXPORT: &str = "export_call_rates";

/// What an export turned out to be.
#[derive(Debug)]
pub enum ExportedRates {
    /// A file whose columns are all known.
    Rates(Box<RateExport>),
    /// A file that lacks the header of a needed column; what is wrong with it.
    NoColumns(MissingColumns),
}

/// The rates of an export, in the file's order.
pub struct RateExport {
    session: Session,
    body: ByteStream,
    /// What the transfer has cost, and how it goes: told to the observer when this is dropped.
    tally: Arc<Tally>,
    outcome: Outcome,
    header: Header,
    /// What has arrived and has not been parsed: less than one record, once parsing has had its turn.
    rest: BytesMut,
    /// How far `rest` has been searched for the end of a record, and whether a quote was open there.
    searched: usize,
    in_quotes: bool,
    ready: VecDeque<StringRecord>,
    received: u64,
    index: usize,
    ended: bool,
}

impl Drop for RateExport {
    fn drop(&mut self) {
        self.session
            .executor()
            .report(EXPORT, &self.tally, self.outcome);
    }
}

impl fmt::Debug for RateExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateExport")
            .field("header", &self.header)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

pub(crate) async fn open(session: &Session) -> Result<ExportedRates, Error> {
    let (body, tally) = session
        .open(EXPORT, |api| async move { api.export_call_rates().await })
        .await?;
    let mut export = RateExport {
        session: session.clone(),
        body,
        tally,
        outcome: Outcome::Ok,
        header: Header::none(),
        rest: BytesMut::new(),
        searched: 0,
        in_quotes: false,
        ready: VecDeque::new(),
        received: 0,
        index: 0,
        ended: false,
    };
    let titles = match export.titles().await {
        Ok(titles) => titles,
        Err(error) => {
            export.outcome = Outcome::Failed(error.kind());
            return Err(error);
        }
    };
    Ok(match Header::read(&titles) {
        Ok(header) => {
            export.header = header;
            ExportedRates::Rates(Box::new(export))
        }
        Err(missing) => ExportedRates::NoColumns(missing),
    })
}

impl RateExport {
    async fn titles(&mut self) -> Result<StringRecord, Error> {
        let Some(titles) = self.record().await? else {
            return Err(Error::Unreadable {
                operation: EXPORT,
                status: 200,
                content_type: None,
                reason: "the file is empty".to_owned(),
            });
        };
        if titles
            .get(0)
            .is_some_and(|title| title.trim_start().starts_with('<'))
        {
            return Err(Error::Html {
                operation: EXPORT,
                status: 200,
            });
        }
        Ok(titles)
    }

    /// The next rate; a row that cannot be read is an `Ok(Err(…))`, a broken transfer the outer error. After that, and
    /// after the last row, `None`.
    pub async fn next(&mut self) -> Option<Result<Result<CallRate, RowError>, Error>> {
        let record = match self.record().await {
            Ok(record) => record?,
            Err(error) => {
                self.ended = true;
                self.rest.clear();
                self.outcome = Outcome::Failed(error.kind());
                return Some(Err(error));
            }
        };
        let index = self.index;
        self.index += 1;
        Some(Ok(self.header.rate(index, &record)))
    }

    /// The rates as a stream.
    pub fn into_stream(
        self,
    ) -> impl Stream<Item = Result<Result<CallRate, RowError>, Error>> + Send {
        futures_util::stream::unfold(self, |mut export| async move {
            let rate = export.next().await?;
            Some((rate, export))
        })
    }

    /// Bytes received so far.
    pub fn bytes(&self) -> u64 {
        self.received
    }

    async fn record(&mut self) -> Result<Option<StringRecord>, Error> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.try_next().await {
                Ok(Some(chunk)) => {
                    self.received += chunk.len() as u64;
                    self.tally.add_bytes(chunk.len() as u64);
                    if self.received > self.session.export_limit() {
                        return Err(Error::BodyTooLarge {
                            operation: EXPORT,
                            limit: self.session.export_limit(),
                        });
                    }
                    self.rest.extend_from_slice(&chunk);
                    if let Some(end) = self.end_of_records() {
                        self.parse(end)?;
                    }
                }
                Ok(None) => {
                    self.ended = true;
                    self.parse(self.rest.len())?;
                }
                Err(error) => return Err(TransportError::from(error).during(EXPORT)),
            }
        }
    }

    /// Where the last complete record ends: behind the last line break that is not within quotes.
    fn end_of_records(&mut self) -> Option<usize> {
        let mut end = None;
        let unsearched = self.rest.get(self.searched..).unwrap_or_default();
        for at in memchr2_iter(b'"', b'\n', unsearched) {
            if unsearched.get(at) == Some(&b'"') {
                self.in_quotes = !self.in_quotes;
            } else if !self.in_quotes {
                end = Some(self.searched + at + 1);
            }
        }
        self.searched = self.rest.len();
        end
    }

    fn parse(&mut self, end: usize) -> Result<(), Error> {
        let text = self.rest.split_to(end);
        self.searched = self.searched.saturating_sub(end);
        let mut text = &text[..];
        if self.index == 0 && self.header.is_none() && text.starts_with(b"\xEF\xBB\xBF") {
            text.advance(3);
        }
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text);
        for record in reader.records() {
            let record = record.map_err(|error| Error::Unreadable {
                operation: EXPORT,
                status: 200,
                content_type: None,
                reason: match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => format!("not UTF-8 near row {}", self.index),
                    _ => format!("no CSV near row {}", self.index),
                },
            })?;
            // Blank lines at the end of a file are no rows.
            if record.iter().any(|field| !field.trim().is_empty()) {
                self.ready.push_back(record);
            }
        }
        Ok(())
    }
}
