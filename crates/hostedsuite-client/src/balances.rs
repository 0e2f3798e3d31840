//! Call-allowance balances.

use crate::raw_table::{Column, scalar};
use crate::rows::{numbers, rows_of, texts};

pub(crate) const COLUMNS: &[Column] = &[
    scalar("ClientId"),
    scalar("ThirdPartyAccountId"),
    scalar("ClientName"),
    scalar("AllowanceDescription"),
    scalar("NumCalls"),
    scalar("NumMins"),
    scalar("Balance"),
    scalar("BalanceDescription"),
];

rows_of! {
    /// The answer to [`Client::balances`](crate::Client::balances).
    Balances,
    /// What one client has used and has left.
    BalanceRef, COLUMNS, rows
}

impl<'a> BalanceRef<'a> {
    texts! {
        /// The client's id.
        client_id = 0;
        /// The client's account in another system.
        third_party_account_id = 1;
        /// The client's name. Not unique.
        client_name = 2;
        /// The allowance in words.
        allowance_description = 3;
        /// The balance in words.
        balance_description = 7;
    }
    numbers! {
        /// The calls that count.
        num_calls = 4;
        /// The minutes that count.
        num_mins = 5;
        /// What is left, in the allowance's unit; the API does not state its sign.
        balance = 6;
    }
}
