//! What an instance tells the others of its work, in few bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::account::AccountStatus;
use super::charging::ChargingStatus;
use super::outputs::{OutputStatus, oldest};
use super::overview::Status;
use super::work_state::WorkState;
use callmeter_journal::{CHARGES_CURSOR, account_lease, output_lease};

/// The most bytes that an instance tells. What works is left out first; who works on it is known
/// all the same.
const MOST_BYTES: usize = 64 << 10;
/// The most characters of an error.
const MOST_OF_ERROR: usize = 200;

/// States by the names of their leases.
pub(crate) type WorkStates = BTreeMap<String, WorkState>;

impl WorkState {
    fn of_account(account: &AccountStatus) -> Self {
        let mut errors = account.tasks.iter().filter_map(|(task, status)| {
            let error = status.error.as_deref()?;
            Some(format!("{}: {error}", task.label()))
        });
        let days = account
            .calls
            .as_ref()
            .map_or(0, |calls| calls.unproven.len());
        Self {
            works: account.up(),
            error: errors.next().as_deref().map(shortened),
            last_success: account.last_success(),
            days_incomplete: days as u64,
            ..Self::default()
        }
    }

    fn of_output(output: &OutputStatus) -> Self {
        let streams = output.streams.iter();
        Self {
            works: (!output.starts()).then_some(output.up),
            error: output.error.as_deref().map(shortened),
            waiting: streams.clone().map(|stream| stream.backlog.records).sum(),
            oldest: streams.filter_map(oldest).min(),
            ..Self::default()
        }
    }

    fn of_charging(charging: &ChargingStatus) -> Self {
        let waits = charging.reason.is_some();
        let error = charging.error.as_ref().or(charging.reason.as_ref());
        Self {
            works: (charging.error.is_some() || !waits).then_some(charging.error.is_none()),
            error: error.map(|error| shortened(error)),
            waiting: charging.waiting,
            ..Self::default()
        }
    }
}

/// What this instance works on, by leases. The texts of the status have no secrets.
pub(crate) fn states(status: &Status) -> WorkStates {
    let accounts = status.accounts.iter();
    let accounts = accounts.map(|one| (account_lease(&one.name), WorkState::of_account(one)));
    let outputs = status.outputs.iter();
    let outputs = outputs.map(|one| (output_lease(&one.name), WorkState::of_output(one)));
    let charges = status.charges.iter();
    let charges = charges.map(|one| {
        let lease = output_lease(&format!("{CHARGES_CURSOR}{}", one.account));
        (lease, WorkState::of_charging(one))
    });
    accounts.chain(outputs).chain(charges).collect()
}

/// States as other instances read them, within a bound.
pub(crate) fn encode(states: &WorkStates) -> Vec<u8> {
    let mut all: Vec<_> = states.iter().collect();
    all.sort_by_key(|(_, state)| state.works == Some(true));
    let mut text = String::from("{");
    for (lease, state) in all {
        // Maps of texts, numbers and times are always JSON.
        let (Ok(lease), Ok(state)) = (serde_json::to_string(lease), serde_json::to_string(state))
        else {
            continue;
        };
        if text.len() + lease.len() + state.len() + 3 > MOST_BYTES {
            continue;
        }
        if text.len() > 1 {
            text.push(',');
        }
        let _ = write!(text, "{lease}:{state}");
    }
    text.push('}');
    text.into_bytes()
}

/// The states that another instance tells. One that says nothing, or says it in a way that only
/// another version understands, has none.
pub(crate) fn decode(text: &[u8]) -> WorkStates {
    serde_json::from_slice(text).unwrap_or_default()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_OF_ERROR) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_is_told_is_read_back() {
        let at: Timestamp = "2026-08-06T12:00:00.125Z".parse().unwrap();
        let failing = WorkState {
            works: Some(false),
            error: Some("calls: \"no\" \u{1f600}".to_owned()),
            last_success: Some(at),
            days_incomplete: 3,
            waiting: 5,
            oldest: Some(at),
        };
        let states = WorkStates::from([
            ("account/a".to_owned(), failing),
            ("output/b".to_owned(), WorkState::default()),
        ]);
        assert_eq!(decode(&encode(&states)), states);
        assert_eq!(decode(b""), WorkStates::new());
        assert_eq!(decode(b"{\"account/a\":{\"works\":7}}"), WorkStates::new());
        // What a later version adds is left out.
        let more = decode(b"{\"account/a\":{\"works\":true,\"mood\":1}}");
        assert_eq!(more["account/a"].works, Some(true));
    }

    #[test]
    fn what_is_told_is_bounded_and_what_fails_comes_first() {
        let error = shortened(&"é".repeat(10_000));
        assert_eq!(error.chars().count(), MOST_OF_ERROR + 1);
        let state = |number: usize| WorkState {
            works: Some(number % 100 != 99),
            error: Some(error.clone()),
            ..WorkState::default()
        };
        let states = (0..5_000).map(|number| (format!("account/{number}"), state(number)));
        let text = encode(&states.collect());
        assert!(
            (60 << 10..=MOST_BYTES).contains(&text.len()),
            "{}",
            text.len()
        );
        let told = decode(&text);
        let failing = told.values().filter(|one| one.works == Some(false));
        assert_eq!(failing.count(), 50);
        assert!(told.len() > 100, "{}", told.len());
    }
}
