//! The export of all call rates: one request, read while it arrives.

use std::fmt;

use api_client::{Error, ReplyStream};
use futures_util::Stream;

use crate::csv_rows::{CsvRows, NotCsv, Row};
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
    rows: CsvRows,
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
        rows: CsvRows::new(),
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
    async fn titles(&mut self) -> Result<Vec<String>, Error> {
        let titles = match self.row().await? {
            Some(Row::Fields(titles)) => titles,
            Some(Row::Endless(why)) => {
                return Err(self.body.unreadable(format!("its first line: {why}")));
            }
            None => return Err(self.body.unreadable("the file is empty")),
        };
        if titles
            .first()
            .is_some_and(|title| title.trim_start().starts_with('<'))
        {
            return Err(self.body.web_page());
        }
        Ok(titles)
    }

    /// The next rate; a row that cannot be read is an `Ok(Err(…))`, a broken transfer the outer
    /// error. After that, and after the last row, `None`.
    pub async fn next(&mut self) -> Option<Result<Result<CallRate, RowError>, Error>> {
        let row = match self.row().await {
            Ok(row) => row?,
            Err(error) => {
                self.ended = true;
                self.rows = CsvRows::new();
                return Some(Err(error));
            }
        };
        let index = self.index;
        self.index += 1;
        Some(Ok(match row {
            Row::Fields(fields) => self.header.rate(index, &fields),
            Row::Endless(why) => Err(RowError {
                index,
                reason: why.to_owned(),
            }),
        }))
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

    async fn row(&mut self) -> Result<Option<Row>, Error> {
        loop {
            match self.rows.next() {
                // Blank lines at the end of a file are not rows.
                Ok(Some(Row::Fields(fields)))
                    if fields.iter().all(|text| text.trim().is_empty()) => {}
                Ok(Some(row)) => {
                    self.check_end_of(&row)?;
                    return Ok(Some(row));
                }
                Ok(None) if self.ended => return Ok(None),
                Ok(None) => {
                    if let Some(chunk) = self.body.chunk().await? {
                        self.rows.push(&chunk);
                    } else {
                        self.ended = true;
                        self.rows.end();
                    }
                }
                Err(NotCsv) => {
                    let problem = format!("not CSV near row {}", self.index);
                    return Err(self.body.unreadable(problem));
                }
            }
        }
    }

    /// Refuses a last row that may be half a row: a part of a price is another price.
    fn check_end_of(&mut self, row: &Row) -> Result<(), Error> {
        let may_be_cut = matches!(row, Row::Endless(_)) || !self.rows.last_row_has_end();
        if self.ended && may_be_cut && !self.body.end_is_marked() {
            let problem = format!(
                "the file ends within row {}, and the answer has no length that would prove it \
                 complete",
                self.index
            );
            return Err(self.body.unreadable(problem));
        }
        Ok(())
    }
}
