//! The list of calls: filters, order and pages.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::dates::{self, Edge};
use super::members::{Members, Unbindable};
use crate::faults::{Faults, PageZero, RequestFaults};
use crate::random::{Purpose, draw, selects};
use crate::world::{CallId, Direction, Facts, LONGEST_CALL_MS, SimulatedCall, View};

/// The path of these requests, for faults that name one.
const PATH: &str = "/api/calls";
/// Rows of a page by default.
const DEFAULT_ROWS: usize = 25;
/// The maximum rows of a page.
const MOST_ROWS: usize = 10_000;
/// A record that shifts appears by this page of a reading.
const SHIFT_STAGES: u64 = 3;

/// A request for call records.
#[derive(Debug)]
pub(super) struct Query {
    from: i64,
    until: i64,
    client: Option<String>,
    center: Option<String>,
    id: Option<String>,
    least_talk: f64,
    most_talk: f64,
    direction: Option<Direction>,
    page: i32,
    rows: i32,
    pub(super) without_stats: bool,
    sort: SortKey,
    descending: bool,
    /// The zone of the range.
    zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortKey {
    Start,
    Duration,
    Ring,
    Hold,
    Talk,
    Transfer,
    Work,
    Client,
    Id,
}

const SORT_FIELDS: [(&str, SortKey); 9] = [
    ("StartTime", SortKey::Start),
    ("DurationInSeconds", SortKey::Duration),
    ("RingTimeInSeconds", SortKey::Ring),
    ("HoldTimeInSeconds", SortKey::Hold),
    ("TalkTimeInSeconds", SortKey::Talk),
    ("TransferTimeInSeconds", SortKey::Transfer),
    ("WorkTimeInSeconds", SortKey::Work),
    ("ClientId", SortKey::Client),
    ("Id", SortKey::Id),
];

/// A page of calls, as indices into the world.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) calls: Vec<usize>,
    /// As the answer states it.
    pub(super) number: i64,
    pub(super) total: usize,
    pub(super) pages: usize,
}

impl Query {
    pub(super) fn read(
        members: &Members,
        view: &View<'_>,
        newest_first: bool,
    ) -> Result<Self, Unbindable> {
        let faults = &view.faults.now;
        let other_zone = (faults.filter_zone.as_ref()).and_then(|name| TimeZone::get(name).ok());
        let zone = other_zone.unwrap_or_else(|| view.world.zone.clone());
        let date =
            |name, edge| (members.filter(name)).and_then(|text| dates::read(&text, &zone, edge));
        let end = if faults.end_exclusive {
            Edge::Before
        } else {
            Edge::End
        };
        let sort = (members.filter("SortField"))
            .filter(|_| !faults.ignore_order)
            .and_then(|field| {
                (SORT_FIELDS.iter()).find(|(name, _)| name.eq_ignore_ascii_case(&field))
            });
        let direction = members
            .choice("SortDir", &[("Asc", false), ("Desc", true)])?
            .filter(|_| !faults.ignore_order);
        Ok(Self {
            from: date("StartDate", Edge::Start).unwrap_or(i64::MIN),
            until: date("EndDate", end).unwrap_or(i64::MAX),
            client: members.filter("ClientId"),
            center: members.filter("CenterId"),
            id: members.filter("CallRecordId"),
            least_talk: members.number("MinCallDuration")?,
            most_talk: members.number("MaxCallDuration")?,
            direction: members.choice(
                "CallType",
                &[
                    ("Incoming", Direction::Incoming),
                    ("Outgoing", Direction::Outgoing),
                ],
            )?,
            page: members.integer("Page")?,
            rows: members.integer("ItemsPerPage")?,
            without_stats: members.truth("DisableStats")?,
            sort: sort.map_or(SortKey::Start, |(_, key)| *key),
            descending: direction.unwrap_or(sort.is_none() && newest_first),
            zone,
        })
    }

    /// The status of the error with which a fault replaces this page.
    pub(super) fn failure(&self, view: &View<'_>, requests: &RequestFaults) -> Option<u16> {
        let faults = &view.faults.now;
        if faults.one_based_pages && self.page <= 0 && faults.page_zero == Some(PageZero::Refused) {
            return Some(500);
        }
        if let Some(fault) = &faults.fail_page
            && i64::from(self.page) == i64::from(fault.page)
            && requests.fails_page(fault, PATH)
        {
            return Some(fault.status);
        }
        let fault = faults.fail_day.as_ref()?;
        let hits = self.reads_day(fault.day?) && requests.fails_day(fault, PATH);
        hits.then_some(fault.status)
    }

    /// Whether the range is within a day or includes its noon. A range that only overlaps the day's
    /// edge does not read the day.
    fn reads_day(&self, day: Date) -> bool {
        let at = |hour| {
            Some(
                day.at(hour, 0, 0, 0)
                    .to_zoned(self.zone.clone())
                    .ok()?
                    .timestamp(),
            )
        };
        let noon = at(12).map(Timestamp::as_millisecond);
        let Some((noon, midnight)) = noon.zip(at(0).map(Timestamp::as_millisecond)) else {
            return false;
        };
        let range = self.from..=self.until;
        range.contains(&noon) || (self.from >= midnight && self.until < midnight + 86_400_000)
    }

    pub(super) fn page(&self, view: &View<'_>) -> Page {
        let faults = &view.faults.now;
        let rows = self.rows(faults);
        let asked = self.page.max(0);
        let (number, position) = if faults.one_based_pages {
            (asked.max(1), asked.max(1) - 1)
        } else {
            (asked, asked)
        };
        let mut position = usize::try_from(position).unwrap_or(0);

        let selection = self.select(view, position as u64);
        let total = selection.len();
        let repeats = Repeats { faults, rows };
        let pages = repeats.pages(total);
        if faults.last_page_repeats {
            position = position.min(pages.saturating_sub(1));
        }
        let without_page_zero =
            faults.one_based_pages && asked == 0 && faults.page_zero == Some(PageZero::Empty);
        // Beyond the last page there is nothing, not even a repeated record.
        let offset = if position < pages && !without_page_zero {
            repeats.offset(position)
        } else {
            total
        };
        let calls = (offset..total.min(offset.saturating_add(rows)))
            .filter_map(|place| {
                let place = if self.descending {
                    total - 1 - place
                } else {
                    place
                };
                selection.get(place)
            })
            .collect();
        Page {
            calls,
            number: i64::from(if without_page_zero { asked } else { number }),
            total,
            pages: if faults.pages_as_asked {
                total.div_ceil(self.asked_rows())
            } else {
                pages
            },
        }
    }

    fn asked_rows(&self) -> usize {
        let rows = usize::try_from(self.rows).unwrap_or(0);
        if rows == 0 { DEFAULT_ROWS } else { rows }
    }

    fn rows(&self, faults: &Faults) -> usize {
        let limit = (faults.page_size_limit).map_or(MOST_ROWS, |limit| limit as usize);
        self.asked_rows().min(limit).min(MOST_ROWS)
    }

    /// The requested calls, in ascending order of the sort key.
    fn select(&self, view: &View<'_>, page: u64) -> Selection {
        if let Some(id) = &self.id {
            return Selection::of(self.select_one(view, id).into_iter().collect());
        }
        let (from, until) = if view.faults.now.ignore_dates {
            (i64::MIN, i64::MAX)
        } else {
            (self.from, self.until)
        };
        if view.starts_move() {
            return self.select_moved(view, from, until, page);
        }
        let calls = view.world.calls();
        let mut settled = 0..0;
        let mut next_from = from;
        if self.is_unfiltered() {
            // Calls that have long been visible are a range, not a list: a page of a million
            // calls costs no more than one of a hundred.
            let first = calls.partition_point(|call| call.start < from);
            let last = calls.partition_point(|call| call.start <= until);
            let end = last.min(settled_before(view)).max(first);
            settled = first..end;
            next_from = calls.get(end).map_or(i64::MAX, |call| call.start);
        }
        let skip = settled.end;
        let rest = view
            .visible(next_from, until)
            .filter(|(index, call)| {
                *index >= skip && !is_shifted(view, *index, call, page) && self.wants(view, call)
            })
            .map(|(index, _)| index)
            .collect();
        self.sorted(view, Selection { settled, rest })
    }

    /// Like `select`, if the world's order is not that of the starts.
    fn select_moved(&self, view: &View<'_>, from: i64, until: i64, page: u64) -> Selection {
        let mut found: Vec<_> = view
            .visible(i64::MIN, i64::MAX)
            .map(|(index, call)| (view.start(index, call), index, call))
            .filter(|(start, index, call)| {
                (from..=until).contains(start)
                    && !is_shifted(view, *index, call, page)
                    && self.wants(view, call)
            })
            .map(|(start, index, _)| (start, index))
            .collect();
        found.sort_unstable();
        let rest = found.into_iter().map(|(_, index)| index).collect();
        self.sorted(view, Selection::of(rest))
    }

    fn sorted(&self, view: &View<'_>, mut selection: Selection) -> Selection {
        if self.sort != SortKey::Start {
            selection.rest = (0..selection.len())
                .filter_map(|place| selection.get(place))
                .collect();
            selection.settled = 0..0;
            (selection.rest).sort_by_cached_key(|index| self.sort_value(view, *index));
        }
        selection
    }

    fn select_one(&self, view: &View<'_>, id: &str) -> Option<usize> {
        let index = CallId::index(view.world.seed, id)?;
        let call = view.world.calls().get(index)?;
        let inside = view.faults.now.ignore_dates
            || (self.from..=self.until).contains(&view.start(index, call));
        (inside && view.is_visible(index, call) && self.wants(view, call)).then_some(index)
    }

    fn is_unfiltered(&self) -> bool {
        self.client.is_none()
            && self.center.is_none()
            && self.direction.is_none()
            && self.least_talk <= 0.0
            && self.most_talk <= 0.0
    }

    fn wants(&self, view: &View<'_>, call: &SimulatedCall) -> bool {
        if self.is_unfiltered() {
            return true;
        }
        let Some(client) = view.world.people.clients.get(call.client as usize) else {
            return false;
        };
        let center = || view.world.people.centers.get(client.center);
        (self.client.as_ref()).is_none_or(|id| *id == client.id)
            && (self.center.as_ref())
                .is_none_or(|id| center().is_some_and(|center| *id == center.id))
            && self.direction.is_none_or(|wanted| wanted == call.direction)
            && lasts(call.talk, self.least_talk, self.most_talk)
    }

    fn sort_value(&self, view: &View<'_>, index: usize) -> (u64, String) {
        let Some(call) = view.world.calls().get(index) else {
            return (0, String::new());
        };
        let facts: Facts = view.facts(index, call);
        let number = match self.sort {
            SortKey::Start => view.start(index, call).cast_unsigned(),
            SortKey::Duration => facts.duration().into(),
            SortKey::Ring => facts.ring.into(),
            SortKey::Hold => facts.hold.into(),
            SortKey::Talk => facts.talk.into(),
            SortKey::Transfer => facts.transfer.into(),
            SortKey::Work => facts.work.into(),
            SortKey::Client => {
                let client = view.world.people.clients.get(call.client as usize);
                return (
                    0,
                    client.map(|client| client.id.clone()).unwrap_or_default(),
                );
            }
            SortKey::Id => return (0, CallId::new(view.world.seed, index).to_string()),
        };
        (number, String::new())
    }
}

/// Whether a talk time, in milliseconds, is within bounds in seconds; 0 is no bound.
pub(super) fn lasts(talk: u32, least: f64, most: f64) -> bool {
    let talk = f64::from(talk) / 1_000.0;
    (least <= 0.0 || talk >= least) && (most <= 0.0 || talk <= most)
}

/// Indices in ascending order: a range, and a list of those after it.
#[derive(Debug)]
struct Selection {
    settled: Range<usize>,
    rest: Vec<usize>,
}

impl Selection {
    fn of(rest: Vec<usize>) -> Self {
        Self {
            settled: 0..0,
            rest,
        }
    }

    fn len(&self) -> usize {
        self.settled.len() + self.rest.len()
    }

    fn get(&self, place: usize) -> Option<usize> {
        match place.checked_sub(self.settled.len()) {
            None => Some(self.settled.start + place),
            Some(place) => self.rest.get(place).copied(),
        }
    }
}

/// The calls before this index are on every page of a reading.
fn settled_before(view: &View<'_>) -> usize {
    let visible = view.all_visible_before();
    match view.faults.now.shifts {
        None => visible,
        Some(shifts) => {
            let recent = i64::from(shifts.recent_seconds) * 1_000;
            let horizon = view.now - recent - LONGEST_CALL_MS;
            let calls = view.world.calls();
            visible.min(calls.partition_point(|call| call.start <= horizon))
        }
    }
}

/// Whether a recent call only appears on a later page of this reading.
fn is_shifted(view: &View<'_>, index: usize, call: &SimulatedCall, page: u64) -> bool {
    let Some(shifts) = view.faults.now.shifts else {
        return false;
    };
    let recent = i64::from(shifts.recent_seconds) * 1_000;
    let number = index as u64;
    call.end() > view.now - recent
        && selects(shifts.rate, shifts.seed, Purpose::Shift, number)
        && page <= draw(!shifts.seed, Purpose::Shift, number) % SHIFT_STAGES
}

/// Pages that begin with the last record of the page before.
struct Repeats<'a> {
    faults: &'a Faults,
    rows: usize,
}

impl Repeats<'_> {
    /// How many of the pages 1 to `page` repeat a record.
    fn before(&self, page: usize) -> usize {
        match self.faults.repeats {
            // A page of one row could hold nothing but the repeated one.
            Some(share) if self.rows > 1 => (1..=page)
                .filter(|page| selects(share.rate, share.seed, Purpose::Repeat, *page as u64))
                .count(),
            _ => 0,
        }
    }

    fn offset(&self, page: usize) -> usize {
        page * self.rows - self.before(page)
    }

    fn pages(&self, total: usize) -> usize {
        let mut pages = total.div_ceil(self.rows);
        loop {
            let repeated = self.before(pages.saturating_sub(1));
            let needed = (total + repeated).div_ceil(self.rows);
            if needed <= pages {
                return pages;
            }
            pages = needed;
        }
    }
}
