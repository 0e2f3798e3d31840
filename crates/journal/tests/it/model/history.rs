//! What may happen: calls upstream that come and change, polls that go well or not, crashes, and
//! the rest of a journal's life.

use callmeter_records::{Call, Reading};
use proptest::prelude::*;

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A call starts upstream some minutes ago, or a known one is changed.
    Write {
        account: usize,
        slot: usize,
        call: Contents,
    },
    /// Time passes.
    Pass { minutes: i64 },
    /// An account is polled.
    Poll(Poll),
    /// An output acknowledges all batches except the last `but`.
    Acknowledge { output: usize, but: u64 },
    /// The process ends and starts again.
    Restart,
    /// A checkpoint; with a number, the process is killed after that many of its pages.
    Checkpoint { killed_after: Option<usize> },
    /// The totals are stored.
    Snapshot,
    /// Old batches are dropped.
    Retain { hours: u64 },
}

#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) account: usize,
    pub(super) page: usize,
    /// Each page starts with the last row of the previous one.
    pub(super) overlap: bool,
    /// The API also lists calls outside the window.
    pub(super) leaky: bool,
    /// The page with this number is lost and requested again.
    pub(super) lost: Option<usize>,
    /// The process is killed while it commits the page with this number.
    pub(super) crash: Option<(usize, Crash)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    /// Killed after this share of what the commit writes, in units of 2⁻¹⁶.
    Torn(u16),
    /// The power fails, and one sector of what was written is lost.
    Sector(usize),
}

/// An upstream call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contents {
    pub(super) named: bool,
    /// Minutes between its start and the time at which it is first written.
    pub(super) ago: i64,
    pub(super) minutes: i64,
    pub(super) talk: Talk,
    pub(super) client: Option<u8>,
    pub(super) readable_start: bool,
    pub(super) notes: u8,
    /// How the id is spelled: all spellings are one id.
    pub(super) spelling: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Talk {
    Missing,
    Unreadable,
    Millis(u16),
}

pub(super) fn contents() -> impl Strategy<Value = Contents> {
    let talk = prop_oneof![
        6 => any::<u16>().prop_map(Talk::Millis),
        1 => Just(Talk::Missing),
        1 => Just(Talk::Unreadable),
    ];
    let client = prop::option::weighted(0.9, 0u8..3);
    (
        prop::bool::weighted(0.85),
        0i64..400,
        0i64..5,
        talk,
        client,
        prop::bool::weighted(0.9),
        0u8..3,
        0u8..4,
    )
        .prop_map(
            |(named, ago, minutes, talk, client, readable_start, notes, spelling)| Contents {
                named,
                ago,
                minutes,
                talk,
                client,
                readable_start,
                notes,
                spelling,
            },
        )
}

pub(super) fn polls() -> impl Strategy<Value = Poll> {
    let crash = prop_oneof![
        any::<u16>().prop_map(Crash::Torn),
        (0usize..64).prop_map(Crash::Sector)
    ];
    (
        0usize..2,
        1usize..5,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.1, 0usize..3),
        prop::option::weighted(0.15, (0usize..3, crash)),
    )
        .prop_map(|(account, page, overlap, leaky, lost, crash)| Poll {
            account,
            page,
            overlap,
            leaky,
            lost,
            crash,
        })
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0usize..2, 0usize..8, contents()).prop_map(|(account, slot, call)| Step::Write { account, slot, call }),
        3 => (1i64..200).prop_map(|minutes| Step::Pass { minutes }),
        1 => (1i64..4).prop_map(|days| Step::Pass { minutes: days * 1440 }),
        8 => polls().prop_map(Step::Poll),
        1 => (0usize..2, 0u64..3).prop_map(|(output, but)| Step::Acknowledge { output, but }),
        1 => Just(Step::Restart),
        1 => prop::option::of(0usize..20).prop_map(|killed_after| Step::Checkpoint { killed_after }),
        1 => Just(Step::Snapshot),
        1 => (0u64..20).prop_map(|hours| Step::Retain { hours }),
    ];
    prop::collection::vec(step, 1..28)
}

/// A call upstream: what identifies it, when it really started, and what it contains now.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) number: usize,
    pub(super) start: i64,
    pub(super) contents: Contents,
}

/// What identifies a call: its id, or all of its contents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Id(usize),
    Contents(i64, Contents),
}

impl Upstream {
    pub(super) fn key(&self) -> Key {
        if self.contents.named {
            Key::Id(self.number)
        } else {
            Key::Contents(self.said_start(), self.said())
        }
    }

    /// The start that the API states; the same for all calls without a readable start.
    pub(super) fn said_start(&self) -> i64 {
        if self.contents.readable_start {
            self.start
        } else {
            0
        }
    }

    pub(super) fn said(&self) -> Contents {
        Contents {
            ago: 0,
            spelling: 0,
            ..self.contents.clone()
        }
    }

    pub(super) fn with_call<R>(&self, run: impl FnOnce(&Call<'_>) -> R) -> R {
        let id = self
            .contents
            .named
            .then(|| spell(self.number, self.contents.spelling));
        let client = self
            .contents
            .client
            .map(|client| format!("client-{client}"));
        let notes = self.contents.notes.to_string();
        run(&Call {
            id: id.as_deref(),
            client_id: client.as_deref(),
            start_time: if self.contents.readable_start {
                Reading::Known(self.start)
            } else {
                Reading::Unreadable("gestern")
            },
            duration_ms: Reading::Known(self.contents.minutes * 60_000),
            talk_ms: match self.contents.talk {
                Talk::Missing => Reading::Missing,
                Talk::Unreadable => Reading::Unreadable("NaN"),
                Talk::Millis(millis) => Reading::Known(millis.into()),
            },
            notes: Some(&notes),
            call_type: Some("Incoming"),
            answered_by: Some("Anna"),
            ..Call::default()
        })
    }
}

/// The id of a call: a GUID in one of its spellings.
fn spell(number: usize, spelling: u8) -> String {
    let digits = format!("{number:08x}{}", "0000a000b000c00000000000");
    let dashed = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-");
    match spelling {
        0 => digits,
        1 => dashed,
        2 => dashed.to_uppercase(),
        _ => format!("{{{dashed}}}"),
    }
}

/// The number of the call with this id.
pub(super) fn number_of(id: &str) -> usize {
    usize::from_str_radix(&id.trim_start_matches('{')[..8], 16).unwrap()
}
