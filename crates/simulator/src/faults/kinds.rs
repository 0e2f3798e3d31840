//! The faults: a table of all of them.

use serde::{Deserialize, Serialize};

use super::answer_kinds::{EmptyPage, IdSpelling, PageZero, TimeStyle, Totals};
use super::bounds::Bounds as _;
use super::record_kinds::{
    Edits, Flapping, Late, MovedStarts, NoStart, Share, Shifts, UnknownTalk,
};
use super::request_kinds::{
    Echo, FailedDay, FailedPage, Hit, Latency, RefusedLogin, ServerError, Stall, Throttle,
};

/// Declares [`Faults`]: each fault's name, type, example for `--fault`, and meaning.
macro_rules! faults {
    ($($name:ident: $type:ty, $example:literal, $meaning:literal;)*) => {
        /// The active faults; by default none.
        ///
        /// A fault of records selects them by seed and record, so that a record keeps its fault
        /// while the fault is active; a fault of requests selects them by seed and number of the
        /// request. `late` and `running` hold for calls that end or start while they are active.
        /// Late records that have appeared and edits that were made stay after the fault has ended.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Faults {
            $(#[doc = $meaning] pub $name: $type,)*
        }

        impl Faults {
            /// An example and the meaning of each fault.
            pub(super) const DESCRIPTIONS: &[(&str, &str)] = &[$(($example, $meaning),)*];

            /// Refuses a value out of bounds: returns the fault and what it must be.
            pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
                $(self.$name.check().map_err(|must| (stringify!($name), must))?;)*
                Ok(())
            }
        }
    };
}

faults! {
    late: Option<Late>, "late=0.05",
        "records appear up to {within_seconds: 3600} after the call's end";
    running: Option<Share>, "running=0.1",
        "calls appear at their start, without durations and operator until they end";
    edits: Option<Edits>, "edits=0.1",
        "notes, flags, transfer and work times change up to {within_seconds: 3600} after the end";
    moved_starts: Option<MovedStarts>, "moved_starts='{\"rate\":0.1,\"days\":7}'",
        "start times are edited: they move by so many days up to {within_seconds: 3600} after the end";
    no_start: Option<NoStart>, "no_start=0.1",
        "StartTime is absent; {style: min_value}: all times are 0001-01-01T00:00:00; {style: century}: it is a century late";
    long_calls: Option<Share>, "long_calls=0.01",
        "DurationInSeconds is 600000";
    flapping: Option<Flapping>, "flapping=0.1",
        "DurationInSeconds is 10, missing, 12, missing, 13, each for {seconds: 60} after the end";
    unknown_talk: Option<UnknownTalk>, "unknown_talk=0.1",
        "no operator, and a talk time of n/a; {style: missing} leaves it out";
    latin1_notes: Option<Share>, "latin1_notes=0.01",
        "notes have a Latin-1 byte, and those of the next call U+FFFD";
    missing_numbers: Option<Share>, "missing_numbers=0.01",
        "one duration of a record is absent";
    misspelt_names: Option<Share>, "misspelt_names=0.01",
        "one duration's name is misspelt";
    nan: Option<Share>, "nan=0.01",
        "one duration is a bare NaN";
    repeats: Option<Share>, "repeats=0.5",
        "pages begin with the last record of the page before";
    shifts: Option<Shifts>, "shifts=0.5",
        "recent records ({recent_seconds: 600}) appear between two pages of a reading";
    one_based_pages: bool, "one_based_pages",
        "pages count from 1; page 0 is answered as page 1";
    page_zero: Option<PageZero>, "page_zero=empty",
        "with one_based_pages: page 0 is empty; `refused` for a 500";
    page_size_limit: Option<u32>, "page_size_limit=100",
        "at most so many rows a page";
    pages_as_asked: bool, "pages_as_asked",
        "TotalPages is computed from the page size asked for, not from the one used";
    last_page_repeats: bool, "last_page_repeats",
        "a page beyond the end is answered with the last page";
    empty_page: Option<EmptyPage>, "empty_page=without_items",
        "an empty page has no Items; `no_content` for a 204";
    totals: Option<Totals>, "totals=absent",
        "call pages without totals; `zero` for totals of 0";
    ignore_dates: bool, "ignore_dates",
        "the date filter of calls is ignored";
    ignore_order: bool, "ignore_order",
        "SortField and SortDir of calls are ignored";
    end_exclusive: bool, "end_exclusive",
        "an EndDate with a time is not part of the range";
    filter_zone: Option<String>, "filter_zone=UTC",
        "the zone of StartDate and EndDate, while times are written in --time-zone";
    time_style: Option<TimeStyle>, "time_style=offset",
        "times of calls are written with their offset; `utc` for UTC and a Z";
    id_spelling: Option<IdSpelling>, "id_spelling='{\"style\":\"braces\",\"after\":10}'",
        "call ids change after so many requests to dashes, capitals or braces (which are all three)";
    fail_page: Option<FailedPage>, "fail_page='{\"page\":1,\"status\":500}'",
        "this page of calls fails";
    fail_day: Option<FailedDay>, "fail_day='{\"day\":\"2026-08-08\",\"status\":500}'",
        "a range of calls fails that is within this day or includes its noon";
    date_skew: Option<i64>, "date_skew=-3600",
        "the Date header is ahead by so many seconds";
    latency: Option<Latency>, "latency='{\"ms\":250,\"jitter_ms\":500}'",
        "a wait before the answer";
    stall: Option<Stall>, "stall='{\"seconds\":60,\"rate\":0.1}'",
        "a pause in the middle of the body";
    disconnect: Option<Hit>, "disconnect=0.1",
        "the connection is closed instead of an answer";
    truncate: Option<Hit>, "truncate=0.1",
        "the connection is closed in the middle of the body";
    throttle: Option<Throttle>, "throttle='{\"retry_after\":2,\"rate\":0.2}'",
        "429, without retry_after no Retry-After";
    server_error: Option<ServerError>, "server_error='{\"status\":502,\"rate\":0.2}'",
        "a gateway's 5xx";
    html: Option<Hit>, "html=0.1",
        "an HTML page with status 200";
    echo: Option<Echo>, "echo='{\"encoding\":\"jsv\"}'",
        "an error that repeats the request, password included; jsv, json, url, base64";
    refuse_login: Option<RefusedLogin>, "refuse_login=security_exception",
        "or not_authenticated, or unauthorized (PortSIP)";
    expire_tokens: Option<Hit>, "expire_tokens=0.1",
        "the PBX forgets the token that a request carries";
    two_factor: bool, "two_factor",
        "the PBX asks for a second factor";
    deck_changes: Option<Hit>, "deck_changes=0.5",
        "a rate changes, comes or goes before the deck is read";
}
