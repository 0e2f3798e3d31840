//! PortSIP PBX: billing settings, balance and call rates. Nothing here can write.

mod amount;
mod billing;
mod billing_parts;
mod deck_records;
mod polls;
mod rates;

pub(crate) use deck_records::OwnedDeck;
pub(super) use polls::add_polls;
