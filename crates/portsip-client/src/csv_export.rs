//! The export of all call rates: one request, read while it arrives.

use std::collections::VecDeque;
use std::fmt;

use api_client::{Error, ReplyStream};
use bytes::{Buf as _, BytesMut};
use csv::{ReaderBuilder, StringRecord};
use futures_util::Stream;
use memchr::memchr2_iter;

use crate::export_columns::{Header, MissingColumns};
use crate::generated::types::CallRate;
use crate::rates::RowError;
use crate::session::Session;

/// What an export turned out to be.
#[derive(Debug)]
pub enum ExportedRates {
    /// A file whose columns are all known.
    Rates(Box<RateExport>),
    /// A file without the header of a required column.
    NoColumns(MissingColumns),
}

/// The rates of an export, in the file's order.
pub struct RateExport {
    body: ReplyStream,
    header: Header,
    /// What has arrived and has not been parsed: after a parse, less than one record.
    rest: BytesMut,
    /// How far `rest` has been searched for the end of a record, and whether a quote was open
    /// there.
    searched: usize,
    in_quotes: bool,
    ready: VecDeque<StringRecord>,
    index: usize,
    ended: bool,
}

impl Session {
    /// All call rates in one request, read while they arrive. The names of the file's columns are
    /// not documented; see [`ExportedRates::NoColumns`] for files that cannot be understood, and
    /// [`Session::deck`] for a method that then reads the rates another way.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// use portsip_client::ExportedRates;
    ///
    /// match session.export().await? {
    ///     ExportedRates::Rates(mut export) => {
    ///         while let Some(rate) = export.next().await {
    ///             match rate? {
    ///                 Ok(rate) => println!("{:?} {:?}", rate.prefix, rate.price_1),
    ///                 Err(bad_row) => eprintln!("{bad_row}"),
    ///             }
    ///         }
    ///     }
    ///     ExportedRates::NoColumns(missing) => eprintln!("{missing}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn export(&self) -> Result<ExportedRates, Error> {
        open(self).await
    }
}

impl fmt::Debug for RateExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateExport")
            .field("header", &self.header)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

async fn open(session: &Session) -> Result<ExportedRates, Error> {
    let body = session.api().export_call_rates().await?;
    let mut export = RateExport {
        body: body.limit(session.export_limit()),
        header: Header::none(),
        rest: BytesMut::new(),
        searched: 0,
        in_quotes: false,
        ready: VecDeque::new(),
        index: 0,
        ended: false,
    };
    let titles = export.titles().await?;
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
            return Err(self.body.unreadable("the file is empty"));
        };
        if titles
            .get(0)
            .is_some_and(|title| title.trim_start().starts_with('<'))
        {
            return Err(self.body.web_page());
        }
        Ok(titles)
    }

    /// The next rate; a row that cannot be read is an `Ok(Err(…))`, a broken transfer the outer
    /// error. After that, and after the last row, `None`.
    pub async fn next(&mut self) -> Option<Result<Result<CallRate, RowError>, Error>> {
        let record = match self.record().await {
            Ok(record) => record?,
            Err(error) => {
                self.ended = true;
                self.rest.clear();
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
        self.body.received()
    }

    async fn record(&mut self) -> Result<Option<StringRecord>, Error> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(chunk) = self.body.chunk().await? {
                self.rest.extend_from_slice(&chunk);
                if let Some(end) = self.end_of_records() {
                    self.parse(end)?;
                }
            } else {
                self.ended = true;
                self.parse(self.rest.len())?;
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
            let record = record.map_err(|error| {
                let problem = match error.kind() {
                    csv::ErrorKind::Utf8 { .. } => "not UTF-8",
                    _ => "not CSV",
                };
                self.body
                    .unreadable(format!("{problem} near row {}", self.index))
            })?;
            // Blank lines at the end of a file are not rows.
            if record.iter().any(|field| !field.trim().is_empty()) {
                self.ready.push_back(record);
            }
        }
        Ok(())
    }
}
