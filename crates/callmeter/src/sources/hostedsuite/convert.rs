//! From a row of HostedSuite's answer to a record of the data path, without copying its texts.

use api_client::Number;
use callmeter_records::{Call, Interaction, Reading, TimeReader};
use hostedsuite_client::CallRef;

/// Converts the rows of one page; its buffers are used again for each row.
pub(super) struct CallConverter<'p, 't> {
    times: &'t mut TimeReader,
    interactions: Vec<Interaction<'p>>,
    forms: Vec<&'p str>,
}

impl<'p, 't> CallConverter<'p, 't> {
    /// A converter that reads local times with `times`.
    pub(super) fn new(times: &'t mut TimeReader) -> Self {
        Self {
            times,
            interactions: Vec::new(),
            forms: Vec::new(),
        }
    }

    /// Hands `row` on as a record.
    pub(super) fn convert<R>(&mut self, row: CallRef<'p>, take: impl FnOnce(&Call<'_>) -> R) -> R {
        self.interactions.clear();
        let has_interactions = match row.interactions() {
            Some(list) => {
                for item in list {
                    let times = &mut *self.times;
                    self.interactions.push(Interaction {
                        start_time: Reading::parse(item.start_time(), |text| times.read(text)),
                        kind: item.interaction_type(),
                        description: item.description(),
                    });
                }
                true
            }
            None => false,
        };
        self.forms.clear();
        let has_forms = match row.completed_form_ids() {
            Some(list) => {
                self.forms.extend(list.flatten());
                true
            }
            None => false,
        };
        let times = &mut *self.times;
        let call = Call {
            id: row.id(),
            client_id: row.client_id(),
            client_name: row.client_name(),
            center_id: row.center_id(),
            start_time: Reading::parse(row.start_time(), |text| times.read(text)),
            caller_name: row.caller_name(),
            caller_number: row.caller_number(),
            transfer_to_name: row.transfer_to_name(),
            transfer_to_number: row.transfer_to_number(),
            notes: row.notes(),
            duration_ms: reading(row.duration().into_duration_ms()),
            ring_ms: reading(row.ring_time().into_duration_ms()),
            hold_ms: reading(row.hold_time().into_duration_ms()),
            talk_ms: reading(row.talk_time().into_duration_ms()),
            transfer_ms: reading(row.transfer_time().into_duration_ms()),
            work_ms: reading(row.work_time().into_duration_ms()),
            hold_count: whole(row.hold_count()),
            interactions: has_interactions.then_some(&self.interactions),
            completed_form_ids: has_forms.then_some(&self.forms),
            answered_by: row.answered_by(),
            server: row.server(),
            screen_pop: row.screen_pop(),
            flagged: reading(row.flagged()),
            flag_notes: row.flag_notes(),
            call_type: row.call_type(),
        };
        take(&call)
    }
}

/// What the client read, in the data path's words.
pub(in crate::sources) fn reading<T>(read: Result<Option<T>, &str>) -> Reading<'_, T> {
    match read {
        Ok(Some(value)) => Reading::Known(value),
        Ok(None) => Reading::Missing,
        Err(text) => Reading::Unreadable(text),
    }
}

/// A number that must be whole and fit 32 bits.
pub(in crate::sources) fn whole(number: Number<&str>) -> Reading<'_, i32> {
    let read = reading(number.into_whole());
    match number.into_text() {
        Some(text) => read.and_then(text, |value| i32::try_from(value).ok()),
        None => Reading::Missing,
    }
}

/// A decimal in units of 10⁻⁹.
pub(in crate::sources) fn decimal(number: Number<&str>) -> Reading<'_, i128> {
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
            assert_eq!(interactions[0].kind, Some("Answer"));
            assert_eq!(interactions[1].start_time, Reading::Missing);
        });
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
}
