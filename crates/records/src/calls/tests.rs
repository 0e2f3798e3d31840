//! A batch of calls returns what was put into it.

use proptest::prelude::*;

use super::*;
use crate::common::{BatchHead, Change};
use crate::hash::FieldHasher;
use crate::reading::Reading;

const HEAD: BatchHead<'_> = BatchHead {
    account: "acme",
    first_sequence: 41,
    observed_at: 1_786_005_900_000_000,
};

/// A call with owned fields, for strategies.
#[derive(Clone, Debug)]
struct Owned {
    texts: [Option<String>; 14],
    numbers: [Kind<i64>; 7],
    hold_count: Kind<i32>,
    flagged: Kind<bool>,
    interactions: Option<Vec<OwnedInteraction>>,
    form_ids: Option<Vec<String>>,
}

/// Time, kind and description.
type OwnedInteraction = (Kind<i64>, Option<String>, Option<String>);

#[derive(Clone, Debug)]
enum Kind<T> {
    Missing,
    Known(T),
    Unreadable(String),
}

impl<T: Copy> Kind<T> {
    fn reading(&self) -> Reading<'_, T> {
        match self {
            Self::Missing => Reading::Missing,
            Self::Known(value) => Reading::Known(*value),
            Self::Unreadable(text) => Reading::Unreadable(text),
        }
    }
}

fn kind<T: Clone + std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Kind<T>> {
    prop_oneof![
        1 => Just(Kind::Missing),
        4 => value.prop_map(Kind::Known),
        1 => ".{0,6}".prop_map(Kind::Unreadable),
    ]
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{0,8}")
}

fn call() -> impl Strategy<Value = Owned> {
    (
        prop::array::uniform14(text()),
        prop::array::uniform7(kind(any::<i64>())),
        kind(any::<i32>()),
        kind(any::<bool>()),
        prop::option::of(prop::collection::vec(
            (kind(any::<i64>()), text(), text()),
            0..3,
        )),
        prop::option::of(prop::collection::vec(".{0,4}", 0..3)),
    )
        .prop_map(
            |(texts, numbers, hold_count, flagged, interactions, form_ids)| Owned {
                texts,
                numbers,
                hold_count,
                flagged,
                interactions,
                form_ids,
            },
        )
}

/// The call of generated values: the next text for each text, the next number for each number.
macro_rules! filled {
    ($texts:ident $numbers:ident $rest:ident $interactions:ident $form_ids:ident;
        $($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*
    ) => {
        Call { $($name: filled!(@$kind $texts $numbers $rest $interactions $form_ids),)* }
    };
    (@text $texts:ident $($rest:ident)*) => { $texts.next().and_then(Option::as_deref) };
    (@id $texts:ident $($rest:ident)*) => { $texts.next().and_then(Option::as_deref) };
    (@time $texts:ident $numbers:ident $($rest:ident)*) => { $numbers.next().map_or(Reading::Missing, Kind::reading) };
    (@millis $texts:ident $numbers:ident $($rest:ident)*) => { $numbers.next().map_or(Reading::Missing, Kind::reading) };
    (@int $texts:ident $numbers:ident $owned:ident $($rest:ident)*) => { $owned.hold_count.reading() };
    (@truth $texts:ident $numbers:ident $owned:ident $($rest:ident)*) => { $owned.flagged.reading() };
    (@interactions $texts:ident $numbers:ident $owned:ident $interactions:ident $form_ids:ident) => { $interactions };
    (@texts $texts:ident $numbers:ident $owned:ident $interactions:ident $form_ids:ident) => { $form_ids };
}

fn with_call<R>(owned: &Owned, run: impl FnOnce(&Call<'_>) -> R) -> R {
    let mut texts = owned.texts.iter();
    let mut numbers = owned.numbers.iter();
    let interactions: Option<Vec<_>> = owned.interactions.as_ref().map(|list| {
        list.iter()
            .map(|(time, kind, description)| Interaction {
                start_time: time.reading(),
                interaction_type: kind.as_deref(),
                description: description.as_deref(),
            })
            .collect()
    });
    let form_ids: Option<Vec<_>> = owned
        .form_ids
        .as_ref()
        .map(|ids| ids.iter().map(String::as_str).collect());
    let (interactions, form_ids) = (interactions.as_deref(), form_ids.as_deref());
    let call =
        callmeter_record_tables::calls! { filled texts numbers owned interactions form_ids; };
    run(&call)
}

proptest! {
    #[test]
    fn a_batch_keeps_every_value(calls in prop::collection::vec((call(), any::<bool>()), 0..6)) {
        let mut builder = CallsBuilder::with_capacity(2);
        let mut hasher = FieldHasher::new();
        let mut fingerprints = Vec::new();
        for (owned, revised) in &calls {
            with_call(owned, |call| {
                fingerprints.push(call.fingerprint(&mut hasher));
                if *revised {
                    let previous = Previous {
                        revision: 3,
                        client_id: call.center_id,
                        flagged: Some(true),
                        durations: [None, Some(1), Some(2), None, Some(4), Some(5)],
                        ..Previous::default()
                    };
                    builder.append_revised(call, &previous);
                } else {
                    builder.append(call);
                }
            });
        }
        let batch = builder.finish(&HEAD).unwrap();
        prop_assert!(builder.is_empty());
        let view = CallsView::new(&batch).unwrap();
        prop_assert_eq!(view.len(), calls.len());
        prop_assert!(view.row(calls.len()).is_none());
        for (index, (row, (owned, revised))) in view.rows().zip(&calls).enumerate() {
            with_call(owned, |call| {
                prop_assert_eq!(row.account(), "acme");
                prop_assert_eq!(row.sequence(), 41 + i64::try_from(index).unwrap());
                prop_assert_eq!(row.observed_at(), HEAD.observed_at);
                prop_assert_eq!(row.revision(), if *revised { 4 } else { 0 });
                prop_assert_eq!(row.change(), Some(if *revised { Change::Revised } else { Change::New }));
                prop_assert_eq!(row.id(), call.id());
                prop_assert_eq!(row.notes(), call.notes);
                prop_assert_eq!(row.screen_pop(), call.screen_pop);
                prop_assert_eq!(row.start_time(), call.start_time.known());
                prop_assert_eq!(row.durations(), call.durations().map(Reading::known));
                prop_assert_eq!(row.talk_ms(), call.talk_ms.known());
                prop_assert_eq!(row.flagged(), call.flagged.known());
                prop_assert_eq!(
                    row.interactions().map(Iterator::collect::<Vec<_>>),
                    call.interactions.map(|list| list.iter().map(|item| Interaction {
                        start_time: item.start_time.known().into(), interaction_type: item.interaction_type, description: item.description,
                    }).collect())
                );
                prop_assert_eq!(
                    row.completed_form_ids().map(Iterator::collect::<Vec<_>>),
                    call.completed_form_ids.map(<[_]>::to_vec)
                );
                prop_assert_eq!(row.previous().is_some(), *revised);
                if let Some(previous) = row.previous() {
                    prop_assert_eq!(previous.revision, 3);
                    prop_assert_eq!(previous.client_id, call.center_id);
                    prop_assert_eq!(previous.durations, [None, Some(1), Some(2), None, Some(4), Some(5)]);
                }
                // A row that is read back has the same fingerprint as the record that was written.
                prop_assert_eq!(row.fingerprint(&mut hasher), fingerprints[index]);
                Ok(())
            })?;
        }
    }

    #[test]
    fn any_other_field_is_another_fingerprint(owned in call(), which in 0usize..14, other in ".{1,8}") {
        let mut changed = owned.clone();
        prop_assume!(owned.texts[which].as_ref() != Some(&other));
        changed.texts[which] = Some(other);
        let mut hasher = FieldHasher::new();
        let before = with_call(&owned, |call| call.fingerprint(&mut hasher));
        prop_assert_ne!(with_call(&changed, |call| call.fingerprint(&mut hasher)), before);
        prop_assert_eq!(with_call(&owned, |call| call.fingerprint(&mut hasher)), before);
    }
}

#[test]
fn a_batch_of_another_stream_is_refused() {
    let batch = crate::BillingBuilder::new().finish(&HEAD).unwrap();
    insta::assert_snapshot!(CallsView::new(&batch).unwrap_err(), @"the batch has no column `id`");
}

#[test]
fn directions() {
    for (text, direction) in [
        (None, "unknown"),
        (Some(""), "unknown"),
        (Some("Incoming"), "incoming"),
        (Some("OUTGOING"), "outgoing"),
        (Some("transfer"), "transfer"),
        (Some("Fax"), "other"),
    ] {
        assert_eq!(Direction::of_type(text).as_str(), direction);
    }
}
