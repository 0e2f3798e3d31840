//! The state of the program, its accounts and its outputs: one store behind the status page,
//! `/api/v1/status`, `/-/ready` and the accounts' metrics.

mod account;
mod account_store;
mod charging;
mod json;
mod outputs;
mod overview;
mod scrub;
mod sharing;
mod store;
#[cfg(test)]
mod tests;
mod told;
mod work_state;

pub use account::{
    AccountStatus, CallsProgress, NotableCalls, PollEnd, Task, TaskState, TaskStatus, UnprovenDay,
};
pub use account_store::{AccountSetup, AccountStore, Transition};
pub use charging::ChargingStatus;
pub use outputs::OutputStatus;
pub(crate) use outputs::oldest;
pub use overview::{ConfigStatus, JournalStatus, Status, Versions};
pub use sharing::{Followed, Held, SharingStatus, WorkKind, WorkStatus};
pub use store::StatusStore;
pub(crate) use told::{decode, encode, states};
pub use work_state::WorkState;
