//! What the calls of each client cost, on the page of usage: by client, and by type of destination.
//! The figures are those of `callmeter_charges_total` with its corrections, added up exactly.

use std::collections::{BTreeMap, HashMap};

use callmeter_meter::{FamilyId, Snapshot, Values, pairs};
use callmeter_rating::Amount;
use jiff::Timestamp;
use maud::{Markup, html};

use super::words::number;

/// The most clients that are listed for a currency.
const CLIENTS: usize = 50;
/// The most types of destinations that are listed for a currency.
const TYPES: usize = 10;

/// All charges of an account.
#[derive(Debug, Default)]
pub(super) struct Spend {
    /// Since when the account is counted.
    since: Option<i64>,
    has_minutes: bool,
    by_currency: BTreeMap<String, InCurrency>,
}

/// Amounts and seconds in one currency. Amounts of two currencies are never added up.
#[derive(Debug, Default)]
struct InCurrency {
    all: Sum,
    clients: HashMap<String, Sum>,
    types: HashMap<String, Sum>,
}

/// An amount in units of 10⁻⁹, and whole seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    amount: i128,
    seconds: i128,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.amount += other.amount;
        self.seconds += other.seconds;
    }
}

/// The spend of the accounts that have charges, as far as its families are shown: a sum without its
/// corrections would be wrong.
pub(super) fn spend(snapshot: &Snapshot) -> BTreeMap<String, Spend> {
    let mut accounts = BTreeMap::new();
    let shows = |families: [FamilyId; 2]| {
        let view = snapshot.view();
        families.into_iter().all(|family| view.shows(family))
    };
    let amounts = [FamilyId::Charges, FamilyId::ChargeCorrections];
    if !shows(amounts) {
        return accounts;
    }
    for family in amounts {
        add(&mut accounts, snapshot, family, |amount| Sum {
            amount,
            seconds: 0,
        });
    }
    let seconds = [FamilyId::ChargedSeconds, FamilyId::ChargeCorrectionsSeconds];
    if shows(seconds) {
        for family in seconds {
            add(&mut accounts, snapshot, family, |seconds| Sum {
                amount: 0,
                seconds,
            });
        }
        for spend in accounts.values_mut() {
            spend.has_minutes = true;
        }
    }
    accounts
}

fn add(
    accounts: &mut BTreeMap<String, Spend>,
    snapshot: &Snapshot,
    family: FamilyId,
    sum: impl Fn(i128) -> Sum,
) {
    for block in snapshot.blocks(family) {
        let Values::Amounts(values, _) = block.values else {
            continue;
        };
        for (row, value) in values.iter().enumerate() {
            let [mut account, mut client, mut rate_type, mut currency] =
                [const { String::new() }; 4];
            for (label, value) in pairs(block.labels.row(row)) {
                match label {
                    "account" => account = value.into_owned(),
                    "client_id" => client = value.into_owned(),
                    "rate_type" => rate_type = value.into_owned(),
                    "currency" => currency = value.into_owned(),
                    _ => {}
                }
            }
            let spend = accounts.entry(account).or_default();
            // Gauges have none.
            if let Some(created) = block.created.get(row).filter(|created| **created > 0) {
                spend.since = Some(spend.since.map_or(*created, |since| since.min(*created)));
            }
            let sums = spend.by_currency.entry(currency).or_default();
            let sum = sum(*value);
            sums.all.add(sum);
            sums.clients.entry(client).or_default().add(sum);
            sums.types.entry(rate_type).or_default().add(sum);
        }
    }
}

impl Spend {
    /// The clients that the page lists.
    pub(super) fn listed_clients(&self) -> Vec<&str> {
        let currencies = self.by_currency.values();
        currencies
            .flat_map(|sums| most(&sums.clients, CLIENTS))
            .map(|(client, _)| client)
            .collect()
    }

    /// All of it in one line.
    pub(super) fn in_words(&self) -> String {
        let sums = self.by_currency.iter();
        let sums: Vec<_> = sums
            .map(|(currency, sums)| money(sums.all, currency))
            .collect();
        sums.join(", ")
    }
}

/// The section of an account. `names` are those of the listed clients, as far as they are known.
pub(super) fn section(spend: &Spend, names: &HashMap<String, String>) -> Markup {
    let since = spend
        .since
        .and_then(|since| Timestamp::from_microsecond(since).ok());
    html! {
        section {
            h2 { "Spend" }
            @for (currency, sums) in &spend.by_currency {
                article {
                    p.fact {
                        strong { (money(sums.all, currency)) }
                        @if spend.has_minutes { " for " (minutes(sums.all)) " min" }
                        ": all charges"
                        @if let Some(since) = since {
                            " since the calls of the account are counted (" (since.strftime("%Y-%m-%d")) ")"
                        }
                        ", with what edits have changed."
                    }
                    (table(("Client", spend.has_minutes), &sums.clients, CLIENTS, currency, |client| {
                        names.get(client).filter(|name| !name.is_empty()).cloned()
                    }))
                    (table(("Type of destination", spend.has_minutes), &sums.types, TYPES, currency, |_| None))
                }
            }
        }
    }
}

fn table(
    (title, has_minutes): (&str, bool),
    sums: &HashMap<String, Sum>,
    listed: usize,
    currency: &str,
    name: impl Fn(&str) -> Option<String>,
) -> Markup {
    let shown = most(sums, listed);
    let rest = sums.len() - shown.len();
    html! {
        div.scroll { table.spend {
            thead { tr {
                th { (title) }
                th.figures { "Spend" }
                @if has_minutes { th.figures { "Minutes" } }
            } }
            tbody {
                @for (key, sum) in shown {
                    tr {
                        th {
                            @if let Some(name) = name(key) { (name) small { (key) } } @else { (key) }
                        }
                        td.figures data-label="Spend" { (money(sum, currency)) }
                        @if has_minutes { td.figures data-label="Minutes" { (minutes(sum)) } }
                    }
                }
            }
        } }
        @if rest > 0 { p.fact { "and " (number(rest as u64)) " more" } }
    }
}

/// Those that cost most, the highest first.
fn most(sums: &HashMap<String, Sum>, listed: usize) -> Vec<(&str, Sum)> {
    let mut all: Vec<_> = sums.iter().map(|(key, sum)| (key.as_str(), *sum)).collect();
    all.sort_unstable_by(|(key, sum), (other_key, other)| {
        let by_amount = other.amount.cmp(&sum.amount);
        by_amount.then_with(|| key.cmp(other_key))
    });
    all.truncate(listed);
    all
}

fn money(sum: Sum, currency: &str) -> String {
    let amount = Amount::from_parts(sum.amount, 9);
    match amount {
        Ok(amount) => format!("{amount} {currency}"),
        // Beyond 90 million million.
        Err(_) => format!("{} {currency}", sum.amount / 1_000_000_000),
    }
}

/// Whole minutes, rounded up.
fn minutes(sum: Sum) -> String {
    let minutes = (sum.seconds + 59).div_euclid(60);
    number(u64::try_from(minutes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use callmeter_meter::{Api, Client, Ledger, Limits, View};
    use callmeter_records::{
        BatchHead, Call, CallsBuilder, Charge, ChargesBuilder, Reading, RowMark, Stream,
    };

    use super::*;

    const NOW: i64 = 1_786_019_400_000_000;

    /// Charges of `client`, `rate type`, `currency`, an amount in hundredths, and what it was.
    fn ledger(charges: &[(&str, &str, &str, i128, Option<i128>)]) -> Ledger {
        let mut ledger = Ledger::new(Limits::default());
        ledger.configure("acme", Api::HostedSuite);
        let client = Client {
            client_id: "c1".to_owned(),
            client_name: Some("Smith & Sons".to_owned()),
            ..Client::default()
        };
        ledger.set_clients("acme", NOW, vec![client]);
        let mut builder = ChargesBuilder::new();
        let known = |hundredths: i128| Reading::Known(hundredths * 10_000_000);
        for (client, rate_type, currency, amount, before) in charges {
            let mark = match before {
                None => RowMark::NEW,
                Some(_) => RowMark {
                    revision: 1,
                    change: callmeter_records::Change::Revised,
                },
            };
            let charge = Charge {
                client_id: Some(client),
                rate_type: Some(rate_type),
                currency: Some(currency),
                amount: known(*amount),
                billed_seconds: Reading::Known(60),
                previous_client_id: before.map(|_| *client),
                previous_rate_type: before.map(|_| *rate_type),
                previous_currency: before.map(|_| *currency),
                previous_amount: before.map_or(Reading::Missing, known),
                previous_billed_seconds: before.map_or(Reading::Missing, |_| Reading::Known(60)),
                ..Charge::default()
            };
            builder.append(mark, &charge);
        }
        let head = BatchHead {
            account: "acme",
            first_sequence: 1,
            observed_at: NOW,
        };
        let mut calls = CallsBuilder::new();
        calls.append(&Call::default());
        let calls = calls.finish(&head).unwrap();
        ledger.apply(1, Stream::Calls, &calls).unwrap();
        let batch = builder.finish(&head).unwrap();
        ledger.apply(2, Stream::Charges, &batch).unwrap();
        ledger
    }

    #[test]
    fn spend_is_shown_by_client_and_type_and_never_across_currencies() {
        let mut ledger = ledger(&[
            ("c1", "MOBILE", "USD", 33, None),
            ("c1", "LOCAL", "USD", 5, None),
            ("c2", "LOCAL", "USD", 50, None),
            ("c1", "LOCAL", "EUR", 7, None),
            // An edit that makes the call cheaper.
            ("c2", "LOCAL", "USD", 10, Some(50)),
        ]);
        let snapshot = ledger.snapshot();
        let all = spend(&snapshot);
        let acme = &all["acme"];
        assert_eq!(acme.in_words(), "0.07 EUR, 0.48 USD");
        assert_eq!(acme.listed_clients(), ["c1", "c1", "c2"]);
        let names = HashMap::from([("c1".to_owned(), "Smith & Sons".to_owned())]);
        let page = section(acme, &names).into_string();
        insta::assert_snapshot!(page.replace("><", ">\n<"));
    }

    #[test]
    fn only_the_clients_that_cost_most_are_listed() {
        let ids: Vec<_> = (0..1_000).map(|id| format!("c{id:04}")).collect();
        let numbered = (0_u32..).zip(&ids);
        let charges: Vec<_> = numbered
            .map(|(number, id)| (id.as_str(), "LOCAL", "USD", i128::from(number), None))
            .collect();
        let snapshot = ledger(&charges).snapshot();
        let all = spend(&snapshot);
        let page = section(&all["acme"], &HashMap::new()).into_string();
        assert!(page.contains("c0999") && page.contains("c0950") && !page.contains("c0949"));
        assert!(page.contains("and 950 more"), "{page}");
        assert!(page.contains("4995 USD"), "{page}");
    }

    #[test]
    fn what_is_hidden_is_not_on_the_page() {
        let mut ledger = ledger(&[("c1", "MOBILE", "USD", 33, None)]);
        let mut hide = |family| {
            let mut view = View::everything();
            view.hidden.insert(family);
            ledger.set_view(view);
            spend(&ledger.snapshot())
        };
        assert!(hide(FamilyId::Charges).is_empty());
        assert!(hide(FamilyId::ChargeCorrections).is_empty());
        for family in [FamilyId::ChargedSeconds, FamilyId::ChargeCorrectionsSeconds] {
            let page = section(&hide(family)["acme"], &HashMap::new()).into_string();
            assert!(page.contains("0.33 USD") && !page.contains("min"), "{page}");
            assert!(!page.contains("Minutes"), "{page}");
        }
    }
}
