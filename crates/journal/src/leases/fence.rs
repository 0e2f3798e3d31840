//! What a transaction checks before it writes: that this process may still do so.

use crate::database::connection::Connection;
use crate::database::value::values;
use crate::error::{JournalError, Result};

/// The time by the server's clock, which all instances share: UTC, microseconds.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The id of an instance: of one process, from its start to its end.
pub(crate) type InstanceId = [u8; 8];

/// What must hold when a transaction writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Nothing: the journal is a file, or the work needs no lease.
    Open,
    /// This process shares no work. Nobody may hold the lease.
    Alone { lease: String },
    /// This process holds the lease, since it got this epoch.
    Held {
        lease: String,
        holder: InstanceId,
        epoch: i64,
    },
    /// This process does not hold the lease.
    NotHeld { lease: String },
}

impl Fence {
    /// Fails if the lease is not held. Otherwise it cannot change hands until the transaction ends.
    pub(crate) fn check(&self, conn: &Connection) -> Result<()> {
        const OPERATION: &str = "check the lease in";
        let sql = |source| conn.failed(OPERATION, source);
        let (lease, is_held) = match self {
            Self::Open => return Ok(()),
            Self::NotHeld { lease } => (lease, false),
            Self::Alone { lease } => {
                // Nobody gets a lease until the transaction ends.
                conn.run("LOCK TABLE leases IN SHARE MODE").map_err(sql)?;
                let held = conn
                    .first(
                        &format!("SELECT 1 FROM leases WHERE name = ? AND expires_at > {NOW}"),
                        values![lease],
                        |_| Ok(()),
                    )
                    .map_err(sql)?;
                (lease, held.is_none())
            }
            Self::Held {
                lease,
                holder,
                epoch,
            } => {
                let held = conn
                    .first(
                        &format!(
                            "SELECT 1 FROM leases WHERE name = ? AND holder = ? AND epoch = ?
                             AND expires_at > {NOW} FOR SHARE"
                        ),
                        values![lease, holder, *epoch],
                        |_| Ok(()),
                    )
                    .map_err(sql)?;
                (lease, held.is_some())
            }
        };
        if is_held {
            Ok(())
        } else {
            Err(JournalError::LeaseLost {
                lease: lease.clone(),
                journal: conn.location().clone(),
            })
        }
    }
}
