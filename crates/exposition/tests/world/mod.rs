//! Meters and registries to write out: a small fixed one for the goldens, and any at all for the
//! differential tests.

pub(crate) mod proto;

use std::sync::Arc;

use callmeter_meter::{
    Allowance, AllowanceUse, Api, Billing, Client, Family, FamilyId, Ledger, Limits, Meter,
    RateDeck, View,
};
use callmeter_records::{BatchHead, Call, CallsBuilder, Previous, Reading, Stream};
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, Opts, Registry};

const DAY: i64 = 86_400_000_000;
/// 2026-08-06 00:00 UTC.
const NOON: i64 = 1_785_974_400_000_000 + DAY / 2;
const NANO: i128 = 1_000_000_000;

fn known(seconds: f64) -> Reading<'static, i64> {
    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    Reading::Known((seconds * 1000.0).round() as i64)
}

/// Three calls, one of them edited, of which one shows each kind of value.
pub(crate) fn small_meter() -> Arc<Meter> {
    let mut ledger = Ledger::new(Limits {
        operators: true,
        ..Limits::default()
    });
    ledger.set_view(View::everything());
    ledger.configure("acme", Api::HostedSuite);
    ledger.configure("hq", Api::PortSip);
    let call = Call {
        id: Some("c1"),
        client_id: Some("42"),
        center_id: Some("7"),
        start_time: Reading::Known(NOON),
        call_type: Some("Incoming"),
        answered_by: Some("Eve"),
        duration_ms: known(75.25),
        ring_ms: known(4.0),
        hold_ms: known(0.0),
        talk_ms: known(61.125),
        transfer_ms: Reading::Missing,
        work_ms: known(0.001),
        ..Call::default()
    };
    let missed = Call {
        id: None,
        client_id: Some("quote \" back \\ line \n é"),
        call_type: Some("Fax"),
        answered_by: None,
        talk_ms: Reading::Unreadable("NaN"),
        flagged: Reading::Known(true),
        ..call
    };
    let edited = Call {
        talk_ms: known(60.0),
        ..call
    };
    let mut builder = CallsBuilder::with_capacity(3);
    builder.append(&call);
    builder.append(&missed);
    builder.append_revised(
        &edited,
        &Previous {
            revision: 0,
            client_id: call.client_id,
            center_id: call.center_id,
            call_type: call.call_type,
            answered_by: call.answered_by,
            flagged: None,
            durations: call.durations().map(Reading::known),
            ..Previous::default()
        },
    );
    let head = BatchHead {
        account: "acme",
        first_sequence: 1,
        observed_at: NOON + 90_123_456,
    };
    let batch = builder.finish(&head).unwrap();
    ledger.apply(1, Stream::Calls, &batch).unwrap();
    ledger.set_clients(
        "acme",
        NOON,
        vec![Client {
            client_id: "42".into(),
            client_name: Some("Smith & Sons".into()),
            center_id: Some("7".into()),
            third_party_account_id: Some("A-1".into()),
            allowance: Some(Allowance::Minutes(100 * NANO)),
        }],
    );
    let uses = vec![AllowanceUse {
        client_id: Some("42".into()),
        allowance: Some("100 minutes".into()),
        client_name: Some("Smith".into()),
        third_party_account_id: None,
        balance_nano: Some(-12_340_000_000),
        calls_nano: Some(33 * NANO),
        minutes_nano: Some(80_500_000_000),
        counted_calls: Some(11),
    }];
    ledger.set_allowances("acme", (NOON - 10 * DAY, NOON + 20 * DAY), NOON, uses);
    ledger.set_gauges("acme", |state| {
        state.up = Some(true);
        state.last_success = Some(NOON + 1_500_000);
        state.watermark = Some(NOON);
        state.duplicate = 5;
    });
    ledger.set_gauges("hq", |state| state.up = Some(false));
    ledger.set_billing(
        "hq",
        &Billing {
            enabled: Some(true),
            billed_account: Some("TENANT".into()),
            charging_type: Some("ONLINE".into()),
            balance_nano: Some(250_120_000_000),
            currency: Some("CHF".into()),
        },
    );
    let mut deck = RateDeck::default();
    deck.add(Some("MOBILE"), Some(300_000_000), Some(250_000_000));
    deck.add(Some("MOBILE"), Some(100_000_000), None);
    deck.add(None, None, None);
    ledger.set_rates("hq", &deck);
    Arc::new(Meter::new(ledger))
}

fn family(id: FamilyId) -> &'static Family {
    id.family()
}

/// Self-metrics with each type of the `prometheus` crate, and awkward values.
pub(crate) fn small_registry() -> Registry {
    let registry = Registry::new();
    let requests = family(FamilyId::ApiRequests);
    let counter = IntCounterVec::new(requests.opts(), requests.labels).unwrap();
    counter
        .with_label_values(&["acme", "hostedsuite", "calls", "ok"])
        .inc_by(17);
    registry.register(Box::new(counter)).unwrap();
    let durations = family(FamilyId::ApiRequestDuration);
    let options = durations.histogram_opts(vec![0.1, 1.0, 2.5]);
    let histogram = HistogramVec::new(options, durations.labels).unwrap();
    for seconds in [0.05, 0.1, 2.0, 60.0] {
        histogram
            .with_label_values(&["acme", "hostedsuite", "calls", "ok"])
            .observe(seconds);
    }
    registry.register(Box::new(histogram)).unwrap();
    let odd = GaugeVec::new(
        Opts::new("odd_values", "Not a number, \\ and\nother \"odd\" ones"),
        &["what"],
    )
    .unwrap();
    for (what, value) in [
        ("nan", f64::NAN),
        ("positive", f64::INFINITY),
        ("negative", f64::NEG_INFINITY),
        ("zero", -0.0),
        ("small", 1.5e-9),
        ("large", 1.25e22),
        ("back\\slash \"quoted\"\nline", 0.1),
    ] {
        odd.with_label_values(&[what]).set(value);
    }
    registry.register(Box::new(odd)).unwrap();
    let uptime = prometheus::Counter::new(
        "uptime_seconds_total",
        "A counter with a unit and without labels",
    )
    .unwrap();
    uptime.inc_by(2.5);
    registry.register(Box::new(uptime)).unwrap();
    registry
}
