//! Reading a page of 1,000 calls: through the facade, and by `serde_json` into the bare generated
//! types.

#![expect(clippy::unwrap_used, reason = "a bench of answers that are good")]

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use hostedsuite_client::generated::types::CallRecordPage;
use hostedsuite_client::{CallsPage, Format};

const ROWS: usize = 1000;

/// Records with all 25 members, some 830 bytes each, in the order in which the service writes them.
fn page(numbers_as: fn(usize) -> String) -> Bytes {
    let rows: Vec<_> = (0..ROWS)
        .map(|n| {
            let seconds = numbers_as(n);
            format!(
                concat!(
                    r#"{{"Id":"{n:032x}","ClientId":"{c:032x}","ClientName":"Client number {c} Ltd","#,
                    r#""CenterId":"{z:032x}","StartTime":"2026-08-06 08:{m:02}:{s:02}","#,
                    r#""CallerName":"Person Name {n}","CallerNumber":"+1555{n:07}","#,
                    r#""TransferToName":"Other Person","TransferToNumber":"+1555000{n:04}","#,
                    r#""Notes":"Asked for a call back about the order of last week","#,
                    r#""DurationInSeconds":{t},"RingTimeInSeconds":{t},"HoldTimeInSeconds":{t},"HoldCount":1,"#,
                    r#""Interactions":[{{"StartTime":"2026-08-06 08:45:00","Type":"Answer","Description":"Answered"}}],"#,
                    r#""AnsweredBy":"Receptionist {z}","Server":"cpo-01","TalkTimeInSeconds":{t},"#,
                    r#""TransferTimeInSeconds":{t},"ScreenPop":"default","CompletedFormIds":["{n:032x}"],"#,
                    r#""Flagged":false,"FlagNotes":"","Type":"Incoming","WorkTimeInSeconds":{t}}}"#
                ),
                n = n,
                c = n % 50,
                z = n % 5,
                m = n / 60 % 60,
                s = n % 60,
                t = seconds,
            )
        })
        .collect();
    Bytes::from(format!(
        r#"{{"Items":[{}],"Page":0,"TotalCount":{ROWS},"TotalPages":1}}"#,
        rows.join(",")
    ))
}

fn usual() -> Bytes {
    page(|n| format!("{}.{}", n % 300, n % 10))
}

/// The baseline to compare with.
#[divan::bench]
fn serde_json_bare_types(bencher: Bencher<'_, '_>) {
    let body = usual();
    bencher
        .counter(ItemsCount::new(ROWS))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| {
            let text = std::str::from_utf8(black_box(&body)).unwrap();
            serde_json::from_str::<CallRecordPage>(text).unwrap()
        });
}

/// From a page to owned records: the convenient part of the facade.
#[divan::bench]
fn facade_owned_records(bencher: Bencher<'_, '_>) {
    let body = usual();
    bencher
        .counter(ItemsCount::new(ROWS))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| {
            let page = CallsPage::parse(black_box(&body).clone(), Format::Json).unwrap();
            page.calls()
                .map(|call| call.unwrap().to_record())
                .collect::<Vec<_>>()
        });
}

/// From a page to borrowed records, each read as an exporter reads it: the hot path.
#[divan::bench]
fn facade_borrowed_records(bencher: Bencher<'_, '_>) {
    let body = usual();
    bencher
        .counter(ItemsCount::new(ROWS))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| {
            let page = CallsPage::parse(black_box(&body).clone(), Format::Json).unwrap();
            let mut sum = 0;
            page.for_each(|_, call| {
                let call = call.unwrap();
                black_box((
                    call.id(),
                    call.client_id(),
                    call.center_id(),
                    call.start_time(),
                ));
                for number in [
                    call.duration(),
                    call.ring_time(),
                    call.hold_time(),
                    call.talk_time(),
                    call.transfer_time(),
                    call.work_time(),
                ] {
                    sum += number.duration_ms().unwrap().unwrap_or_default();
                }
            });
            sum
        });
}

/// Only the page: no record is read.
#[divan::bench]
fn facade_page_only(bencher: Bencher<'_, '_>) {
    let body = usual();
    bencher
        .counter(ItemsCount::new(ROWS))
        .counter(BytesCount::new(body.len()))
        .bench_local(|| CallsPage::parse(black_box(&body).clone(), Format::Json).unwrap());
}

fn main() {
    divan::main();
}
