//! A page of call records, borrowed from the answer's text.

use std::fmt;

use bytes::Bytes;

use crate::raw_table::{
    Column, PAGE, RawTable, Row, TOTAL_COUNT, TOTAL_PAGES, Unreadable, objects, scalar, texts,
};
use crate::rows;
use crate::{CallRecord, Format, PageBase, RowError};

/// In the order in which the service writes them.
pub(crate) const COLUMNS: &[Column] = &[
    scalar("Id"),
    scalar("ClientId"),
    scalar("ClientName"),
    scalar("CenterId"),
    scalar("StartTime"),
    scalar("CallerName"),
    scalar("CallerNumber"),
    scalar("TransferToName"),
    scalar("TransferToNumber"),
    scalar("Notes"),
    scalar("DurationInSeconds"),
    scalar("RingTimeInSeconds"),
    scalar("HoldTimeInSeconds"),
    scalar("HoldCount"),
    objects("Interactions", INTERACTION),
    scalar("AnsweredBy"),
    scalar("Server"),
    scalar("TalkTimeInSeconds"),
    scalar("TransferTimeInSeconds"),
    scalar("ScreenPop"),
    texts("CompletedFormIds"),
    scalar("Flagged"),
    scalar("FlagNotes"),
    scalar("Type"),
    scalar("WorkTimeInSeconds"),
];
const INTERACTIONS: usize = 14;
const COMPLETED_FORM_IDS: usize = 20;
const FLAGGED: usize = 21;

const INTERACTION: &[Column] = &[scalar("StartTime"), scalar("Type"), scalar("Description")];

/// A page of call records. It keeps the answer's text; records borrow from it.
#[derive(Debug)]
pub struct CallsPage {
    table: RawTable,
    /// Rows to be passed over: their ids came before.
    repeated: Vec<bool>,
    repeats: usize,
    number: i64,
    base: PageBase,
    bytes: u64,
}

impl CallsPage {
    /// Reads an answer's body as a page, without a server: for stored answers and benches.
    ///
    /// ```
    /// use hostedsuite_client::{CallsPage, Format};
    /// let body = r#"{"Items":[{"Id":"1","TalkTimeInSeconds":61.5},{"Id":2,"TalkTimeInSeconds":NaN},{"Id"}],"TotalCount":3}"#;
    /// let page = CallsPage::parse(body.into(), Format::Json).unwrap();
    /// let calls: Vec<_> = page.calls().collect();
    /// assert_eq!(calls[0].as_ref().unwrap().talk_time().duration_ms(), Ok(Some(61_500)));
    /// assert_eq!(calls[1].as_ref().unwrap().talk_time().duration_ms(), Err("NaN"));
    /// assert_eq!(calls[2].as_ref().unwrap_err().index, 2);
    /// assert_eq!(page.total_count(), Some(3));
    /// ```
    ///
    /// Fails with what is wrong, and at which byte, when the whole is no list of records.
    pub fn parse(body: Bytes, format: Format) -> Result<Self, String> {
        let bytes = body.len() as u64;
        match RawTable::read(COLUMNS, body, format) {
            Ok(table) if table.has_rows() => Ok(Self::new(table, bytes, 0)),
            Ok(_) => Err("no list of records".to_owned()),
            Err(Unreadable(reason)) => Err(reason),
        }
    }

    pub(crate) fn new(table: RawTable, bytes: u64, number: i64) -> Self {
        Self {
            table,
            repeated: Vec::new(),
            repeats: 0,
            number,
            base: PageBase::Unknown,
            bytes,
        }
    }

    /// How many rows the server sent, unreadable and repeated ones included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the server sent no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows have an id that came before in the same walk (or earlier on this page). They are passed over.
    pub fn repeated(&self) -> usize {
        self.repeats
    }

    /// The number that was asked for.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The number that the server says this page has.
    pub fn echoed_number(&self) -> Option<i64> {
        self.table.envelope().number(PAGE).whole().ok().flatten()
    }

    /// How many records the server says there are on all pages; `None` when it does not say (or says 0 or less).
    pub fn total_count(&self) -> Option<i64> {
        self.positive(TOTAL_COUNT)
    }

    /// How many pages the server says there are; `None` when it does not say (or says 0 or less).
    pub fn total_pages(&self) -> Option<i64> {
        self.positive(TOTAL_PAGES)
    }

    fn positive(&self, member: usize) -> Option<i64> {
        let number = self.table.envelope().number(member).whole().ok().flatten();
        number.filter(|&count| count > 0)
    }

    /// What is known of the number of the first page, for the next walk to begin with.
    pub fn base(&self) -> PageBase {
        self.base
    }

    pub(crate) fn set_base(&mut self, base: PageBase) {
        self.base = base;
    }

    /// The body's length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The records in the server's order, repeated ones passed over; those that cannot be read as errors in their place.
    pub fn calls(&self) -> impl Iterator<Item = Result<CallRef<'_>, RowError>> {
        (0..self.table.len()).filter_map(|index| {
            if self.repeated.get(index) == Some(&true) {
                return None;
            }
            Some(match self.table.row(index)? {
                Ok(row) => Ok(CallRef(row)),
                Err(reason) => Err(RowError {
                    index,
                    reason: reason.to_owned(),
                }),
            })
        })
    }

    /// [`CallsPage::calls`] for a function, with each row's index on the page.
    pub fn for_each(&self, mut each: impl FnMut(usize, Result<CallRef<'_>, RowError>)) {
        for index in 0..self.table.len() {
            if self.repeated.get(index) == Some(&true) {
                continue;
            }
            match self.table.row(index) {
                Some(Ok(row)) => each(index, Ok(CallRef(row))),
                Some(Err(reason)) => {
                    let reason = reason.to_owned();
                    each(index, Err(RowError { index, reason }));
                }
                None => {}
            }
        }
    }

    /// The ids of all rows, in order; `None` for rows that have none or cannot be read.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.table.len()).map(|index| match self.table.row(index) {
            Some(Ok(row)) => CallRef(row).id(),
            _ => None,
        })
    }

    pub(crate) fn pass_over(&mut self, repeated: Vec<bool>) {
        self.repeats = repeated.iter().filter(|&&is| is).count();
        self.repeated = repeated;
    }
}

/// A call record, borrowed from its page. Getters say what the server wrote; `None` is a missing or null member.
#[derive(Clone, Copy)]
pub struct CallRef<'a>(Row<'a>);

/// Prints no content: it is personal.
impl fmt::Debug for CallRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRef").finish_non_exhaustive()
    }
}

impl<'a> CallRef<'a> {
    /// The call's id; `None` when it is empty, too.
    pub fn id(&self) -> Option<&'a str> {
        self.0.text(0).filter(|id| !id.is_empty())
    }

    rows::texts! {
        /// The client that was called, or that called.
        client_id = 1;
        /// The client's name. Not unique.
        client_name = 2;
        /// The center that took the call.
        center_id = 3;
        /// When the call began, as the server wrote it: usually `2026-08-06 08:45:00`, without a zone.
        start_time = 4;
        /// The name of the other side. Personal.
        caller_name = 5;
        /// The number of the other side. Personal.
        caller_number = 6;
        /// Who the call was passed on to. Personal.
        transfer_to_name = 7;
        /// The number that the call was passed on to. Personal.
        transfer_to_number = 8;
        /// What the receptionist wrote. Personal.
        notes = 9;
        /// Who answered.
        answered_by = 15;
        /// The server that carried the call.
        server = 16;
        /// The screen pop that was shown. Personal.
        screen_pop = 19;
        /// Why it was flagged. Personal.
        flag_notes = 22;
        /// `Incoming`, `Outgoing` or another kind, as the server wrote it.
        call_type = 23;
    }

    rows::numbers! {
        /// How long the call took, in seconds.
        duration = 10;
        /// How long it rang, in seconds.
        ring_time = 11;
        /// How long the caller was on hold, in seconds.
        hold_time = 12;
        /// How often the caller was put on hold.
        hold_count = 13;
        /// How long was talked, in seconds.
        talk_time = 17;
        /// How long passing it on took, in seconds.
        transfer_time = 18;
        /// How long the work after the call took, in seconds.
        work_time = 24;
    }

    /// Whether somebody flagged the call; `Err` with the text that is no truth value.
    pub fn flagged(&self) -> Result<Option<bool>, &'a str> {
        self.0.flag(FLAGGED)
    }

    /// What happened during the call; `None` when the member is missing or no list.
    pub fn interactions(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = InteractionRef<'a>> + use<'a>> {
        let rows = self.0.list(INTERACTIONS, INTERACTION.len())?;
        Some(rows.map(InteractionRef))
    }

    /// The forms that were filled in; an entry that is null is `None`. `None` when the member is missing or no list.
    pub fn completed_form_ids(
        &self,
    ) -> Option<impl ExactSizeIterator<Item = Option<&'a str>> + use<'a>> {
        let rows = self.0.list(COMPLETED_FORM_IDS, 1)?;
        Some(rows.map(|row| row.text(0)))
    }

    /// The record with texts of its own.
    pub fn to_record(&self) -> CallRecord {
        CallRecord::from(*self)
    }
}

/// Something that happened during a call, borrowed from its page.
#[derive(Debug, Clone, Copy)]
pub struct InteractionRef<'a>(Row<'a>);

impl<'a> InteractionRef<'a> {
    rows::texts! {
        /// When, as the server wrote it.
        start_time = 0;
        /// What happened, such as `Answer`, `Hold`, `Hangup`.
        interaction_type = 1;
        /// What happened, in words. Personal.
        description = 2;
    }
}

#[cfg(test)]
mod tests;
