//! The values of an account's last poll: gauges that each poll replaces as a whole.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::amount::{Amount, Scale};
use crate::client_facts::{
    Allowance, AllowanceUse, Client, ClientFacts, UseSum, add, client_facts,
};
use crate::counted_call::UNKNOWN_ID;
use crate::families::FamilyId;
use crate::folding::{FOLDED_ID, Limits};
use crate::label_text::bounded;
use crate::table::{Floats, Table};

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
    let label = words(rate_type).unwrap_or(UNKNOWN_ID).to_lowercase();
    bounded(&label).into_owned()
}

/// Shortens an id to a label value.
fn shorten(id: &mut String) {
    if let Cow::Owned(short) = bounded(id) {
        *id = short;
    }
}

fn words(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The gauges of one account's last poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct Polled {
    uses: Vec<AllowanceUse>,
    /// Start and end of the current period and the time of the poll, in microseconds since 1970.
    period: Option<(i64, i64, i64)>,
    clients: Vec<Client>,
    deck: RateDeck,
    /// The currency of the tenant's balance, which is that of the rates.
    currency: Option<String>,
    pub(crate) tables: Vec<(FamilyId, Table<Floats>)>,
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
        for row in &mut self.uses {
            row.client_id.iter_mut().for_each(shorten);
        }
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
        for client in &mut self.clients {
            shorten(&mut client.client_id);
            client.center_id.iter_mut().for_each(shorten);
        }
        self.fill_clients(account, limits)
    }

    pub(crate) fn clients(&self) -> &[Client] {
        &self.clients
    }

    pub(crate) fn uses(&self) -> &[AllowanceUse] {
        &self.uses
    }

    /// Fills the tables about clients and returns how many label sets were folded.
    fn fill_clients(&mut self, account: &str, limits: Limits) -> usize {
        use FamilyId as F;
        let facts = client_facts(&self.clients, &self.uses);
        let label_sets: usize = facts.values().map(ClientFacts::label_sets).sum();
        let folded = limits.excess(label_sets);
        let mut room = label_sets - folded;
        let mut tables: BTreeMap<FamilyId, Table<Floats>> = BTreeMap::new();
        let mut show = |family: F, labels: &[&str], value: Option<f64>| {
            if let Some(value) = value {
                let table = tables.entry(family).or_default();
                table.push_value(family.family().labels, labels, value);
            }
        };
        let elapsed = self.period.and_then(elapsed_ratio);
        // The use of a few hours says little of a month.
        let forecasts = self
            .period
            .is_some_and(|(start, _, now)| now - start >= DAY);
        // Amounts can be folded, names and ratios cannot.
        let mut rest = ClientSums::default();
        for (client, facts) in &facts {
            let labels = [account, client];
            let uses = facts.uses.iter();
            let kept = room.min(facts.label_sets());
            room -= kept;
            for (place, (allowance, use_of)) in uses.enumerate() {
                let unit = AllowanceUnit::of(facts.limit, allowance);
                if place < kept {
                    let mut one = ClientSums::default();
                    one.add_use(use_of, unit);
                    one.show_use(&[account, client, allowance], &mut show);
                } else {
                    rest.add_use(use_of, unit);
                }
            }
            if kept == 0 {
                rest.add_limit(facts.limit);
                continue;
            }
            let (name, third_party) = (facts.name, facts.third_party);
            let names = [name.unwrap_or_default(), third_party.unwrap_or_default()];
            show(
                F::ClientInfo,
                &[account, client, names[0], names[1]],
                Some(1.0),
            );
            let mut one = ClientSums::default();
            one.add_limit(facts.limit);
            one.show_limit(&labels, &mut show);
            let used = facts.used_ratio();
            show(F::AllowanceUsedRatio, &labels, used);
            let forecast = used.zip(elapsed).filter(|_| forecasts);
            let forecast = forecast.map(|(used, elapsed)| used / elapsed);
            show(F::AllowanceForecastRatio, &labels, forecast);
            let difference = facts.reconciliation_difference();
            show(F::CallsReconciliationDifference, &labels, difference);
        }
        if !self.uses.is_empty() {
            show(F::AllowancePeriodElapsedRatio, &[account], elapsed);
        }
        if folded > 0 {
            rest.show_use(&[account, FOLDED_ID, FOLDED_ID], &mut show);
            rest.show_limit(&[account, FOLDED_ID], &mut show);
        }
        self.replace(
            &[
                F::ClientInfo,
                F::AllowanceBalanceCalls,
                F::AllowanceBalanceSeconds,
                F::AllowanceUsedCalls,
                F::AllowanceUsedSeconds,
                F::AllowanceLimitCalls,
                F::AllowanceLimitSeconds,
                F::AllowanceUsedRatio,
                F::AllowanceForecastRatio,
                F::AllowancePeriodElapsedRatio,
                F::CallsReconciliationDifference,
            ],
            tables,
        );
        folded
    }

    /// Shows the billing settings, and the rates in its currency. Returns how many label sets of
    /// rates were folded, if they are shown again.
    pub(crate) fn set_billing(
        &mut self,
        account: &str,
        billing: &Billing,
        limits: Limits,
    ) -> usize {
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
            let labels = [account, &billed, &charging];
            show(F::PortsipBillingInfo, &labels, 1.0);
        }
        if let Some(balance) = billing.balance_nano {
            let currency = billing.currency.as_deref().unwrap_or_default();
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
        if self.currency == billing.currency {
            return 0;
        }
        self.currency.clone_from(&billing.currency);
        self.fill_rates(account, limits)
    }

    pub(crate) fn set_rates(&mut self, account: &str, deck: &RateDeck, limits: Limits) -> usize {
        self.deck = deck.clone();
        self.fill_rates(account, limits)
    }

    fn fill_rates(&mut self, account: &str, limits: Limits) -> usize {
        use FamilyId as F;
        let deck = &self.deck;
        let currency = self.currency.as_deref().unwrap_or_default();
        let mut tables: BTreeMap<FamilyId, Table<Floats>> = BTreeMap::new();
        let mut show = |family: F, labels: &[&str], value: f64| {
            let table = tables.entry(family).or_default();
            table.push_value(family.family().labels, labels, value);
        };
        let folded = limits.excess(deck.types.len());
        let kept = deck.types.len() - folded;
        for (rate_type, figures) in deck.types.iter().take(kept) {
            show(F::CallRates, &[account, rate_type], whole(figures.rates));
            for (interval, prices) in ["first", "next"].into_iter().zip(&figures.prices) {
                let Some((low, high)) = prices.span else {
                    continue;
                };
                #[expect(clippy::cast_precision_loss, reason = "a deck of 2^53 rates")]
                let mean = nano(prices.sum) / prices.known as f64;
                for (aggregate, price) in [("min", nano(low)), ("max", nano(high)), ("mean", mean)]
                {
                    let labels = [account, rate_type, interval, aggregate, currency];
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

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What an allowance counts.
#[derive(Clone, Copy)]
enum AllowanceUnit {
    Calls,
    Minutes,
    Unknown,
}

impl AllowanceUnit {
    /// The unit of an allowance in words. The client list knows that of its own allowance; the
    /// words tell it otherwise.
    fn of(limit: Option<Allowance>, words: &str) -> Self {
        let words = words.to_lowercase();
        let of_list = match limit {
            Some(Allowance::Calls(_)) => Self::Calls,
            Some(Allowance::Minutes(_)) => Self::Minutes,
            None => Self::Unknown,
        };
        match (words.contains("call"), words.contains("min")) {
            (true, false) => Self::Calls,
            (false, true) => Self::Minutes,
            _ => of_list,
        }
    }
}

/// Sums over clients.
#[derive(Default)]
struct ClientSums {
    balance_calls: Option<i128>,
    balance_minutes: Option<i128>,
    calls: Option<i128>,
    minutes: Option<i128>,
    limit_calls: Option<i128>,
    limit_minutes: Option<i128>,
}

impl ClientSums {
    fn add_use(&mut self, use_of: &UseSum<'_>, unit: AllowanceUnit) {
        match unit {
            AllowanceUnit::Calls => add(&mut self.balance_calls, use_of.balance),
            AllowanceUnit::Minutes => add(&mut self.balance_minutes, use_of.balance),
            AllowanceUnit::Unknown => {}
        }
        add(&mut self.calls, use_of.calls);
        add(&mut self.minutes, use_of.minutes);
    }

    fn add_limit(&mut self, limit: Option<Allowance>) {
        match limit {
            Some(Allowance::Calls(calls)) => add(&mut self.limit_calls, Some(calls)),
            Some(Allowance::Minutes(minutes)) => add(&mut self.limit_minutes, Some(minutes)),
            None => {}
        }
    }

    fn show_use(&self, labels: &[&str], show: &mut impl FnMut(FamilyId, &[&str], Option<f64>)) {
        use FamilyId as F;
        let balance = self.balance_calls.map(nano);
        show(F::AllowanceBalanceCalls, labels, balance);
        let balance = seconds(self.balance_minutes);
        show(F::AllowanceBalanceSeconds, labels, balance);
        show(F::AllowanceUsedCalls, labels, self.calls.map(nano));
        show(F::AllowanceUsedSeconds, labels, seconds(self.minutes));
    }

    fn show_limit(&self, labels: &[&str], show: &mut impl FnMut(FamilyId, &[&str], Option<f64>)) {
        use FamilyId as F;
        show(F::AllowanceLimitCalls, labels, self.limit_calls.map(nano));
        let limit = seconds(self.limit_minutes);
        show(F::AllowanceLimitSeconds, labels, limit);
    }
}

fn seconds(minutes: Option<i128>) -> Option<f64> {
    minutes.map(|minutes| nano(minutes.saturating_mul(60)))
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
