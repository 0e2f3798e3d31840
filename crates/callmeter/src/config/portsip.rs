//! Validation of a tenant at a PortSIP PBX.

use super::link::link;
use super::model::{Billing, PortSip, Rates};
use yaml_sections::{DAY, MINUTE, SECOND, Section};

pub(super) fn port_sip(pbx: &mut Section<'_>) -> Option<PortSip> {
    let link = link(pbx, "https://pbx.example.com:8887/api");
    let domain = pbx.text("domain").map(|text| text.value.trim().to_owned());
    let billing = pbx.section("billing").and_then(|mut billing| {
        let every = billing.duration("every", MINUTE, SECOND..=DAY);
        let enabled = billing.boolean("enabled", true);
        enabled.then_some(Billing { every })
    });
    let rates = pbx.section("rates").and_then(|mut rates| {
        let every = rates.duration("every", 15 * MINUTE, SECOND..=7 * DAY);
        let max_export = rates.size("max_export", 512 << 20, 64 << 10..=16 << 30);
        let enabled = rates.boolean("enabled", true);
        enabled.then_some(Rates { every, max_export })
    });
    Some(PortSip {
        link: link?,
        domain: domain.filter(|domain| !domain.is_empty()),
        billing,
        rates,
    })
}
