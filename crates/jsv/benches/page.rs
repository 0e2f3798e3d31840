//! A page of 1,000 calls, the same in JSON and in JSV: encode, decode to owned and to borrowed
//! records.
//!
//! `cargo bench -p jsv`. Divide a time by 1,000 for the time per record.

#![allow(missing_docs, reason = "divan's macros make public items")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use serde::{Deserialize, Serialize};

fn main() {
    divan::main();
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page<T> {
    items: Vec<T>,
    #[serde(rename = "Page")]
    number: u32,
    total_count: u64,
    total_pages: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call<T> {
    id: T,
    client_id: T,
    client_name: T,
    center_id: T,
    start_time: T,
    caller_name: T,
    caller_number: T,
    transfer_to_name: Option<T>,
    notes: Option<T>,
    duration_in_seconds: f64,
    ring_time_in_seconds: f64,
    hold_time_in_seconds: f64,
    hold_count: u32,
    interactions: Vec<Interaction<T>>,
    answered_by: T,
    server: T,
    talk_time_in_seconds: f64,
    transfer_time_in_seconds: f64,
    completed_form_ids: Vec<T>,
    flagged: bool,
    flag_notes: Option<T>,
    #[serde(rename = "Type")]
    kind: T,
    work_time_in_seconds: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Interaction<T> {
    start_time: T,
    #[serde(rename = "Type")]
    kind: T,
    description: Option<T>,
}

fn page() -> Page<Call<String>> {
    let call = |i: u32| {
        let at = |second: u32| format!("2026-08-06 {:02}:{:02}:{:02}", i / 60 % 24, i % 60, second);
        let tenths = |n: u32| f64::from(i * n % 6000) / 10.0;
        Call {
            id: format!("5f0c9a{i:026x}"),
            client_id: format!("client-{:04}", i % 40),
            client_name: format!("Müller, Weber & Partner {}", i % 40),
            center_id: format!("center-{}", i % 4),
            start_time: at(0),
            caller_name: format!("CALLER {i}"),
            caller_number: format!("+1555{i:07}"),
            transfer_to_name: i.is_multiple_of(5).then(|| "Front desk".to_owned()),
            notes: i
                .is_multiple_of(3)
                .then(|| format!("asked for \"invoice {i}\", call back")),
            duration_in_seconds: tenths(7),
            ring_time_in_seconds: f64::from(i % 20),
            hold_time_in_seconds: tenths(3),
            hold_count: i % 3,
            interactions: ["Answer", "Hangup"]
                .map(|kind| Interaction {
                    start_time: at(i % 60),
                    kind: kind.to_owned(),
                    description: None,
                })
                .into(),
            answered_by: format!("operator{}", i % 12),
            server: "SRV-01".to_owned(),
            talk_time_in_seconds: tenths(11),
            transfer_time_in_seconds: 0.0,
            completed_form_ids: Vec::new(),
            flagged: i.is_multiple_of(50),
            flag_notes: None,
            kind: "Incoming".to_owned(),
            work_time_in_seconds: tenths(2),
        }
    };
    Page {
        items: (0..1000).map(call).collect(),
        number: 0,
        total_count: 1000,
        total_pages: 1,
    }
}

#[divan::bench]
fn encode_json(bencher: Bencher<'_, '_>) {
    let page = page();
    let bytes = serde_json::to_string(&page).map_or(0, |text| text.len());
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| serde_json::to_string(black_box(&page)));
}

#[divan::bench]
fn encode_jsv(bencher: Bencher<'_, '_>) {
    let page = page();
    let bytes = jsv::to_string(&page).map_or(0, |text| text.len());
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| jsv::to_string(black_box(&page)));
}

macro_rules! decode {
    ($($name:ident $format:ident $text:ty;)*) => {$(
        #[divan::bench]
        fn $name(bencher: Bencher<'_, '_>) {
            let text = $format::to_string(&page()).unwrap_or_default();
            assert!($format::from_slice::<Page<Call<$text>>>(text.as_bytes()).is_ok_and(|page| page.items.len() == 1000));
            bencher
                .counter(BytesCount::new(text.len()))
                .bench(|| $format::from_slice::<Page<Call<$text>>>(black_box(text.as_bytes())));
        }
    )*};
}

/// `Cow` whose `Deserialize` borrows, which serde's own does not.
struct Shown<'a>(#[expect(dead_code, reason = "read to be dropped")] std::borrow::Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Shown<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> serde::de::Visitor<'de> for Text {
            type Value = Shown<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Shown(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Shown(text.to_owned().into()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

decode! {
    decode_owned_json serde_json String;
    decode_owned_jsv jsv String;
    decode_borrowed_json serde_json Shown<'_>;
    decode_borrowed_jsv jsv Shown<'_>;
}

#[divan::bench]
fn skip_json(bencher: Bencher<'_, '_>) {
    let text = serde_json::to_string(&page()).unwrap_or_default();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| serde_json::from_str::<serde::de::IgnoredAny>(black_box(&text)));
}

#[divan::bench]
fn skip_jsv(bencher: Bencher<'_, '_>) {
    let text = jsv::to_string(&page()).unwrap_or_default();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| jsv::from_str::<serde::de::IgnoredAny>(black_box(&text)));
}
