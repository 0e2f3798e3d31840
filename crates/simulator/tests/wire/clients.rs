//! Every operation of the two clients against the simulator: programs that were written
//! independently from the same descriptions.

use std::collections::BTreeSet;
use std::time::Duration;

use callmeter_simulator::{LedgerQuery, Options, Running, SignIn, Tls};
use hostedsuite_client::{BalanceQuery, CallRounding, CallsQuery, Client, ClientsQuery, Format};
use portsip_client::{DeckSource, ResourceId, Session, SessionBuilder};
use serde_json::json;

use crate::common::{options, start, start_with};

fn hostedsuite(running: &Running, format: Format) -> Client {
    Client::builder(running.hostedsuite_url())
        .credentials("Acme", "exporter", secret("simulated"))
        .format(format)
        .build()
        .expect("a client")
}

fn secret(text: &str) -> hostedsuite_client::SecretSource {
    hostedsuite_client::SecretSource::value(text)
}

fn portsip(running: &Running) -> Session {
    portsip_builder(running).build().expect("a session")
}

fn portsip_builder(running: &Running) -> SessionBuilder {
    let mut builder = Session::builder(running.portsip_url())
        .credentials("billing", secret("simulated"))
        .domain("pbx.example.com");
    if let Some(pem) = running.certificate() {
        let tls = portsip_client::Tls::default();
        builder = builder.tls(tls.ca_pem(pem));
    }
    builder
}

/// Walks all pages and returns the ids, and the sum of the talk times in ms.
async fn read(client: &Client, query: &CallsQuery) -> (BTreeSet<String>, i64) {
    let mut pages = client.calls(query);
    let (mut ids, mut talk) = (BTreeSet::new(), 0);
    while let Some(page) = Box::pin(pages.next()).await {
        for call in page.expect("a page").calls() {
            let call = call.expect("a record");
            if ids.insert(call.id().expect("an id").to_owned()) {
                talk += call
                    .talk_time()
                    .duration_ms()
                    .expect("readable")
                    .expect("there");
            }
        }
    }
    (ids, talk)
}

#[tokio::test]
async fn calls_are_read_as_the_ledger_states_them_in_both_formats() {
    let running = start(options()).await;
    let truth = running.ledger(&LedgerQuery::default());
    for format in [Format::Json, Format::Jsv] {
        let client = hostedsuite(&running, format);
        let (ids, talk) = read(&client, &CallsQuery::all().page_size(20)).await;
        assert_eq!(ids, truth.ids.iter().cloned().collect());
        assert_eq!(talk.cast_unsigned(), truth.total.talk_ms);
    }
}

/// Both formats of a world with a frozen clock: no member may differ, whatever the records contain.
#[tokio::test]
async fn both_formats_give_equal_records() {
    for faults in [
        vec![],
        vec!["nan=0.3"],
        vec!["missing_numbers=0.3", "misspelt_names=0.3"],
    ] {
        let running = start_with(&faults).await;
        let mut worlds = Vec::new();
        for format in [Format::Json, Format::Jsv] {
            let client = hostedsuite(&running, format);
            let mut pages = client.calls(&CallsQuery::all().page_size(50));
            let mut records = Vec::new();
            while let Some(page) = Box::pin(pages.next()).await {
                for call in page.expect("a page").calls() {
                    records.push(
                        call.map(|call| call.to_record())
                            .map_err(|error| error.to_string()),
                    );
                }
            }
            let days = ["2026-08-01", "2026-08-31"].map(|day| day.parse().expect("a day"));
            let query = BalanceQuery::between(days[0], days[1]).bill_talk(true);
            let balances = client.balances(&query).await.expect("balances");
            let balances: Vec<_> = balances
                .rows()
                .map(|row| {
                    let row = row.expect("a balance");
                    let texts = [
                        row.client_id(),
                        row.client_name(),
                        row.balance_description(),
                    ];
                    let numbers = [row.num_calls(), row.num_mins(), row.balance()];
                    let numbers = numbers.map(hostedsuite_client::Number::into_text);
                    (
                        texts.map(|text| text.map(str::to_owned)),
                        numbers.map(|text| text.map(str::to_owned)),
                    )
                })
                .collect();
            assert!(records.len() > 50 && !balances.is_empty());
            worlds.push((records, balances));
        }
        let (json, jsv) = (&worlds[0], &worlds[1]);
        assert_eq!(json.0, jsv.0, "{faults:?}");
        assert_eq!(json.1, jsv.1, "{faults:?}");
    }
}

#[tokio::test]
async fn calls_are_read_completely_through_faults_of_paging() {
    for faults in [
        vec!["one_based_pages"],
        vec!["page_size_limit=7"],
        vec!["totals=absent", "repeats=0.5"],
        vec!["totals=zero", "one_based_pages", "repeats"],
    ] {
        let running = start_with(&faults).await;
        let client = hostedsuite(&running, Format::Json);
        let (ids, _) = read(&client, &CallsQuery::all().page_size(20)).await;
        let truth = running.ledger(&LedgerQuery::default());
        assert_eq!(ids, truth.ids.into_iter().collect(), "{faults:?}");
    }
}

#[tokio::test]
async fn the_login_the_clients_and_the_balances_are_read() {
    let running = start(options()).await;
    for format in [Format::Json, Format::Jsv] {
        let client = hostedsuite(&running, format);
        let user = client.authenticate().await.expect("a user");
        assert_eq!(user.company_name.as_deref(), Some("Acme"));
        let clients = client.clients(&ClientsQuery::all()).await.expect("clients");
        assert_eq!(clients.len(), 4);

        let days = ["2026-08-01", "2026-08-31"].map(|day| day.parse().expect("a day"));
        let query = BalanceQuery::between(days[0], days[1])
            .bill_talk(true)
            .rounding(CallRounding::NextMinute);
        let balances = client.balances(&query).await.expect("balances");
        assert_eq!(balances.len(), 4);
    }
}

#[tokio::test]
async fn the_pbx_is_read_through_tls_with_either_login() {
    for sign_in in [SignIn::Json, SignIn::Form] {
        let options = Options {
            sign_in,
            tls: Tls::PortSip,
            require_get_only: true,
            ..options()
        };
        let running = start(options).await;
        let session = portsip(&running);
        let billing = Box::pin(session.billing()).await.expect("settings");
        assert_eq!(billing.enabled, Some(true));
        let balance = Box::pin(session.balance())
            .await
            .expect("an answer")
            .known()
            .expect("a balance");
        let truth = running.ledger(&LedgerQuery::default()).portsip;
        assert_eq!(balance.to_string(), truth.balance);
        let tenant = Box::pin(session.tenant()).await.expect("the tenant");
        assert_eq!(tenant.currency.as_deref(), Some("EUR"));

        let deck = Box::pin(session.deck()).await.expect("the deck");
        assert_eq!(deck.source, DeckSource::Export);
        let mut listed = 0;
        let mut pages = session.rates(&portsip_client::RatesQuery::default());
        while let Some(page) = Box::pin(pages.next()).await {
            listed += page.expect("a page").rates.len();
        }
        assert_eq!((deck.rates.len(), listed), (200, 200));
        assert_eq!(truth.writes_refused, 0);
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_and_after_it_expires() {
    let running = start(Options {
        token_seconds: 1,
        ..options()
    })
    .await;
    let session = portsip(&running);
    Box::pin(session.sign_in()).await.expect("signed in");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    Box::pin(session.billing())
        .await
        .expect("with a fresh token");
    assert!(
        running.requests().to("/api/auth") > 1,
        "no new token was asked for"
    );

    let mut faults = running.faults();
    faults
        .merge_word(r#"expire_tokens={"times":1}"#)
        .expect("a fault");
    running.set_faults(faults).expect("in bounds");
    Box::pin(session.tenant()).await.expect("signed in again");
}

#[tokio::test]
async fn a_rate_is_written_read_and_removed() {
    let running = start(options()).await;
    let writable = portsip_builder(&running)
        .build_writable()
        .expect("a session");
    let session = writable.reader();
    let rate = serde_json::from_str(
        &json!({
            "prefix": "00998", "type": "NATIONAL", "free_seconds": 0, "grace_period": 0,
            "interval_1": 60, "interval_n": 1, "connect_fee": 0.12345, "postcall_surcharge": 0,
            "price_1": 0.5, "price_n": 0.25,
        })
        .to_string(),
    )
    .expect("a rate");
    let id: ResourceId = (Box::pin(writable.create_rate(&rate))
        .await
        .expect("created"))
    .expect("an id");
    let change = serde_json::from_str(&json!({"price_n": 0.3}).to_string()).expect("a change");
    Box::pin(writable.update_rate(&id, &change))
        .await
        .expect("updated");
    let read = Box::pin(session.rate(&id)).await.expect("the rate");
    let amount = |amount: Option<portsip_client::Amount>| amount.map(|amount| amount.to_string());
    assert_eq!(amount(read.connect_fee).as_deref(), Some("0.12345"));
    assert_eq!(amount(read.price_n).as_deref(), Some("0.3"));
    Box::pin(writable.destroy_rate(&id)).await.expect("removed");
    assert!(Box::pin(session.rate(&id)).await.is_err());

    let offline = serde_json::from_str(&json!({"enabled": false}).to_string()).expect("a change");
    Box::pin(writable.update_billing(&offline))
        .await
        .expect("changed");
    assert!(
        !running
            .ledger(&LedgerQuery::default())
            .portsip
            .billing_enabled
    );
}

#[tokio::test]
async fn refusals_and_broken_answers_are_told_apart() {
    let outcome = async |fault: &str| {
        let running = start_with(&[fault]).await;
        let client = Client::builder(running.hostedsuite_url())
            .credentials("Acme", "exporter", secret("simulated"))
            .retry(hostedsuite_client::RetryPolicy::never())
            .build()
            .expect("a client");
        let error = client
            .calls_page(&CallsQuery::all(), 0)
            .await
            .expect_err(fault);
        let text = error.to_string();
        assert!(!text.contains("simulated"), "{text}");
        text
    };
    let faults = [
        "refuse_login=security_exception",
        "throttle={\"retry_after\":7}",
        "server_error",
        "html",
        "disconnect",
        "truncate",
        "echo",
        "echo={\"encoding\":\"url\"}",
    ];
    let mut told = String::new();
    for fault in faults {
        told.push_str(&[fault, ": ", &outcome(fault).await, "\n"].concat());
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"127\.0\.0\.1:\d+", "[address]");
    settings.bind(|| insta::assert_snapshot!(told));
}
