//! All dashboards, by the names of their files.

use serde_json::Value;

use super::{allowances, own, service};
use crate::names::UnknownFamily;

/// All dashboards, by the names of their files.
///
/// # Errors
/// If a query names a family that does not exist.
pub fn all() -> Result<Vec<(&'static str, Value)>, UnknownFamily> {
    Ok(vec![
        ("service", service::board()?),
        ("allowances", allowances::board()?),
        ("callmeter", own::board()?),
    ])
}
