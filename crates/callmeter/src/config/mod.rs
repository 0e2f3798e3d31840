//! The configuration file: from YAML to a validated [`Config`], or to errors that name file, line,
//! column and key of every mistake.

mod accounts;
mod charge_model;
mod charges;
mod hostedsuite;
mod journal;
mod journal_place;
mod link;
mod load;
mod metrics;
mod model;
mod no_proxy;
mod output_from;
mod outputs;
mod paths;
mod plugin_secrets;
mod portsip;
mod redact;
mod scrub_page;
mod secret;
#[cfg(test)]
mod tests;

pub use charge_model::{Charging, Deck, NumberColumn, Numbers, Rule};
pub use journal_place::{JournalPlace, JournalServer, JournalUrl};
pub use load::{Loaded, check_text, load, load_for_stored_data};
pub use model::{
    Account, Api, Balances, Billing, Calls, Clients, Config, Format, HostedSuite, Isolation,
    Journal, Link, Metrics, Output, PortSip, Proxy, Rates, Rounding, Tls,
};
pub use output_from::OutputFrom;
pub(crate) use paths::holds_no_other_file;
pub use plugin_secrets::{has_secrets as has_plugin_secrets, resolve as resolve_plugin_secrets};
pub use redact::redacted;
pub use scrub_page::scrubbed;
pub use secret::SecretSource;
pub use yaml_sections::{ConfigError, Place, Problem, parse_duration};
