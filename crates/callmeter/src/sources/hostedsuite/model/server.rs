//! A server with habits that nobody documents, and with failures.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::BoxFuture;
use hostedsuite_client::{Transport, TransportError, TransportKind};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::history::{DAY, HOUR, History, MINUTE, Version};

/// The true time, in UTC microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrueTime {
    base: i64,
    since: Instant,
}

impl TrueTime {
    pub(super) fn new(base: i64) -> Self {
        Self {
            base,
            since: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> i64 {
        let elapsed = self.since.elapsed().as_micros();
        self.base + i64::try_from(elapsed).unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageZero {
    Empty,
    Refused,
    SameAsOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Totals {
    Stated,
    Absent,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmptyPage {
    NoRows,
    WithoutItems,
    NoContent,
}

/// How a server behaves, for as long as it exists.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent habits")]
pub(super) struct Habits {
    pub(super) first_page: i64,
    pub(super) page_zero: PageZero,
    pub(super) totals: Totals,
    /// The most rows of a page, whatever is asked for.
    pub(super) clamp: usize,
    pub(super) last_page_repeats: bool,
    pub(super) end_is_included: bool,
    /// The zone of the filter is so many hours ahead of the one that times are written in.
    pub(super) filter_hours: i64,
    pub(super) ignores_order: bool,
    pub(super) ignores_dates: bool,
    pub(super) empty_page: EmptyPage,
    /// How far its clock is ahead; `None` if it does not state it.
    pub(super) clock: Option<i64>,
    /// When it begins to write ids in another spelling.
    pub(super) respelt_at: i64,
    /// A call that it dates years later for some time.
    pub(super) misdated: Option<(u64, Range<i64>)>,
}

impl Habits {
    pub(super) fn draw(rng: &mut Rng, from: i64, to: i64) -> Self {
        let rarely = |rng: &mut Rng| rng.u8(0..6) == 0;
        let ignores_dates = rng.u8(0..20) == 0;
        Self {
            first_page: rng.i64(0..2),
            page_zero: *rng
                .choice(&[PageZero::Empty, PageZero::Refused, PageZero::SameAsOne])
                .unwrap(),
            totals: *rng
                .choice(&[Totals::Stated, Totals::Stated, Totals::Absent, Totals::Zero])
                .unwrap(),
            clamp: if rarely(rng) {
                rng.usize(1..4)
            } else {
                usize::MAX
            },
            last_page_repeats: rarely(rng),
            end_is_included: rng.bool(),
            filter_hours: if rarely(rng) { rng.i64(-12..13) } else { 0 },
            ignores_order: rarely(rng),
            ignores_dates,
            empty_page: *rng
                .choice(&[
                    EmptyPage::NoRows,
                    EmptyPage::WithoutItems,
                    EmptyPage::NoContent,
                ])
                .unwrap(),
            clock: match rng.u8(0..8) {
                0 => None,
                1 => Some(rng.i64(-3 * HOUR..3 * HOUR)),
                _ => Some(0),
            },
            respelt_at: if rarely(rng) {
                rng.i64(from..to)
            } else {
                i64::MAX
            },
            // A server that ignores dates lists other calls that far off, which are not missing.
            misdated: (rng.u8(0..4) == 0 && !ignores_dates)
                .then(|| (rng.u64(0..60), rng.i64(from..to)..to)),
        }
    }
}

/// What fails for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Everything,
    Connections,
    Throttled,
    Page(i64),
    /// Ranges that include this moment.
    Moment(i64),
    /// Requests of a random share.
    Some,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) failure: Failure,
}

impl Outage {
    pub(super) fn draw(rng: &mut Rng, from: i64, to: i64) -> Self {
        let start = rng.i64(from..to);
        let failure = match rng.u8(0..6) {
            0 => Failure::Everything,
            1 => Failure::Connections,
            2 => Failure::Throttled,
            3 => Failure::Page(rng.i64(0..4)),
            4 => Failure::Moment(rng.i64(from - 2 * DAY..to)),
            _ => Failure::Some,
        };
        Self {
            from: start,
            to: start + rng.i64(MINUTE..12 * HOUR),
            failure,
        }
    }
}

pub(super) struct Server {
    pub(super) time: TrueTime,
    pub(super) habits: Habits,
    pub(super) calls: Vec<History>,
    pub(super) outages: Vec<Outage>,
    rng: Mutex<Rng>,
    asked: Mutex<u64>,
}

impl Server {
    pub(super) fn new(
        time: TrueTime,
        habits: Habits,
        calls: Vec<History>,
        outages: Vec<Outage>,
        rng: Rng,
    ) -> Arc<Self> {
        Arc::new(Self {
            time,
            habits,
            calls,
            outages,
            rng: Mutex::new(rng),
            asked: Mutex::default(),
        })
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }

    fn fails(&self, now: i64, page: i64, range: (i64, i64)) -> Option<Failure> {
        let outages = self.outages.iter();
        let now_failing = outages.filter(|outage| (outage.from..outage.to).contains(&now));
        now_failing
            .map(|outage| outage.failure)
            .find(|failure| match failure {
                Failure::Everything | Failure::Connections | Failure::Throttled => true,
                Failure::Page(failing) => *failing == page,
                Failure::Moment(moment) => (range.0..=range.1).contains(moment),
                Failure::Some => self.rng().u8(0..3) == 0,
            })
    }

    /// The calls of a range in the order that was asked for.
    fn listed(&self, now: i64, range: (i64, i64), descending: bool) -> Vec<(u64, Version)> {
        let habits = &self.habits;
        let filter = habits.filter_hours * HOUR;
        let is_in_range = |call: &(u64, Version)| {
            let start = call.1.start + filter;
            habits.ignores_dates
                || (range.0 <= start
                    && (start < range.1 || habits.end_is_included && start == range.1))
        };
        let calls = self.calls.iter();
        let visible = calls.filter_map(|call| Some((call.number, call.at(now)?)));
        let mut listed: Vec<_> = visible.filter(is_in_range).collect();
        if !habits.ignores_order {
            listed.sort_by_key(|(_, call)| call.start);
            if descending {
                listed.reverse();
            }
        }
        listed
    }

    fn answer(&self, request: &Value) -> Result<http::Response<String>, TransportError> {
        *self.asked.lock().unwrap() += 1;
        let now = self.time.now();
        let time = |name: &str| {
            let text = request[name].as_str().unwrap();
            let time: DateTime = text.parse().unwrap();
            time.to_zoned(TimeZone::UTC)
                .unwrap()
                .timestamp()
                .as_microsecond()
        };
        let range = (time("StartDate"), time("EndDate"));
        let page = request["Page"].as_i64().unwrap();
        match self.fails(now, page, range) {
            None => {}
            Some(Failure::Connections) => return Err(TransportKind::BodyCut.into()),
            Some(Failure::Throttled) => {
                let mut response = self.response(429, String::new(), now);
                response
                    .headers_mut()
                    .insert("retry-after", "90".parse().unwrap());
                return Ok(response);
            }
            Some(_) => return Ok(self.response(500, String::new(), now)),
        }
        let descending = request["SortDir"] == "Desc";
        let asked = usize::try_from(request["ItemsPerPage"].as_i64().unwrap()).unwrap();
        Ok(self.page(&self.listed(now, range, descending), page, asked, now))
    }

    fn page(
        &self,
        calls: &[(u64, Version)],
        page: i64,
        asked: usize,
        now: i64,
    ) -> http::Response<String> {
        let habits = &self.habits;
        let size = asked.min(habits.clamp);
        let pages = calls.len().div_ceil(size);
        let last = habits.first_page + i64::try_from(pages).unwrap() - 1;
        let mut index = page - habits.first_page;
        if index < 0 {
            match habits.page_zero {
                PageZero::Refused => return self.response(500, String::new(), now),
                PageZero::SameAsOne => index = 0,
                PageZero::Empty => index = i64::try_from(pages).unwrap(),
            }
        } else if habits.last_page_repeats && page > last && pages > 0 {
            index = i64::try_from(pages).unwrap() - 1;
        }
        let from = usize::try_from(index).unwrap() * size;
        let rows = calls.get(from.min(calls.len())..(from + size).min(calls.len()));
        let rows: Vec<Value> = rows
            .unwrap()
            .iter()
            .map(|call| self.row(*call, now))
            .collect();
        let is_empty = rows.is_empty();
        if is_empty && habits.empty_page == EmptyPage::NoContent {
            return self.response(204, String::new(), now);
        }
        let mut body = json!({});
        if !is_empty || habits.empty_page == EmptyPage::NoRows {
            body["Items"] = Value::Array(rows);
        }
        match habits.totals {
            Totals::Absent => {}
            Totals::Zero => body["TotalCount"] = json!(0),
            Totals::Stated => {
                body["TotalCount"] = json!(calls.len());
                // Computed from the page size that was asked for.
                body["TotalPages"] = json!(calls.len().div_ceil(asked));
            }
        }
        if body.as_object().unwrap().is_empty() {
            body["TotalCount"] = json!(0);
        }
        self.response(200, body.to_string(), now)
    }

    fn row(&self, (number, call): (u64, Version), now: i64) -> Value {
        let is_misdated =
            |(misdated, times): &(u64, Range<i64>)| *misdated == number && times.contains(&now);
        let written = if self.habits.misdated.as_ref().is_some_and(is_misdated) {
            call.start + 4_000 * DAY
        } else {
            call.start
        };
        let start = Timestamp::from_microsecond(written).unwrap();
        let start = start.to_zoned(TimeZone::UTC).datetime();
        let guid = format!("0f8fad5b-d9cb-469f-a165-{number:012x}");
        let id = if now >= self.habits.respelt_at {
            format!("{{{}}}", guid.to_uppercase())
        } else {
            guid
        };
        let mut row = json!({
            "Id": id,
            "StartTime": start.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        });
        if let Some(duration) = call.duration {
            row["DurationInSeconds"] = json!(duration);
            row["TalkTimeInSeconds"] = json!(duration);
        }
        row
    }

    fn response(&self, status: u16, body: String, now: i64) -> http::Response<String> {
        let mut response = http::Response::new(body);
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        if let Some(ahead) = self.habits.clock {
            let date = Timestamp::from_microsecond(now + ahead).unwrap();
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let headers = response.headers_mut();
            headers.insert("date", date.parse().unwrap());
        }
        response
    }
}

/// The server without a network in between.
pub(super) struct InMemory(pub(super) Arc<Server>);

impl Transport for InMemory {
    fn execute(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
        let server = Arc::clone(&self.0);
        Box::pin(async move {
            let body = request.body().and_then(reqwest::Body::as_bytes).unwrap();
            let body: Value = serde_json::from_slice(body).unwrap();
            let latency = server.rng().u64(20..2_000);
            tokio::time::sleep(Duration::from_millis(latency)).await;
            server.answer(&body).map(Into::into)
        })
    }
}
