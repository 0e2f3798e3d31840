//! A running Prometheus that tests ask.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use callmeter_tests::{Process, World};
use serde_json::Value;

/// A running Prometheus.
pub(crate) struct Server {
    process: Process,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Server {
    pub(crate) fn start(
        program: &Path,
        world: &World,
        name: &str,
        jobs: &str,
        flags: &[&str],
    ) -> Self {
        let config = world.write(
            &format!("prometheus-{name}.yml"),
            &format!(
                "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\nscrape_configs:\n{jobs}"
            ),
        );
        // Prometheus does not report a port that the system chooses.
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                world.path(&format!("tsdb-{name}")).display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .args(flags);
        let log = world.path(&format!("prometheus-{name}.log"));
        let _already = rustls::crypto::ring::default_provider().install_default();
        Self {
            process: Process::start(&mut command, &log),
            address,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let response = self.client.get(url).query(query).send().await.ok()?;
        let answer: Value = response.json().await.ok()?;
        (answer["status"] == "success").then(|| answer["data"].clone())
    }

    /// The value of a query with one result, if there is one.
    pub(crate) async fn value(&self, query: &str) -> Option<f64> {
        let data = self.ask("query", &[("query", query)]).await?;
        let result = data["result"].as_array()?;
        assert!(result.len() <= 1, "{query}: {result:?}");
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    /// The results of a query; `None` if it fails.
    pub(crate) async fn now(&self, query: &str) -> Option<Vec<Value>> {
        let data = self.ask("query", &[("query", query)]).await?;
        data["result"].as_array().cloned()
    }

    /// The results of a query at a time: labels and value of each.
    pub(crate) async fn at(&self, query: &str, time: &str) -> Vec<(Value, f64)> {
        let data = self.ask("query", &[("query", query), ("time", time)]).await;
        let results = data.and_then(|data| data["result"].as_array().cloned());
        let results = results.unwrap_or_default().into_iter();
        results
            .filter_map(|one| {
                let value = one["value"][1].as_str()?.parse().ok()?;
                Some((one["metric"].clone(), value))
            })
            .collect()
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until a query has this value.
    pub(crate) async fn until(&self, query: &str, value: f64) {
        callmeter_tests::until(
            query,
            async || (self.value(query).await == Some(value)).then_some(()),
            async || {
                let now = self.value(query).await;
                let targets = self.ask("targets", &[]).await;
                format!("{now:?}, not {value}\n{targets:?}\n{}", self.process.log())
            },
        )
        .await;
    }

    /// The metadata of a metric of a job.
    pub(crate) async fn metadata(&self, job: &str, metric: &str, member: &str) -> String {
        let target = format!("{{job=\"{job}\"}}");
        let query = [("match_target", target.as_str()), ("metric", metric)];
        let data = self.ask("targets/metadata", &query).await.unwrap();
        data[0][member]
            .as_str()
            .unwrap_or_else(|| panic!("{job} {metric}: {data}"))
            .to_owned()
    }
}
