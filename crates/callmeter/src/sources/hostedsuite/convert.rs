//! From rows of HostedSuite's answers to records, without copying their texts.
//!
//! The conversions come from the records' tables: each column is read from the member that its
//! table names. A name that the API's description does not have does not compile.

use api_client::Number;
use callmeter_records::{Balance, Call, Interaction, Reading, TimeReader};
use hostedsuite_client::{BalanceRef, CallRef, InteractionRef};

/// Converts the rows of one page; its buffers are used again for each row.
pub(crate) struct CallConverter<'p, 't> {
    times: &'t mut TimeReader,
    interactions: Vec<Interaction<'p>>,
    forms: Vec<&'p str>,
}

/// Reads a member as its kind of column wants it; lists are in the converter's buffers.
macro_rules! read {
    ($row:ident $source:ident $member:literal, texts, $times:expr, $lists:expr) => {
        $lists.1
    };
    ($row:ident $source:ident $member:literal, interactions, $times:expr, $lists:expr) => {
        $lists.0
    };
    ($row:ident $source:ident $member:literal, $kind:ident, $times:expr, $lists:expr) => {
        read!(
            $kind,
            $row.value(const { $source::member($member) }),
            $times
        )
    };
    (text, $value:expr, $times:expr) => {
        $value.text()
    };
    (id, $value:expr, $times:expr) => {
        $value.id()
    };
    (time, $value:expr, $times:expr) => {
        Reading::parse($value.time(), |text| $times.read(text))
    };
    (millis, $value:expr, $times:expr) => {
        reading($value.duration_ms())
    };
    (int, $value:expr, $times:expr) => {
        whole($value.number())
    };
    (decimal, $value:expr, $times:expr) => {
        decimal($value.number())
    };
    (truth, $value:expr, $times:expr) => {
        reading($value.flag())
    };
}

/// A record of a row, by the record's table.
macro_rules! record {
    (
        $record:ident from $row:ident: $source:ident, $times:expr, $lists:expr;
        $($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*
    ) => {
        $record { $($name: read!($row $source $member, $kind, $times, $lists),)* }
    };
}

impl<'p, 't> CallConverter<'p, 't> {
    /// A converter that reads local times with `times`.
    pub(crate) fn new(times: &'t mut TimeReader) -> Self {
        Self {
            times,
            interactions: Vec::new(),
            forms: Vec::new(),
        }
    }

    /// The reader of times, for another page.
    pub(crate) fn times(&mut self) -> &mut TimeReader {
        self.times
    }

    /// Passes `row` on as a record.
    pub(crate) fn convert<R>(&mut self, row: CallRef<'p>, take: impl FnOnce(&Call<'_>) -> R) -> R {
        let times = &mut *self.times;
        self.interactions.clear();
        let interactions = row.interactions().map(|list| {
            self.interactions.extend(list.map(|item| {
                callmeter_record_tables::interactions! { record
                    Interaction from item: InteractionRef, times, ((), ());
                }
            }));
            &*self.interactions
        });
        self.forms.clear();
        let forms = row.completed_form_ids().map(|list| {
            self.forms.extend(list.flatten());
            &*self.forms
        });
        let call = callmeter_record_tables::calls! { record
            Call from row: CallRef, times, (interactions, forms);
        };
        take(&call)
    }
}

/// A record of a client's balance in a period, which is given in UTC microseconds.
pub(crate) fn balance(row: BalanceRef<'_>, (start, end): (i64, i64)) -> Balance<'_> {
    macro_rules! field {
        (period_start $kind:ident $member:literal) => {
            Reading::Known(start)
        };
        (period_end $kind:ident $member:literal) => {
            Reading::Known(end)
        };
        ($name:ident $kind:ident $member:literal) => {
            read!($kind, row.value(const { BalanceRef::member($member) }), ())
        };
    }
    macro_rules! balance {
        ($($name:ident: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*) => {
            Balance { $($name: field!($name $kind $member),)* }
        };
    }
    callmeter_record_tables::balances! { balance }
}

/// What the client read, as the records have it.
pub(crate) fn reading<T>(read: Result<Option<T>, &str>) -> Reading<'_, T> {
    match read {
        Ok(Some(value)) => Reading::Known(value),
        Ok(None) => Reading::Missing,
        Err(text) => Reading::Unreadable(text),
    }
}

/// A number that must be whole and fit 32 bits.
pub(crate) fn whole(number: Number<&str>) -> Reading<'_, i32> {
    let read = reading(number.into_whole());
    match number.into_text() {
        Some(text) => read.and_then(text, |value| i32::try_from(value).ok()),
        None => Reading::Missing,
    }
}

/// A decimal in units of 10⁻⁹.
pub(crate) fn decimal(number: Number<&str>) -> Reading<'_, i128> {
    reading(number.into_scaled(9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostedsuite_client::{CallsPage, Format};
    use jiff::tz::TimeZone;

    fn converted(row: &str, check: impl FnOnce(&Call<'_>)) {
        let body = format!(r#"{{"Items":[{row}]}}"#);
        let page = CallsPage::parse(body.into(), Format::Json).unwrap();
        let mut times = TimeReader::new(TimeZone::get("America/New_York").unwrap());
        let mut converter = CallConverter::new(&mut times);
        let row = page.calls().next().unwrap().unwrap();
        converter.convert(row, check);
    }

    #[test]
    fn a_whole_record_keeps_its_values() {
        let row = r#"{"Id":"7","ClientId":"c","ClientName":"C","CenterId":"z","StartTime":"2026-08-06 08:45:00",
            "CallerName":"n","CallerNumber":"1","TransferToName":"t","TransferToNumber":"2","Notes":"x",
            "DurationInSeconds":61.5,"RingTimeInSeconds":0,"HoldTimeInSeconds":"1.25","HoldCount":2,
            "Interactions":[{"StartTime":"2026-08-06 08:45:10","Type":"Answer","Description":"d"},{}],
            "AnsweredBy":"op","Server":"s","TalkTimeInSeconds":60.0005,"TransferTimeInSeconds":1,
            "ScreenPop":"p","CompletedFormIds":["f1",null,"f2"],"Flagged":true,"FlagNotes":"q","Type":"Incoming",
            "WorkTimeInSeconds":3}"#;
        converted(row, |call| {
            assert_eq!(call.id, Some("7"));
            let start: jiff::Timestamp = "2026-08-06T12:45:00Z".parse().unwrap();
            assert_eq!(call.start_time, Reading::Known(start.as_microsecond()));
            assert_eq!(call.duration_ms, Reading::Known(61_500));
            assert_eq!(call.ring_ms, Reading::Known(0));
            assert_eq!(call.hold_ms, Reading::Known(1_250));
            assert_eq!(call.talk_ms, Reading::Known(60_001));
            assert_eq!(call.hold_count, Reading::Known(2));
            assert_eq!(call.completed_form_ids, Some(&["f1", "f2"][..]));
            assert_eq!(call.flagged, Reading::Known(true));
            let interactions = call.interactions.unwrap();
            assert_eq!(interactions.len(), 2);
            assert_eq!(interactions[0].interaction_type, Some("Answer"));
            assert_eq!(interactions[1].start_time, Reading::Missing);
        });
    }

    #[test]
    fn spaces_around_an_id_are_no_part_of_it() {
        converted(r#"{"Id":" 7 ","ClientId":"  "}"#, |call| {
            assert_eq!(call.id, Some("7"));
        });
    }

    #[test]
    fn ids_that_stand_for_none_are_none() {
        for id in [
            "00000000-0000-0000-0000-000000000000",
            "{00000000-0000-0000-0000-000000000000}",
            "00000000000000000000000000000000",
            "{0x00000000,0x0000,0x0000,{0x00,0x00,0x00,0x00,0x00,0x00,0x00,0x00}}",
            "0",
            "null",
            "NULL",
            " ",
        ] {
            converted(&format!(r#"{{"Id":"{id}"}}"#), |call| {
                assert_eq!(call.id, None, "{id}");
            });
        }
        for id in ["10", "00000000-0000-0000-0000-000000000001", "nullable"] {
            converted(&format!(r#"{{"Id":"{id}"}}"#), |call| {
                assert_eq!(call.id, Some(id));
            });
        }
    }

    #[test]
    fn times_that_stand_for_none_are_none() {
        for unset in [
            "1753-01-01T00:00:00",
            "1899-12-30 00:00:00",
            "1900-01-01T00:00:00Z",
            "1970-01-01T00:00:00",
            r"\/Date(0)\/",
            r"\/Date(-2208988800000+0000)\/",
            "0001-01-01T00:00:00",
            "0001-01-01 00:00:00",
            "0001-01-01",
            r"\/Date(-62135596800000)\/",
        ] {
            let row = format!(
                r#"{{"Id":"7","StartTime":"{unset}","Interactions":[{{"StartTime":"{unset}"}}]}}"#
            );
            converted(&row, |call| {
                assert_eq!(call.start_time, Reading::Missing, "{unset}");
                let interactions = call.interactions.unwrap();
                assert_eq!(interactions[0].start_time, Reading::Missing, "{unset}");
            });
        }
        for set in ["1971-01-01T00:00:00", r"\/Date(31536000000)\/"] {
            converted(&format!(r#"{{"StartTime":"{set}"}}"#), |call| {
                assert!(call.start_time.known().is_some(), "{set}");
            });
        }
    }

    #[test]
    fn unknown_is_not_zero_and_unreadable_keeps_its_text() {
        let row = r#"{"Id":"7","StartTime":"32.13.2026","TalkTimeInSeconds":NaN,"HoldTimeInSeconds":null,
            "WorkTimeInSeconds":-1,"HoldCount":99999999999,"Flagged":"perhaps"}"#;
        converted(row, |call| {
            assert_eq!(call.start_time, Reading::Unreadable("32.13.2026"));
            assert_eq!(call.talk_ms, Reading::Unreadable("NaN"));
            assert_eq!(call.hold_ms, Reading::Missing);
            assert_eq!(call.ring_ms, Reading::Missing);
            assert_eq!(call.work_ms, Reading::Unreadable("-1"));
            assert_eq!(call.hold_count, Reading::Unreadable("99999999999"));
            assert_eq!(call.flagged, Reading::Unreadable("perhaps"));
            assert_eq!(call.interactions, None);
        });
    }

    /// The source members of a table.
    macro_rules! members {
        ($($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*) => {
            [$($member),*]
        };
    }

    #[test]
    fn every_member_that_the_api_describes_is_a_column() {
        let calls = callmeter_record_tables::calls! { members };
        let interactions = callmeter_record_tables::interactions! { members };
        let balances = callmeter_record_tables::balances! { members };
        for (table, described, used) in [
            ("calls", CallRef::MEMBERS, &calls[..]),
            ("interactions", InteractionRef::MEMBERS, &interactions[..]),
            ("balances", BalanceRef::MEMBERS, &balances[..]),
        ] {
            let unused: Vec<_> = described
                .iter()
                .filter(|member| !used.contains(member))
                .collect();
            assert!(
                unused.is_empty(),
                "nothing uses {unused:?} of specs/hostedsuite.yaml: add a line for each to `{table}` in crates/record-tables/src/lib.rs"
            );
        }
    }
}
