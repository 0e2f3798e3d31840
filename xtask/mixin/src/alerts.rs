//! The alerts, each with a case in which it fires and one in which it does not.

use serde_json::{Value, json};

use crate::names::{RUNBOOK, UnknownFamily, expand};

/// An alert. Queries and series name families by id, see [`expand`].
pub struct Alert {
    /// Its name, which is also the heading in docs/RUNBOOK.md.
    pub name: &'static str,
    /// `critical`: somebody must act now; `warning`: today; `info`: nothing may be wrong.
    pub severity: &'static str,
    /// How long the query must hold.
    pub after: &'static str,
    pub(crate) expr: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// Series, in promtool's notation, one sample a minute, with which it fires.
    pub(crate) fires: &'static [Case],
    /// Series with which it does not.
    pub(crate) quiet: &'static [Case],
}

/// Series and their samples.
type Case = &'static [(&'static str, &'static str)];

impl Alert {
    /// When its cases are looked at, in minutes: after every `for`, and after the day or week that
    /// one looks back.
    pub(crate) fn minutes(&self) -> u32 {
        if self.expr.contains("offset 1w") {
            10_200
        } else if self.expr.contains("offset 1d") {
            2_000
        } else {
            600
        }
    }
}

macro_rules! alerts {
    ($($name:ident $severity:ident $after:literal $expr:literal $summary:literal $description:literal
       $(fires [$($series:literal $values:literal),*])+ $(quiet [$($quiet:literal $quiet_values:literal),*])+;)*) => {
        &[$(Alert {
            name: concat!("Callmeter", stringify!($name)),
            severity: stringify!($severity),
            after: $after,
            expr: $expr,
            summary: $summary,
            description: $description,
            fires: &[$(&[$(($series, $values)),*]),+],
            quiet: &[$(&[$(($quiet, $quiet_values)),*]),+],
        },)*]
    };
}

/// All alerts.
pub const ALERTS: &[Alert] = alerts! {
    FeedDown critical "15m"
        "held({Up}) == 0"
        "callmeter cannot read the account {{ $labels.account }}."
        "A poll of the account fails, or a day of its calls is unproven, for 15 minutes. New calls may not be counted."
        fires ["{Up}{account=\"a\"}" "0x600"]
        fires ["{Up}{account=\"a\", instance=\"one\"}" "1x600", "{JournalUp}{instance=\"one\"}" "1x500 0x100", "{Up}{account=\"a\", instance=\"two\"}" "_x510 0x90", "{JournalUp}{instance=\"two\"}" "1x600"]
        quiet ["{Up}{account=\"a\"}" "1x600"];
    DataIncomplete warning "2h"
        "held({DaysIncomplete}) > 0"
        "{{ $value }} days of {{ $labels.account }} may miss calls."
        "For two hours, days of calls could not be read to their ends. The status page names them and the reason."
        fires ["{DaysIncomplete}{account=\"a\"}" "2x600"] quiet ["{DaysIncomplete}{account=\"a\"}" "0x600"];
    CallsStopped warning "15m"
        "sum by (account) (one(increase({Calls}[1h]))) == 0 and sum by (account) (one(increase({Calls}[1h] offset 1w))) > 10"
        "{{ $labels.account }} has no calls, but had some at this time a week ago."
        "For an hour no call was counted. In the same hour a week before there were more than ten."
        fires ["{Calls}{account=\"a\"}" "0+1x10000 10000x200"] quiet ["{Calls}{account=\"a\"}" "0+1x10200"];
    AllowanceForecastOver warning "6h"
        "held({AllowanceForecastRatio}) > 1"
        "Client {{ $labels.client_id }} of {{ $labels.account }} will exceed its allowance."
        "If its use goes on as before, the client will have used {{ $value | humanizePercentage }} of its allowance at the end of the period."
        fires ["{AllowanceForecastRatio}{account=\"a\", client_id=\"c\"}" "1.1x600"] quiet ["{AllowanceForecastRatio}{account=\"a\", client_id=\"c\"}" "0.9x600"];
    AllowanceNearlyUsed info "15m"
        "held({AllowanceUsedRatio}) > 0.8 <= 1"
        "Client {{ $labels.client_id }} of {{ $labels.account }} has used {{ $value | humanizePercentage }} of its allowance."
        "More than 80 % of the allowance of the current period is used."
        fires ["{AllowanceUsedRatio}{account=\"a\", client_id=\"c\"}" "0.9x600"] quiet ["{AllowanceUsedRatio}{account=\"a\", client_id=\"c\"}" "0.8x600"];
    AllowanceExceeded warning "15m"
        "held({AllowanceUsedRatio}) > 1"
        "Client {{ $labels.client_id }} of {{ $labels.account }} has exceeded its allowance."
        "The client has used {{ $value | humanizePercentage }} of the allowance of the current period."
        fires ["{AllowanceUsedRatio}{account=\"a\", client_id=\"c\"}" "1.01x600"] quiet ["{AllowanceUsedRatio}{account=\"a\", client_id=\"c\"}" "1x600"];
    BalanceLow warning "15m"
        "held({PortsipBalance}) < 50"
        "The balance of {{ $labels.account }} is {{ $value }} {{ $labels.currency }}."
        "When the balance is used up, the PBX may refuse calls that cost something."
        fires ["{PortsipBalance}{account=\"a\", currency=\"EUR\"}" "49x600"] quiet ["{PortsipBalance}{account=\"a\", currency=\"EUR\"}" "51x600"];
    BalanceFalling warning "1h"
        "predict_linear(held({PortsipBalance})[6h:5m], 24 * 3600) < 0 and held({PortsipBalance}) >= 50 and one({PortsipBalance} offset 3h)"
        "The balance of {{ $labels.account }} will be used up within a day."
        "As it fell in the last six hours, the balance is below zero in 24 hours."
        fires ["{PortsipBalance}{account=\"a\", currency=\"EUR\"}" "1500-1x600"] quiet ["{PortsipBalance}{account=\"a\", currency=\"EUR\"}" "30000-1x600"];
    RatesChanged info "0s"
        "sum by (account, rate_type, change) (one(grown({CallRatesChanged}[1h]))) > 0"
        "{{ $value }} {{ $labels.rate_type }} call rates of {{ $labels.account }} were changed ({{ $labels.change }})."
        "The rate deck is not as it was an hour ago. Check that the change is yours."
        fires ["{CallRatesChanged}{account=\"a\", rate_type=\"local\", change=\"revised\"}" "0x590 1x10"]
        fires ["{CallRatesChanged}{account=\"a\", rate_type=\"premium\", change=\"new\"}" "_x590 1x10", "{CallRatesChanged}{account=\"a\", rate_type=\"local\", change=\"new\"}" "7x600"]
        quiet ["{CallRatesChanged}{account=\"a\", rate_type=\"local\", change=\"new\"}" "_x580 9x20", "{CallRatesChanged}{account=\"a\", rate_type=\"premium\", change=\"new\"}" "_x580 7x20"] quiet ["{CallRatesChanged}{account=\"a\", rate_type=\"local\", change=\"revised\"}" "7x600"];
    CallsWaitForDeck warning "1h"
        "held({CallsWaitingForDeck}) > 0"
        "{{ $value }} calls of {{ $labels.account }} wait for a rate deck."
        "For an hour, calls are not charged, because the rate deck or its currency was not read."
        fires ["{CallsWaitingForDeck}{account=\"a\"}" "3x600"] quiet ["{CallsWaitingForDeck}{account=\"a\"}" "0x600"];
    CallsNotCharged warning "1h"
        "sum by (account, reason) (one(grown({CallsNotCharged}{reason=~\"no_match|no_number|unreadable_number|no_duration|unusable_rate|duplicate_prefix|too_large\"}[1d] like {Calls}))) > 10 > on (account) group_left () (0.05 * sum by (account) (one(grown({Calls}[1d])))) and on (account) {Calls} offset 1d"
        "{{ $value }} calls of {{ $labels.account }} are not charged ({{ $labels.reason }})."
        "In the last day, more than 5 % of the calls were not charged for a reason that a change of the rate deck or of `charges` may remove. For an account that is new, this is not asked on the first day."
        fires ["{CallsNotCharged}{account=\"a\", reason=\"no_match\"}" "0+1x2000", "{Calls}{account=\"a\", client_id=\"c\"}" "0+10x2000"]
        fires ["{CallsNotCharged}{account=\"a\", reason=\"no_match\"}" "_x1900 900x100", "{Calls}{account=\"a\", client_id=\"c\"}" "0+1x2000"]
        quiet ["{CallsNotCharged}{account=\"a\", reason=\"no_match\"}" "0+1x2000", "{CallsNotCharged}{account=\"a\", reason=\"internal\"}" "0+20x2000", "{Calls}{account=\"a\", client_id=\"c\"}" "0+30x2000"]
        quiet ["{CallsNotCharged}{account=\"a\", reason=\"no_match\"}" "_x1900 900+1x100", "{Calls}{account=\"a\", client_id=\"c\"}" "_x1900 9000+1x100"];
    OutputLagging warning "15m"
        "held({OutputLag}) > 0 and (time() - (held({OutputOldest}) > 0)) > 900"
        "The output {{ $labels.output }} is behind with {{ $labels.stream }}."
        "{{ $value }} records are in the journal that the output has not acknowledged; the oldest is more than 15 minutes old."
        fires ["{OutputLag}{output=\"o\", stream=\"calls\"}" "5x600", "{OutputOldest}{output=\"o\", stream=\"calls\"}" "60x600"] quiet ["{OutputLag}{output=\"o\", stream=\"calls\"}" "0x600", "{OutputOldest}{output=\"o\", stream=\"calls\"}" "0x600"];
    OutputDropping critical "0s"
        "sum by (output, stream, reason) (increase({OutputDropped}[1h])) > 0"
        "The output {{ $labels.output }} lost records of {{ $labels.stream }} ({{ $labels.reason }})."
        "In the last hour, {{ $value }} records were dropped. Dead letters can be replayed; records that retention removed cannot."
        fires ["{OutputDropped}{output=\"o\", stream=\"calls\", reason=\"refused\"}" "0x590 1x10"] quiet ["{OutputDropped}{output=\"o\", stream=\"calls\", reason=\"refused\"}" "3x600"];
    OutputDown critical "10m"
        "held({OutputUp}) == 0"
        "The output {{ $labels.output }} is down."
        "Its plugin fails or is disabled for ten minutes. Records wait in the journal."
        fires ["{OutputUp}{output=\"o\"}" "0x600"] quiet ["{OutputUp}{output=\"o\"}" "1x600"];
    JournalNearLimit warning "1h"
        "one({JournalBytes} / {JournalLimit}) > 0.9"
        "The journal has {{ $value | humanizePercentage }} of its maximum size."
        "Above `journal.max_bytes`, the oldest records are removed, though not before outputs have them."
        fires ["{JournalBytes}" "95x600", "{JournalLimit}" "100x600"] quiet ["{JournalBytes}" "80x600", "{JournalLimit}" "100x600"];
    BudgetExhausted warning "1h"
        "held({CallsBudgetNeeded}) > 1 or held({CallsBudgetUsed}) > 0.95"
        "The budget of requests of {{ $labels.account }} is too small."
        "Days of calls are read late: `calls.max_requests_per_minute` allows fewer requests than the intervals need."
        fires ["{CallsBudgetNeeded}{account=\"a\"}" "1.2x600"] quiet ["{CallsBudgetNeeded}{account=\"a\"}" "0.4x600", "{CallsBudgetUsed}{account=\"a\"}" "0.5x600"];
    Throttled warning "10m"
        "sum by (account) (increase({ApiRequests}{outcome=\"throttled\"}[1h])) > 3 or max by (account) (held({TaskFailing}{reason=\"throttled\"})) == 1"
        "The API throttles the account {{ $labels.account }}."
        "Several requests of the last hour were answered with 429, or polls wait because of one. The budget is halved for 15 minutes each time."
        fires ["{ApiRequests}{account=\"a\", outcome=\"throttled\"}" "0x570 1+1x30"]
        fires ["{TaskFailing}{account=\"a\", task=\"calls\", reason=\"throttled\"}" "_x580 1x20"]
        quiet ["{TaskFailing}{account=\"a\", task=\"calls\", reason=\"throttled\"}" "1x550"] quiet ["{ApiRequests}{account=\"a\", outcome=\"throttled\"}" "9x600"];
    LoginRefused critical "0s"
        "max by (account, reason) (held({TaskFailing}{reason=~\"refused_login|permission_denied\"})) == 1"
        "{{ $labels.account }} refuses callmeter ({{ $labels.reason }})."
        "The password has changed or expired, the user is locked, or a right is missing. Further attempts may lock the user."
        fires ["{TaskFailing}{account=\"a\", task=\"calls\", reason=\"refused_login\"}" "1x600"] quiet ["{TaskFailing}{account=\"a\", task=\"calls\", reason=\"refused_login\"}" "1x590"];
    ConnectionFailing warning "15m"
        "max by (account) (held({TaskFailing}{reason=~\"transport|timeout|local\"})) == 1"
        "callmeter cannot reach the API of {{ $labels.account }}."
        "Polls fail on the way: a name, a network, a proxy, a certificate that expired or is not trusted, or a file that cannot be read."
        fires ["{TaskFailing}{account=\"a\", task=\"calls\", reason=\"transport\"}" "1x595", "{TaskFailing}{account=\"a\", task=\"calls\", reason=\"timeout\"}" "_x595 1x5"]
        quiet ["{TaskFailing}{account=\"a\", task=\"calls\", reason=\"transport\"}" "_x590 1x10"];
    ConfigReloadFailed warning "5m"
        "{ConfigReloadSuccessful} == 0"
        "callmeter runs with an old configuration."
        "The last reload was rejected. The status page and the response of the reload say why. A restart would fail."
        fires ["{ConfigReloadSuccessful}" "0x600"] quiet ["{ConfigReloadSuccessful}" "1x600"];
    ClockSkew warning "30m"
        "abs({ClockSkew}) > 60"
        "The clocks of callmeter and of {{ $labels.account }} differ by {{ $value | humanizeDuration }}."
        "A day counts as over when both clocks say so. A wrong clock delays the figures of a day."
        fires ["{ClockSkew}{account=\"a\"}" "-90x600"] quiet ["{ClockSkew}{account=\"a\"}" "30x600"];
    WorkNotDone critical "2m"
        "max by (job, kind) ({Leases}{held=\"nobody\"}) > 0"
        "No instance of callmeter works on {{ $value }} of its leases ({{ $labels.kind }})."
        "For two minutes, nobody polls an account, runs an output, computes charges, or keeps the journal. The status pages name it. Only with a journal on a server."
        fires ["{Leases}{kind=\"account\", held=\"nobody\", instance=\"one\"}" "0x590 2x10", "{Leases}{kind=\"account\", held=\"nobody\", instance=\"two\"}" "0x590 2x10"]
        quiet ["{Leases}{kind=\"account\", held=\"nobody\", instance=\"one\"}" "0x600", "{Leases}{kind=\"account\", held=\"elsewhere\", instance=\"one\"}" "2x600"]
        quiet ["{Leases}{kind=\"account\", held=\"nobody\", instance=\"one\"}" "0x599 2"];
    JournalUnreachable critical "2m"
        "{JournalUp} == 0"
        "callmeter on {{ $labels.instance }} cannot reach its journal."
        "For two minutes, this instance has no leases: it polls nothing and delivers nothing. Its figures are those of before. If other instances reach the journal, they do its work."
        fires ["{JournalUp}{instance=\"one\"}" "1x590 0x10", "{JournalUp}{instance=\"two\"}" "1x600"]
        quiet ["{JournalUp}{instance=\"one\"}" "1x600", "{JournalUp}{instance=\"two\"}" "1x600"];
    NotReady warning "15m"
        "{Ready} == 0 unless on (job, instance) {JournalUp} == 0"
        "callmeter on {{ $labels.instance }} is not ready."
        "For 15 minutes, it counts the journal at its start, or its totals are behind a journal on a server."
        fires ["{Ready}{instance=\"one\"}" "0x600", "{Ready}{instance=\"two\"}" "1x600"]
        fires ["{Ready}{instance=\"one\"}" "0x600", "{JournalUp}{instance=\"one\"}" "1x600"]
        quiet ["{Ready}{instance=\"one\"}" "0x600", "{JournalUp}{instance=\"one\"}" "0x600"]
        quiet ["{Ready}" "1x600"];
};

impl Alert {
    /// The heading of its part of the runbook, as an anchor.
    pub fn anchor(&self) -> String {
        self.name.to_lowercase()
    }

    fn rule(&self) -> Result<Value, UnknownFamily> {
        Ok(json!({
            "alert": self.name,
            "expr": expand(self.expr)?,
            "for": self.after,
            "labels": { "severity": self.severity },
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": format!("{RUNBOOK}#{}", self.anchor()),
            },
        }))
    }
}

/// The file `alerts.yaml`.
///
/// # Errors
/// If a query names a family that does not exist.
pub fn file() -> Result<Value, UnknownFamily> {
    let rules = ALERTS.iter().map(Alert::rule);
    let rules = rules.collect::<Result<Vec<Value>, _>>()?;
    Ok(json!({ "groups": [{ "name": "callmeter.alerts", "rules": rules }] }))
}
