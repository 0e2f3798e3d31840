//! Validation of the accounts.

use std::collections::HashMap;

use serde_saphyr::{Location, Spanned};

use super::checker::Checker;
use super::hostedsuite::hosted_suite;
use super::model::{Account, Api};
use super::portsip::port_sip;
use super::raw::{self, Text};

/// Accounts are not unbounded: each has a loop, connections and series of its own.
const MAX_ACCOUNTS: usize = 1_000;

pub(super) fn accounts(
    check: &mut Checker<'_>,
    raw: Option<&Vec<Spanned<raw::Account>>>,
) -> Vec<Account> {
    let raw = raw.map(Vec::as_slice).unwrap_or_default();
    if raw.is_empty() {
        check.problem(
            None,
            "accounts",
            "no account is configured",
            Some("list at least one, with a name and either hostedsuite or portsip".to_owned()),
        );
    }
    if let Some(first_too_many) = raw.get(MAX_ACCOUNTS) {
        check.problem(
            Some(first_too_many.referenced),
            "accounts",
            format!("more than {MAX_ACCOUNTS} accounts"),
            Some("run a second exporter for the rest".to_owned()),
        );
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    raw.iter()
        .enumerate()
        .filter_map(|(index, raw)| {
            let key = format!("accounts[{index}]");
            let name = label_name(check, raw.referenced, &key, raw.value.name.as_ref());
            if let Some(text) = raw.value.name.as_ref()
                && let Some(first) = seen.insert(text.value.as_str(), index)
            {
                check.problem(
                    Some(text.referenced),
                    &format!("{key}.name"),
                    format!("{:?} is the name of accounts[{first}] as well", text.value),
                    Some("give each account a name of its own: it labels the series".to_owned()),
                );
            }
            let api = api(check, raw, &key);
            Some(Account {
                name: name?,
                api: api?,
            })
        })
        .collect()
}

/// A name that becomes a label value, a file name and a place in a log line.
pub(super) fn label_name(
    check: &mut Checker<'_>,
    parent: Location,
    key: &str,
    name: Option<&Text>,
) -> Option<String> {
    let key = format!("{key}.name");
    let text = check.required(parent, &key, name, "a short name, such as acme")?;
    let fits = text.value.len() <= 64
        && text
            .value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !text.value.starts_with('.');
    if !fits {
        check.problem(
            Some(text.referenced),
            &key,
            format!("{:?} cannot be a name", text.value),
            Some("use up to 64 letters, digits, '_', '-' and '.', not '.' first".to_owned()),
        );
        return None;
    }
    Some(text.value.clone())
}

fn api(check: &mut Checker<'_>, raw: &Spanned<raw::Account>, key: &str) -> Option<Api> {
    match (&raw.value.hostedsuite, &raw.value.portsip) {
        (Some(suite), None) => {
            hosted_suite(check, suite, &format!("{key}.hostedsuite")).map(Api::HostedSuite)
        }
        (None, Some(pbx)) => port_sip(check, pbx, &format!("{key}.portsip")).map(Api::PortSip),
        (Some(_), Some(pbx)) => {
            check.problem(
                Some(pbx.referenced),
                key,
                "has both hostedsuite and portsip",
                Some("make two accounts of it, each with its own name".to_owned()),
            );
            None
        }
        (None, None) => {
            check.problem(
                Some(raw.referenced),
                key,
                "says no API",
                Some("add hostedsuite or portsip".to_owned()),
            );
            None
        }
    }
}
