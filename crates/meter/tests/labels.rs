//! The labels of series: what distinguishes items, and how long a value may be.

use std::collections::BTreeSet;

use callmeter_meter::{
    Allowance, AllowanceUse, Api, Billing, Client, FamilyId, LONGEST_LABEL, Ledger, Limits,
    RateDeck, Values, bounded, pairs,
};
use callmeter_records::{BatchHead, Call, CallsBuilder, Stream};

/// One line for each series of a family: its labels and value.
fn shown(ledger: &mut Ledger, family: FamilyId) -> Vec<String> {
    let snapshot = ledger.snapshot();
    let mut lines = Vec::new();
    for block in snapshot.blocks(family) {
        let Values::Floats(values) = block.values else {
            panic!("gauges are floats");
        };
        lines.extend(
            (0..block.len()).map(|row| format!("{} {}", block.labels.row(row), values[row])),
        );
    }
    lines
}

/// Items that the API does not identify are not added up.
#[test]
fn allowances_are_shown_one_by_one() {
    let row = |client: Option<&str>, allowance: Option<&str>, balance: i128| AllowanceUse {
        client_id: client.map(str::to_owned),
        allowance: allowance.map(str::to_owned),
        calls_nano: Some(balance * 1_000_000_000),
        balance_nano: Some(balance * 1_000_000_000),
        ..AllowanceUse::default()
    };
    let named = |name: &str, balance| AllowanceUse {
        client_name: Some(name.to_owned()),
        ..row(None, Some("calls"), balance)
    };
    let of_account = |account: &str, balance| AllowanceUse {
        third_party_account_id: Some(account.to_owned()),
        ..row(Some("c2"), None, balance)
    };
    let uses = vec![
        row(Some("c1"), Some("calls"), 1),
        row(Some("c1"), Some("minutes"), 20),
        row(Some("c1"), Some("minutes"), 300),
        of_account("A-1", 4),
        of_account("A-2", 5),
        named("Acme", 6),
        named("Bolt", 7),
        row(None, None, 8),
        row(Some(""), Some("calls"), 9),
    ];
    let mut ledger = Ledger::new(Limits::default());
    ledger.configure("acme", Api::HostedSuite);
    ledger.set_clients(
        "acme",
        1,
        vec![Client {
            client_id: "c1".to_owned(),
            allowance: Some(Allowance::Calls(2_000_000_000)),
            ..Client::default()
        }],
    );
    ledger.set_allowances("acme", (0, 100), 50, uses);
    let used = shown(&mut ledger, FamilyId::AllowanceUsedCalls);
    insta::assert_snapshot!(used.join("\n"), @r#"
    account="acme",client_id="c1",allowance="calls" 1
    account="acme",client_id="c1",allowance="minutes" 20
    account="acme",client_id="c2",allowance="unknown" 9
    account="acme",client_id="unknown",allowance="calls" 9
    account="acme",client_id="unknown",allowance="unknown" 8
    account="acme",client_id="unknown: Acme",allowance="calls" 6
    account="acme",client_id="unknown: Bolt",allowance="calls" 7
    "#);
    // The words say what an allowance counts, or else the client list; a balance without a unit is
    // not shown.
    let balances = [
        FamilyId::AllowanceBalanceCalls,
        FamilyId::AllowanceBalanceSeconds,
    ]
    .map(|family| shown(&mut ledger, family).join("\n"))
    .join("\n\n");
    insta::assert_snapshot!(balances, @r#"
    account="acme",client_id="c1",allowance="calls" 1
    account="acme",client_id="unknown",allowance="calls" 9
    account="acme",client_id="unknown: Acme",allowance="calls" 6
    account="acme",client_id="unknown: Bolt",allowance="calls" 7

    account="acme",client_id="c1",allowance="minutes" 1200
    "#);
    // It is not known which of its allowances the client list means.
    assert!(shown(&mut ledger, FamilyId::AllowanceUsedRatio).is_empty());
    assert_eq!(shown(&mut ledger, FamilyId::AllowanceLimitCalls).len(), 1);

    // Each label set counts towards the cap.
    let mut ledger = Ledger::new(Limits {
        label_sets: 3,
        ..Limits::default()
    });
    ledger.configure("acme", Api::HostedSuite);
    let uses = (0..10).map(|number| row(Some("c"), Some(&number.to_string()), 1));
    ledger.set_allowances("acme", (0, 100), 50, uses.collect());
    let used = shown(&mut ledger, FamilyId::AllowanceUsedCalls);
    insta::assert_snapshot!(used.join("\n"), @r#"
    account="acme",client_id="c",allowance="0" 1
    account="acme",client_id="c",allowance="1" 1
    account="acme",client_id="c",allowance="2" 1
    account="acme",client_id="other",allowance="other" 7
    "#);
}

#[test]
fn every_label_is_bounded() {
    let long = |end: &str| "x".repeat(1_000_000) + end;
    let mut ledger = Ledger::new(Limits::default());
    ledger.configure("acme", Api::HostedSuite);
    let (one, two) = (long("1"), long("2"));
    let mut builder = CallsBuilder::new();
    for client in [&one, &two, &two] {
        builder.append(&Call {
            client_id: Some(client),
            center_id: Some(client),
            ..Call::default()
        });
    }
    let head = BatchHead {
        account: "acme",
        first_sequence: 1,
        observed_at: 5,
    };
    let batch = builder.finish(&head).unwrap();
    ledger.apply(1, Stream::Calls, &batch).unwrap();
    let client = |id: &str| Client {
        client_id: id.to_owned(),
        client_name: Some(long("name")),
        third_party_account_id: Some(long("account")),
        center_id: Some(id.to_owned()),
        ..Client::default()
    };
    ledger.set_clients("acme", 5, vec![client(&one), client(&two)]);
    let used = |id: &str| AllowanceUse {
        client_id: Some(id.to_owned()),
        allowance: Some(long("allowance")),
        balance_nano: Some(1),
        ..AllowanceUse::default()
    };
    ledger.set_allowances("acme", (0, 9), 5, vec![used(&one), used(&two)]);
    ledger.set_billing(
        "acme",
        &Billing {
            billed_account: Some(long("account")),
            charging_type: Some(long("type")),
            currency: Some(long("currency")),
            balance_nano: Some(1),
            ..Billing::default()
        },
    );
    let mut deck = RateDeck::default();
    deck.add(Some(&one), Some(1), None);
    deck.add(Some(&two), Some(2), None);
    ledger.set_rates("acme", &deck);

    let snapshot = ledger.snapshot();
    for family in FamilyId::ALL {
        let mut labels = BTreeSet::new();
        for block in snapshot.blocks(*family) {
            for row in 0..block.len() {
                let row = block.labels.row(row);
                for (name, value) in pairs(row) {
                    assert!(value.len() <= LONGEST_LABEL, "{family:?} {name}");
                }
                assert!(labels.insert(row.to_owned()), "{family:?} has {row} twice");
            }
        }
    }
    // The rows of two clients in each family, and what they share.
    let (all, _) = ledger.resident_bytes();
    assert!(all < 1_000_000, "{all} bytes for two clients");
    let shortened = snapshot.find(FamilyId::SeriesShortened, "").unwrap();
    assert!(shortened > 10, "{shortened}");
    let calls = |id: &str| {
        let id = bounded(id);
        let labels =
            format!("account=\"acme\",client_id=\"{id}\",center_id=\"{id}\",direction=\"unknown\"");
        snapshot.find(FamilyId::Calls, &labels)
    };
    assert_eq!([calls(&one), calls(&two)], [Some(1), Some(2)]);
    // What was stored is read back the same.
    let bytes = ledger.encode();
    let read = Ledger::decode(&bytes, Limits::default()).unwrap();
    assert_eq!(read.encode(), bytes);
}

/// The forecast is the used share divided by the elapsed share. The use of a few hours says little,
/// so there is none on the first day.
#[test]
fn an_allowance_has_a_forecast_from_the_second_day_on() {
    const DAY: i64 = 86_400_000_000;
    let mut ledger = Ledger::new(Limits::default());
    ledger.configure("acme", Api::HostedSuite);
    let client = Client {
        client_id: "c".to_owned(),
        allowance: Some(Allowance::Minutes(100_000_000_000)),
        ..Client::default()
    };
    ledger.set_clients("acme", 1, vec![client]);
    let mut at = |now: i64| {
        let used = AllowanceUse {
            client_id: Some("c".to_owned()),
            minutes_nano: Some(25_000_000_000),
            ..AllowanceUse::default()
        };
        ledger.set_allowances("acme", (0, 30 * DAY), now, vec![used]);
        shown(&mut ledger, FamilyId::AllowanceForecastRatio).join("")
    };
    assert_eq!(at(DAY - 1), "");
    assert_eq!(at(6 * DAY), r#"account="acme",client_id="c" 1.25"#);
    assert_eq!(at(15 * DAY), r#"account="acme",client_id="c" 0.5"#);
}
