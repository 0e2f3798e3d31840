//! The page of usage: calls of the last 48 hours, service level, what clients have used of their
//! allowances, and what calls cost. For operators without dashboards of their own. It works without
//! JavaScript.

use std::collections::BTreeMap;

use callmeter_meter::{HourFigures, IN_TIME_MS, Snapshot};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::usage_charts::{allowance, hours, percent};
use super::usage_figures::{AccountUsage, HOURS, ShownCalls, accounts, names};
use super::usage_spend;
use super::words::{number, plural};

const STYLE: &str = include_str!("page.css");
const CHARTS: &str = include_str!("usage.css");

/// Accounts or clients on one page.
const PER_PAGE: usize = 50;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// One account; all of them by default.
    pub(super) account: Option<String>,
    /// The page, from 1.
    pub(super) page: usize,
}

impl Wanted {
    /// Reads the query of the address. What is not understood is left out.
    pub(super) fn of(query: &str) -> Self {
        let mut wanted = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "account" => wanted.account = Some(value.into_owned()),
                "page" => wanted.page = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        wanted.page = wanted.page.max(1);
        wanted
    }
}

/// The accounts that other instances poll, each with the instance. What clients are called, and
/// what they have used of their allowances, is known to that one only.
pub(super) type Elsewhere = BTreeMap<String, String>;

/// The whole page.
pub(super) fn render(
    snapshot: &Snapshot,
    elsewhere: &Elsewhere,
    wanted: &Wanted,
    now: Timestamp,
) -> String {
    let all = accounts(snapshot);
    let now_hour = now.as_second().div_euclid(3_600);
    let only = (all.len() == 1).then(|| all.values().next()).flatten();
    let chosen = match &wanted.account {
        Some(name) => all.get(name),
        None => only,
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content="60";
                title { "callmeter: usage" }
                style { (PreEscaped(STYLE)) (PreEscaped(CHARTS)) }
            }
            body {
                header {
                    h1 { "Usage" }
                    p { "Incoming calls of the last " (HOURS) " hours, what clients have used of their allowances, and what calls cost." }
                    nav {
                        a href="/" { "Status" }
                        @if wanted.account.is_some() { a href="/usage" { "All accounts" } }
                    }
                }
                main {
                    @if let Some(account) = chosen {
                        (one_account(snapshot, account, elsewhere, wanted.page, now_hour))
                    } @else if let Some(name) = &wanted.account {
                        p.none { "The account " (name) " has neither calls, allowances nor spend." }
                    } @else if all.is_empty() {
                        p.none { "No account has calls or allowances yet." }
                    } @else {
                        (overview(&all.values().collect::<Vec<_>>(), elsewhere, wanted.page, now_hour, ShownCalls::of(snapshot)))
                    }
                }
                footer { p { "As of " (format!("{now:.0}")) "; the page refreshes itself every minute." } }
            }
        }
    }
    .into_string()
}

/// All accounts, one row each.
fn overview(
    all: &[&AccountUsage],
    elsewhere: &Elsewhere,
    page: usize,
    now_hour: i64,
    shown: ShownCalls,
) -> Markup {
    html! {
        section {
            h2 { "Accounts" }
            @for account in paged(all, page) {
                article {
                    h3 {
                        a href={ "?account=" (encoded(&account.name)) } { (account.name) }
                        small {
                            @match elsewhere.get(&account.name) {
                                Some(instance) => { "allowances: see " (instance) }
                                None => { (clients_in_words(account)) }
                            }
                        }
                    }
                    @if let Some(spend) = &account.spend {
                        p.fact { "Calls have cost " (spend.in_words()) }
                    }
                    (calls(account, now_hour, shown))
                }
            }
            (pages(all.len(), page, ""))
        }
    }
}

fn one_account(
    snapshot: &Snapshot,
    account: &AccountUsage,
    elsewhere: &Elsewhere,
    page: usize,
    now_hour: i64,
) -> Markup {
    let clients = account.worst_first();
    let shown = paged(&clients, page);
    let ids: Vec<&str> = shown.iter().map(|(id, _)| *id).collect();
    let known = names(snapshot, &account.name, &ids);
    html! {
        section {
            h2 { (account.name) }
            article { (calls(account, now_hour, ShownCalls::of(snapshot))) }
        }
        section {
            h2 { "Allowances" }
            @if let Some(instance) = elsewhere.get(&account.name) {
                p.none {
                    "The instance " (instance) " polls this account. The names of clients and the use of their allowances are on its page."
                }
            } @else if clients.is_empty() {
                p.none { "No client has an allowance whose use is known." }
            } @else {
                article {
                    p.fact {
                        (clients_in_words(account)) ". "
                        @if let Some(elapsed) = account.elapsed {
                            (percent(elapsed)) " of the period have passed (the line). "
                        }
                        "The thin bar leads to what will be used at its end. The worst come first."
                    }
                    table.allowances { tbody {
                        @for (id, client) in shown {
                            tr {
                                th {
                                    @if let Some(name) = known.get(*id).filter(|name| !name.is_empty()) {
                                        (name) small { (id) }
                                    } @else {
                                        (id)
                                    }
                                }
                                td { (allowance(client, account.elapsed)) }
                                td.figures {
                                    (percent(client.used))
                                    @if let Some(forecast) = client.forecast { small { "→ " (percent(forecast)) } }
                                }
                            }
                        }
                    } }
                }
                (pages(clients.len(), page, &format!("account={}&", encoded(&account.name))))
            }
        }
        @if let Some(spend) = &account.spend {
            (usage_spend::section(spend, &names(snapshot, &account.name, &spend.listed_clients())))
        }
    }
}

fn clients_in_words(account: &AccountUsage) -> String {
    let clients = plural(account.clients.len(), "client", "clients");
    match account.over() {
        0 => format!("{clients} with an allowance"),
        over => format!("{clients} with an allowance, {over} will exceed it"),
    }
}

/// The chart of calls and the service level, which needs both figures of calls.
fn calls(account: &AccountUsage, now_hour: i64, shown: ShownCalls) -> Markup {
    if !shown.answered && !shown.abandoned {
        return html! { p.none { "The figures of calls are not shown: `metrics` hides them." } };
    }
    let bars: Vec<_> = account.last(now_hour, HOURS).collect();
    let (day, both) = (account.sums(now_hour, 24), account.sums(now_hour, HOURS));
    html! {
        div.levels {
            @if shown.answered && shown.abandoned {
                (level("Service level, 24 h", &day))
                (level("Service level, 48 h", &both))
            }
            @if shown.answered { div { strong { (count(both.answered)) } span { "answered" } } }
            @if shown.abandoned { div { strong { (count(both.abandoned)) } span { "abandoned" } } }
        }
        (hours(&bars, shown))
        div.axis { span { "48 h ago" } span { "24 h ago" } span { "now" } }
        p.legend {
            @if shown.answered { span.answered {} " answered " }
            @if shown.abandoned { span.abandoned {} " abandoned. " }
            @if shown.answered && shown.abandoned {
                "The service level is the share that was answered within " (IN_TIME_MS / 1_000) " s."
            }
        }
    }
}

fn level(title: &str, figures: &HourFigures) -> Markup {
    let offered = figures.answered + figures.abandoned;
    #[expect(clippy::cast_precision_loss, reason = "a share of two counts")]
    let share = (offered > 0).then(|| figures.in_time as f64 / offered as f64);
    html! {
        div {
            strong { (share.map_or_else(|| "–".to_owned(), percent)) }
            span { (title) }
        }
    }
}

fn count(calls: i64) -> String {
    number(calls.unsigned_abs())
}

fn paged<T>(items: &[T], page: usize) -> &[T] {
    let start = (page - 1).saturating_mul(PER_PAGE).min(items.len());
    let end = start.saturating_add(PER_PAGE).min(items.len());
    items.get(start..end).unwrap_or_default()
}

/// Links to the neighbouring pages.
fn pages(items: usize, page: usize, query: &str) -> Markup {
    let last = items.div_ceil(PER_PAGE).max(1);
    html! {
        @if last > 1 {
            nav.pages {
                @if page > 1 { a href={ "?" (query) "page=" (page - 1) } { "Previous" } }
                span { "Page " (page) " of " (last) }
                @if page < last { a href={ "?" (query) "page=" (page + 1) } { "Next" } }
            }
        }
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use callmeter_meter::{Allowance, AllowanceUse, Api, Client, FamilyId, Ledger, Limits, View};
    use callmeter_records::{BatchHead, Call, CallsBuilder, Reading, Stream};

    use super::*;

    const NANO: i128 = 1_000_000_000;
    const DAY: i64 = 86_400_000_000;
    /// 2026-08-06 12:30 UTC.
    const NOW: i64 = 1_786_019_400_000_000;

    /// Clients that use more and more of their allowances.
    fn with_clients(ledger: &mut Ledger, account: &str, clients: usize) {
        ledger.configure(account, Api::HostedSuite);
        let client = |number: usize| Client {
            client_id: format!("c{number:05}"),
            client_name: Some(format!("Smith & Sons <{number}>")),
            allowance: Some(Allowance::Calls(100 * NANO)),
            ..Client::default()
        };
        let used = |number: usize| AllowanceUse {
            client_id: Some(format!("c{number:05}")),
            calls_nano: Some(i128::try_from(number * 100).unwrap() * NANO / 10_000),
            ..AllowanceUse::default()
        };
        let period = (NOW - 15 * DAY, NOW + 15 * DAY);
        ledger.set_clients(account, NOW, (0..clients).map(client).collect());
        ledger.set_allowances(account, period, NOW, (0..clients).map(used).collect());
    }

    fn with_calls(ledger: &mut Ledger, account: &str) {
        let mut builder = CallsBuilder::with_capacity(4);
        for (ring, answered) in [
            (3_000, true),
            (25_000, true),
            (9_000, false),
            (4_000, false),
        ] {
            builder.append(&Call {
                id: Some("x"),
                client_id: Some("c00001"),
                start_time: Reading::Known(NOW - 3_600_000_000),
                call_type: Some("Incoming"),
                answered_by: answered.then_some("Eve Adams"),
                caller_number: Some("+41 44 668 18 00"),
                ring_ms: Reading::Known(ring),
                talk_ms: Reading::Known(if answered { 5_000 } else { 0 }),
                ..Call::default()
            });
        }
        let head = BatchHead {
            account,
            first_sequence: 1,
            observed_at: NOW,
        };
        let batch = builder.finish(&head).unwrap();
        ledger.apply(1, Stream::Calls, &batch).unwrap();
    }

    fn page(ledger: &mut Ledger, query: &str) -> String {
        let now = Timestamp::from_microsecond(NOW).unwrap();
        let elsewhere = Elsewhere::from([("away".to_owned(), "b.example:12".to_owned())]);
        render(&ledger.snapshot(), &elsewhere, &Wanted::of(query), now)
    }

    /// Calls are known to every instance, clients to the one that polls the account.
    #[test]
    fn an_account_that_another_instance_polls_says_so() {
        let mut ledger = Ledger::new(Limits::default());
        with_calls(&mut ledger, "away");
        ledger.configure("away", Api::HostedSuite);
        with_clients(&mut ledger, "here", 3);
        let all = page(&mut ledger, "");
        assert!(all.contains("allowances: see b.example:12"), "{all}");
        assert!(all.contains("3 clients with an allowance"));
        let one = page(&mut ledger, "account=away");
        assert!(one.contains("The instance b.example:12 polls this account."));
        assert!(one.contains("2 answered, 1 abandoned") && !one.contains("No client has"));
    }

    #[test]
    fn one_account_is_shown_with_its_calls_and_the_worst_clients_first() {
        let mut ledger = Ledger::new(Limits::default());
        with_clients(&mut ledger, "acme", 10_000);
        with_calls(&mut ledger, "acme");
        let first = page(&mut ledger, "");
        // Of three calls that were offered, one was answered in time. A short one does not count.
        assert!(
            first.contains("<strong>33 %</strong><span>Service level, 24 h</span>"),
            "{first}"
        );
        assert!(first.contains("Thu 11:00 UTC: 2 answered, 1 abandoned"));
        assert!(first.contains("10000 clients with an allowance, 4999 will exceed it"));
        let worst = first.find("Smith &amp; Sons &lt;9999&gt;").unwrap();
        assert!(worst < first.find("Smith &amp; Sons &lt;9998&gt;").unwrap());
        assert!(first.contains("100 % used, 50 % of the period elapsed, 200 % at its end"));
        assert!(!first.contains("&lt;9949&gt;") && first.contains("Page 1 of 200"));
        // Nobody who called or answered is named, and nothing runs in the browser.
        for word in ["Eve", "668 18", "<script", "javascript"] {
            assert!(!first.contains(word), "{word}");
        }
        let last = page(&mut ledger, "account=acme&page=200");
        assert!(last.contains("&lt;0&gt;") && !last.contains(">Next<"));
        for odd in [
            "page=0",
            "page=-1",
            "page=99999999999999999999",
            "page=5000",
            "x=%ff",
        ] {
            page(&mut ledger, odd);
        }
    }

    #[test]
    fn many_accounts_are_listed_in_pages() {
        let mut ledger = Ledger::new(Limits::default());
        for number in 0..1_000 {
            with_clients(&mut ledger, &format!("account {number:04} \"&"), 3);
        }
        ledger.configure("hq", Api::PortSip);
        let first = page(&mut ledger, "");
        assert!(first.contains("?account=account+0049+%22%26"), "{first}");
        assert!(!first.contains("account+0050") && first.contains("Page 1 of 20"));
        assert!(!page(&mut ledger, "page=20").contains(">hq<"));
        let one = page(&mut ledger, "account=account+0049+%22%26");
        assert!(one.contains("3 clients with an allowance"));
        assert!(page(&mut ledger, "account=hq").contains("neither calls, allowances nor spend"));
        assert!(page(&mut ledger, "account=<b>").contains("&lt;b&gt;"));
    }

    /// The page shows what `/metrics` shows.
    #[test]
    fn what_is_hidden_is_not_on_the_page() {
        let mut ledger = Ledger::new(Limits::default());
        with_clients(&mut ledger, "acme", 3);
        let mut view = View::default();
        view.hidden.insert(FamilyId::ClientInfo);
        ledger.set_view(view);
        let shown = page(&mut ledger, "");
        assert!(shown.contains("c00002") && !shown.contains("Smith"));
        with_calls(&mut ledger, "acme");
        let mut with = |hidden: &[FamilyId]| {
            let mut view = View::default();
            view.hidden.extend(hidden);
            ledger.set_view(view);
            let shown = page(&mut ledger, "");
            let words = [
                "Service level",
                "<span>answered",
                "<span>abandoned",
                "2 answered",
                "1 abandoned",
            ];
            words.map(|word| shown.contains(word))
        };
        assert_eq!(with(&[]), [true; 5]);
        assert_eq!(
            with(&[FamilyId::CallAnswer]),
            [false, false, true, false, true]
        );
        assert_eq!(
            with(&[FamilyId::CallsAbandoned]),
            [false, true, false, true, false]
        );
        assert_eq!(with(&[FamilyId::Calls]), [false; 5]);
    }

    /// Each call exceeds an allowance of 0. Without calls, none of it is used.
    #[test]
    fn an_allowance_of_zero_is_exceeded_by_the_first_call() {
        let mut ledger = Ledger::new(Limits::default());
        ledger.configure("acme", Api::HostedSuite);
        let client = |id: &str| Client {
            client_id: id.to_owned(),
            allowance: Some(Allowance::Calls(0)),
            ..Client::default()
        };
        let used = |id: &str, calls: i128| AllowanceUse {
            client_id: Some(id.to_owned()),
            calls_nano: Some(calls * NANO),
            ..AllowanceUse::default()
        };
        let period = (NOW - 15 * DAY, NOW + 15 * DAY);
        ledger.set_clients("acme", NOW, vec![client("some"), client("none")]);
        let uses = vec![used("some", 3), used("none", 0)];
        ledger.set_allowances("acme", period, NOW, uses);
        let shown = page(&mut ledger, "");
        assert!(
            shown.contains("2 clients with an allowance, 1 will exceed it"),
            "{shown}"
        );
        assert!(shown.contains("∞ % used, 50 % of the period elapsed, ∞ % at its end"));
        assert!(shown.contains("0 % used, 50 % of the period elapsed, 0 % at its end"));
    }
}
