//! What `callmeter charges` says of a journal after the configuration was changed.

use callmeter_journal::Reader;

use super::decks::Decks;
use super::entry;
use super::rerate::Run;
use crate::charging::test_rig::{HEADER, Rig, rate};
use crate::cli::ChargeGroup;
use crate::config::{Charging, Deck};

impl Rig {
    fn report(&self, deck: Option<&str>) -> String {
        let mut reader = Reader::open(self.dir.path().join("j.db")).unwrap();
        let decks = Decks::find(&mut reader, &self.entry, deck).unwrap();
        let run = Run::new(reader, &self.entry, 0..i64::MAX, ChargeGroup::Client);
        run.report(decks).unwrap().table()
    }
}

/// Two calls that are charged in USD, and one in EUR.
fn two_currencies() -> Rig {
    let mut rig = Rig::of_account(None);
    rig.rates(&[rate(50)]);
    rig.currency("USD");
    rig.call("a", "Outgoing", 1);
    rig.call("b", "Outgoing", 2);
    rig.currency("EUR");
    rig.rates(&[rate(70)]);
    rig.call("c", "Outgoing", 1);
    rig.call("in", "Incoming", 1);
    rig.round();
    rig
}

#[test]
fn currencies_stay_apart_whatever_the_deck() {
    let rig = two_currencies();
    insta::assert_snapshot!("currencies", rig.report(None));
    let other = rig.dir.path().join("other.csv");
    std::fs::write(&other, format!("{HEADER}41,A,0,60,0.1,0,60,0.1,0,0\n")).unwrap();
    // A file has no currency: that of each call.
    insta::assert_snapshot!("currencies_by_a_file", rig.report(other.to_str()));
    assert_eq!(rig.report(Some("hq")), rig.report(Some("spend")));
}

#[test]
fn changed_options_rules_and_names_are_reasons_for_differences() {
    let mut rig = two_currencies();
    rig.entry.rating.cost_decimals = 0;
    insta::assert_snapshot!("other_options", rig.report(None));
    rig.entry.rating.cost_decimals = 5;
    rig.entry.currency = Some("CHF".to_owned());
    insta::assert_snapshot!("other_currency", rig.report(None));
    rig.entry.currency = None;
    rig.entry.rules[0].name = "out".to_owned();
    insta::assert_snapshot!("other_rule", rig.report(None));
    rig.entry.rules[0].name = "outgoing".to_owned();
    rig.call("c", "Outgoing", 2);
    insta::assert_snapshot!("edited", rig.report(None));
}

/// The rates of a file are journaled under the name of the entry that charged the call.
#[test]
fn a_renamed_entry_is_compared_by_the_file_of_then() {
    let mut rig = Rig::new(Deck::File, Some("EUR"));
    rig.file(&format!("{HEADER}41,A,0,60,0.5,0,60,0.5,0,0\n"));
    rig.round();
    rig.call("a", "Outgoing", 1);
    rig.round();
    rig.rename("new");
    rig.file(&format!("{HEADER}41,A,0,60,0.9,0,60,0.9,0,0\n"));
    rig.round();
    rig.call("b", "Outgoing", 1);
    let (_, charges) = rig.round();
    assert_eq!(charges, ["a 50 EUR", "b 90 EUR"]);
    insta::assert_snapshot!("renamed", rig.report(None));
}

/// Without a deck, calls are listed as waiting and are not left out.
#[test]
fn calls_that_wait_are_in_the_report() {
    let mut rig = Rig::of_account(Some("USD"));
    rig.call("a", "Outgoing", 1);
    rig.call("in", "Incoming", 1);
    rig.round();
    insta::assert_snapshot!("waiting", rig.report(None));
}

/// They are several calls, not one that was edited.
#[test]
fn calls_without_an_id_are_added_up() {
    let mut rig = Rig::of_account(Some("USD"));
    rig.rates(&[rate(50)]);
    for minutes in 1..4 {
        rig.call_of("c1", None, "Outgoing", minutes);
    }
    rig.round();
    insta::assert_snapshot!("without_ids", rig.report(None));
}

/// Which of the two made the difference: the deck that was given, or a change of the entry.
#[test]
fn a_given_deck_is_the_reason_only_if_nothing_else_changed() {
    let mut rig = two_currencies();
    rig.call("d", "Outgoing", 0);
    rig.round();
    let other = rig.dir.path().join("other.csv");
    std::fs::write(&other, format!("{HEADER}49,A,0,60,0.1,0,60,0.1,0,0\n")).unwrap();
    insta::assert_snapshot!("given_deck", rig.report(other.to_str()));
    rig.entry.rating.cost_decimals = 0;
    insta::assert_snapshot!("given_deck_and_other_options", rig.report(other.to_str()));
}

#[test]
fn an_entry_that_is_not_there_is_named() {
    let rig = Rig::of_account(None);
    let mut other = rig.entry.clone();
    other.name = "other".to_owned();
    let said = |entries: &[Charging], name| match entry(entries, name) {
        Ok(entry) => entry.name.clone(),
        Err(failure) => failure.to_string(),
    };
    let one = [rig.entry.clone()];
    let two = [rig.entry.clone(), other];
    insta::assert_snapshot!(
        "entries",
        [
            said(&[], None),
            said(&[], Some("spend")),
            said(&one, None),
            said(&one, Some("x")),
            said(&two, None),
            said(&two, Some("other")),
            said(&two, Some("x")),
        ]
        .join("\n")
    );
}
