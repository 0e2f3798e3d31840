//! PortSIP PBX: billing settings, balance and call rates. Nothing here can write.

mod amount;
mod billing;
mod billing_parts;
mod polls;
mod rates;

pub(super) use polls::add_polls;
