//! `callmeter charges`: rates again what the journal holds, and compares it with what was charged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use callmeter_journal::{BatchSeq, Filter, Reader};
use callmeter_rating::{Amount, Deck};
use callmeter_records::{CallsView, CanonicalId, Change, ChargesView, Stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::journal;
use crate::charging::{self, CurrentDeck, Priced, charge_call, read_deck_file};
use crate::cli::{ChargeGroup, ChargesArgs, ChargesFormat};
use crate::config::{self, Charging};
use crate::exit::Failure;
use crate::pipeline::journal_failure;

/// Prints what calls cost, and where that differs from what was charged.
///
/// # Errors
/// If there is no entry of `charges`, a time is invalid, or the journal or the deck cannot be read.
pub fn run(args: &ChargesArgs) -> Result<(), Failure> {
    let from = super::export::micros(&args.from, "--from")?;
    let to = super::export::micros(&args.to, "--to")?;
    if from >= to {
        return Err(Failure::failed("--from must be before --to"));
    }
    let config = config::load_for_stored_data(&args.journal.config.config_file)?;
    let entry = entry(&config, args.charge.as_deref())?;
    let path = journal::path(&args.journal)?;
    let reader = Reader::open(&path).map_err(journal_failure)?;
    let mut run = Run {
        reader,
        entry,
        window: from..to,
        group: args.group,
        found: BTreeMap::new(),
    };
    let decks = Decks::find(&mut run.reader, entry, args.deck.as_deref())?;
    run.rate_again(decks)?;
    run.read_charged()?;
    let report = run.report();
    let text = match args.format {
        ChargesFormat::Table => report.table(),
        ChargesFormat::Csv => report.csv()?,
        ChargesFormat::Json => report.json()?,
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}

fn entry<'c>(config: &'c config::Config, name: Option<&str>) -> Result<&'c Charging, Failure> {
    let found = match (name, config.charges.as_slice()) {
        (None, [entry]) => Some(entry),
        (None, _) => None,
        (Some(name), entries) => entries.iter().find(|entry| entry.name == name),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = config.charges.iter().map(|one| one.name.as_str()).collect();
        Failure::failed(format!(
            "name an entry of `charges` with --charge; the configuration has: {}",
            names.join(", ")
        ))
    })
}

/// The decks that calls are rated by.
enum Decks {
    /// As of each call, as they were charged.
    AsOfEachCall(Box<CurrentDeck>),
    /// One for all.
    One(Box<Priced>),
}

impl Decks {
    fn find(reader: &mut Reader, entry: &Charging, deck: Option<&str>) -> Result<Self, Failure> {
        let options = &entry.rating;
        let one = |deck| {
            Self::One(Box::new(Priced {
                deck,
                currency: entry.currency.clone(),
                fingerprint: String::new(),
            }))
        };
        let Some(deck) = deck else {
            let account = charging::deck_account(entry);
            let currency = entry.currency.as_deref();
            let start = BatchSeq::START;
            let current = CurrentDeck::new(reader, account, currency, options, start);
            return Ok(Self::AsOfEachCall(Box::new(
                current.map_err(Failure::failed)?,
            )));
        };
        if Path::new(deck).is_file() {
            let file = read_deck_file(Path::new(deck)).map_err(Failure::failed)?;
            let (owned, _) = file.records();
            let records = owned.records();
            let rows = records.iter().map(charging::rating_row);
            let built = Deck::build(rows, options).map_err(Failure::failed)?;
            return Ok(one(built.deck));
        }
        let state = reader
            .deck_state(deck, BatchSeq(u64::MAX))
            .map_err(journal_failure)?;
        if !state.has_rates() {
            return Err(Failure::failed(format!(
                "there is no file {deck}, and the journal has no rates of an account {deck}"
            )));
        }
        let (built, _) = charging::build(&state, options).map_err(Failure::failed)?;
        Ok(one(built.deck))
    }
}

/// What a call costs by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cost {
    amount: Amount,
    seconds: i64,
    currency: String,
}

/// A call by a rule: rated again, and as it was charged.
#[derive(Debug, Default)]
struct Found {
    group: String,
    id: String,
    rated: Option<Cost>,
    charged: Option<Cost>,
}

struct Run<'c> {
    reader: Reader,
    entry: &'c Charging,
    window: std::ops::Range<i64>,
    group: ChargeGroup,
    found: BTreeMap<(Vec<u8>, String), Found>,
}

impl Run<'_> {
    /// Rates the last version of each call.
    fn rate_again(&mut self, mut decks: Decks) -> Result<(), Failure> {
        let bar = journal::progress(self.reader.head().map_err(journal_failure)?.0);
        let mut after = BatchSeq::START;
        let filter = self.filter(Stream::Calls);
        while let Some(batch) = self
            .reader
            .next_matching(&filter, after)
            .map_err(journal_failure)?
        {
            after = batch.meta.seq;
            bar.set_position(after.0);
            let priced = match &mut decks {
                Decks::One(priced) => Some(&**priced),
                Decks::AsOfEachCall(current) => current
                    .for_calls(&mut self.reader, after)
                    .map_err(Failure::failed)?,
            };
            let view = CallsView::new(&batch.records).map_err(Failure::failed)?;
            for call in view.rows() {
                let start = call.start_time().unwrap_or(call.observed_at());
                for rule in &self.entry.rules {
                    let id = call.id().unwrap_or_default();
                    let key = (CanonicalId::new(id).as_bytes().to_vec(), rule.name.clone());
                    let charged =
                        priced
                            .filter(|_| self.window.contains(&start))
                            .and_then(|priced| {
                                Some((priced, charge_call(&call, rule, self.entry, &priced.deck)?))
                            });
                    let Some((priced, charged)) = charged else {
                        // An edit may have moved it out of the window, or from the rule.
                        self.found.remove(&key);
                        continue;
                    };
                    let group = match self.group {
                        ChargeGroup::Client => call.client_id().unwrap_or("unknown").to_owned(),
                        ChargeGroup::Center => call.center_id().unwrap_or("unknown").to_owned(),
                        ChargeGroup::Day => day_of(start),
                    };
                    let rated = charged.charge.ok().map(|charge| Cost {
                        amount: charge.amount,
                        seconds: i64::try_from(charge.billed_seconds).unwrap_or(i64::MAX),
                        currency: priced.currency.clone().unwrap_or_default(),
                    });
                    let found = Found {
                        group,
                        id: id.to_owned(),
                        rated,
                        charged: None,
                    };
                    self.found.insert(key, found);
                }
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Reads what was charged for these calls.
    fn read_charged(&mut self) -> Result<(), Failure> {
        let mut after = BatchSeq::START;
        let filter = self.filter(Stream::Charges);
        while let Some(batch) = self
            .reader
            .next_matching(&filter, after)
            .map_err(journal_failure)?
        {
            after = batch.meta.seq;
            let view = ChargesView::new(&batch.records).map_err(Failure::failed)?;
            for row in view.rows() {
                let id = row.call_id().unwrap_or_default();
                let key = (
                    CanonicalId::new(id).as_bytes().to_vec(),
                    row.rule().unwrap_or_default().to_owned(),
                );
                let Some(found) = self.found.get_mut(&key) else {
                    continue;
                };
                let amount = row
                    .amount()
                    .filter(|_| row.change() != Some(Change::Removed))
                    .and_then(|units| Amount::from_parts(units, 9).ok());
                found.charged = amount.map(|amount| Cost {
                    amount,
                    seconds: row.billed_seconds().unwrap_or_default().into(),
                    currency: row.currency().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(())
    }

    fn filter(&self, stream: Stream) -> Filter {
        Filter {
            stream: Some(stream),
            account: Some(self.entry.account.clone()),
            ..Filter::default()
        }
    }

    fn report(self) -> Report {
        let mut report = Report::default();
        for ((_, rule), found) in self.found {
            let currency = [&found.rated, &found.charged]
                .into_iter()
                .flatten()
                .map(|cost| cost.currency.clone())
                .find(|currency| !currency.is_empty());
            let key = (found.group.clone(), currency.unwrap_or_default());
            let sums = report.groups.entry(key).or_default();
            sums.calls += 1;
            if let Some(rated) = &found.rated {
                sums.seconds += rated.seconds;
                sums.rated = sums.rated + rated.amount;
            }
            if let Some(charged) = &found.charged {
                sums.charged = sums.charged + charged.amount;
            }
            let amount = |cost: &Option<Cost>| cost.as_ref().map(|cost| cost.amount);
            if amount(&found.rated) != amount(&found.charged) {
                report.differences.push(Difference {
                    call_id: found.id,
                    rule,
                    rated: amount(&found.rated).map(|amount| amount.to_string()),
                    charged: amount(&found.charged).map(|amount| amount.to_string()),
                });
            }
        }
        report
    }
}

/// The UTC day of a time.
fn day_of(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}

#[derive(Debug, Default)]
struct Sums {
    calls: u64,
    seconds: i64,
    rated: Amount,
    charged: Amount,
}

/// A call whose amount is not what was charged; no amount: it is not charged.
#[derive(Debug, Serialize)]
struct Difference {
    call_id: String,
    rule: String,
    rated: Option<String>,
    charged: Option<String>,
}

#[derive(Debug, Default)]
struct Report {
    /// By group and currency.
    groups: BTreeMap<(String, String), Sums>,
    differences: Vec<Difference>,
}

/// The most calls that the table names.
const NAMED: usize = 50;

impl Report {
    fn table(&self) -> String {
        let mut text = format!(
            "{:<40} {:>8} {:>8} {:>10} {:>14} {:>14} {:>14}\n",
            "group", "currency", "charges", "seconds", "rated", "charged", "difference"
        );
        for ((group, currency), sums) in &self.groups {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "{group:<40} {currency:>8} {:>8} {:>10} {:>14} {:>14} {:>14}",
                sums.calls,
                sums.seconds,
                sums.rated,
                sums.charged,
                sums.rated - sums.charged
            );
        }
        let _ = writeln!(
            text,
            "{} differ from what was charged",
            self.differences.len()
        );
        for one in self.differences.iter().take(NAMED) {
            let amount = |text: &Option<String>| text.clone().unwrap_or("nothing".to_owned());
            let _ = writeln!(
                text,
                "  call {} by {}: rated {}, charged {}",
                one.call_id,
                one.rule,
                amount(&one.rated),
                amount(&one.charged)
            );
        }
        let unlisted = self.differences.len().saturating_sub(NAMED);
        if unlisted > 0 {
            let _ = writeln!(text, "  and {unlisted} more; --format json names all");
        }
        text
    }

    fn csv(&self) -> Result<String, Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let title = [
            "group",
            "currency",
            "charges",
            "seconds",
            "rated",
            "charged",
            "difference",
        ];
        writer.write_record(title).map_err(Failure::failed)?;
        for ((group, currency), sums) in &self.groups {
            let row = [
                group.clone(),
                currency.clone(),
                sums.calls.to_string(),
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

    fn json(&self) -> Result<String, Failure> {
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
            differences: &'a [Difference],
        }
        let exact =
            |amount: Amount| RawValue::from_string(amount.to_string()).map_err(Failure::failed);
        let groups = self.groups.iter().map(|((group, currency), sums)| {
            Ok(Group {
                name: group,
                currency,
                charges: sums.calls,
                seconds: sums.seconds,
                rated: exact(sums.rated)?,
                charged: exact(sums.charged)?,
                difference: exact(sums.rated - sums.charged)?,
            })
        });
        let answer = Answer {
            groups: groups.collect::<Result<_, Failure>>()?,
            differences: &self.differences,
        };
        let mut text = serde_json::to_string_pretty(&answer).map_err(Failure::failed)?;
        text.push('\n');
        Ok(text)
    }
}
