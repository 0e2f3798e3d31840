//! The list of clients.

use crate::CallAllowanceType;
use crate::raw_table::{Column, scalar};
use crate::rows::{numbers, rows_of, texts};

pub(crate) const COLUMNS: &[Column] = &[
    scalar("Id"),
    scalar("Name"),
    scalar("CenterId"),
    scalar("CenterName"),
    scalar("ThirdPartyAccountId"),
    scalar("CallAllowanceType"),
    scalar("CallAllowanceAmount"),
    scalar("EntityStatus"),
];

rows_of! {
    /// The answer to [`Client::clients`](crate::Client::clients).
    Clients,
    /// A business that the customer answers calls for.
    ClientRef, COLUMNS, rows
}

impl<'a> ClientRef<'a> {
    texts! {
        /// The client's id.
        id = 0;
        /// Its name. Not unique.
        name = 1;
        /// The center it belongs to.
        center_id = 2;
        /// That center's name.
        center_name = 3;
        /// Its account in another system.
        third_party_account_id = 4;
        /// Whether it is active or archived, in the server's words.
        entity_status = 7;
    }
    numbers! {
        /// The calls or minutes that its allowance holds.
        allowance_amount = 6;
    }

    /// What its allowance counts.
    pub fn allowance_type(&self) -> Option<CallAllowanceType> {
        self.0.text(5).map(CallAllowanceType::from)
    }
}
