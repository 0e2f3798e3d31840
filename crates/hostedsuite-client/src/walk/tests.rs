//! Walks over the lists of servers that differ in everything the API leaves open.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// How a server numbers its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Zero,
    /// From 1, and page 0 is the first page too.
    One,
    /// From 1, and page 0 is empty.
    OneZeroEmpty,
    /// From 1, and page 0 is refused.
    OneZeroRefused,
}

/// What a server says about the number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Totals {
    Right,
    /// `TotalPages` is computed from the requested page size, whatever the page holds.
    PagesOfRequestedSize,
    None,
    Zero,
    /// The count is that of the page.
    OfPage,
    /// More than there is.
    TooMany,
}

#[derive(Debug, Clone, Copy)]
struct Server {
    numbers: Numbers,
    totals: Totals,
    /// The most rows that a page holds.
    clamp: usize,
    /// A page after the last one repeats the last one.
    repeats_last: bool,
    /// A page after the last one is refused.
    refuses_beyond: bool,
}

const HONEST: Server = Server {
    numbers: Numbers::Zero,
    totals: Totals::Right,
    clamp: 1_000,
    repeats_last: false,
    refuses_beyond: false,
};

struct Answer {
    rows: Vec<u64>,
    total_count: Option<i64>,
    total_pages: Option<i64>,
}

impl Server {
    fn answer(self, list: &[u64], number: i64, asked: usize) -> Option<Answer> {
        let size = asked.min(self.clamp);
        let pages = list.len().div_ceil(size);
        let index = match (self.numbers, number) {
            (Numbers::Zero, number) => Some(number),
            (Numbers::OneZeroRefused, 0) => return None,
            (Numbers::OneZeroEmpty, 0) => None,
            (_, 0) => Some(0),
            (_, number) => Some(number - 1),
        };
        let index = index.map(|index| usize::try_from(index).unwrap());
        if self.refuses_beyond && index.is_some_and(|index| index >= pages.max(1)) {
            return None;
        }
        let index = match index {
            Some(index) if self.repeats_last && index >= pages => pages.checked_sub(1),
            index => index,
        };
        let rows: Vec<u64> = index
            .and_then(|index| list.chunks(size).nth(index))
            .unwrap_or_default()
            .to_vec();
        let whole = |count: usize| i64::try_from(count).ok();
        let count = list.len();
        let (total_count, total_pages) = match self.totals {
            Totals::Right => (whole(count), whole(pages)),
            Totals::PagesOfRequestedSize => (whole(count), whole(count.div_ceil(asked))),
            Totals::None => (None, None),
            Totals::Zero => (Some(0), Some(0)),
            Totals::OfPage => (whole(rows.len()), Some(1)),
            Totals::TooMany => (whole(count + 10), None),
        };
        Some(Answer {
            rows,
            total_count,
            total_pages,
        })
    }
}

/// A walk and what it has been given.
struct Seen {
    walk: Walk,
    rows: HashSet<u64>,
    requests: usize,
}

impl Seen {
    fn new(walk: Walk) -> Self {
        Self {
            walk,
            rows: HashSet::new(),
            requests: 0,
        }
    }

    /// Requests the next page, if there is one to request.
    fn step(&mut self, server: Server, list: &[u64], asked: usize) -> Option<Ending> {
        let number = match self.walk.next() {
            Next::Request(number) => number,
            Next::Ended(ending) => return Some(ending),
        };
        self.requests += 1;
        match server.answer(list, number, asked) {
            Some(answer) => {
                self.rows.extend(&answer.rows);
                self.walk.received(PageRows {
                    rows: &answer.rows,
                    total_count: answer.total_count,
                    total_pages: answer.total_pages,
                });
            }
            None => self.walk.refused(),
        }
        None
    }

    fn run(&mut self, server: Server, list: &[u64], asked: usize) -> Ending {
        for _ in 0..10_000 {
            if let Some(ending) = self.step(server, list, asked) {
                return ending;
            }
        }
        panic!("the walk does not end");
    }
}

fn walk(server: Server, rows: u64, asked: usize, first: FirstPage) -> (Ending, Seen) {
    let list: Vec<u64> = (100..100 + rows).collect();
    let mut seen = Seen::new(Walk::new(asked, first));
    let ending = seen.run(server, &list, asked);
    (ending, seen)
}

#[test]
fn an_honest_server_costs_no_extra_request() {
    for (rows, requests) in [(0, 2), (1, 1), (4, 1), (5, 2), (11, 3)] {
        let (ending, seen) = walk(HONEST, rows, 5, FirstPage::Unknown);
        assert_eq!(ending, Ending::Complete);
        assert_eq!(seen.requests, requests, "{rows} rows");
    }
}

#[test]
fn a_refused_first_page_is_an_error_unless_the_count_proves_otherwise() {
    let refuses_all = |number| {
        let mut walk = Walk::new(5, FirstPage::Unknown);
        walk.refused();
        assert_eq!(walk.next(), Next::Request(1));
        walk.received(number);
        walk.next()
    };
    let page = |rows, total_count| PageRows {
        rows,
        total_count,
        total_pages: None,
    };
    assert_eq!(refuses_all(page(&[], None)), Next::Ended(Ending::Refused));
    assert_eq!(
        refuses_all(page(&[], Some(0))),
        Next::Ended(Ending::Refused)
    );
    assert_eq!(
        refuses_all(page(&[7, 8], Some(2))),
        Next::Ended(Ending::Complete)
    );
    // Page 0 may have held the other 5.
    assert_eq!(refuses_all(page(&[7, 8], Some(7))), Next::Request(2));
    assert_eq!(refuses_all(page(&[7, 8], None)), Next::Request(2));
}

#[test]
fn a_walk_that_falls_short_unlearns_the_first_page() {
    let (ending, seen) = walk(HONEST, 11, 5, FirstPage::One);
    assert_eq!(
        ending,
        Ending::Incomplete(Shortfall::Missing { had: 6, count: 11 })
    );
    assert_eq!(seen.walk.first_page(), FirstPage::Unknown);
    let (ending, seen) = walk(HONEST, 11, 5, FirstPage::Unknown);
    assert_eq!(ending, Ending::Complete);
    assert_eq!(seen.walk.first_page(), FirstPage::Zero);
}

#[test]
fn a_server_that_takes_page_0_for_page_1_is_asked_for_each_row_once() {
    let server = Server {
        numbers: Numbers::One,
        ..HONEST
    };
    // A row that comes twice makes the walk ask for another page.
    let first_page = |pages: &[&[u64]], first| {
        let mut walk = Walk::new(5, first);
        let mut asked = Vec::new();
        while let Next::Request(number) = walk.next() {
            asked.push(number);
            let rows = pages.get(usize::try_from(number).unwrap()).copied();
            walk.received(PageRows {
                rows: rows.unwrap_or_default(),
                total_count: Some(3),
                total_pages: None,
            });
        }
        assert_eq!(walk.next(), Next::Ended(Ending::Complete));
        (walk.first_page(), asked)
    };
    let twice: &[u64] = &[7, 7, 8];
    let (first, asked) = first_page(&[twice, twice, &[]], FirstPage::Unknown);
    assert_eq!((first, &asked[..]), (FirstPage::One, &[0, 1, 2][..]));
    let (first, asked) = first_page(&[twice, twice, &[]], first);
    assert_eq!((first, &asked[..]), (FirstPage::One, &[1, 2][..]));
    // A server that repeats its last page proves nothing.
    let (first, _) = first_page(&[twice, twice, twice], FirstPage::Unknown);
    assert_eq!(first, FirstPage::Unknown);
    let (_, seen) = walk(server, 7, 5, FirstPage::Unknown);
    assert_eq!(seen.walk.first_page(), FirstPage::One);
}

#[test]
fn an_empty_day_of_a_server_that_refuses_page_0_is_complete_once_page_1_is_proven_first() {
    let server = Server {
        numbers: Numbers::OneZeroRefused,
        ..HONEST
    };
    assert_eq!(walk(server, 0, 5, FirstPage::Unknown).0, Ending::Refused);
    let (ending, seen) = walk(server, 7, 5, FirstPage::Unknown);
    assert_eq!(
        (ending, seen.walk.first_page()),
        (Ending::Complete, FirstPage::One)
    );
    assert_eq!(walk(server, 0, 5, FirstPage::One).0, Ending::Complete);
}

#[test]
fn an_empty_page_in_front_of_one_with_rows_is_not_the_end() {
    let page = |rows| PageRows {
        rows,
        total_count: None,
        total_pages: None,
    };
    let mut walk = Walk::new(2, FirstPage::Unknown);
    walk.received(page(&[1, 2]));
    walk.received(page(&[]));
    assert_eq!(walk.next(), Next::Request(2));
    let mut at_end = walk.clone();
    walk.received(page(&[3]));
    let gap = Shortfall::Gap { page: 1 };
    assert_eq!(walk.next(), Next::Ended(Ending::Incomplete(gap)));
    at_end.received(page(&[]));
    assert_eq!(at_end.next(), Next::Ended(Ending::Complete));
    // On a server whose first page is proven to be 0, also if it says that there is nothing.
    let mut walk = Walk::new(2, FirstPage::Zero);
    walk.received(PageRows {
        total_count: Some(0),
        ..page(&[])
    });
    walk.received(page(&[3]));
    let gap = Shortfall::Gap { page: 0 };
    assert_eq!(walk.next(), Next::Ended(Ending::Incomplete(gap)));
    let mut walk = Walk::new(2, FirstPage::Zero);
    walk.received(page(&[]));
    walk.received(page(&[3]));
    let gap = Shortfall::Gap { page: 0 };
    assert_eq!(walk.next(), Next::Ended(Ending::Incomplete(gap)));
}

#[test]
fn a_count_without_the_rows_is_incomplete() {
    let mut walk = Walk::new(5, FirstPage::Unknown);
    let empty = PageRows {
        rows: &[],
        total_count: Some(37),
        total_pages: Some(8),
    };
    walk.received(empty);
    walk.received(empty);
    let missing = Shortfall::Missing { had: 0, count: 37 };
    assert_eq!(walk.next(), Next::Ended(Ending::Incomplete(missing)));
}

#[test]
fn one_full_page_for_every_number_proves_nothing() {
    let mut walk = Walk::new(3, FirstPage::Unknown);
    for _ in 0..3 {
        walk.received(PageRows {
            rows: &[1, 2, 3],
            total_count: None,
            total_pages: None,
        });
    }
    let same = Shortfall::SamePage { rows: 3 };
    assert_eq!(walk.next(), Next::Ended(Ending::Incomplete(same)));
}

#[test]
fn an_interrupted_walk_continues_at_its_last_page() {
    let list: Vec<u64> = (0..20).collect();
    let mut seen = Seen::new(Walk::new(5, FirstPage::Unknown));
    for _ in 0..3 {
        assert_eq!(seen.step(HONEST, &list, 5), None);
    }
    let position = seen.walk.position().unwrap();
    assert_eq!((position.page, position.rows), (2, 10));
    let mut rest = Seen::new(Walk::resume(5, FirstPage::Zero, position));
    assert_eq!(rest.run(HONEST, &list, 5), Ending::Complete);
    assert_eq!(rest.requests, 3);
    // If the count has changed, positions are no longer valid.
    let mut rest = Seen::new(Walk::resume(5, FirstPage::Zero, position));
    assert_eq!(rest.run(HONEST, &list[1..], 5), Ending::Complete);
    assert_eq!(rest.rows.len(), 19);
}

#[test]
fn a_configured_first_page_is_neither_guessed_nor_forgotten() {
    let server = |numbers| Server { numbers, ..HONEST };
    for (numbers, first, rows, ending, requests) in [
        (Numbers::Zero, 0, 0, Ending::Complete, 1),
        (Numbers::Zero, 0, 7, Ending::Complete, 2),
        (Numbers::OneZeroRefused, 1, 7, Ending::Complete, 2),
        (Numbers::OneZeroRefused, 0, 7, Ending::Refused, 1),
        (
            Numbers::Zero,
            1,
            7,
            Ending::Incomplete(Shortfall::Missing { had: 2, count: 7 }),
            2,
        ),
    ] {
        let (ended, seen) = walk(server(numbers), rows, 5, FirstPage::Fixed(first));
        assert_eq!((ended, seen.requests), (ending, requests), "{numbers:?}");
        assert_eq!(seen.walk.first_page(), FirstPage::Fixed(first));
    }
}

#[test]
fn a_walk_starts_over_if_its_last_page_has_no_rows_any_more() {
    let server = Server {
        totals: Totals::None,
        ..HONEST
    };
    let list: Vec<u64> = (0..11).collect();
    let mut seen = Seen::new(Walk::new(5, FirstPage::Zero));
    for _ in 0..3 {
        assert_eq!(seen.step(server, &list, 5), None);
    }
    let position = seen.walk.position().unwrap();
    let mut rest = Seen::new(Walk::resume(5, FirstPage::Zero, position));
    assert_eq!(rest.run(server, &list[1..], 5), Ending::Complete);
    assert_eq!(rest.rows.len(), 10);
}

fn servers() -> impl Strategy<Value = Server> {
    let numbers = prop_oneof![
        Just(Numbers::Zero),
        Just(Numbers::One),
        Just(Numbers::OneZeroEmpty),
        Just(Numbers::OneZeroRefused),
    ];
    let totals = prop_oneof![
        3 => Just(Totals::Right),
        2 => Just(Totals::PagesOfRequestedSize),
        2 => Just(Totals::None),
        1 => Just(Totals::Zero),
        1 => Just(Totals::OfPage),
        1 => Just(Totals::TooMany),
    ];
    (numbers, totals, 2_usize..8, any::<bool>(), any::<bool>()).prop_map(
        |(numbers, totals, clamp, repeats_last, refuses_beyond)| Server {
            numbers,
            totals,
            clamp,
            repeats_last,
            refuses_beyond: refuses_beyond && !repeats_last,
        },
    )
}

fn firsts() -> impl Strategy<Value = FirstPage> {
    prop_oneof![
        Just(FirstPage::Unknown),
        Just(FirstPage::Zero),
        Just(FirstPage::One)
    ]
}

/// A change of the list while it is read.
#[derive(Debug, Clone, Copy)]
enum Change {
    Insert(usize),
    Remove(usize),
}

/// Changes of one kind, each before a request. A removed and an inserted row together leave the
/// count unchanged, so it does not show them.
fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
    let places = prop::collection::vec((1_usize..6, any::<usize>()), 0..3);
    (any::<bool>(), places).prop_map(|(inserts, places)| {
        let change = if inserts {
            Change::Insert
        } else {
            Change::Remove
        };
        places
            .into_iter()
            .map(|(at, place)| (at, change(place)))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// A walk that says Complete has seen every row, whatever the server does. Two walks prove the
    /// list of a server that counts correctly, whatever was known before, unless there are no rows
    /// and pages are refused.
    #[test]
    fn complete_means_every_row(
        server in servers(), rows in 0_u64..30, asked in 2_usize..10, first in firsts(),
    ) {
        // A server that counts only the page, and cuts it shorter than requested, looks like one
        // that has no more.
        let tells = server.clamp >= asked && first != FirstPage::One;
        let server = Server {
            totals: match server.totals {
                Totals::OfPage if !tells => Totals::None,
                totals => totals,
            },
            ..server
        };
        let (ending, seen) = walk(server, rows, asked, first);
        if ending == Ending::Complete {
            prop_assert_eq!(seen.rows.len() as u64, rows);
        }
        let (again, seen) = walk(server, rows, asked, seen.walk.first_page());
        if again == Ending::Complete {
            prop_assert_eq!(seen.rows.len() as u64, rows);
        }
        let counts = matches!(server.totals, Totals::Right | Totals::PagesOfRequestedSize);
        let refuses_zero = server.numbers == Numbers::OneZeroRefused;
        if counts && !((refuses_zero || server.refuses_beyond) && rows == 0) {
            prop_assert_eq!(again, Ending::Complete);
        }
        if server.totals == Totals::TooMany && !refuses_zero && !server.refuses_beyond {
            let is_missing = matches!(again, Ending::Incomplete(Shortfall::Missing { .. }));
            prop_assert!(is_missing, "{:?}", again);
        }
    }

    /// A walk that is interrupted again and again still ends, and has seen every row if it says
    /// Complete.
    #[test]
    fn interruptions_cost_no_row(server in servers(), rows in 0_u64..30, asked in 2_usize..10) {
        let tells = server.clamp >= asked;
        let server = Server {
            totals: match server.totals {
                Totals::OfPage if !tells => Totals::None,
                totals => totals,
            },
            ..server
        };
        let list: Vec<u64> = (100..100 + rows).collect();
        let mut seen = Seen::new(Walk::new(asked, FirstPage::Unknown));
        let mut from = None;
        let ending = loop {
            if let Some(ending) = seen.step(server, &list, asked) {
                break ending;
            }
            prop_assert!(seen.requests < 200, "the walk does not end");
            let position = seen.walk.position();
            if position.is_some() && position != from {
                from = position;
                seen.walk = Walk::resume(asked, seen.walk.first_page(), position.unwrap());
            }
        };
        if ending == Ending::Complete {
            prop_assert_eq!(seen.rows.len() as u64, rows);
        } else {
            prop_assert!(server.totals != Totals::Right || rows == 0, "{:?}", ending);
        }
    }

    /// Rows come and go while the list is read by a server that counts: Complete means that every
    /// row was seen that was there from the first request to the last.
    #[test]
    fn a_list_that_changes_is_not_taken_for_complete(
        numbers in prop_oneof![Just(Numbers::Zero), Just(Numbers::OneZeroEmpty)],
        rows in 1_u64..30, asked in 2_usize..10, changes in changes(),
    ) {
        let server = Server { numbers, ..HONEST };
        let mut list: Vec<u64> = (100..100 + rows).collect();
        let mut stayed: HashSet<u64> = list.iter().copied().collect();
        let mut seen = Seen::new(Walk::new(asked, FirstPage::Unknown));
        let mut request = 0;
        let ending = loop {
            for (at, change) in &changes {
                match change {
                    _ if *at != request => {}
                    Change::Insert(place) => {
                        let place = place % (list.len() + 1);
                        list.insert(place, 1_000 + request as u64 * 10 + list.len() as u64);
                    }
                    Change::Remove(place) if !list.is_empty() => {
                        let place = place % list.len();
                        stayed.remove(&list.remove(place));
                    }
                    Change::Remove(_) => {}
                }
            }
            request += 1;
            if let Some(ending) = seen.step(server, &list, asked) {
                break ending;
            }
        };
        if ending == Ending::Complete {
            prop_assert!(stayed.is_subset(&seen.rows), "missed {:?}", stayed.difference(&seen.rows));
        }
    }
}

/// A server that does not count states 0 for every page.
#[test]
fn a_stated_0_does_not_make_up_for_a_refused_page() {
    let empty = PageRows {
        rows: &[],
        total_count: Some(0),
        total_pages: None,
    };
    for (server_counts, ending) in [(false, Ending::Refused), (true, Ending::Complete)] {
        let mut walk = Walk::new(2, FirstPage::Unknown).server_counts(server_counts);
        walk.received(empty);
        assert_eq!(walk.next(), Next::Request(1));
        walk.refused();
        assert_eq!(walk.next(), Next::Ended(ending));
    }
}

#[test]
fn rows_that_are_pushed_down_are_no_other_order() {
    let page = |rows, count| PageRows {
        rows,
        total_count: Some(count),
        total_pages: None,
    };
    for (second, count, is_reordered) in [
        (&[4, 5, 6][..], 9, false),
        (&[2, 3, 4], 11, false),
        (&[2, 3, 4], 9, true),
        (&[4, 3, 5], 9, true),
        (&[2, 4, 5], 11, false),
    ] {
        let mut walk = Walk::new(3, FirstPage::Zero);
        walk.received(page(&[1, 2, 3], 9));
        walk.received(page(second, count));
        assert_eq!(walk.is_reordered(), is_reordered, "{second:?}");
    }
}

/// Pages that begin with the last rows of the page before add up to the count too early.
#[test]
fn rows_behind_repeated_ones_are_read() {
    let page = |rows| PageRows {
        rows,
        total_count: Some(6),
        total_pages: None,
    };
    let mut walk = Walk::new(3, FirstPage::Zero);
    walk.received(page(&[1, 2, 3]));
    walk.received(page(&[3, 4, 5]));
    assert_eq!(walk.next(), Next::Request(2));
    walk.received(page(&[5, 6]));
    walk.received(page(&[]));
    assert_eq!(walk.next(), Next::Ended(Ending::Complete));
    assert_eq!(walk.seen.len(), 6);
}

#[test]
fn without_a_count_rows_of_the_page_before_may_come_again_in_order() {
    let page = |rows| PageRows {
        rows,
        total_count: None,
        total_pages: None,
    };
    for (third, is_reordered) in [
        (&[4, 7, 6][..], false),
        (&[6, 5, 7], true),
        (&[1, 7, 8], true),
    ] {
        let mut walk = Walk::new(3, FirstPage::Zero);
        walk.received(page(&[1, 2, 3]));
        walk.received(page(&[4, 5, 6]));
        walk.received(page(third));
        assert_eq!(walk.is_reordered(), is_reordered, "{third:?}");
    }
}
