//! What goes over the wire, to the letter, for every operation.

use std::num::NonZeroU32;
use std::time::Duration;

use portsip_client::{
    CallRateCreate, CallRateType, CallRateUpdate, ChargingType, ExportedRates, RatesQuery,
    ResourceId, TenantBillingUpdate,
};

use crate::canned::{Seen, answer, json, with_headers};
use crate::{builder, signed_in};

#[tokio::test]
async fn requests() {
    let server = signed_in(|request| {
        let line = request.line();
        if line.ends_with("/destroy") {
            with_headers("204 No Content", &[], "")
        } else if line == "POST /api/call_rates" {
            json(r#"{"id":"r9"}"#)
        } else if line.starts_with("POST") {
            with_headers("200 OK", &[], "")
        } else if line.ends_with("/export") {
            answer("200 OK", "application/octet-stream", "nothing")
        } else {
            json(r#"{"count":0}"#)
        }
    })
    .await;
    let writer = builder(&server.url()).build_writable().unwrap();
    let session = writer.reader();
    session.sign_in().await.unwrap();
    session.billing().await.unwrap();
    session.balance().await.unwrap();
    session.tenant().await.unwrap();
    let query = RatesQuery::default()
        .filter("contains(prefix,'49')")
        .search("a or b")
        .top(50);
    assert!(session.rates(&query).next().await.is_none());
    let id: ResourceId = "a/b c".parse().unwrap();
    session.rate(&id).await.unwrap();
    assert!(matches!(
        session.export().await,
        Ok(ExportedRates::NoColumns(_))
    ));

    writer
        .update_billing(&TenantBillingUpdate {
            enabled: Some(true),
            type_: Some(ChargingType::Online),
            ..Default::default()
        })
        .await
        .unwrap();
    let price = |text: &str| text.parse().unwrap();
    let created = writer
        .create_rate(&CallRateCreate {
            prefix: "+49".try_into().unwrap(),
            type_: CallRateType::International,
            free_seconds: 0,
            grace_period: 1,
            interval_1: NonZeroU32::new(60).unwrap(),
            interval_n: NonZeroU32::MIN,
            connect_fee: price("0.10000"),
            postcall_surcharge: price("0"),
            price_1: price("0.1"),
            price_n: price("12345678901234567890.00001"),
            description: None,
        })
        .await
        .unwrap();
    assert_eq!(created.unwrap().as_str(), "r9");
    writer
        .update_rate(
            &id,
            &CallRateUpdate {
                price_1: Some(price("0.2")),
                ..Default::default()
            },
        )
        .await
        .unwrap();
    writer.destroy_rate(&id).await.unwrap();
    assert!(format!("{:?}", writer.reader()).contains("***"));

    let sent: Vec<_> = server.seen().iter().map(Seen::golden).collect();
    insta::assert_snapshot!(sent.join("\n\n----\n"));
}

#[tokio::test]
async fn form_login_of_older_versions() {
    let server = crate::Canned::start(|request, _| match request.line() {
        "POST /api/auth/sign_in" => with_headers("404 Not Found", &[], ""),
        "POST /api/login/oauth/token" => {
            json(r#"{"access_token":"token-1","refresh_token":"refresh-1","expires_in":1}"#)
        }
        _ => json(r#"{"balance":-1.5}"#),
    })
    .await;
    let session = builder(&server.url()).build().unwrap();
    assert_eq!(
        session.balance().await.unwrap().known(),
        Some("-1.5".parse().unwrap())
    );
    // A token that has expired is refreshed before the next use.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        session.balance().await.unwrap().known(),
        Some("-1.5".parse().unwrap())
    );
    let sent: Vec<_> = server.seen().iter().map(Seen::golden).collect();
    insta::assert_snapshot!(sent.join("\n\n----\n"));
}
