//! The names of leases.

/// The lease of the work on the whole journal: retention, and the snapshots of the totals.
pub const JOURNAL_LEASE: &str = "journal";

/// How the names of cursors begin that are the positions of charging. Retention also keeps the
/// charges that calls after such a cursor revise.
pub const CHARGES_CURSOR: &str = "charges/";

const ACCOUNT: &str = "account/";
const OUTPUT: &str = "output/";

/// The lease of an account: who has it polls the account and appends its records.
pub fn account_lease(account: &str) -> String {
    format!("{ACCOUNT}{account}")
}

/// The lease of an output, by the name of its cursors. Those of charges are leases themselves.
pub fn output_lease(output: &str) -> String {
    if output.starts_with(CHARGES_CURSOR) {
        output.to_owned()
    } else {
        format!("{OUTPUT}{output}")
    }
}

/// The cursors of a lease, by their name; `None` if it is the lease of something else.
pub(crate) fn cursor_of(lease: &str) -> Option<&str> {
    if lease.starts_with(CHARGES_CURSOR) {
        Some(lease)
    } else {
        lease.strip_prefix(OUTPUT)
    }
}

/// The account of a lease; `None` if it is the lease of something else.
pub(crate) fn account_of(lease: &str) -> Option<&str> {
    lease.strip_prefix(ACCOUNT)
}

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work<'l> {
    /// The polls of an account.
    Account(&'l str),
    /// An output.
    Output(&'l str),
    /// The charges for the calls of an account.
    Charges(&'l str),
    /// Retention, and the snapshots of the totals.
    Journal,
}

impl<'l> Work<'l> {
    /// What the lease with this name is for.
    pub fn of(lease: &'l str) -> Self {
        if lease == JOURNAL_LEASE {
            Self::Journal
        } else if let Some(account) = account_of(lease) {
            Self::Account(account)
        } else if let Some(account) = lease.strip_prefix(CHARGES_CURSOR) {
            Self::Charges(account)
        } else {
            Self::Output(lease.strip_prefix(OUTPUT).unwrap_or(lease))
        }
    }
}

/// What is shared out evenly: accounts, outputs together with charges, the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Account,
    Delivery,
    Journal,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Account, Self::Delivery, Self::Journal];

    pub(crate) fn of(lease: &str) -> Self {
        if lease.starts_with(ACCOUNT) {
            Self::Account
        } else if lease == JOURNAL_LEASE {
            Self::Journal
        } else {
            Self::Delivery
        }
    }
}
