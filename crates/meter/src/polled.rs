//! The values of an account's last poll: gauges that each poll replaces as a whole.

use std::collections::BTreeMap;

use crate::amount::{Amount, Scale};
use crate::counted_call::UNKNOWN_ID;
use crate::families::FamilyId;
use crate::folding::{FOLDED_ID, Limits};
use crate::table::{Floats, Table};

/// Longer label values are cut to this length in bytes.
const LABEL_BYTES: usize = 256;

/// A client's use of its allowance in the current period. Decimals are in units of 10⁻⁹.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowanceUse {
    /// The client's id.
    pub client_id: String,
    /// The client's name.
    pub client_name: Option<String>,
    /// The client's id in the operator's own accounts.
    pub third_party_account_id: Option<String>,
    /// Balance as the API reports it.
    pub balance_nano: Option<i128>,
    /// Calls billed.
    pub calls_nano: Option<i128>,
    /// Minutes billed.
    pub minutes_nano: Option<i128>,
}

/// A client of the client list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The client's id.
    pub client_id: String,
    /// The client's name.
    pub client_name: Option<String>,
    /// The center that the client belongs to.
    pub center_id: Option<String>,
    /// The client's id in the operator's own accounts.
    pub third_party_account_id: Option<String>,
    /// The allowance; `None` if the client is not billable or the API does not report it.
    pub allowance: Option<Allowance>,
}

/// The calls or minutes included in an allowance per period, in units of 10⁻⁹.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// A number of calls.
    Calls(i128),
    /// A number of minutes.
    Minutes(i128),
}

/// A tenant's billing settings and balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// Whether billing is enabled.
    pub enabled: Option<bool>,
    /// Who is charged.
    pub billed_account: Option<String>,
    /// `OFFLINE` or `ONLINE`, as the API writes it.
    pub charging_type: Option<String>,
    /// Balance in units of 10⁻⁹ of the currency.
    pub balance_nano: Option<i128>,
    /// ISO 4217 code.
    pub currency: Option<String>,
}

/// Summary of a rate deck, built rate by rate.
#[derive(Clone, Debug, Default)]
pub struct RateDeck {
    types: BTreeMap<Box<str>, RateType>,
}

#[derive(Clone, Debug, Default)]
struct RateType {
    rates: u64,
    /// First interval, next intervals.
    prices: [Prices; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Prices {
    known: i128,
    sum: i128,
    span: Option<(i128, i128)>,
}

impl RateDeck {
    /// Adds a rate with its prices per minute in the first and in the next intervals, in units of
    /// 10⁻⁹. Unknown prices are left out.
    pub fn add(&mut self, rate_type: Option<&str>, price_1: Option<i128>, price_n: Option<i128>) {
        let label = rate_label(rate_type);
        let entry = match self.types.get_mut(label.as_str()) {
            Some(entry) => entry,
            None => self.types.entry(label.into()).or_default(),
        };
        entry.rates += 1;
        for (prices, price) in entry.prices.iter_mut().zip([price_1, price_n]) {
            let Some(price) = price else { continue };
            prices.known += 1;
            prices.sum += price;
            let (low, high) = prices.span.unwrap_or((price, price));
            prices.span = Some((low.min(price), high.max(price)));
        }
    }
}

/// The label value of a rate's type: lower case, or `unknown` if the API left it out.
pub(crate) fn rate_label(rate_type: Option<&str>) -> String {
    let text = rate_type.map(str::trim).filter(|text| !text.is_empty());
    text.map_or_else(|| UNKNOWN_ID.to_owned(), str::to_lowercase)
}

/// The gauges of one account's last poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct Polled {
    uses: Vec<AllowanceUse>,
    /// Start and end of the current period and the time of the poll, in microseconds since 1970.
    period: Option<(i64, i64, i64)>,
    clients: Vec<Client>,
    pub(crate) tables: Vec<(FamilyId, Table<Floats>)>,
}

/// A client's data from the client list and the balances.
#[derive(Default)]
struct ClientFacts<'a> {
    name: Option<&'a str>,
    third_party: Option<&'a str>,
    use_of: Option<AllowanceUse>,
    allowance: Option<Allowance>,
}

impl Polled {
    pub(crate) fn set_allowances(
        &mut self,
        account: &str,
        period: (i64, i64, i64),
        uses: Vec<AllowanceUse>,
        limits: Limits,
    ) -> usize {
        self.uses = uses;
        self.period = Some(period);
        self.fill_clients(account, limits)
    }

    pub(crate) fn set_clients(
        &mut self,
        account: &str,
        clients: Vec<Client>,
        limits: Limits,
    ) -> usize {
        self.clients = clients;
        self.fill_clients(account, limits)
    }

    pub(crate) fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Fills the tables about clients and returns how many clients were folded.
    fn fill_clients(&mut self, account: &str, limits: Limits) -> usize {
        use FamilyId as F;
        let facts = facts(&self.clients, &self.uses);
        let folded = limits.excess(facts.len());
        let kept = facts.len() - folded;
        let mut tables: BTreeMap<FamilyId, Table<Floats>> = BTreeMap::new();
        let mut show = |family: F, labels: &[&str], value: Option<f64>| {
            if let Some(value) = value {
                let table = tables.entry(family).or_default();
                table.push_value(family.family().labels, labels, value);
            }
        };
        let elapsed = self.period.and_then(elapsed_ratio);
        for (client, facts) in facts.iter().take(kept) {
            let info = [
                account,
                client,
                clip(facts.name.unwrap_or_default()),
                clip(facts.third_party.unwrap_or_default()),
            ];
            show(F::ClientInfo, &info, Some(1.0));
            let labels = [account, client];
            let used = used_ratio(facts.use_of.as_ref(), facts.allowance);
            show(F::AllowanceUsedRatio, &labels, used);
            if facts.use_of.is_some() {
                show(F::AllowancePeriodElapsedRatio, &labels, elapsed);
            }
        }
        // Amounts can be folded, names and ratios cannot.
        let mut rest = ClientSums::default();
        for (place, (client, facts)) in facts.iter().enumerate() {
            let mut one = ClientSums::default();
            let sums = if place < kept { &mut one } else { &mut rest };
            sums.add(facts);
            if place < kept {
                one.show(&[account, client], &mut show);
            }
        }
        if folded > 0 {
            rest.show(&[account, FOLDED_ID], &mut show);
        }
        self.replace(
            &[
                F::ClientInfo,
                F::AllowanceBalance,
                F::AllowanceUsedCalls,
                F::AllowanceUsedSeconds,
                F::AllowanceLimitCalls,
                F::AllowanceLimitSeconds,
                F::AllowanceUsedRatio,
                F::AllowancePeriodElapsedRatio,
            ],
            tables,
        );
        folded
    }

    pub(crate) fn set_billing(&mut self, account: &str, billing: &Billing) {
        use FamilyId as F;
        let mut tables: BTreeMap<FamilyId, Table<Floats>> = BTreeMap::new();
        let mut show = |family: F, labels: &[&str], value: f64| {
            let table = tables.entry(family).or_default();
            table.push_value(family.family().labels, labels, value);
        };
        if let Some(enabled) = billing.enabled {
            let value = f64::from(u8::from(enabled));
            show(F::PortsipBillingEnabled, &[account], value);
        }
        if billing.billed_account.is_some() || billing.charging_type.is_some() {
            let text = |text: &Option<String>| rate_label(text.as_deref());
            let (billed, charging) = (text(&billing.billed_account), text(&billing.charging_type));
            let labels = [account, clip(&billed), clip(&charging)];
            show(F::PortsipBillingInfo, &labels, 1.0);
        }
        if let Some(balance) = billing.balance_nano {
            let currency = clip(billing.currency.as_deref().unwrap_or_default());
            show(F::PortsipBalance, &[account, currency], nano(balance));
        }
        self.replace(
            &[
                F::PortsipBillingEnabled,
                F::PortsipBillingInfo,
                F::PortsipBalance,
            ],
            tables,
        );
    }

    pub(crate) fn set_rates(&mut self, account: &str, deck: &RateDeck, limits: Limits) -> usize {
        use FamilyId as F;
        let mut tables: BTreeMap<FamilyId, Table<Floats>> = BTreeMap::new();
        let mut show = |family: F, labels: &[&str], value: f64| {
            let table = tables.entry(family).or_default();
            table.push_value(family.family().labels, labels, value);
        };
        let folded = limits.excess(deck.types.len());
        let kept = deck.types.len() - folded;
        for (rate_type, figures) in deck.types.iter().take(kept) {
            let rate_type = clip(rate_type);
            show(F::CallRates, &[account, rate_type], whole(figures.rates));
            for (interval, prices) in ["first", "next"].into_iter().zip(&figures.prices) {
                let Some((low, high)) = prices.span else {
                    continue;
                };
                #[expect(clippy::cast_precision_loss, reason = "a deck of 2^53 rates")]
                let mean = nano(prices.sum) / prices.known as f64;
                for (aggregate, price) in [("min", nano(low)), ("max", nano(high)), ("mean", mean)]
                {
                    let labels = [account, rate_type, interval, aggregate];
                    show(F::CallRatePrice, &labels, price);
                }
            }
        }
        if folded > 0 {
            let rest = deck.types.values().skip(kept).map(|figures| figures.rates);
            show(F::CallRates, &[account, FOLDED_ID], whole(rest.sum()));
        }
        self.replace(&[F::CallRates, F::CallRatePrice], tables);
        folded
    }

    /// Replaces the tables of `families` by those given.
    fn replace(&mut self, families: &[FamilyId], tables: BTreeMap<FamilyId, Table<Floats>>) {
        self.tables.retain(|(family, _)| !families.contains(family));
        self.tables.extend(tables);
        self.tables.sort_by_key(|(family, _)| *family);
    }
}

/// Sums over clients.
#[derive(Default)]
struct ClientSums {
    balance: Option<i128>,
    calls: Option<i128>,
    minutes: Option<i128>,
    limit_calls: Option<i128>,
    limit_minutes: Option<i128>,
}

impl ClientSums {
    fn add(&mut self, facts: &ClientFacts<'_>) {
        fn add(sum: &mut Option<i128>, value: Option<i128>) {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0).saturating_add(value));
            }
        }
        if let Some(use_of) = &facts.use_of {
            add(&mut self.balance, use_of.balance_nano);
            add(&mut self.calls, use_of.calls_nano);
            add(&mut self.minutes, use_of.minutes_nano);
        }
        match facts.allowance {
            Some(Allowance::Calls(calls)) => add(&mut self.limit_calls, Some(calls)),
            Some(Allowance::Minutes(minutes)) => add(&mut self.limit_minutes, Some(minutes)),
            None => {}
        }
    }

    fn show(&self, labels: &[&str], show: &mut impl FnMut(FamilyId, &[&str], Option<f64>)) {
        use FamilyId as F;
        let seconds =
            |minutes: Option<i128>| minutes.map(|minutes| nano(minutes.saturating_mul(60)));
        show(F::AllowanceBalance, labels, self.balance.map(nano));
        show(F::AllowanceUsedCalls, labels, self.calls.map(nano));
        show(F::AllowanceUsedSeconds, labels, seconds(self.minutes));
        show(F::AllowanceLimitCalls, labels, self.limit_calls.map(nano));
        show(
            F::AllowanceLimitSeconds,
            labels,
            seconds(self.limit_minutes),
        );
    }
}

/// Joins both lists by client. Several balance rows of a client, one per account, are added up.
fn facts<'a>(
    clients: &'a [Client],
    uses: &'a [AllowanceUse],
) -> BTreeMap<&'a str, ClientFacts<'a>> {
    let mut facts: BTreeMap<&str, ClientFacts<'_>> = BTreeMap::new();
    for client in clients {
        let entry = facts.entry(&client.client_id).or_default();
        entry.name = client.client_name.as_deref();
        entry.third_party = client.third_party_account_id.as_deref();
        entry.allowance = client.allowance;
    }
    for row in uses {
        let entry = facts.entry(&row.client_id).or_default();
        entry.name = entry.name.or(row.client_name.as_deref());
        let third_party = row.third_party_account_id.as_deref();
        entry.third_party = entry.third_party.or(third_party);
        match &mut entry.use_of {
            Some(sum) => {
                let add = |sum: &mut Option<i128>, value: Option<i128>| {
                    if let Some(value) = value {
                        *sum = Some(sum.unwrap_or(0).saturating_add(value));
                    }
                };
                add(&mut sum.balance_nano, row.balance_nano);
                add(&mut sum.calls_nano, row.calls_nano);
                add(&mut sum.minutes_nano, row.minutes_nano);
            }
            None => entry.use_of = Some(row.clone()),
        }
    }
    facts
}

fn used_ratio(use_of: Option<&AllowanceUse>, allowance: Option<Allowance>) -> Option<f64> {
    let use_of = use_of?;
    let (used, limit) = match allowance? {
        Allowance::Calls(limit) => (use_of.calls_nano?, limit),
        Allowance::Minutes(limit) => (use_of.minutes_nano?, limit),
    };
    (limit > 0).then(|| nano(used) / nano(limit))
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of two time spans")]
fn elapsed_ratio((start, end, now): (i64, i64, i64)) -> Option<f64> {
    let whole = end.checked_sub(start).filter(|whole| *whole > 0)?;
    let passed = now.saturating_sub(start).clamp(0, whole);
    Some(passed as f64 / whole as f64)
}

fn nano(units: i128) -> f64 {
    let scale = Scale::Nano;
    Amount { units, scale }.to_f64()
}

fn whole(number: u64) -> f64 {
    let (units, scale) = (i128::from(number), Scale::One);
    Amount { units, scale }.to_f64()
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LABEL_BYTES))
        .unwrap_or(text)
}
