//! Which proxy accounts use: none, the one of the environment, or that of the configuration.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use callmeter_simulator::{Options, Simulator};
use callmeter_tests::{Exporter, Process, SuiteAccount, Web, World, callmeter};

/// A proxy that counts requests and refuses them; its address and its count.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let app = axum::Router::new().fallback(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        async { StatusCode::BAD_GATEWAY }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_used_only_if_the_configuration_says_so() {
    let simulator = Simulator::start(Options {
        calls: Some(20),
        ..Options::default()
    })
    .await
    .unwrap();
    let (environment, asked_of_environment) = proxy().await;
    let (configured, asked_of_configured) = proxy().await;
    // Each account, whether it gets through, and how many of the proxies it asks.
    for (key, value, works, expected) in [
        ("format", "json", true, [false, false]),
        ("proxy_from_environment", "true", false, [true, false]),
        ("proxy_url", &configured, false, [false, true]),
        (
            "proxy_url",
            &format!("{configured}\n      no_proxy: '127.0.0.0/8,example.com'"),
            true,
            [false, false],
        ),
    ] {
        let counters = [&asked_of_environment, &asked_of_configured];
        for counter in counters {
            counter.store(0, Ordering::Relaxed);
        }
        let world = World::new();
        let account = SuiteAccount::of("acme", &simulator).with(key, value);
        let config = world.configure(&[account.yaml(&world, "simulated")], &[]);
        let mut command = Command::new(callmeter());
        command
            .arg(format!("--config.file={}", config.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .env("HTTP_PROXY", &environment)
            .env("http_proxy", &environment)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy");
        let process = Process::start(&mut command, &world.path("callmeter.log"));
        let exporter = Exporter::adopt(process, Web::default()).await;
        exporter
            .until("polled", async |exporter| {
                let metrics = exporter.metrics().await;
                metrics.count("callmeter_up", &[]) == 1
                    && (metrics.sum("callmeter_up", &[]) == 1.0) == works
                    && (works || metrics.sum("callmeter_poll_failures_total", &[]) > 0.0)
            })
            .await;
        let asked = counters.map(|counter| counter.load(Ordering::Relaxed) > 0);
        assert_eq!(asked, expected, "{key}: {value}");
        assert!(exporter.terminate().success());
    }
}

/// The log of an exporter whose account uses this proxy, once a poll has failed.
async fn log_with(proxy: &str) -> String {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let world = World::new();
    let account = SuiteAccount::of("acme", &simulator).with("proxy_url", proxy);
    let config = world.configure(&[account.yaml(&world, "simulated")], &[]);
    let log = world.path("callmeter.log");
    let exporter = Exporter::start(&config, &log, Web::default()).await;
    exporter
        .until("failed", async |exporter| {
            exporter
                .metrics()
                .await
                .sum("callmeter_poll_failures_total", &[])
                > 0.0
        })
        .await;
    assert!(exporter.terminate().success());
    std::fs::read_to_string(log).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_on_the_way_names_the_proxy() {
    let app = axum::Router::new().fallback(async || StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asks = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let log = log_with(&asks).await;
    let words = format!("the proxy asks for credentials (407) (proxy: {asks})");
    assert!(log.contains(&words), "{log}");

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let absent = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let log = log_with(&absent).await;
    assert!(log.contains("cannot connect: "), "{log}");
    assert!(log.contains(&format!("(proxy: {absent})")), "{log}");
}
