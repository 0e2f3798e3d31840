//! Starting, steering and stopping a simulator.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::charges::{self, ChargeTruth};
use crate::clock::ClockReading;
use crate::error::SimulatorError;
use crate::faults::Faults;
use crate::ledger::{Ledger, LedgerQuery};
use crate::options::{Options, Tls};
use crate::requests::{Requests, Side};
use crate::server::Server;
use crate::state::State;
use crate::tls;

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Computes the world and opens both servers, on the current tokio runtime.
    ///
    /// # Errors
    /// When an option is out of bounds, an address cannot be listened on, or
    /// the certificate cannot be made.
    pub async fn start(options: Options) -> Result<Running, SimulatorError> {
        options.check()?;
        let listener = listen(options.listen).await?;
        let listener_portsip = listen(options.listen_portsip).await?;
        let hostedsuite = address(&listener, options.listen)?;
        let portsip = address(&listener_portsip, options.listen_portsip)?;
        let (acceptor, certificate) = match options.tls {
            Tls::Off => (None, None),
            Tls::PortSip | Tls::All => {
                let (acceptor, pem) = tls::self_signed(&[hostedsuite.ip(), portsip.ip()])?;
                (Some(acceptor), Some(pem))
            }
        };
        let tls = options.tls;
        let state = State::new(options, certificate)?;
        let state = Arc::new(state);

        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        let own = (tls == Tls::All).then(|| acceptor.clone()).flatten();
        let server = Server::new(&state, Side::HostedSuite, own);
        servers.spawn(server.serve(listener, stopped.clone()));
        let server = Server::new(&state, Side::PortSip, acceptor);
        servers.spawn(server.serve(listener_portsip, stopped));
        Ok(Running {
            state,
            hostedsuite,
            portsip,
            stop,
            servers,
        })
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, SimulatorError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| SimulatorError::Listen { address, error })
}

fn address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, SimulatorError> {
    listener
        .local_addr()
        .map_err(|error| SimulatorError::Listen {
            address: asked,
            error,
        })
}

/// A simulator that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    state: Arc<State>,
    hostedsuite: SocketAddr,
    portsip: SocketAddr,
    stop: watch::Sender<bool>,
    servers: JoinSet<()>,
}

impl Running {
    /// Where HostedSuite listens.
    pub fn hostedsuite_address(&self) -> SocketAddr {
        self.hostedsuite
    }

    /// Where the PBX listens.
    pub fn portsip_address(&self) -> SocketAddr {
        self.portsip
    }

    /// HostedSuite's base URL, with `/api`.
    pub fn hostedsuite_url(&self) -> String {
        let scheme = match self.state.options.tls {
            Tls::All => "https",
            Tls::Off | Tls::PortSip => "http",
        };
        format!("{scheme}://{}/api", self.hostedsuite)
    }

    /// The PBX's base URL, with `/api`.
    pub fn portsip_url(&self) -> String {
        let scheme = match self.state.options.tls {
            Tls::Off => "http",
            Tls::PortSip | Tls::All => "https",
        };
        format!("{scheme}://{}/api", self.portsip)
    }

    /// The base URL of `/_sim/ledger` and the other controls, without a slash at the end.
    pub fn control_url(&self) -> String {
        self.hostedsuite_url().trim_end_matches("/api").to_owned() + "/_sim"
    }

    /// The certificate of the servers that use TLS, as PEM.
    pub fn certificate(&self) -> Option<&str> {
        self.state.certificate.as_deref()
    }

    /// The options that it was started with.
    pub fn options(&self) -> &Options {
        &self.state.options
    }

    /// The ledger so far.
    pub fn ledger(&self, query: &LedgerQuery) -> Ledger {
        self.state.ledger(query)
    }

    /// Changes, adds or removes so many rates of the deck, one after the other.
    pub fn change_deck(&self, changes: u32) {
        for _ in 0..changes {
            self.state.pbx.change_deck();
        }
    }

    /// What each call costs by the deck as it is now: see [`ChargeTruth`].
    pub fn charges(&self) -> Vec<ChargeTruth> {
        self.state
            .view(|view| charges::truth(view, &self.state.pbx.tariffs()))
    }

    /// The requests so far, except those to `/_sim`.
    pub fn requests(&self) -> Requests {
        self.state.requests.read()
    }

    /// The active faults.
    pub fn faults(&self) -> Faults {
        self.state.faults()
    }

    /// Replaces the active faults.
    ///
    /// # Errors
    /// When one of them is out of bounds.
    pub fn set_faults(&self, faults: Faults) -> Result<(), SimulatorError> {
        faults
            .check()
            .map_err(|(fault, must)| SimulatorError::Option {
                option: "--fault",
                value: fault.to_owned(),
                must,
            })?;
        self.state.set_faults(faults);
        Ok(())
    }

    /// The simulated time.
    pub fn clock(&self) -> ClockReading {
        self.state.clock.read()
    }

    /// Stops the simulated clock, or lets it continue.
    pub fn freeze(&self, frozen: bool) {
        self.state.clock.freeze(frozen);
    }

    /// Sets the simulated clock forward.
    ///
    /// # Errors
    /// If the time is in the past, or more than 400 days ahead.
    pub fn set_clock(&self, to: Timestamp) -> Result<(), SimulatorError> {
        self.state.clock.set(to.as_millisecond())
    }

    /// Moves the simulated clock forward by so many seconds.
    ///
    /// # Errors
    /// As [`Running::set_clock`].
    pub fn advance(&self, seconds: u32) -> Result<(), SimulatorError> {
        let clock = &self.state.clock;
        clock.set(clock.now() + i64::from(seconds) * 1_000)
    }

    /// Changes the simulated seconds per second.
    ///
    /// # Errors
    /// When it is not above 0 and at most 1,000,000.
    pub fn set_speed(&self, speed: f64) -> Result<(), SimulatorError> {
        self.state.clock.set_speed(speed)
    }

    /// Closes both servers and every connection.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.servers.join_next().await.is_some() {}
    }

    /// Waits until the servers end, which normally they do not.
    pub async fn wait(&mut self) {
        while self.servers.join_next().await.is_some() {}
    }
}
