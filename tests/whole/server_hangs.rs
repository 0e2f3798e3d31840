//! A callmeter that is told to stop ends also while the server of its journal does not answer, and
//! nothing is lost or doubled by that.

use std::path::PathBuf;
use std::time::Duration;

use callmeter_simulator::Options;
use callmeter_tests::{Exporter, Web, csv_rows_so_far, output, plugin, published, quoted};
use rustix::process::Signal;

use crate::postgres::OwnServer;
use crate::postgres_proxy::Proxy;
use crate::site::Site;
use crate::{kills, postgres};

const ACME: &str = "account=\"acme\"";

/// How the server is lost in the middle of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Its processes are suspended: connections are accepted, and nothing is answered.
    Suspended,
    /// The same, while the program reloads its configuration.
    SuspendedInReload,
    /// It has stopped.
    Stopped,
    /// The network passes no answer on.
    Silent,
}

struct Place {
    site: Site,
    proxy: Proxy,
    server: OwnServer,
    config: PathBuf,
    starts: u32,
}

impl Place {
    async fn new() -> Self {
        let site = Site::new(Options {
            calls_per_day: Some(20_000),
            days: 1,
            speed: 60.0,
            ..Options::default()
        })
        .await;
        // The server ends with the thread that starts it.
        let server = tokio::task::block_in_place(postgres::OwnServer::start);
        let proxy = Proxy::new(server.port);
        let url = format!("postgres://callmeter@127.0.0.1:{}/postgres", proxy.port);
        site.world.write("journal.url", &url);
        let mut place = Self {
            config: site.world.path("callmeter.yml"),
            site,
            proxy,
            server,
            starts: 0,
        };
        place.configure(&["archive"]);
        place
    }

    /// Writes the configuration with outputs of these names.
    fn configure(&mut self, outputs: &[&str]) {
        let account = self
            .site
            .suite("acme")
            .calls("every: 1s, lookback: 3d, settle: 0s, page_size: 500")
            .yaml(&self.site.world, "simulated");
        let outputs: String = outputs
            .iter()
            .map(|name| {
                let directory = self.site.world.path(name).display().to_string();
                let settings = format!("{{ directory: {}, rotate: never }}", quoted(&directory));
                output(name, &plugin("csv"), "calls", &settings)
            })
            .collect();
        let text = format!(
            "accounts:\n{account}journal: {{ keep: 3650d, postgres: {{ url_file: journal.url }} }}\noutputs:\n{outputs}"
        );
        std::fs::write(&self.config, text).unwrap();
    }

    async fn start(&mut self) -> Exporter {
        self.starts += 1;
        let log = self.site.world.path(&format!("{}.log", self.starts));
        Exporter::start(&self.config, &log, Web::default()).await
    }

    fn csv(&self) -> PathBuf {
        self.site.world.path("archive")
    }

    async fn lose(&mut self, loss: Loss, exporter: &Exporter) {
        match loss {
            Loss::Suspended => self.server.suspend(true),
            Loss::SuspendedInReload => {
                self.configure(&["archive", "second"]);
                self.server.suspend(true);
                exporter.process().signal(Signal::HUP);
            }
            Loss::Stopped | Loss::Silent => {
                self.proxy.silence_after_commit();
                exporter
                    .until("in a commit", async |_| self.proxy.is_silent())
                    .await;
                if loss == Loss::Stopped {
                    tokio::task::block_in_place(|| self.server.kill());
                }
            }
        }
        // Polls and outputs run into it.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }

    fn restore(&mut self, loss: Loss) {
        match loss {
            Loss::Suspended | Loss::SuspendedInReload => self.server.suspend(false),
            Loss::Stopped => tokio::task::block_in_place(|| self.server.resume()),
            Loss::Silent => {}
        }
        self.proxy.silence(false);
        self.configure(&["archive"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_told_to_stop_ends_without_its_server() {
    let mut place = Place::new().await;
    for loss in [
        Loss::Suspended,
        Loss::SuspendedInReload,
        Loss::Stopped,
        Loss::Silent,
    ] {
        println!("{loss:?}");
        let exporter = place.start().await;
        let before = exporter.metrics().await.totals(&[ACME]).calls;
        exporter
            .until("counting", async |exporter| {
                exporter.metrics().await.totals(&[ACME]).calls > before
            })
            .await;
        place.lose(loss, &exporter).await;
        let log = exporter.log();
        let status = tokio::task::block_in_place(|| exporter.terminate());
        assert!(status.success(), "{loss:?}: {status}\n{log}");
        place.restore(loss);
    }
    let exporter = place.start().await;
    place.site.simulator.freeze(true);
    exporter
        .until("complete", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.totals(&[ACME]) == published(place.site.truth().total)
                && metrics.sum("callmeter_output_lag_records", &["archive"]) == 0.0
                && csv_rows_so_far(&place.csv(), "").len() == place.site.truth().ids.len()
        })
        .await;
    assert!(tokio::task::block_in_place(|| exporter.terminate()).success());
    let mut ids: Vec<String> = kills::rows(&place.csv())
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    ids.sort_unstable();
    let mut truth = place.site.truth().ids;
    truth.sort_unstable();
    assert_eq!(ids, truth);
}
