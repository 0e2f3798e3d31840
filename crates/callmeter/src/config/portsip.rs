//! Validation of a tenant at a PortSIP PBX.

use serde_saphyr::Spanned;

use super::checker::{Checker, DAY, MINUTE, SECOND};
use super::link::{RawLink, link};
use super::model::{Billing, PortSip, Rates};
use super::raw;

pub(super) fn port_sip(
    check: &mut Checker<'_>,
    raw: &Spanned<raw::PortSip>,
    key: &str,
) -> Option<PortSip> {
    let at = raw.referenced;
    let raw = &raw.value;
    let link = link(check, at, key, &RawLink::from(raw));
    let none = raw::Billing::default();
    let billing = raw.billing.as_ref().unwrap_or(&none);
    let of = |name: &str| format!("{key}.billing.{name}");
    let every = check.duration(&of("every"), billing.every.as_ref(), MINUTE, SECOND..=DAY);
    let billing = check
        .boolean(&of("enabled"), billing.enabled.as_ref(), true)
        .then_some(Billing { every });
    let none = raw::Rates::default();
    let rates = raw.rates.as_ref().unwrap_or(&none);
    let of = |name: &str| format!("{key}.rates.{name}");
    let every = check.duration(
        &of("every"),
        rates.every.as_ref(),
        15 * MINUTE,
        SECOND..=7 * DAY,
    );
    let max_export = check.size(
        &of("max_export"),
        rates.max_export.as_ref(),
        512 << 20,
        64 << 10..=16 << 30,
    );
    let rates = check
        .boolean(&of("enabled"), rates.enabled.as_ref(), true)
        .then_some(Rates { every, max_export });
    Some(PortSip {
        link: link?,
        domain: raw
            .domain
            .as_ref()
            .map(|text| text.value.trim().to_owned())
            .filter(|domain| !domain.is_empty()),
        billing,
        rates,
    })
}
