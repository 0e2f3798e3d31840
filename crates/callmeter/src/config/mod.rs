//! The configuration file: from YAML to a validated [`Config`], or to errors that name file, line,
//! column and key of every mistake.

mod accounts;
mod charge_model;
mod charges;
mod hostedsuite;
mod link;
mod load;
mod metrics;
mod model;
mod output_from;
mod outputs;
mod paths;
mod plugin_secrets;
mod portsip;
mod problem;
mod problems;
mod redact;
mod scrub_page;
mod secret;
mod section;
#[cfg(test)]
mod tests;
mod values;
mod yaml;

pub use charge_model::{Charging, Deck, NumberColumn, Numbers, Rule};
pub use load::{Loaded, check_text, load, load_for_stored_data};
pub use model::{
    Account, Api, Balances, Billing, Calls, Clients, Config, Format, HostedSuite, Isolation,
    Journal, Link, Metrics, Output, PortSip, Proxy, Rates, Rounding, Tls,
};
pub use output_from::OutputFrom;
pub(crate) use paths::holds_no_other_file;
pub use plugin_secrets::{has_secrets as has_plugin_secrets, resolve as resolve_plugin_secrets};
pub use problem::{ConfigError, Place, Problem};
pub(crate) use problems::Problems;
pub use redact::redacted;
pub use scrub_page::scrubbed;
pub use secret::SecretSource;
pub(crate) use section::{Section, Text};
pub use values::parse_duration;
pub(crate) use yaml::parse as parse_yaml;
