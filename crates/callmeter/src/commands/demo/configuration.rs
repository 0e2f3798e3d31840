//! The configuration of the demo.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use callmeter_simulator::Running;

use super::receiver::{self, Receiver};
use crate::exit::Failure;

/// The time zone of the simulated HostedSuite.
pub(super) const TIME_ZONE: &str = "America/New_York";

/// Writes the configuration and its secret files.
pub(super) fn write_configuration(
    directory: &Path,
    plugins: &Path,
    simulator: &Running,
    receiver: &Receiver,
) -> Result<PathBuf, Failure> {
    let defaults = callmeter_simulator::Credentials::default();
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", path.display()))
        })?;
        Ok::<PathBuf, Failure>(path)
    };
    write("hostedsuite.password", &defaults.hostedsuite.password)?;
    write("portsip.password", &defaults.portsip.password)?;
    write("webhook.secret", receiver::SECRET)?;
    let mut outputs = String::new();
    for (file, name, streams, config) in [
        (
            "libcallmeter_csv.so",
            "archive",
            "[calls, balances, rates, billing, charges]",
            format!("{{ directory: {} }}", quoted(&directory.join("csv"))),
        ),
        (
            "libcallmeter_webhook.so",
            "crm",
            "[calls, charges]",
            format!(
                "{{ url: \"{}\", secret_file: webhook.secret }}",
                receiver.url()
            ),
        ),
    ] {
        let library = plugins.join(file);
        if library.is_file() {
            // Writing to a String does not fail.
            let _ = write!(
                outputs,
                "  - name: {name}\n    plugin: {}\n    streams: {streams}\n    config: {config}\n",
                quoted(&library)
            );
        } else {
            tracing::warn!(library = %library.display(), "plugin not found; the demo runs without it (cargo xtask demo builds all plugins)");
        }
    }
    if outputs.is_empty() {
        outputs.push_str("  []\n");
    }
    let text = format!(
        "# Written by `callmeter demo`.\n\
         accounts:\n\
         \x20 - name: acme\n\
         \x20   hostedsuite:\n\
         \x20     url: {hostedsuite}\n\
         \x20     customer: {customer}\n\
         \x20     username: {username}\n\
         \x20     password_file: hostedsuite.password\n\
         \x20     time_zone: {TIME_ZONE}\n\
         \x20     calls: {{ every: 2s, lookback: 3d, settle: 0s, audit: 1m, max_requests_per_minute: 300 }}\n\
         \x20     balances: {{ every: 10s, bill: [talk, hold] }}\n\
         \x20     clients: {{ every: 1m }}\n\
         \x20 - name: hq\n\
         \x20   portsip:\n\
         \x20     url: {portsip}\n\
         \x20     username: {portsip_user}\n\
         \x20     password_file: portsip.password\n\
         \x20     domain: {domain}\n\
         \x20     billing: {{ every: 5s }}\n\
         \x20     rates: {{ every: 30s }}\n\
         charges:\n\
         \x20 - name: spend\n\
         \x20   account: acme\n\
         \x20   deck: hq\n\
         \x20   numbers: {{ country_code: \"1\" }}\n\
         \x20   rules: [{{ name: outgoing, directions: [outgoing] }}]\n\
         # Hidden, so that 40 clients stay below 1,500 series.\n\
         metrics: {{ hide: [callmeter_charged_seconds_total, callmeter_charge_corrections_seconds, callmeter_calls_flagged_total] }}\n\
         journal: {{ path: journal.db }}\n\
         outputs:\n{outputs}",
        hostedsuite = simulator.hostedsuite_url(),
        customer = defaults.hostedsuite.customer,
        username = defaults.hostedsuite.username,
        portsip = simulator.portsip_url(),
        portsip_user = defaults.portsip.username,
        domain = defaults.portsip.domain,
    );
    write("callmeter.yml", &text)
}

/// A path as a YAML string: JSON's quoting is valid YAML.
fn quoted(path: &Path) -> String {
    serde_json::Value::String(path.display().to_string()).to_string()
}
