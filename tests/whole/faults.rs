//! Every fault of the simulator is shown while it lasts, and totals are exact after it.

use std::collections::BTreeSet;

use callmeter_simulator::{Faults, LedgerQuery, Options, Running, Simulator};
use callmeter_tests::{
    Exporter, PbxAccount, Samples, SuiteAccount, Web, World, differences, office_noon_before,
    published,
};
use jiff::{Timestamp, ToSpan as _};

/// The API that has the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Suite,
    Pbx,
}

/// What the operator sees while a fault lasts.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// A counter of the account is above 0: its family and another label.
    Counter(&'static str, &'static str),
    /// A poll fails: its reason as a label and in the log, its words in the status and on the page.
    Failing(&'static str, &'static str),
    /// A login is refused with these words, and not repeated until its settings change.
    Refused(&'static str),
    /// Nothing: polls succeed.
    Nothing,
    /// Nothing soon: polls fail until it is clear that the server no longer counts rows.
    Soon,
}

use Api::{Pbx, Suite};
use Seen::{Counter, Failing, Nothing, Refused, Soon};

/// The account's name, its API, the fault in the simulator's notation, and what the operator sees.
const CASES: [(&str, Api, &str, Seen); 56] = [
    (
        "late",
        Suite,
        r#"late={"within_seconds":30000}"#,
        Counter("callmeter_call_records_late_total", ""),
    ),
    (
        "edits",
        Suite,
        r#"edits={"within_seconds":30000}"#,
        Counter("callmeter_call_records_revised_total", ""),
    ),
    (
        "missing",
        Suite,
        "missing_numbers=0.5",
        Counter("callmeter_call_values_missing_total", ""),
    ),
    (
        "misspelt",
        Suite,
        "misspelt_names=0.5",
        Counter("callmeter_call_values_missing_total", ""),
    ),
    (
        "nan",
        Suite,
        "nan=0.5",
        Counter("callmeter_call_values_missing_total", ""),
    ),
    ("repeats", Suite, "repeats=1", Nothing),
    (
        "shifts",
        Suite,
        "shifts={\"recent_seconds\":40000}",
        Nothing,
    ),
    ("one-based", Suite, "one_based_pages", Nothing),
    (
        "one-based-empty",
        Suite,
        "one_based_pages page_zero=empty",
        Nothing,
    ),
    (
        "one-based-refused",
        Suite,
        "one_based_pages page_zero=refused",
        // Empty days, until another day has proven that page 1 comes first.
        Counter("callmeter_poll_failures_total", "reason=\"server\""),
    ),
    (
        "one-based-no-totals",
        Suite,
        "one_based_pages page_zero=empty totals=absent",
        Soon,
    ),
    (
        "pages-as-asked",
        Suite,
        "pages_as_asked page_size_limit=7",
        Nothing,
    ),
    (
        "last-page-repeats",
        Suite,
        "last_page_repeats totals=absent",
        Soon,
    ),
    ("without-items", Suite, "empty_page=without_items", Nothing),
    ("no-content", Suite, "empty_page=no_content", Nothing),
    ("end-exclusive", Suite, "end_exclusive", Nothing),
    ("any-order", Suite, "ignore_order", Nothing),
    ("other-zone", Suite, "filter_zone=Asia/Tokyo", Nothing),
    ("offsets", Suite, "time_style=offset", Nothing),
    ("skew", Suite, "date_skew=-3600", Nothing),
    (
        "spelling",
        Suite,
        r#"id_spelling={"style":"braces"}"#,
        Nothing,
    ),
    ("latin1", Suite, "latin1_notes=0.2", Nothing),
    ("no-start", Suite, "no_start=0.2", Nothing),
    (
        "century",
        Suite,
        r#"no_start={"style":"century","rate":0.2}"#,
        Failing("incomplete", "start far from it"),
    ),
    ("long", Suite, "long_calls=0.2", Nothing),
    ("running", Suite, "running=0.2", Nothing),
    (
        "flapping",
        Suite,
        "flapping=0.5",
        Counter("callmeter_call_records_revised_total", ""),
    ),
    (
        "unknown-talk",
        Suite,
        "unknown_talk=0.5",
        Counter("callmeter_calls_answer_unknown_total", ""),
    ),
    (
        "moved",
        Suite,
        r#"moved_starts={"rate":0.2,"days":1,"within_seconds":30000}"#,
        Counter("callmeter_call_records_revised_total", ""),
    ),
    (
        "failing-page",
        Suite,
        r#"fail_page={"page":0,"status":500}"#,
        Failing("server", "500"),
    ),
    (
        "failing-day",
        Suite,
        r#"fail_day={"day":"TODAY","status":500}"#,
        Failing("server", "500"),
    ),
    ("page-limit", Suite, "page_size_limit=7", Nothing),
    ("no-totals", Suite, "totals=absent", Soon),
    ("zero-totals", Suite, "totals=zero", Nothing),
    ("ignored-dates", Suite, "ignore_dates", Nothing),
    (
        "latency",
        Suite,
        r#"latency={"ms":400}"#,
        Counter("callmeter_polls_skipped_total", "task=\"calls\""),
    ),
    ("stall", Suite, "stall", Failing("timeout", "time")),
    (
        "disconnect",
        Suite,
        "disconnect",
        Failing("transport", "connection"),
    ),
    ("truncate", Suite, "truncate", Failing("transport", "body")),
    (
        "throttle",
        Suite,
        r#"throttle={"retry_after":1}"#,
        Failing("throttled", "429"),
    ),
    (
        "server-error",
        Suite,
        r#"server_error={"status":502}"#,
        Failing("server", "502"),
    ),
    ("html", Suite, "html", Failing("html", "HTML")),
    ("echo", Suite, "echo", Failing("server", "500")),
    (
        "refused",
        Suite,
        "refuse_login=security_exception",
        Refused("login refused"),
    ),
    (
        "not-authenticated",
        Suite,
        "refuse_login=not_authenticated",
        Refused("login refused"),
    ),
    (
        "pbx-latency",
        Pbx,
        r#"latency={"ms":700}"#,
        Counter("callmeter_polls_skipped_total", "task=\"billing\""),
    ),
    ("pbx-stall", Pbx, "stall", Failing("timeout", "time")),
    (
        "pbx-disconnect",
        Pbx,
        "disconnect",
        Failing("transport", "connection"),
    ),
    (
        "pbx-truncate",
        Pbx,
        "truncate",
        Failing("transport", "body"),
    ),
    ("pbx-throttle", Pbx, "throttle", Failing("throttled", "429")),
    (
        "pbx-server-error",
        Pbx,
        r#"server_error={"status":503}"#,
        Failing("server", "503"),
    ),
    ("pbx-html", Pbx, "html", Failing("html", "HTML")),
    (
        "pbx-refused",
        Pbx,
        r#"refuse_login=unauthorized expire_tokens={"times":2}"#,
        Refused("login refused"),
    ),
    (
        "pbx-expired",
        Pbx,
        r#"expire_tokens={"times":1}"#,
        Counter("callmeter_api_requests_total", "operation=\"sign_in\""),
    ),
    (
        "pbx-second-factor",
        Pbx,
        // The PBX asks for it at a login, and a forgotten token leads to one.
        r#"two_factor expire_tokens={"times":2}"#,
        Refused("second factor"),
    ),
    (
        "pbx-deck",
        Pbx,
        "deck_changes",
        Counter("callmeter_call_rates_changed_total", ""),
    ),
];

/// One account with its own simulator.
struct Case {
    name: &'static str,
    api: Api,
    fault: &'static str,
    seen: Seen,
    simulator: Running,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_seen_and_over_without_a_trace_in_the_totals() {
    let world = World::new();
    // Office hours. The simulated clock stays more than a day behind the real one, as some calls
    // are moved to the next day.
    let start = office_noon_before(Timestamp::now() - 60.hours());
    let mut cases = Vec::new();
    for (name, api, fault, seen) in CASES {
        let simulator = Simulator::start(Options {
            start: Some(start),
            calls_per_day: Some(150),
            days: 1,
            clients: 6,
            rates: 20,
            require_get_only: true,
            ..Options::default()
        })
        .await
        .unwrap();
        simulator.freeze(true);
        cases.push(Case {
            name,
            api,
            fault,
            seen,
            simulator,
        });
    }
    covers_all_faults(&cases);
    let config = world.configure(&accounts(&world, &cases, "2s"), &[]);
    let exporter = Exporter::start(&config, &world.path("callmeter.log"), Web::default()).await;
    each(
        &exporter,
        &cases,
        "counted before any fault",
        Case::is_exact,
    )
    .await;

    // A poll that sees the server change in its middle may fail in other ways: nobody polls while
    // it changes. But what no longer counts rows has to have counted them before.
    let polled = cases.iter().filter(|case| matches!(case.seen, Soon));
    world.configure(&accounts(&world, polled, "2s"), &[]);
    exporter.reload().await;
    let before = View::of(&exporter).await;
    let today = start.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    for case in &cases {
        let mut faults = Faults::default();
        for word in case.fault.split(' ') {
            faults.merge_word(&word.replace("TODAY", &today)).unwrap();
        }
        case.simulator.set_faults(faults).unwrap();
    }
    world.configure(&accounts(&world, &cases, "2s"), &[]);
    exporter.reload().await;
    let until = (start + 24.hours()).as_millisecond();
    each(&exporter, &cases, "seen", |case, view| {
        let is_seen = case.is_seen(view, &before);
        // Calls come and are edited. Elsewhere none do: a reading may fail while the list changes.
        let now = case.simulator.clock().now.as_millisecond();
        if is_seen.is_err() && matches!(case.seen, Counter(..)) && now < until {
            case.simulator.advance(900).unwrap();
        }
        is_seen
    })
    .await;

    for case in &cases {
        case.simulator.set_faults(Faults::default()).unwrap();
        // Calls that were listed while they went on end.
        case.simulator.advance(4_500).unwrap();
    }
    // A refused login is retried at long intervals, or when its settings change.
    world.configure(&accounts(&world, &cases, "3s"), &[]);
    exporter.reload().await;
    each(&exporter, &cases, "exact afterwards", Case::is_exact).await;
    for case in &cases {
        let ledger = case.simulator.ledger(&LedgerQuery::default());
        assert_eq!(
            ledger.portsip.writes_refused, 0,
            "{}: only reads",
            case.name
        );
    }
    assert!(exporter.terminate().success());
}

fn accounts<'c>(
    world: &World,
    cases: impl IntoIterator<Item = &'c Case>,
    refused_timeout: &str,
) -> Vec<String> {
    let accounts = cases.into_iter().map(|case| {
        let start = case.simulator.options().start.unwrap();
        let days = Timestamp::now().duration_since(start).as_hours() / 24 + 3;
        let timeout = match case.seen {
            Refused(_) => refused_timeout,
            // Makes the fault visible soon.
            Failing("timeout", _) => "1s",
            _ => "20s",
        };
        // With one page a day nothing has proven that pages count from 0 before they count from 1.
        let rows = if case.name == "one-based-no-totals" {
            500
        } else {
            50
        };
        let calls = format!("every: 1s, lookback: {days}d, settle: 0s, page_size: {rows}");
        match case.api {
            Suite => SuiteAccount::of(case.name, &case.simulator)
                .calls(&calls)
                .with("timeout", timeout)
                .yaml(world, "simulated"),
            Pbx => PbxAccount::of(case.name, &case.simulator)
                .with("timeout", timeout)
                .yaml(world, "simulated"),
        }
    });
    accounts.collect()
}

/// The cases include every fault of the simulator.
fn covers_all_faults(cases: &[Case]) {
    let serde_json::Value::Object(all) = serde_json::to_value(Faults::default()).unwrap() else {
        panic!("faults are an object");
    };
    let all: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    let tried = cases
        .iter()
        .flat_map(|case| case.fault.split(' '))
        .map(|word| word.split('=').next().unwrap());
    assert_eq!(tried.collect::<BTreeSet<_>>(), all);
}

/// Everything that callmeter shows at one moment.
struct View {
    metrics: Samples,
    status: serde_json::Value,
    page: String,
    log: String,
}

impl View {
    async fn of(exporter: &Exporter) -> Self {
        Self {
            metrics: exporter.metrics().await,
            status: exporter.status().await,
            page: exporter.get("/").await.text(),
            log: exporter.log(),
        }
    }

    /// The tasks of an account in the status.
    fn tasks(&self, account: &str) -> Vec<&serde_json::Value> {
        let accounts = self.status["accounts"].as_array().unwrap();
        let found = accounts
            .iter()
            .find(|known| known["name"] == account)
            .unwrap();
        found["tasks"].as_object().unwrap().values().collect()
    }

    fn counter(&self, account: &str, name: &str, label: &str) -> f64 {
        self.metrics
            .sum(name, &[&format!("account=\"{account}\""), label])
    }
}

/// Waits until `holds` reports no problem of any case; fails with the reported problems.
async fn each(
    exporter: &Exporter,
    cases: &[Case],
    what: &str,
    holds: impl Fn(&Case, &View) -> Result<(), String>,
) {
    let mut waiting: Vec<&Case> = cases.iter().collect();
    let mut said = Vec::new();
    let started = std::time::Instant::now();
    while !waiting.is_empty() {
        let view = View::of(exporter).await;
        said.clear();
        waiting.retain(|case| match holds(case, &view) {
            Ok(()) => false,
            Err(reason) => {
                said.push(format!("{}: {reason}", case.name));
                true
            }
        });
        if started.elapsed() > callmeter_tests::PATIENCE {
            let log = exporter.log();
            let warnings: Vec<&str> = log
                .lines()
                .filter(|line| line.contains("level=warn"))
                .collect();
            panic!("not {what}:\n{}\n{}", said.join("\n"), warnings.join("\n"));
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    println!("{what} after {:.1} s", started.elapsed().as_secs_f64());
}

impl Case {
    /// Whether the fault is shown everywhere.
    fn is_seen(&self, view: &View, before: &View) -> Result<(), String> {
        let name = self.name;
        let rises = |family: &str, label: &str, by: f64| {
            let [then, now] = [before, view].map(|view| view.counter(name, family, label));
            if now >= then + by {
                Ok(())
            } else {
                Err(format!("{family}{{{label}}} has come from {then} to {now}"))
            }
        };
        match self.seen {
            Counter(family, label) => rises(family, label, 1.0),
            Failing(reason, words) => {
                rises(
                    "callmeter_poll_failures_total",
                    &format!("reason=\"{reason}\""),
                    1.0,
                )?;
                self.is_shown(view, "failing", words)
            }
            Refused(words) => {
                rises(
                    "callmeter_poll_failures_total",
                    "reason=\"refused_login\"",
                    1.0,
                )?;
                self.is_shown(view, "refused", words)
            }
            Nothing => {
                rises("callmeter_polls_total", "", 4.0)?;
                let failures = view.counter(name, "callmeter_poll_failures_total", "");
                (failures == 0.0)
                    .then_some(())
                    .ok_or_else(|| format!("{failures} polls failed"))
            }
            Soon => {
                rises("callmeter_polls_total", "", 8.0)?;
                let failures = view.counter(name, "callmeter_poll_failures_total", "");
                let up = view.counter(name, "callmeter_up", "");
                (failures <= 6.0 && up == 1.0)
                    .then_some(())
                    .ok_or_else(|| format!("{failures} polls failed, and callmeter_up is {up}"))
            }
        }
    }

    /// Whether status, page and log show a task of the account in this state with these words.
    fn is_shown(&self, view: &View, state: &str, words: &str) -> Result<(), String> {
        let name = self.name;
        let tasks = view.tasks(name);
        let errors: Vec<&str> = tasks
            .iter()
            .filter(|task| task["state"] == state)
            .filter_map(|task| task["error"].as_str())
            .collect();
        let Some(error) = errors.iter().find(|error| error.contains(words)) else {
            return Err(format!("no poll is {state} with {words:?}: {tasks:?}"));
        };
        let up = view.counter(name, "callmeter_up", "");
        if up != 0.0 {
            return Err(format!("callmeter_up is {up}"));
        }
        let account = format!("account={name} ");
        let logged = view.log.lines().any(|line| {
            line.contains("level=warn") && line.contains(&account) && line.contains(words)
        });
        if !logged {
            return Err(format!("the log does not say {words:?} of it"));
        }
        // The page escapes errors for HTML.
        let written = error
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;");
        if !view.page.contains(&written) {
            return Err(format!("the page does not say {written:?}"));
        }
        Ok(())
    }

    /// Whether everything works and totals equal the ledger.
    fn is_exact(&self, view: &View) -> Result<(), String> {
        let name = self.name;
        if let Some(task) = view.tasks(name).iter().find(|task| task["state"] != "ok") {
            return Err(format!("a poll is not well: {task}"));
        }
        let up = view.counter(name, "callmeter_up", "");
        if up != 1.0 {
            return Err(format!("callmeter_up is {up}"));
        }
        let truth = self.simulator.ledger(&LedgerQuery {
            without_ids: true,
            ..LedgerQuery::default()
        });
        match self.api {
            Suite => {
                let wrong = differences(&view.metrics, name, &truth);
                if !wrong.is_empty() {
                    return Err(wrong.join("\n  "));
                }
                let shown = view.metrics.totals(&[&format!("account=\"{name}\"")]);
                assert_eq!(shown, published(truth.total));
            }
            Pbx => {
                let balance = view.counter(name, "callmeter_portsip_balance", "");
                let expected: f64 = truth.portsip.balance.parse().unwrap();
                if (balance - expected).abs() > 1e-9 {
                    return Err(format!("the balance is {balance}, not {expected}"));
                }
                for (rate_type, rates) in &truth.portsip.rates_by_type {
                    let label = format!("rate_type=\"{}\"", rate_type.to_lowercase());
                    let shown = view.counter(name, "callmeter_call_rates", &label);
                    #[expect(clippy::cast_precision_loss, reason = "a small count")]
                    let expected = *rates as f64;
                    if shown != expected {
                        return Err(format!("{shown} rates of {rate_type}, not {expected}"));
                    }
                }
            }
        }
        Ok(())
    }
}
