//! Validation of the accounts.

use std::collections::HashMap;

use super::hostedsuite::hosted_suite;
use super::model::{Account, Api};
use super::portsip::port_sip;
use yaml_sections::Node;
use yaml_sections::Section;

/// The number of accounts is limited: each has tasks, connections and series.
const MAX_ACCOUNTS: usize = 1_000;

pub(super) fn accounts(file: &mut Section<'_>) -> Vec<Account> {
    let Some(nodes) = file.list("accounts") else {
        return Vec::new();
    };
    if nodes.is_empty() {
        let hint = "list at least one, with a name and either hostedsuite or portsip";
        file.problems().mistake(
            None,
            "accounts",
            "no account is configured",
            Some(hint.to_owned()),
        );
    }
    if let Some(first_too_many) = nodes.get(MAX_ACCOUNTS) {
        file.problems().mistake(
            Some(first_too_many.referenced),
            "accounts",
            format!("more than {MAX_ACCOUNTS} accounts"),
            Some("run a second exporter for the rest".to_owned()),
        );
    }
    let accounts = sections(file, "accounts", nodes, "it is a label of its series");
    accounts
        .into_iter()
        .filter_map(|(name, mut account)| {
            let api = api(&mut account);
            Some(Account {
                name: name?,
                api: api?,
            })
        })
        .collect()
}

/// The maps of a list with their names, which must be unique. `why` says why.
pub(super) fn sections<'f>(
    file: &Section<'f>,
    list: &str,
    nodes: &'f [Node],
    why: &str,
) -> Vec<(Option<String>, Section<'f>)> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut sections = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let key = format!("{list}[{index}]");
        let Some(mut section) = Section::new(file.problems(), key, node) else {
            continue;
        };
        let name = label_name(&mut section);
        if let Some(name) = &name
            && let Some(first) = seen.insert(name.clone(), index)
        {
            let message = format!("{name:?} is also the name of {list}[{first}]");
            section.mistake("name", message, Some(format!("choose another name: {why}")));
        }
        sections.push((name, section));
    }
    sections
}

/// A name that is used as a label value, a file name and a field of log lines.
fn label_name(section: &mut Section<'_>) -> Option<String> {
    let name = section
        .required("name", "a short name, such as acme")?
        .value;
    let valid = name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !name.starts_with('.');
    if !valid {
        let hint = "use up to 64 letters, digits, '_', '-' and '.', not '.' first";
        section.mistake(
            "name",
            format!("{name:?} is not a valid name"),
            Some(hint.to_owned()),
        );
        return None;
    }
    Some(name)
}

fn api(account: &mut Section<'_>) -> Option<Api> {
    let suite = account.node("hostedsuite").is_some();
    let pbx = account.node("portsip").is_some();
    if !suite && !pbx {
        let hint = "add hostedsuite or portsip";
        let problems = account.problems();
        let hint = Some(hint.to_owned());
        problems.mistake(account.at(), account.key(), "has no API", hint);
        return None;
    }
    if suite && pbx {
        let hint = "split it into two accounts with different names";
        let problems = account.problems();
        problems.mistake(
            account.place("portsip"),
            account.key(),
            "has both hostedsuite and portsip",
            Some(hint.to_owned()),
        );
        // For the mistakes in it. Those of the other are found below.
        let _unused = account.section("portsip").map(|mut pbx| port_sip(&mut pbx));
    }
    if suite {
        let mut suite = account.section("hostedsuite")?;
        hosted_suite(&mut suite).map(Api::HostedSuite)
    } else {
        let mut pbx = account.section("portsip")?;
        port_sip(&mut pbx).map(Api::PortSip)
    }
}
