//! The configuration as it stands in the file: every value a text with its place, nothing checked yet.
//!
//! All members are optional here, so that what is missing is reported by the validation along with
//! everything else that is wrong, and not one mistake per attempt.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

/// A scalar with its place. Numbers and booleans are texts as well, read by the validation.
pub(super) type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) accounts: Option<Vec<Spanned<Account>>>,
    pub(super) journal: Option<Spanned<Journal>>,
    #[serde(default)]
    pub(super) outputs: Option<Vec<Spanned<Output>>>,
    pub(super) metrics: Option<Metrics>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) name: Option<Text>,
    pub(super) hostedsuite: Option<Spanned<HostedSuite>>,
    pub(super) portsip: Option<Spanned<PortSip>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostedSuite {
    pub(super) url: Option<Text>,
    pub(super) customer: Option<Text>,
    pub(super) username: Option<Text>,
    pub(super) password: Option<Spanned<IgnoredAny>>,
    pub(super) password_file: Option<Text>,
    pub(super) password_env: Option<Text>,
    pub(super) time_zone: Option<Text>,
    pub(super) format: Option<Text>,
    pub(super) tls: Option<Tls>,
    pub(super) connect_timeout: Option<Text>,
    pub(super) timeout: Option<Text>,
    pub(super) max_body: Option<Text>,
    pub(super) stale_after: Option<Text>,
    pub(super) calls: Option<Calls>,
    pub(super) balances: Option<Balances>,
    pub(super) clients: Option<Clients>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Calls {
    pub(super) enabled: Option<Text>,
    pub(super) every: Option<Text>,
    pub(super) lookback: Option<Text>,
    pub(super) history: Option<Text>,
    pub(super) settle: Option<Text>,
    pub(super) page_size: Option<Text>,
    pub(super) page_base: Option<Text>,
    pub(super) max_pages: Option<Text>,
    pub(super) max_rows: Option<Text>,
    pub(super) time_limit: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Balances {
    pub(super) enabled: Option<Text>,
    pub(super) every: Option<Text>,
    pub(super) period_start_day: Option<Text>,
    pub(super) bill: Option<Vec<Text>>,
    pub(super) rounding: Option<Text>,
    pub(super) min_call_duration: Option<Text>,
    pub(super) max_call_duration: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clients {
    pub(super) enabled: Option<Text>,
    pub(super) every: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortSip {
    pub(super) url: Option<Text>,
    pub(super) username: Option<Text>,
    pub(super) password: Option<Spanned<IgnoredAny>>,
    pub(super) password_file: Option<Text>,
    pub(super) password_env: Option<Text>,
    pub(super) domain: Option<Text>,
    pub(super) tls: Option<Tls>,
    pub(super) connect_timeout: Option<Text>,
    pub(super) timeout: Option<Text>,
    pub(super) max_body: Option<Text>,
    pub(super) stale_after: Option<Text>,
    pub(super) billing: Option<Billing>,
    pub(super) rates: Option<Rates>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Billing {
    pub(super) enabled: Option<Text>,
    pub(super) every: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rates {
    pub(super) enabled: Option<Text>,
    pub(super) every: Option<Text>,
    pub(super) max_export: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) ca_file: Option<Text>,
    pub(super) server_name: Option<Text>,
    pub(super) insecure_skip_verify: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub(super) path: Option<Text>,
    pub(super) keep: Option<Text>,
    pub(super) max_bytes: Option<Text>,
    pub(super) drop_undelivered: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub(super) name: Option<Text>,
    pub(super) plugin: Option<Text>,
    pub(super) streams: Option<Vec<Text>>,
    pub(super) config: Option<Spanned<serde_json::Value>>,
    pub(super) isolation: Option<Text>,
    pub(super) sha256: Option<Text>,
    pub(super) from: Option<Text>,
    pub(super) dead_letters: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) max_label_sets: Option<Text>,
    pub(super) created_timestamps: Option<Text>,
}
