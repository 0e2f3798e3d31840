//! The family table: the single source of every metric's name, type, unit, help and labels.
//!
//! The encoders, `docs/METRICS.md`, the lint test and the self-metrics in the registry all read it.

use crate::family::{Family, Kind, Source};

macro_rules! families {
    ($($id:ident: $source:ident $kind:ident $name:literal [$($label:literal),*] $unit:literal $help:literal;)*) => {
        /// Names one family of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FamilyId {
            $(#[doc = concat!("`", $name, "`: ", $help)] $id,)*
        }

        static TABLE: &[Family] = &[
            $(Family {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                help: $help,
                labels: &[$($label),*],
                source: Source::$source,
            },)*
        ];

        impl FamilyId {
            /// All families, in the order in which they are written.
            pub const ALL: &[Self] = &[$(Self::$id,)*];

            /// Its entry in the table.
            pub fn family(self) -> &'static Family {
                &TABLE[self as usize]
            }
        }
    };
}

families! {
    // ---- an account and its polls
    Up: State Gauge "callmeter_up" ["account", "api"] ""
        "Whether the last poll of the account succeeded (1) or failed (0).";
    LastSuccess: State Gauge "callmeter_last_success_timestamp_seconds" ["account", "api"] "seconds"
        "Unix time of the last poll that succeeded.";
    Watermark: State Gauge "callmeter_watermark_timestamp_seconds" ["account", "api"] "seconds"
        "Unix time up to which the account's calls have been read.";
    LastEvent: State Gauge "callmeter_last_event_timestamp_seconds" ["account", "api"] "seconds"
        "Unix time of the latest start of a call that was counted.";

    // ---- allowances, as of the last poll
    ClientInfo: Polled Gauge "callmeter_client_info" ["account", "client_id", "client_name", "third_party_account_id"] ""
        "Always 1: the names that belong to a client id, to be joined to other series. As of the last poll.";
    AllowanceBalance: Polled Gauge "callmeter_allowance_balance" ["account", "client_id"] ""
        "Balance of the client's call allowance in the current period, as the API states it. As of the last poll.";
    AllowanceUsedCalls: Polled Gauge "callmeter_allowance_used_calls" ["account", "client_id"] ""
        "Calls billed against the allowance in the current period. As of the last poll.";
    AllowanceUsedSeconds: Polled Gauge "callmeter_allowance_used_seconds" ["account", "client_id"] "seconds"
        "Time billed against the allowance in the current period. As of the last poll.";
    AllowanceLimitCalls: Polled Gauge "callmeter_allowance_limit_calls" ["account", "client_id"] ""
        "Calls that the allowance includes in a period, where it is set in calls. As of the last poll.";
    AllowanceLimitSeconds: Polled Gauge "callmeter_allowance_limit_seconds" ["account", "client_id"] "seconds"
        "Time that the allowance includes in a period, where it is set in minutes. As of the last poll.";
    AllowanceUsedRatio: Polled Gauge "callmeter_allowance_used_ratio" ["account", "client_id"] "ratio"
        "Used part of the allowance in the current period; above 1 when it is overrun. As of the last poll.";
    AllowancePeriodElapsedRatio: Polled Gauge "callmeter_allowance_period_elapsed_ratio" ["account", "client_id"] "ratio"
        "Part of the current period that has passed, for comparison with the used part. As of the last poll.";

    // ---- calls
    Calls: Totals Counter "callmeter_calls_total" ["account", "client_id", "center_id", "direction"] ""
        "Calls counted, each once.";
    CallsUnanswered: Totals Counter "callmeter_calls_unanswered_total" ["account", "client_id", "center_id", "direction"] ""
        "Calls counted that nobody answered: no operator named and no talk time.";
    CallsFlagged: Totals Counter "callmeter_calls_flagged_total" ["account", "client_id", "center_id", "direction"] ""
        "Calls counted that were flagged for attention.";
    CallDuration: Totals Histogram "callmeter_call_duration_seconds" ["account", "client_id", "direction"] "seconds"
        "Whole duration of counted calls.";
    CallTalk: Totals Histogram "callmeter_call_talk_seconds" ["account", "client_id", "direction"] "seconds"
        "Talk time of counted calls.";
    CallRing: Totals Histogram "callmeter_call_ring_seconds" ["account", "client_id", "direction"] "seconds"
        "Ring time of counted calls.";
    CallHold: Totals Histogram "callmeter_call_hold_seconds" ["account", "client_id", "direction"] "seconds"
        "Hold time of counted calls.";
    CallTransfer: Totals Histogram "callmeter_call_transfer_seconds" ["account", "client_id", "direction"] "seconds"
        "Transfer time of counted calls.";
    CallWork: Totals Histogram "callmeter_call_work_seconds" ["account", "client_id", "direction"] "seconds"
        "Work time of counted calls.";
    CallValuesMissing: Totals Counter "callmeter_call_values_missing_total" ["account", "field"] ""
        "Durations of calls that were absent or unreadable, so that no histogram has them.";
    CallCorrectionsSeconds: Totals Gauge "callmeter_call_corrections_seconds" ["account", "client_id", "direction", "field"] "seconds"
        "What later edits of calls changed in the histograms' sums, signed: sum plus correction is the present truth.";
    CallCorrectionsCalls: Totals Gauge "callmeter_call_corrections_calls" ["account", "client_id", "center_id", "direction", "count"] ""
        "What later edits of calls took from, or moved between, the series of the calls counters, signed.";
    CallRecordsLate: State Counter "callmeter_call_records_late_total" ["account"] ""
        "Calls that were seen for the first time after a later call had been read.";
    CallRecordsRevised: Totals Counter "callmeter_call_records_revised_total" ["account"] ""
        "Edits of calls that had been counted before.";
    CallRecordsDuplicate: State Counter "callmeter_call_records_duplicate_total" ["account"] ""
        "Records of calls that were read again unchanged.";
    CallRecordsOutsideWindow: State Counter "callmeter_call_records_outside_window_total" ["account"] ""
        "Records dropped because they start outside the window that was asked for.";
    CallRecordsWithoutId: Totals Counter "callmeter_call_records_without_id_total" ["account"] ""
        "Calls that came without an id and are told apart by all of their fields.";

    // ---- PortSIP
    PortsipBillingEnabled: Polled Gauge "callmeter_portsip_billing_enabled" ["account"] ""
        "Whether the tenant's billing is switched on (1) or off (0). As of the last poll.";
    PortsipBillingInfo: Polled Gauge "callmeter_portsip_billing_info" ["account", "billed_account", "charging_type"] ""
        "Always 1: who is charged (tenant, user) and how (offline, online). As of the last poll.";
    PortsipBalance: Polled Gauge "callmeter_portsip_balance" ["account", "currency"] ""
        "The tenant's balance in the named currency. As of the last poll.";
    CallRates: Polled Gauge "callmeter_call_rates" ["account", "rate_type"] ""
        "Call rates in the rate deck. As of the last poll.";
    CallRatePrice: Polled Gauge "callmeter_call_rate_price_per_minute" ["account", "rate_type", "interval", "aggregate"] ""
        "Price per minute over the rates of a type: smallest, largest and mean, in the first interval and the next ones. As of the last poll.";
    CallRatesChanged: Totals Counter "callmeter_call_rates_changed_total" ["account", "rate_type", "change"] ""
        "Call rates that appeared, were edited or were removed.";

    // ---- the meter itself
    SeriesFolded: Totals Counter "callmeter_series_folded_total" ["family"] ""
        "Updates counted under client_id=\"other\" because the family, or those that share its labels, had reached the cap of label sets.";

    // ---- self-metrics: the registry's
    ApiRequests: Registry Counter "callmeter_api_requests_total" ["account", "api", "operation", "outcome"] ""
        "Requests to the telephony APIs, by outcome.";
    ApiRequestDuration: Registry Histogram "callmeter_api_request_duration_seconds" ["account", "api", "operation", "outcome"] "seconds"
        "Time that requests to the telephony APIs took.";
    Polls: Registry Counter "callmeter_polls_total" ["account", "task"] ""
        "Polls that were started.";
    PollFailures: Registry Counter "callmeter_poll_failures_total" ["account", "task", "reason"] ""
        "Polls that failed, by reason.";
    PollsSkipped: Registry Counter "callmeter_polls_skipped_total" ["account", "task"] ""
        "Polls left out because the one before was still running.";
    PollsTruncated: Registry Counter "callmeter_polls_truncated_total" ["account", "task"] ""
        "Polls that stopped at a cap on pages, rows, bytes or time and left something unread.";
    PollDuration: Registry Histogram "callmeter_poll_duration_seconds" ["account", "task"] "seconds"
        "Time that whole polls took.";
    RecordsUnreadable: Registry Counter "callmeter_records_unreadable_total" ["account", "task"] ""
        "Records of an answer that could not be read at all; the others of the answer were.";
    OutputReceived: Registry Counter "callmeter_output_records_received_total" ["output", "stream"] ""
        "Records handed to the output.";
    OutputDelivered: Registry Counter "callmeter_output_records_delivered_total" ["output", "stream"] ""
        "Records that the output acknowledged.";
    OutputDropped: Registry Counter "callmeter_output_records_dropped_total" ["output", "stream", "reason"] ""
        "Records that will not be delivered: dead letters, and what retention took.";
    OutputLag: Registry Gauge "callmeter_output_lag_records" ["output", "stream"] ""
        "Records in the journal that the output has not acknowledged.";
    OutputOldest: Registry Gauge "callmeter_output_oldest_unacknowledged_timestamp_seconds" ["output", "stream"] "seconds"
        "Unix time at which the oldest unacknowledged record was journaled; 0 when there is none.";
    OutputUp: Registry Gauge "callmeter_output_up" ["output"] ""
        "Whether the output works (1) or is failing or disabled (0).";
    JournalBytes: Registry Gauge "callmeter_journal_size_bytes" [] "bytes"
        "Bytes that the journal takes on disk.";
    JournalAppendDuration: Registry Histogram "callmeter_journal_append_duration_seconds" [] "seconds"
        "Time that a page's transaction took, disk wait included.";
    JournalPruned: Registry Counter "callmeter_journal_records_pruned_total" ["stream"] ""
        "Records that retention removed from the journal.";
    HttpRequests: Registry Counter "callmeter_http_requests_total" ["path", "code"] ""
        "Requests that callmeter's own web server answered.";
    BuildInfo: Registry Gauge "callmeter_build_info" ["version", "revision", "rustc", "target"] ""
        "Always 1: what was built, and how.";
    ConfigReloadSuccessful: Registry Gauge "callmeter_config_last_reload_successful" [] ""
        "Whether the last reading of the configuration succeeded (1) or failed (0).";
    ConfigReloadTimestamp: Registry Gauge "callmeter_config_last_reload_success_timestamp_seconds" [] "seconds"
        "Unix time of the last reading of the configuration that succeeded.";
}
