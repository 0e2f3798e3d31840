//! A simulator and a callmeter that reads it, with accounts that poll every second.

use std::path::PathBuf;

use callmeter_simulator::{Ledger, LedgerQuery, Options, Running, Simulator};
use callmeter_tests::{Exporter, PbxAccount, SuiteAccount, Web, World};

/// A simulator and the directory of a callmeter that reads it.
pub(crate) struct Site {
    pub(crate) simulator: Running,
    pub(crate) world: World,
}

impl Site {
    pub(crate) async fn new(options: Options) -> Self {
        Self {
            simulator: Simulator::start(options).await.unwrap(),
            world: World::new(),
        }
    }

    /// A site with `calls` calls within two days, all of them over.
    pub(crate) async fn with_calls(calls: u64) -> Self {
        Self::new(Options {
            calls: Some(calls),
            days: 2,
            rates: 50,
            ..Options::default()
        })
        .await
    }

    /// A HostedSuite account that reads four days of calls, and balances.
    pub(crate) fn suite(&self, name: &str) -> SuiteAccount {
        SuiteAccount::of(name, &self.simulator)
            .calls("every: 1s, lookback: 4d, settle: 0s, page_size: 100")
            .with("balances", "{ every: 1s }")
            .with("clients", "{ enabled: true }")
    }

    /// A PortSIP account that reads everything.
    pub(crate) fn pbx(&self, name: &str) -> PbxAccount {
        PbxAccount::of(name, &self.simulator)
    }

    /// Writes the configuration with these accounts.
    pub(crate) fn configure(&self, suites: &[SuiteAccount], pbxs: &[PbxAccount]) -> PathBuf {
        let suites = suites
            .iter()
            .map(|suite| suite.yaml(&self.world, "simulated"));
        let pbxs = pbxs.iter().map(|pbx| pbx.yaml(&self.world, "simulated"));
        let accounts: Vec<String> = suites.chain(pbxs).collect();
        self.world.configure(&accounts, &[])
    }

    /// Starts callmeter with the configuration that was written last.
    pub(crate) async fn start(&self) -> Exporter {
        let config = self.world.path("callmeter.yml");
        Exporter::start(&config, &self.world.path("callmeter.log"), Web::default()).await
    }

    pub(crate) fn truth(&self) -> Ledger {
        self.simulator.ledger(&LedgerQuery::default())
    }
}

/// Ends a callmeter in order.
pub(crate) fn end(exporter: Exporter) {
    let log = exporter.log();
    assert!(exporter.terminate().success(), "{log}");
}
