//! The list of clients.

use crate::generated_members::client_info;
use crate::members::row;
use crate::raw_table::Column;
use crate::rows::rows_of;

pub(crate) const COLUMNS: &[Column] = ClientRef::COLUMNS;

rows_of! {
    /// The answer to [`Client::clients`](crate::Client::clients).
    Clients of ClientRef
}

client_info! { row
    /// A business that the customer answers calls for.
    ClientRef;
}
