//! Call-allowance balances.

use crate::generated_members::call_allowance_balance;
use crate::members::row;
use crate::raw_table::Column;
use crate::rows::rows_of;

pub(crate) const COLUMNS: &[Column] = BalanceRef::COLUMNS;

rows_of! {
    /// The answer to [`Client::balances`](crate::Client::balances).
    Balances of BalanceRef
}

call_allowance_balance! { row
    /// What one client has used and has left.
    BalanceRef;
}
