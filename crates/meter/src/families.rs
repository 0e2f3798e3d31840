//! The family table: the single source of every metric's name, type, unit, help and labels.
//!
//! The encoders, `docs/METRICS.md`, the lint test and the exporter's own metrics use it.

use crate::family::{Family, MetricType, Source};

macro_rules! families {
    ($($id:ident: $source:ident $metric_type:ident $name:literal [$($label:literal),*] $unit:literal $help:literal;)*) => {
        /// A family of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FamilyId {
            $(#[doc = concat!("`", $name, "`: ", $help)] $id,)*
        }

        static TABLE: &[Family] = &[
            $(Family {
                name: $name,
                metric_type: MetricType::$metric_type,
                unit: $unit,
                help: $help,
                labels: &[$($label),*],
                source: Source::$source,
            },)*
        ];

        impl FamilyId {
            /// All families, in the order of the exposition.
            pub const ALL: &[Self] = &[$(Self::$id,)*];

            /// The family's entry in the table.
            pub fn family(self) -> &'static Family {
                &TABLE[self as usize]
            }
        }
    };
}

families! {
    // ---- an account and its polls
    Up: State Gauge "callmeter_up" ["account", "api"] ""
        "Whether the last poll of every task succeeded and no day of calls is unproven (1) or not (0). Days that an operator asked for do not count.";
    LastSuccess: State Gauge "callmeter_last_success_timestamp_seconds" ["account", "api"] "seconds"
        "Unix time of the last poll that succeeded.";
    Watermark: State Gauge "callmeter_watermark_timestamp_seconds" ["account", "api"] "seconds"
        "Unix time up to which the account's calls have been read.";
    DaysIncomplete: Registry Gauge "callmeter_days_incomplete" ["account"] ""
        "Days that may miss calls: not read to their ends, fewer records than the server counts, failed, or overdue. The status page names them.";
    CompleteUntil: Registry Gauge "callmeter_complete_until_timestamp_seconds" ["account"] "seconds"
        "Unix time before which no day misses calls that the server lists. Moves back when a day turns out to miss some. Days that an operator asked for do not count.";
    CallsWaiting: Registry Gauge "callmeter_calls_waiting" ["account"] ""
        "Calls that were read but do not count yet, because they have not settled. As of the last reading of each day as a whole.";
    CallsBudgetUsed: Registry Gauge "callmeter_calls_budget_used_ratio" ["account"] "ratio"
        "Requests for calls in the last hour, as a share of those that `calls.max_requests_per_minute` allows.";
    CallsBudgetNeeded: Registry Gauge "callmeter_calls_budget_needed_ratio" ["account"] "ratio"
        "Requests for calls that reading all days in time needs, as a share of those that are allowed. Above 1, days are read late.";
    CallsFoundByAudit: Registry Counter "callmeter_calls_found_by_audit_total" ["account"] ""
        "Calls that the reading of a whole day found, and that had settled before the last tail. Counts while the tail is used.";
    CallsImplausible: Registry Counter "callmeter_calls_implausible_total" ["account"] ""
        "Calls that say they lasted longer than a day. They count, a day after their start.";
    ClockSkew: Registry Gauge "callmeter_clock_skew_seconds" ["account"] "seconds"
        "How far the server's clock is ahead of this machine's, by the Date of its last answer.";
    TaskUp: Registry Gauge "callmeter_task_up" ["account", "task"] ""
        "Whether the last poll of the task succeeded and read everything (1) or not (0).";
    TaskFailing: Registry Gauge "callmeter_task_failing" ["account", "task", "reason"] ""
        "1 while the last poll of the task failed for this reason, also during the pause before the next one. No series while it does not fail.";
    TaskLastSuccess: Registry Gauge "callmeter_task_last_success_timestamp_seconds" ["account", "task"] "seconds"
        "Unix time of the last poll of the task that succeeded.";
    LastEvent: State Gauge "callmeter_last_event_timestamp_seconds" ["account", "api"] "seconds"
        "Latest start of a counted call, as Unix time.";

    // ---- allowances, as of the last poll
    ClientInfo: Polled Gauge "callmeter_client_info" ["account", "client_id", "client_name", "third_party_account_id"] ""
        "Always 1. Its labels give the names for a client id. As of the last poll.";
    AllowanceBalanceCalls: Polled Gauge "callmeter_allowance_balance_calls" ["account", "client_id", "allowance"] ""
        "Balance of a client's allowance in calls in the current period, as the API reports it. As of the last poll.";
    AllowanceBalanceSeconds: Polled Gauge "callmeter_allowance_balance_seconds" ["account", "client_id", "allowance"] "seconds"
        "Balance of a client's allowance in minutes in the current period, as the API reports it. As of the last poll.";
    AllowanceUsedCalls: Polled Gauge "callmeter_allowance_used_calls" ["account", "client_id", "allowance"] ""
        "Calls billed against the allowance in the current period. As of the last poll.";
    AllowanceUsedSeconds: Polled Gauge "callmeter_allowance_used_seconds" ["account", "client_id", "allowance"] "seconds"
        "Time billed against the allowance in the current period. As of the last poll.";
    AllowanceLimitCalls: Polled Gauge "callmeter_allowance_limit_calls" ["account", "client_id"] ""
        "Calls included in the allowance per period, for allowances in calls. As of the last poll.";
    AllowanceLimitSeconds: Polled Gauge "callmeter_allowance_limit_seconds" ["account", "client_id"] "seconds"
        "Time included in the allowance per period, for allowances in minutes. As of the last poll.";
    AllowanceUsedRatio: Polled Gauge "callmeter_allowance_used_ratio" ["account", "client_id"] "ratio"
        "Used share of the allowance in the current period; above 1 when it is exceeded, and infinite when an allowance of 0 is used. Not shown for a client with several allowances. As of the last poll.";
    AllowanceForecastRatio: Polled Gauge "callmeter_allowance_forecast_ratio" ["account", "client_id"] "ratio"
        "Share of the allowance that will be used at the end of the period if its use goes on as before: used share divided by elapsed share. Not shown on the first day of a period. As of the last poll.";
    AllowancePeriodElapsedRatio: Polled Gauge "callmeter_allowance_period_elapsed_ratio" ["account"] "ratio"
        "Share of the current period that has passed, to compare with the used share. The period starts at midnight in the account's time zone. As of the last poll.";
    CallsReconciliationDifference: Polled Gauge "callmeter_calls_reconciliation_difference" ["account", "client_id"] ""
        "Calls that the balance bills in the current period minus calls counted here that started in it. Not 0 does not prove an error: the API bills by its own rules and filters, and calls before `calls.history` or not settled are not counted. For clients with one allowance. As of the last poll.";

    // ---- calls
    Calls: Totals Counter "callmeter_calls_total" ["account", "client_id", "center_id", "direction"] ""
        "Calls, each counted once.";
    CallsUnanswered: Totals Counter "callmeter_calls_unanswered_total" ["account", "client_id", "center_id", "direction"] ""
        "Calls that nobody answered: they name no operator and their talk time is 0.";
    CallsFlagged: Totals Counter "callmeter_calls_flagged_total" ["account", "client_id", "center_id", "direction"] ""
        "Calls that were flagged for attention.";
    ClientDuration: Totals Counter "callmeter_client_duration_seconds_total" ["account", "client_id"] "seconds"
        "Total duration of the client's calls.";
    ClientTalk: Totals Counter "callmeter_client_talk_seconds_total" ["account", "client_id"] "seconds"
        "Talk time of the client's calls.";
    ClientRing: Totals Counter "callmeter_client_ring_seconds_total" ["account", "client_id"] "seconds"
        "Ring time of the client's calls, answered or not.";
    ClientHold: Totals Counter "callmeter_client_hold_seconds_total" ["account", "client_id"] "seconds"
        "Hold time of the client's calls.";
    ClientTransfer: Totals Counter "callmeter_client_transfer_seconds_total" ["account", "client_id"] "seconds"
        "Transfer time of the client's calls.";
    ClientWork: Totals Counter "callmeter_client_work_seconds_total" ["account", "client_id"] "seconds"
        "Work time of the client's calls.";
    CallsAbandoned: Totals Counter "callmeter_calls_abandoned_total" ["account", "center_id", "direction"] ""
        "Calls that nobody answered and that rang longer than `short_abandon`.";
    CallsAnswerUnknown: Totals Counter "callmeter_calls_answer_unknown_total" ["account", "center_id", "direction"] ""
        "Calls that may have been answered or not: they name no operator and their talk time is missing or unreadable. They are neither answered nor abandoned.";
    CallAnswer: Totals Histogram "callmeter_call_answer_seconds" ["account", "center_id", "direction"] "seconds"
        "Speed of answer: the ring time of calls that somebody answered.";
    CallAbandon: Totals Histogram "callmeter_call_abandon_seconds" ["account", "center_id", "direction"] "seconds"
        "The ring time of calls that nobody answered, also if it was short.";
    CallDuration: Totals Histogram "callmeter_call_duration_seconds" ["account", "center_id", "direction"] "seconds"
        "Total duration of calls.";
    CallTalk: Totals Histogram "callmeter_call_talk_seconds" ["account", "center_id", "direction"] "seconds"
        "Talk time of calls.";
    CallHold: Totals Histogram "callmeter_call_hold_seconds" ["account", "center_id", "direction"] "seconds"
        "Hold time of calls.";
    CallTransfer: Totals Histogram "callmeter_call_transfer_seconds" ["account", "center_id", "direction"] "seconds"
        "Transfer time of calls.";
    CallWork: Totals Histogram "callmeter_call_work_seconds" ["account", "center_id", "direction"] "seconds"
        "Work time of calls.";
    OperatorCalls: Totals Counter "callmeter_operator_calls_total" ["account", "answered_by"] ""
        "Calls by who answered them. Only with `answered_by`.";
    OperatorTalk: Totals Counter "callmeter_operator_talk_seconds_total" ["account", "answered_by"] "seconds"
        "Talk time by who answered. Only with `answered_by`.";
    OperatorCorrectionsCalls: Totals Gauge "callmeter_operator_corrections_calls" ["account", "answered_by"] ""
        "Signed changes that edits of counted calls make to callmeter_operator_calls_total.";
    OperatorCorrectionsSeconds: Totals Gauge "callmeter_operator_corrections_seconds" ["account", "answered_by"] "seconds"
        "Signed changes that edits of counted calls make to callmeter_operator_talk_seconds_total.";
    CallValuesMissing: Totals Counter "callmeter_call_values_missing_total" ["account", "field"] ""
        "Durations of calls that were missing or unreadable when the call was counted.";
    CallCorrectionsSeconds: Totals Gauge "callmeter_call_corrections_seconds" ["account", "client_id", "center_id", "direction", "field"] "seconds"
        "Signed changes that edits of counted calls make to sums of times, of clients and of histograms: sum plus correction is the current value.";
    CallCorrectionsCalls: Totals Gauge "callmeter_call_corrections_calls" ["account", "client_id", "center_id", "direction", "count"] ""
        "Signed changes that edits of counted calls make to the call counters, and to the counts of the histograms of answer and abandon: counter plus correction is the current value.";
    CallRecordsLate: State Counter "callmeter_call_records_late_total" ["account"] ""
        "New calls that had settled before the last complete poll started: the server listed them late.";
    CallRecordsRevised: Totals Counter "callmeter_call_records_revised_total" ["account"] ""
        "Edits of calls that had been counted before.";
    CallRecordsDuplicate: State Counter "callmeter_call_records_duplicate_total" ["account"] ""
        "Call records that were read again unchanged.";
    CallRecordsOutsideWindow: State Counter "callmeter_call_records_outside_window_total" ["account"] ""
        "Call records dropped because they start outside the requested window.";
    CallsForgotten: State Counter "callmeter_calls_forgotten_total" ["account"] ""
        "Call records not counted because they are older than the journal: they may have been counted before. Each poll that reads them counts them here.";
    CallRecordsWithoutId: Totals Counter "callmeter_call_records_without_id_total" ["account"] ""
        "Calls without an id, which are identified by all of their fields.";

    // ---- PortSIP
    PortsipBillingEnabled: Polled Gauge "callmeter_portsip_billing_enabled" ["account"] ""
        "Whether billing is enabled for the tenant (1) or not (0). As of the last poll.";
    PortsipBillingInfo: Polled Gauge "callmeter_portsip_billing_info" ["account", "billed_account", "charging_type"] ""
        "Always 1. Its labels say who is charged (tenant, user) and how (offline, online). As of the last poll.";
    PortsipBalance: Polled Gauge "callmeter_portsip_balance" ["account", "currency"] ""
        "The tenant's balance, in the currency of the label. As of the last poll.";
    CallRates: Polled Gauge "callmeter_call_rates" ["account", "rate_type"] ""
        "Call rates in the rate deck. As of the last poll.";
    CallRatePrice: Polled Gauge "callmeter_call_rate_price_per_minute" ["account", "rate_type", "interval", "aggregate", "currency"] ""
        "Price per minute of the rates of a type: minimum, maximum and mean, in the first and in the next intervals, in the currency of the tenant's balance; empty while it is not known. As of the last poll.";
    CallRatesChanged: Totals Counter "callmeter_call_rates_changed_total" ["account", "rate_type", "change"] ""
        "Call rates that were added, edited or removed.";

    // ---- charges
    Charges: Totals Counter "callmeter_charges_total" ["account", "client_id", "rate_type", "currency"] ""
        "What calls cost by the rate deck, in the currency of the label.";
    ChargedSeconds: Totals Counter "callmeter_charged_seconds_total" ["account", "client_id", "rate_type", "currency"] "seconds"
        "Seconds of calls that are charged: whole intervals, without free seconds.";
    ChargeCorrections: Totals Gauge "callmeter_charge_corrections" ["account", "client_id", "rate_type", "currency"] ""
        "Signed changes that edits of charged calls make to callmeter_charges_total: counter plus correction is the current value.";
    ChargeCorrectionsSeconds: Totals Gauge "callmeter_charge_corrections_seconds" ["account", "client_id", "rate_type", "currency"] "seconds"
        "Signed changes that edits of charged calls make to callmeter_charged_seconds_total: counter plus correction is the current value.";
    CallsNotCharged: Totals Counter "callmeter_calls_not_charged_total" ["account", "reason"] ""
        "Calls that a rule of `charges` selects and that are not charged when they are first seen, by reason.";
    CallsWaitingForDeck: Registry Gauge "callmeter_calls_waiting_for_deck" ["account"] ""
        "Calls that a rule of `charges` selects and that wait: the rate deck has no rate that can be used, or its currency is not known.";

    // ---- the meter itself
    SeriesFolded: Totals Counter "callmeter_series_folded_total" ["family"] ""
        "Updates counted under client_id=\"other\" because the family, or one with the same labels, reached the cap on label sets.";
    SeriesShortened: State Gauge "callmeter_series_shortened" [] ""
        "Series with a label value that is longer than 256 bytes and shown shortened: its beginning, ~, and a hash of the whole.";

    // ---- the exporter's own metrics, in the registry
    ApiRequests: Registry Counter "callmeter_api_requests_total" ["account", "api", "operation", "outcome"] ""
        "Requests to the telephony APIs, by outcome.";
    ApiRequestDuration: Registry Histogram "callmeter_api_request_duration_seconds" ["account", "api", "operation", "outcome"] "seconds"
        "Duration of requests to the telephony APIs.";
    Polls: Registry Counter "callmeter_polls_total" ["account", "task"] ""
        "Polls that were started.";
    PollFailures: Registry Counter "callmeter_poll_failures_total" ["account", "task", "reason"] ""
        "Polls that failed, by reason.";
    PollsSkipped: Registry Counter "callmeter_polls_skipped_total" ["account", "task"] ""
        "Polls skipped because the previous poll was still running.";
    PollsTruncated: Registry Counter "callmeter_polls_truncated_total" ["account", "task"] ""
        "Polls that stopped at a limit on pages, rows, bytes or time before everything was read.";
    PollDuration: Registry Histogram "callmeter_poll_duration_seconds" ["account", "task"] "seconds"
        "Duration of polls.";
    RecordsUnreadable: Registry Counter "callmeter_records_unreadable_total" ["account", "task"] ""
        "Records that could not be read; the other records of the response were.";
    OutputReceived: Registry Counter "callmeter_output_records_received_total" ["output", "stream"] ""
        "Records handed to the output.";
    OutputDelivered: Registry Counter "callmeter_output_records_delivered_total" ["output", "stream"] ""
        "Records that the output acknowledged.";
    OutputDropped: Registry Counter "callmeter_output_records_dropped_total" ["output", "stream", "reason"] ""
        "Records that will not be delivered: dead letters, and records that retention removed first.";
    OutputLag: Registry Gauge "callmeter_output_lag_records" ["output", "stream"] ""
        "Records in the journal that the output has not acknowledged.";
    OutputOldest: Registry Gauge "callmeter_output_oldest_unacknowledged_timestamp_seconds" ["output", "stream"] "seconds"
        "Unix time at which the oldest unacknowledged record was journaled; 0 if there is none.";
    OutputUp: Registry Gauge "callmeter_output_up" ["output"] ""
        "Whether the output works (1). 0: its plugin does not run or hangs, three attempts in a row failed, or it has waited for another attempt for a minute.";
    JournalBytes: Registry Gauge "callmeter_journal_size_bytes" [] "bytes"
        "Size of the journal on disk.";
    JournalLimit: Registry Gauge "callmeter_journal_limit_bytes" [] "bytes"
        "Size of the journal above which the oldest batches are removed: `journal.max_bytes`.";
    JournalAppendDuration: Registry Histogram "callmeter_journal_append_duration_seconds" [] "seconds"
        "Duration of the transaction of a page, including the wait for the disk.";
    JournalPruned: Registry Counter "callmeter_journal_records_pruned_total" ["stream"] ""
        "Records that retention removed from the journal.";
    JournalUp: Registry Gauge "callmeter_journal_up" [] ""
        "Whether callmeter reached the server of the journal in its last round (1) or not (0). Rounds are due every 2.5 seconds. Only with a journal on a server.";
    JournalLag: Registry Gauge "callmeter_journal_lag_batches" [] ""
        "Batches in the journal that this instance has not counted yet, as far as it knows. Only with a journal on a server.";
    JournalFollowed: Registry Gauge "callmeter_journal_followed_timestamp_seconds" [] "seconds"
        "Unix time at which the totals of this instance last had everything that was in the journal. Only with a journal on a server.";
    Instances: Registry Gauge "callmeter_instances" [] ""
        "Live instances that share the journal, with this one. Absent while the journal cannot be reached. Only with a journal on a server.";
    Leases: Registry Gauge "callmeter_leases" ["kind", "held"] ""
        "Accounts, outputs, charges and the journal that the configuration of this instance needs, by where they are worked on: by this instance (here), by another one (elsewhere), by none (nobody). Absent while the journal cannot be reached. Only with a journal on a server.";
    LeaseRounds: Registry Counter "callmeter_lease_rounds_total" ["outcome"] ""
        "Rounds in which this instance renews its leases and sees the others, by outcome (ok, failed). Only with a journal on a server.";
    HttpRequests: Registry Counter "callmeter_http_requests_total" ["path", "code"] ""
        "Requests answered by callmeter's web server.";
    BuildInfo: Registry Gauge "callmeter_build_info" ["version", "revision", "rustc", "target"] ""
        "Always 1. Its labels describe the build.";
    Ready: Registry Gauge "callmeter_ready" [] ""
        "1 while callmeter polls and delivers, 0 while it starts or shuts down, or its totals are behind a journal on a server. During a start, series of accounts are absent until the journal is counted.";
    ConfigReloadSuccessful: Registry Gauge "callmeter_config_last_reload_successful" [] ""
        "Whether the last load of the configuration succeeded (1) or failed (0).";
    ConfigReloadTimestamp: Registry Gauge "callmeter_config_last_reload_success_timestamp_seconds" [] "seconds"
        "Unix time of the last successful load of the configuration.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_its_id_and_listed_once() {
        for (place, id) in FamilyId::ALL.iter().enumerate() {
            assert_eq!(*id as usize, place);
        }
        let mut names: Vec<_> = FamilyId::ALL.iter().map(|id| id.family().name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FamilyId::ALL.len());
    }

    #[test]
    fn the_prometheus_crate_takes_every_name_and_label() {
        for id in FamilyId::ALL {
            let family = id.family();
            let made = match family.metric_type {
                MetricType::Counter => {
                    prometheus::IntCounterVec::new(family.opts(), family.labels).map(drop)
                }
                MetricType::Gauge => {
                    prometheus::GaugeVec::new(family.opts(), family.labels).map(drop)
                }
                MetricType::Histogram => {
                    prometheus::HistogramVec::new(family.histogram_opts(vec![1.0]), family.labels)
                        .map(drop)
                }
            };
            assert!(made.is_ok(), "{}: {made:?}", family.name);
        }
    }
}
