//! Both upstream APIs as a server with a seeded world, faults and a ledger.
//!
//! [`Simulator::start`] starts a HostedSuite host and a PortSIP PBX on two ports of this machine.
//! The world behind them is computed from a seed: the same [`Options`] give the same calls, to the
//! byte. A simulated clock decides which of them have ended and are therefore visible, [`Faults`]
//! make the servers misbehave as the real ones can, and the [`Ledger`] states what a reader that
//! counted everything exactly once must have.
//!
//! ```
//! use callmeter_simulator::{LedgerQuery, Options, Simulator};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let simulator = Simulator::start(Options { calls: Some(500), ..Options::default() }).await?;
//! println!("{}", simulator.hostedsuite_url());
//!
//! let truth = simulator.ledger(&LedgerQuery::default());
//! assert_eq!(truth.total.calls, 500);
//! simulator.stop().await;
//! # Ok::<(), callmeter_simulator::SimulatorError>(())
//! # }).unwrap();
//! ```

mod charges;
mod clock;
mod control;
mod error;
mod faults;
mod hostedsuite;
mod ledger;
mod options;
mod portsip;
mod random;
mod requests;
mod server;
mod simulator;
mod state;
mod tls;
mod world;

pub use charges::ChargeTruth;
pub use clock::ClockReading;
pub use error::SimulatorError;
pub use faults::{
    Echo, EchoEncoding, Edits, EmptyPage, FailedDay, FailedPage, Faults, FaultsError, Flapping,
    Hit, IdSpelling, IdStyle, Late, Latency, MovedStarts, NoStart, PageZero, RefusedLogin,
    ServerError, Share, Shifts, Stall, StartStyle, TalkStyle, Throttle, TimeStyle, Totals,
    UnknownTalk, describe_faults,
};
pub use ledger::{Ledger, LedgerGroup, LedgerQuery, PortSipTruth, Sums};
pub use options::{Credentials, HostedSuiteLogin, Options, PortSipLogin, SignIn, Tls};
pub use requests::{RequestCount, Requests};
pub use simulator::{Running, Simulator};
