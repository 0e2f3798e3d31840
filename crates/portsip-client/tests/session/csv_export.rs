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
            "row 2 cannot be read: 2 fields, but the header has 12",
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

/// One line for each rate: its prefix, prices and description, or why it cannot be read.
fn lines(rates: Vec<Result<CallRate, String>>) -> Vec<String> {
    let text = |rate: CallRate| {
        let price = |price: Option<portsip_client::Amount>| price.unwrap().to_string();
        format!(
            "{}: {} {} {}",
            rate.prefix.unwrap(),
            price(rate.price_1),
            price(rate.price_n),
            rate.description.unwrap_or_default()
        )
    };
    let rates = rates.into_iter();
    rates
        .map(|rate| rate.map_or_else(|error| error, text))
        .collect()
}

/// Where fields are not where the header says, no price is made up.
#[tokio::test]
async fn another_number_of_fields_than_the_header_has() {
    let fields =
        |row, count| format!("row {row} cannot be read: {count} fields, but the header has 12");
    let price = |row, name| format!("row {row} cannot be read: {name} cannot be read");
    let cases = [
        // Unquoted decimal commas, an unquoted comma in the description, a trailing comma.
        (
            "1,49,MOBILE,0,0,60,1,0,0,0,05,0,05,Germany\n",
            vec![fields(0, 14)],
        ),
        (
            "1,49,MOBILE,0,0,60,1,0,0,0.1,0.1,Germany, mobile\n2,41,MOBILE,0,0,60,1,0,0,0.2,0.2,\n",
            vec![fields(0, 13), "41: 0.2 0.2 ".to_owned()],
        ),
        (
            "1,49,MOBILE,0,0,60,1,0,0,0.1,0.1,Germany,\n",
            vec![fields(0, 13)],
        ),
        // The parser of decimals would skip the underscores.
        (
            "1,49,MOBILE,0,0,60,1,0,0,0_05,0.1,\n2,50,MOBILE,0,0,60,1,0,0,0.1,1_000,\n",
            vec![price(0, "price_1"), price(1, "price_n")],
        ),
        (
            "1,49,MOBILE,0,0,6_0,1,0,0,0.1,0.1,\n",
            vec![price(0, "interval_1")],
        ),
    ];
    for (rows, wanted) in cases {
        let body = format!("{PLAIN}{rows}");
        assert_eq!(
            lines(read(body.as_bytes()).await.unwrap()),
            wanted,
            "{rows}"
        );
    }
}

/// Nobody knows which of two columns is the price.
#[tokio::test]
async fn two_columns_for_one_member() {
    let body =
        PLAIN.replace("description\n", "First Price\n") + "1,49,LOCAL,0,0,1,1,0,0,0.1,0.1,7\n";
    let server = exporting(body.into_bytes()).await;
    match session(&server).export().await.unwrap() {
        ExportedRates::NoColumns(missing) => assert_eq!(missing.members, ["price_1"]),
        ExportedRates::Rates(_) => panic!("one of two was taken"),
    }
}

/// One row or byte costs itself.
#[tokio::test]
async fn rows_are_split_once_and_bytes_cost_one_text() {
    let mut body = PLAIN.as_bytes().to_vec();
    body.extend_from_slice(b"1,49,MOBILE,0,0,60,1,0,0,0.1,0.1,19\" rack\n");
    body.extend_from_slice(b"2,41,MOBILE,0,0,60,1,0,0,0.2,0.2,\"first line\nsecond line\"\n");
    body.extend_from_slice(b"3,43,MOBILE,0,0,60,1,0,0,0.3,0.3,M\xFCnchen\n");
    body.extend_from_slice(b"4,44,MOBILE,0,0,60,1,0,0,0.4,0.4,\"no end\n");
    body.extend_from_slice(b"5,45,MOBILE,0,0,60,1,0,0,0.5,0.5,\n");
    assert_eq!(
        lines(read(&body).await.unwrap()),
        [
            "49: 0.1 0.1 19\" rack",
            "41: 0.2 0.2 first line\nsecond line",
            "43: 0.3 0.3 M\u{fc}nchen",
            "row 3 cannot be read: a quotation mark is not closed",
            "45: 0.5 0.5 ",
        ]
    );
}

/// A file whose end the transfer does not mark must end with a line break: a part of a price is
/// another price.
#[tokio::test]
async fn a_last_row_may_be_cut_off_where_the_transfer_has_no_end() {
    let row = "1,49,LOCAL,0,0,1,1,0,0,0.1,0.125,Germany";
    let whole = format!("{PLAIN}{row}\n{row}\n");
    let cut_in_price = format!("{PLAIN}{row}\n1,49,LOCAL,0,0,1,1,0,0,0.1,0.12");
    let cut_in_text = format!("{PLAIN}{row}\n1,49,LOCAL,0,0,1,1,0,0,0.1,0.125,Germ");
    let cut_in_cell = format!("{PLAIN}{row}\n1,49,LOCAL,0,0,1,1,0,0,0.1,0.125,\"two\nlines");
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let reply = |headers: &str, body: &[u8]| {
        let mut bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        Reply::Raw(bytes)
    };
    let chunked = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    let length = format!("Content-Length: {}\r\n", cut_in_text.len());
    let cases = [
        ("whole", reply("", whole.as_bytes()), None),
        ("only the header", reply("", PLAIN.as_bytes()), None),
        (
            "cut in a price",
            reply("", cut_in_price.as_bytes()),
            Some(ErrorKind::Unreadable),
        ),
        (
            "cut in a text",
            reply("", cut_in_text.as_bytes()),
            Some(ErrorKind::Unreadable),
        ),
        (
            "cut in a cell",
            reply("", cut_in_cell.as_bytes()),
            Some(ErrorKind::Unreadable),
        ),
        (
            "with a length",
            reply(&length, cut_in_text.as_bytes()),
            None,
        ),
        (
            "chunked",
            reply(
                "Transfer-Encoding: chunked\r\n",
                chunked(&cut_in_text).as_bytes(),
            ),
            None,
        ),
        (
            "gzip",
            reply("Content-Encoding: GZip\r\n", &gzip(&cut_in_text)),
            None,
        ),
        (
            "gzip that is cut",
            reply("Content-Encoding: x-gzip\r\n", &gzip(&whole)[..60]),
            Some(ErrorKind::Transport),
        ),
        (
            "br",
            reply("Content-Encoding: br\r\n", b"x"),
            Some(ErrorKind::Unreadable),
        ),
    ];
    for (name, reply, wanted) in cases {
        let server = signed_in(move |request| match request.line() {
            "GET /api/call_rates/export" => reply.clone(),
            _ => answer("503 Service Unavailable", "text/plain", ""),
        })
        .await;
        let error = match session(&server).export().await {
            Err(error) => Some(error),
            Ok(ExportedRates::NoColumns(missing)) => panic!("{name}: {missing}"),
            Ok(ExportedRates::Rates(mut export)) => loop {
                match export.next().await {
                    Some(Ok(rate)) => assert!(rate.is_ok(), "{name}: {rate:?}"),
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            },
        };
        assert_eq!(error.as_ref().map(Error::kind), wanted, "{name}: {error:?}");
    }
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
