//! The dashboards: service, allowances and spend, callmeter itself.

mod allowances;
mod list;
mod own;
mod parts;
mod service;

pub use list::all;
