//! The export, in every form it may have.

use std::sync::{Arc, Mutex};

use portsip_client::{CallRate, DeckSource, Error, ErrorKind, ExportedRates};
use proptest::prelude::*;

use crate::canned::{Canned, Reply, answer};
use crate::{builder, session, signed_in};

async fn exporting(body: Vec<u8>) -> Canned {
    signed_in(move |_| answer("200 OK", "application/octet-stream", &body)).await
}

async fn read(body: &[u8]) -> Result<Vec<Result<CallRate, String>>, Error> {
    let server = exporting(body.to_vec()).await;
    let mut export = match session(&server).export().await? {
        ExportedRates::Rates(export) => export,
        ExportedRates::NoColumns(missing) => panic!("{missing}"),
    };
    let mut rates = Vec::new();
    while let Some(rate) = export.next().await {
        rates.push(rate?.map_err(|error| error.to_string()));
    }
    Ok(rates)
}

const PLAIN: &str = "id,prefix,type,free_seconds,grace_period,interval_1,interval_n,connect_fee,postcall_surcharge,price_1,price_n,description\n";
const TITLES: &str = "\u{FEFF}Prefix,Type,Free Seconds,Grace Period,\"Interval 1\",Interval N,Connect Fee,Post Call Surcharge,Price 1,Price N,Description,Extra\r\n";

#[tokio::test]
async fn plain_and_titled_headers() {
    let body = format!("{PLAIN}r1,+49,LOCAL,0,1,60,1,0.1,0.01,0.12345,2,Germany\n");
    let rate = read(body.as_bytes()).await.unwrap().remove(0).unwrap();
    assert_eq!(
        (rate.id.as_deref(), rate.prefix.as_deref()),
        (Some("r1"), Some("+49"))
    );
    assert_eq!(rate.price_1, Some("0.12345".parse().unwrap()));

    let titled = format!(
        "{TITLES}49,Mobile,0,0,1,1,0,0,0.1,0.1,\"a, \"\"b\"\"\r\nand more\",x\r\n\r\n50,,,,,,,,,,,\r\n"
    );
    let rates = read(titled.as_bytes()).await.unwrap();
    assert_eq!(rates.len(), 2);
    let first = rates[0].as_ref().unwrap();
    assert_eq!(first.description.as_deref(), Some("a, \"b\"\r\nand more"));
    assert_eq!(first.type_.as_ref().unwrap().as_str(), "MOBILE");
    let second = rates[1].as_ref().unwrap();
    assert_eq!(
        (second.price_1, second.free_seconds),
        (None, None),
        "empty is missing, not zero"
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_itself() {
    let body = format!(
        "{PLAIN}1,49,LOCAL,0,0,1,1,0,0,0.1,0.1,\n2,50,LOCAL,0,0,1,1,0,0,free,0.1,\n3,51\n4,,LOCAL,0,0,1,1,0,0,1,1,\n5,52,LOCAL,x,0,1,1,0,0,1,1,\n"
    );
    let rates = read(body.as_bytes()).await.unwrap();
    let texts: Vec<_> = rates
        .into_iter()
        .map(|rate| rate.map_or_else(|error| error, |rate| format!("{:?}", rate.prefix)))
        .collect();
    assert_eq!(
        texts,
        [
            "Some(\"49\")",
            "row 1 cannot be read: price_1 cannot be read",
            "Some(\"51\")",
            "row 3 cannot be read: prefix cannot be read",
            "row 4 cannot be read: free_seconds cannot be read",
        ]
    );
}

#[tokio::test]
async fn empty_web_page_cut_and_too_long() {
    assert_eq!(read(b"").await.unwrap_err().kind(), ErrorKind::Unreadable);
    assert_eq!(
        read(b"<html>login</html>").await.unwrap_err().kind(),
        ErrorKind::Html
    );
    assert!(read(PLAIN.as_bytes()).await.unwrap().is_empty());

    let mut cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n".to_vec();
    cut.extend_from_slice(PLAIN.as_bytes());
    cut.extend_from_slice(b"1,49,LOCAL,0,0,1,1,0,0,0.1,0.1,\n2,5");
    let server = signed_in(move |_| Reply::Raw(cut.clone())).await;
    let Ok(ExportedRates::Rates(mut export)) = session(&server).export().await else {
        panic!("the header came");
    };
    assert!(export.next().await.unwrap().unwrap().is_ok());
    assert_eq!(
        export.next().await.unwrap().unwrap_err().kind(),
        ErrorKind::Transport
    );
    assert!(export.next().await.is_none(), "half a row is no row");
    // A deck that was cut off is an error, not a smaller deck.
    assert_eq!(
        session(&server).deck().await.unwrap_err().kind(),
        ErrorKind::Transport
    );

    let server = exporting(PLAIN.repeat(100).into_bytes()).await;
    let short = builder(&server.url()).export_limit(1000).build().unwrap();
    assert_eq!(
        short.deck().await.unwrap_err().kind(),
        ErrorKind::BodyTooLarge
    );
}

#[tokio::test]
async fn the_observer_is_told_at_the_end_of_the_transfer() {
    let body = format!("{PLAIN}r1,+49,LOCAL,0,1,60,1,0.1,0.01,0.12345,2,Germany\n");
    let length = body.len() as u64;
    let server = exporting(body.into_bytes()).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let session = builder(&server.url())
        .observe({
            let events = Arc::clone(&events);
            move |event| {
                events
                    .lock()
                    .unwrap()
                    .push((event.operation, event.outcome.as_str(), event.bytes));
            }
        })
        .build()
        .unwrap();
    let export = session.export().await.unwrap();
    assert_eq!(events.lock().unwrap().len(), 1, "the sign-in only");
    drop(export);
    let last = events.lock().unwrap()[1];
    assert_eq!(last, ("export_call_rates", "ok", length));
    assert_eq!(session.deck().await.unwrap().rates.len(), 1);
    assert_eq!(events.lock().unwrap().len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is in the fields, and wherever the transfer breaks it into pieces.
    #[test]
    fn any_text_comes_through(texts in prop::collection::vec("[a-z\",\r\n ü]{0,20}", 1..200)) {
        let mut writer = csv::Writer::from_writer(PLAIN.as_bytes().to_vec());
        for (index, text) in texts.iter().enumerate() {
            let prefix = index.to_string();
            writer.write_record(["", &prefix, "LOCAL", "0", "0", "1", "1", "0", "0", "0.1", "0.1", text]).unwrap();
        }
        let body = writer.into_inner().unwrap();
        let deck = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let server = exporting(body).await;
            session(&server).deck().await.unwrap()
        });
        prop_assert_eq!(deck.source, DeckSource::Export);
        prop_assert_eq!(deck.rates.len(), texts.len());
        for (rate, text) in deck.rates.iter().zip(&texts) {
            let rate = rate.as_ref().unwrap();
            prop_assert_eq!(rate.description.as_deref().unwrap_or_default(), text.trim());
        }
    }
}
