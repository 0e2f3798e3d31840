//! What can be requested. The server silently ignores values that it cannot read and answers
//! something else, so these types hold only values that it can read.

use std::time::Duration;

use api_client::{Error, Secret};
use jiff::civil::{Date, DateTime};

use crate::generated::types::{CallRoundingType as CallRounding, SortDir};
use crate::generated::{operations, types};
use crate::walk::FirstPage;

/// Which calls to request. Times are in the server's local time: the API has no time zones.
#[derive(Debug, Clone, PartialEq)]
pub struct CallsQuery {
    start: Option<DateTime>,
    end: Option<DateTime>,
    client_id: Option<String>,
    center_id: Option<String>,
    call_record_id: Option<String>,
    min_talk: Option<Duration>,
    max_talk: Option<Duration>,
    call_type: Option<CallType>,
    sort: Option<(String, SortDir)>,
    page_size: u32,
    first_page: FirstPage,
    server_counts: bool,
    caps: Caps,
}

/// Filters calls by direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallType {
    /// Calls that came in.
    Incoming,
    /// Calls that were placed.
    Outgoing,
}

/// Bounds on a walk over pages. Reaching one interrupts it with
/// [`Reason::Truncated`](api_client::Reason). At least two pages are read whatever the bounds on
/// pages, rows and bytes, so that a walk which resumes makes progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Pages received.
    pub pages: u64,
    /// Rows received.
    pub rows: u64,
    /// Body bytes received.
    pub bytes: u64,
    /// Time since the first request. No request takes longer than what is left of it.
    pub time: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            pages: 10_000,
            rows: 5_000_000,
            bytes: 8 * 1024 * 1024 * 1024,
            time: Duration::from_secs(30 * 60),
        }
    }
}

/// The default page size: large enough to be quick, small enough for any server seen.
const PAGE_SIZE: u32 = 500;

impl Default for CallsQuery {
    fn default() -> Self {
        Self {
            start: None,
            end: None,
            client_id: None,
            center_id: None,
            call_record_id: None,
            min_talk: None,
            max_talk: None,
            call_type: None,
            sort: None,
            page_size: PAGE_SIZE,
            first_page: FirstPage::Unknown,
            server_counts: false,
            caps: Caps::default(),
        }
    }
}

impl CallsQuery {
    /// All calls that the login can see.
    pub fn all() -> Self {
        Self::default()
    }

    /// Calls that started between two times. Whether the end itself is included is not documented.
    pub fn between(start: DateTime, end: DateTime) -> Self {
        Self {
            start: Some(start),
            end: Some(end),
            ..Self::default()
        }
    }

    /// Calls of a day. See [`days`](Self::days) for its end.
    pub fn on(day: Date) -> Self {
        Self::days(day, day)
    }

    /// Calls of the days from `first` to `last`.
    ///
    /// The range ends at the first moment of the day after `last`, so that the last second is
    /// requested in full. A server that includes the end also returns calls of that moment.
    pub fn days(first: Date, last: Date) -> Self {
        let end = match last.tomorrow() {
            Ok(next) => next.at(0, 0, 0, 0),
            Err(_) => last.at(23, 59, 59, 0),
        };
        Self::between(first.at(0, 0, 0, 0), end)
    }

    /// Only calls of this client.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Only calls of this center.
    #[must_use]
    pub fn center(mut self, id: impl Into<String>) -> Self {
        self.center_id = Some(id.into());
        self
    }

    /// Only the call with this id.
    #[must_use]
    pub fn call_record(mut self, id: impl Into<String>) -> Self {
        self.call_record_id = Some(id.into());
        self
    }

    /// Only calls with at least `min` and at most `max` talk time.
    #[must_use]
    pub fn talk_time(mut self, min: Option<Duration>, max: Option<Duration>) -> Self {
        (self.min_talk, self.max_talk) = (min, max);
        self
    }

    /// Only calls in this direction.
    #[must_use]
    pub fn call_type(mut self, call_type: CallType) -> Self {
        self.call_type = Some(call_type);
        self
    }

    /// The order, by a member of the record such as `StartTime`. The server ignores names that it
    /// does not know.
    #[must_use]
    pub fn sort(mut self, member: impl Into<String>, direction: SortDir) -> Self {
        self.sort = Some((member.into(), direction));
        self
    }

    /// How many rows to request per page, at least 1. The server may send fewer.
    #[must_use]
    pub fn page_size(mut self, rows: u32) -> Self {
        self.page_size = rows;
        self
    }

    /// What is known of the number of the first page, from an earlier walk on the same server.
    #[must_use]
    pub fn first_page(mut self, first_page: FirstPage) -> Self {
        self.first_page = first_page;
        self
    }

    /// Whether the server is known to count rows, from an earlier walk on the same server. Then a
    /// count of 0 means that there are none.
    #[must_use]
    pub fn server_counts(mut self, known: bool) -> Self {
        self.server_counts = known;
        self
    }

    /// The bounds of the walk.
    #[must_use]
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Sorted by start time unless another order was chosen: new calls then come last and move no
    /// row to a page that was already read.
    pub(crate) fn sorted_for_walk(mut self) -> Self {
        self.sort
            .get_or_insert_with(|| ("StartTime".to_owned(), SortDir::Asc));
        self
    }

    pub(crate) fn rows_per_page(&self) -> usize {
        usize::try_from(self.page_size).unwrap_or(usize::MAX)
    }

    pub(crate) fn known_first_page(&self) -> FirstPage {
        self.first_page
    }

    pub(crate) fn known_to_count(&self) -> bool {
        self.server_counts
    }

    pub(crate) fn bounds(&self) -> Caps {
        self.caps
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |field, problem: &str| {
            Error::invalid_request(operations::LIST_CALLS.id, field, problem)
        };
        if self.page_size == 0 || i32::try_from(self.page_size).is_err() {
            return Err(invalid("ItemsPerPage", "must be between 1 and 2147483647"));
        }
        if let (Some(start), Some(end)) = (self.start, self.end)
            && start > end
        {
            return Err(invalid("StartDate", "must not be after EndDate"));
        }
        if let (Some(min), Some(max)) = (self.min_talk, self.max_talk)
            && min > max
        {
            return Err(invalid(
                "MinCallDuration",
                "must not be above MaxCallDuration",
            ));
        }
        Ok(())
    }

    pub(crate) fn request(&self, login: Login, page: i64) -> types::ListCallRecordsRequest {
        let seconds = |duration: Duration| duration.as_secs_f64();
        types::ListCallRecordsRequest {
            start_date: self.start.map(date_time),
            end_date: self.end.map(date_time),
            client_id: self.client_id.clone(),
            center_id: self.center_id.clone(),
            call_record_id: self.call_record_id.clone(),
            min_call_duration: self.min_talk.map(seconds),
            max_call_duration: self.max_talk.map(seconds),
            call_type: self.call_type.map(|call_type| match call_type {
                CallType::Incoming => types::ListCallRecordsRequestCallType::Incoming,
                CallType::Outgoing => types::ListCallRecordsRequestCallType::Outgoing,
            }),
            page: i32::try_from(page).ok(),
            items_per_page: i32::try_from(self.page_size).ok(),
            disable_stats: Some(false),
            sort_field: self.sort.as_ref().map(|(member, _)| member.clone()),
            sort_dir: self.sort.as_ref().map(|(_, direction)| *direction),
            customer_name: login.customer,
            user_name: login.username,
            password: login.password,
        }
    }
}

/// Which balances to request, and what they count. Only what is set here is billed: the server's
/// own default is nothing.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches of the API, each with a method of its name"
)]
pub struct BalanceQuery {
    start: Option<Date>,
    end: Option<Date>,
    client_id: Option<String>,
    hold: bool,
    talk: bool,
    transfer: bool,
    ring: bool,
    rounding: Option<CallRounding>,
    min_talk: Option<Duration>,
    max_talk: Option<Duration>,
}

impl BalanceQuery {
    /// The days from `start` to `end`. Whether the end itself is included is not documented; the
    /// vendor's own example gives a month's last day.
    pub fn between(start: Date, end: Date) -> Self {
        Self {
            start: Some(start),
            end: Some(end),
            ..Self::default()
        }
    }

    /// Only this client.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Bills hold time.
    #[must_use]
    pub fn bill_hold(mut self, bill: bool) -> Self {
        self.hold = bill;
        self
    }

    /// Bills talk time.
    #[must_use]
    pub fn bill_talk(mut self, bill: bool) -> Self {
        self.talk = bill;
        self
    }

    /// Bills transfer time.
    #[must_use]
    pub fn bill_transfer(mut self, bill: bool) -> Self {
        self.transfer = bill;
        self
    }

    /// Bills ring time.
    #[must_use]
    pub fn bill_ring(mut self, bill: bool) -> Self {
        self.ring = bill;
        self
    }

    /// Rounds each call.
    #[must_use]
    pub fn rounding(mut self, rounding: CallRounding) -> Self {
        self.rounding = Some(rounding);
        self
    }

    /// Only calls with at least `min` and at most `max` talk time.
    #[must_use]
    pub fn talk_time(mut self, min: Option<Duration>, max: Option<Duration>) -> Self {
        (self.min_talk, self.max_talk) = (min, max);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let operation = operations::LIST_CALL_ALLOWANCE_BALANCES;
        let invalid = |field, problem: &str| Error::invalid_request(operation.id, field, problem);
        if let (Some(start), Some(end)) = (self.start, self.end)
            && start > end
        {
            return Err(invalid("StartDate", "must not be after EndDate"));
        }
        if let (Some(min), Some(max)) = (self.min_talk, self.max_talk)
            && min > max
        {
            return Err(invalid(
                "MinCallDuration",
                "must not be above MaxCallDuration",
            ));
        }
        Ok(())
    }

    pub(crate) fn request(&self, login: Login) -> types::ListCallAllowanceBalanceRequest {
        types::ListCallAllowanceBalanceRequest {
            start_date: self.start.map(|date| date.to_string()),
            end_date: self.end.map(|date| date.to_string()),
            client_id: self.client_id.clone(),
            bill_hold: Some(self.hold),
            bill_talk: Some(self.talk),
            bill_transfer: Some(self.transfer),
            bill_ring: Some(self.ring),
            call_rounding: self.rounding,
            min_call_duration: self.min_talk.map(|min| min.as_secs_f64()),
            max_call_duration: self.max_talk.map(|max| max.as_secs_f64()),
            customer_name: login.customer,
            user_name: login.username,
            password: login.password,
        }
    }
}

/// Which clients to request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientsQuery {
    client_id: Option<String>,
    center_id: Option<String>,
    name: Option<String>,
    third_party_account_id: Option<String>,
}

impl ClientsQuery {
    /// All clients that the login can see.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only the client with this id.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// Only clients of this center.
    #[must_use]
    pub fn center(mut self, id: impl Into<String>) -> Self {
        self.center_id = Some(id.into());
        self
    }

    /// Only clients with this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only clients with this account in another system.
    #[must_use]
    pub fn third_party_account(mut self, id: impl Into<String>) -> Self {
        self.third_party_account_id = Some(id.into());
        self
    }

    pub(crate) fn request(&self, login: Login) -> types::ListClientsRequest {
        types::ListClientsRequest {
            client_id: self.client_id.clone(),
            center_id: self.center_id.clone(),
            name: self.name.clone(),
            third_party_account_id: self.third_party_account_id.clone(),
            customer_name: login.customer,
            user_name: login.username,
            password: login.password,
            ..types::ListClientsRequest::default()
        }
    }
}

/// What every request contains.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) customer: String,
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// `2026-08-06 08:45:00`: the only form that the server is known to read.
fn date_time(time: DateTime) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}
