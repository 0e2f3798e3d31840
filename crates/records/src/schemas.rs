//! The Arrow schema of each stream.

use arrow_schema::SchemaRef;

use crate::stream::Stream;
use crate::{balances, billing, calls, charges, rates};

impl Stream {
    /// The Arrow schema that this version writes.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Calls => calls::schema(),
            Self::Balances => balances::schema(),
            Self::Rates => rates::schema(),
            Self::Billing => billing::schema(),
            Self::Charges => charges::schema(),
        }
    }
}
