//! The report of `callmeter charges`: sums by group and currency, and the calls that differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use callmeter_rating::Amount;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::Failure;

/// What a call costs by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) amount: Amount,
    pub(super) seconds: i64,
    pub(super) currency: String,
}

/// What a call costs, or why it costs nothing.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Costs(Cost),
    /// The reason that a charge has; `None` if there is no charge.
    Nothing(Option<String>),
}

impl Outcome {
    pub(super) fn cost(&self) -> Option<&Cost> {
        match self {
            Self::Costs(cost) => Some(cost),
            Self::Nothing(_) => None,
        }
    }
}

/// Why a call is rated otherwise than it was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Why {
    /// Its last version waits, or the rule is new.
    NotCharged,
    /// Its charge names another deck.
    OtherDeck,
    /// The deck is the same.
    OtherRules,
    /// No rule of this name selects it.
    RuleGone,
    /// By the deck of then, it costs what was charged.
    GivenDeck,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::NotCharged => {
                "its last version was not charged: it waits, or came before the entry or the rule"
            }
            Self::OtherDeck => "`rating` or the deck of the entry was changed after it was charged",
            Self::OtherRules => {
                "rules, numbers or the currency of the entry were changed after it was charged"
            }
            Self::RuleGone => "the configuration has no such rule that selects it now",
            Self::GivenDeck => "the deck of --deck rates it otherwise",
        }
    }
}

/// Charges in one currency, of one group.
#[derive(Debug, Default)]
struct Sums {
    charges: u64,
    seconds: i64,
    rated: Amount,
    charged: Amount,
}

/// A call whose cost is not what was charged; no amount: it is not charged.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    call_id: String,
    rule: String,
    rated: Option<String>,
    rated_currency: Option<String>,
    /// Why it costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    rated_reason: Option<String>,
    charged: Option<String>,
    charged_currency: Option<String>,
    /// Why nothing was charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    charged_reason: Option<String>,
    reason: Why,
}

impl Difference {
    pub(super) fn new(
        call_id: String,
        rule: String,
        rated: Outcome,
        charged: Outcome,
        reason: Why,
    ) -> Self {
        let parts = |outcome: Outcome| match outcome {
            Outcome::Costs(cost) => (Some(cost.amount.to_string()), Some(cost.currency), None),
            Outcome::Nothing(reason) => (None, None, reason),
        };
        let (rated, rated_currency, rated_reason) = parts(rated);
        let (charged, charged_currency, charged_reason) = parts(charged);
        Self {
            call_id,
            rule,
            rated,
            rated_currency,
            rated_reason,
            charged,
            charged_currency,
            charged_reason,
            reason,
        }
    }

    fn line(&self) -> String {
        let said = |amount: &Option<String>, currency: &Option<String>, why: &Option<String>| match (
            amount, currency, why,
        ) {
            (Some(amount), Some(currency), _) => format!("{amount} {currency}"),
            (_, _, Some(why)) => format!("nothing ({why})"),
            _ => "nothing".to_owned(),
        };
        let rated = said(&self.rated, &self.rated_currency, &self.rated_reason);
        let charged = said(&self.charged, &self.charged_currency, &self.charged_reason);
        let id = match self.call_id.as_str() {
            "" => "without an id",
            id => id,
        };
        format!(
            "  call {id} by {}: rated {}, charged {}: {}",
            self.rule,
            rated.trim_end(),
            charged.trim_end(),
            self.reason.words()
        )
    }
}

#[derive(Debug, Default)]
pub(super) struct Report {
    /// By group and currency. Calls that cost nothing have no currency.
    groups: BTreeMap<(String, String), Sums>,
    pub(super) differences: Vec<Difference>,
    /// Charges that wait, because there is no deck that they can be rated by.
    pub(super) without_deck: u64,
}

/// The most calls that the table names.
const NAMED: usize = 50;

const TITLES: [&str; 7] = [
    "group",
    "currency",
    "charges",
    "seconds",
    "rated",
    "charged",
    "difference",
];

impl Report {
    /// Adds a call by a rule. Amounts of different currencies are never added up.
    pub(super) fn add(&mut self, group: &str, rated: Option<&Cost>, charged: Option<&Cost>) {
        match (rated, charged) {
            (None, None) => self.sums(group, "").add(None, None),
            (Some(one), Some(other)) if one.currency == other.currency => {
                self.sums(group, &one.currency).add(rated, charged);
            }
            _ => {
                if let Some(one) = rated {
                    self.sums(group, &one.currency).add(rated, None);
                }
                if let Some(other) = charged {
                    self.sums(group, &other.currency).add(None, charged);
                }
            }
        }
    }

    fn sums(&mut self, group: &str, currency: &str) -> &mut Sums {
        let key = (group.to_owned(), currency.to_owned());
        self.groups.entry(key).or_default()
    }

    pub(super) fn table(&self) -> String {
        let [
            group,
            currency,
            charges,
            seconds,
            rated,
            charged,
            difference,
        ] = TITLES;
        let mut text = format!(
            "{group:<40} {currency:>8} {charges:>8} {seconds:>10} {rated:>14} {charged:>14} \
             {difference:>14}\n"
        );
        for ((group, currency), sums) in &self.groups {
            let currency = if currency.is_empty() { "-" } else { currency };
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "{group:<40} {currency:>8} {:>8} {:>10} {:>14} {:>14} {:>14}",
                sums.charges,
                sums.seconds,
                sums.rated,
                sums.charged,
                sums.rated - sums.charged
            );
        }
        if self.without_deck > 0 {
            let _ = writeln!(text, "waiting for a deck: {}", self.without_deck);
        }
        let _ = writeln!(
            text,
            "{} differ from what was charged",
            self.differences.len()
        );
        for one in self.differences.iter().take(NAMED) {
            let _ = writeln!(text, "{}", one.line());
        }
        let unlisted = self.differences.len().saturating_sub(NAMED);
        if unlisted > 0 {
            let _ = writeln!(text, "  and {unlisted} more; --format json names all");
        }
        text
    }

    pub(super) fn csv(&self) -> Result<String, Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(TITLES).map_err(Failure::failed)?;
        for ((group, currency), sums) in &self.groups {
            let row = [
                group.clone(),
                currency.clone(),
                sums.charges.to_string(),
                sums.seconds.to_string(),
                sums.rated.to_string(),
                sums.charged.to_string(),
                (sums.rated - sums.charged).to_string(),
            ];
            writer.write_record(row).map_err(Failure::failed)?;
        }
        let bytes = writer.into_inner().map_err(Failure::failed)?;
        String::from_utf8(bytes).map_err(Failure::failed)
    }

    pub(super) fn json(&self) -> Result<String, Failure> {
        #[derive(Serialize)]
        struct Group<'a> {
            #[serde(rename = "group")]
            name: &'a str,
            currency: &'a str,
            charges: u64,
            seconds: i64,
            rated: Box<RawValue>,
            charged: Box<RawValue>,
            difference: Box<RawValue>,
        }
        #[derive(Serialize)]
        struct Answer<'a> {
            groups: Vec<Group<'a>>,
            waiting_for_deck: u64,
            differences: &'a [Difference],
        }
        let exact =
            |amount: Amount| RawValue::from_string(amount.to_string()).map_err(Failure::failed);
        let groups = self.groups.iter().map(|((group, currency), sums)| {
            Ok(Group {
                name: group,
                currency,
                charges: sums.charges,
                seconds: sums.seconds,
                rated: exact(sums.rated)?,
                charged: exact(sums.charged)?,
                difference: exact(sums.rated - sums.charged)?,
            })
        });
        let answer = Answer {
            groups: groups.collect::<Result<_, Failure>>()?,
            waiting_for_deck: self.without_deck,
            differences: &self.differences,
        };
        let mut text = serde_json::to_string_pretty(&answer).map_err(Failure::failed)?;
        text.push('\n');
        Ok(text)
    }
}

impl Sums {
    fn add(&mut self, rated: Option<&Cost>, charged: Option<&Cost>) {
        self.charges += 1;
        if let Some(rated) = rated {
            self.seconds += rated.seconds;
            self.rated = self.rated + rated.amount;
        }
        if let Some(charged) = charged {
            self.charged = self.charged + charged.amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(text: &str, currency: &str) -> Cost {
        Cost {
            amount: text.parse().unwrap(),
            seconds: 60,
            currency: currency.to_owned(),
        }
    }

    /// Calls of two clients, in two currencies; one call changed its currency, one waits.
    fn report() -> Report {
        let mut report = Report::default();
        let (usd, eur) = (cost("0.5", "USD"), cost("0.70001", "EUR"));
        let no_match = || Outcome::Nothing(Some("no_match".to_owned()));
        let none = || Outcome::Nothing(None);
        let costs = |cost: &Cost| Outcome::Costs(cost.clone());
        let calls = [
            ("c1", costs(&usd), costs(&usd), Why::OtherRules),
            ("c1", costs(&eur), costs(&eur), Why::OtherRules),
            ("c1", costs(&eur), costs(&usd), Why::OtherDeck),
            ("c, 2", no_match(), no_match(), Why::OtherRules),
            ("c, 2", costs(&usd), none(), Why::NotCharged),
            ("c, 2", none(), costs(&usd), Why::RuleGone),
            ("c, 2", no_match(), costs(&usd), Why::GivenDeck),
            ("c, 2", costs(&eur), no_match(), Why::GivenDeck),
        ];
        for (number, (group, rated, charged, why)) in calls.into_iter().enumerate() {
            report.add(group, rated.cost(), charged.cost());
            if rated.cost() != charged.cost() {
                report.differences.push(Difference::new(
                    format!("call-{number}"),
                    "outgoing".to_owned(),
                    rated,
                    charged,
                    why,
                ));
            }
        }
        report.without_deck = 1;
        report
    }

    #[test]
    fn currencies_are_never_added_up() {
        insta::assert_snapshot!("table", report().table());
        insta::assert_snapshot!("csv", report().csv().unwrap());
        insta::assert_snapshot!("json", report().json().unwrap());
    }
}
