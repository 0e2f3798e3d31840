//! What the status page says of the entries of `charges`: calls that wait for a deck.

use maud::{Markup, html};

use super::words::number;
use crate::status::ChargingStatus;

/// Whether calls of the entry wait.
pub(super) fn waits_for_deck(charging: &ChargingStatus) -> bool {
    charging.reason.is_some()
}

/// The entries of this instance, and what is shown of those of others.
pub(super) fn charges(all: &[ChargingStatus], elsewhere: &Markup) -> Markup {
    html! {
        @if !all.is_empty() || !elsewhere.0.is_empty() {
            section {
                h2 { "Charges" }
                @for one in all { (card(one)) }
                (elsewhere)
            }
        }
    }
}

fn card(charging: &ChargingStatus) -> Markup {
    let (class, word) = match (&charging.error, &charging.reason) {
        (Some(_), _) => ("bad", "deck not read"),
        (None, Some(_)) => ("waiting", "waits for the deck"),
        (None, None) => ("good", "ok"),
    };
    html! {
        article class=(class) {
            h3 {
                (charging.name) " " span class={ "badge " (class) } { (word) }
                small { "calls of " (charging.account) }
            }
            @if let Some(reason) = &charging.reason {
                p.fact {
                    (number(charging.waiting))
                    @if charging.waiting == 1 { " call waits" } @else { " calls wait" }
                    " to be charged: " (reason)
                }
            }
            @if let Some(error) = &charging.error {
                p.error { (error) }
                @if charging.reason.is_none() {
                    p.fact { "Calls are charged by the rates that were read last." }
                }
            }
        }
    }
}
