//! The export of all call rates: one request, read while it arrives.

use std::fmt;

use api_client::{Error, ReplyStream};
use futures_util::Stream;

use crate::export_columns::MissingColumns;
use crate::export_reader::{ExportError, ExportReader};
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
    reader: ExportReader,
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
            .field("reader", &self.reader)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

async fn open(session: &Session) -> Result<ExportedRates, Error> {
    let body = session.api().export_call_rates().await?;
    let mut export = RateExport {
        body: body.limit(session.export_limit()),
        reader: ExportReader::new(),
        ended: false,
    };
    loop {
        match export.reader.read_header() {
            Ok(true) => return Ok(ExportedRates::Rates(Box::new(export))),
            Ok(false) => export.receive().await?,
            Err(ExportError::Columns(missing)) => return Ok(ExportedRates::NoColumns(missing)),
            Err(error) => return Err(export.error(&error)),
        }
    }
}

impl RateExport {
    /// The next rate; a row that cannot be read is an `Ok(Err(…))`, a broken transfer the outer
    /// error. After that, and after the last row, `None`.
    pub async fn next(&mut self) -> Option<Result<Result<CallRate, RowError>, Error>> {
        match self.read().await {
            Ok(rate) => rate.map(Ok),
            Err(error) => {
                self.ended = true;
                self.reader = ExportReader::new();
                Some(Err(error))
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Result<CallRate, RowError>>, Error> {
        loop {
            match self.reader.next() {
                Ok(Some(rate)) => {
                    self.check_end()?;
                    return Ok(Some(rate));
                }
                Ok(None) if self.ended => return Ok(None),
                Ok(None) => self.receive().await?,
                Err(error) => return Err(self.error(&error)),
            }
        }
    }

    /// Gets the next part of the body, or its end.
    async fn receive(&mut self) -> Result<(), Error> {
        if let Some(chunk) = self.body.chunk().await? {
            self.reader.push(&chunk);
        } else {
            self.ended = true;
            self.reader.end();
        }
        Ok(())
    }

    /// Refuses a last row that may be half a row: a part of a price is another price.
    fn check_end(&mut self) -> Result<(), Error> {
        match self.reader.unfinished_row() {
            Some(row) if !self.body.end_is_marked() => Err(self.body.unreadable(format!(
                "the file ends within row {row}, and the answer has no length that would \
                     prove it complete"
            ))),
            _ => Ok(()),
        }
    }

    fn error(&mut self, error: &ExportError) -> Error {
        match error {
            ExportError::WebPage => self.body.web_page(),
            error => self.body.unreadable(error.to_string()),
        }
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
}
