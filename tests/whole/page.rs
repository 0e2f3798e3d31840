//! The pages in a real browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use callmeter_simulator::{Faults, Options, Simulator};
use callmeter_tests::{
    Exporter, PbxAccount, Process, SuiteAccount, Web, World, output, plugin, quoted, system,
};

/// Widths of a telephone and of a desk, in CSS pixels.
const WIDTHS: [u32; 2] = [390, 1280];

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_fit_a_telephone_and_a_desk() {
    let chromium = system("chromium", "chromium");
    let simulator = Simulator::start(Options {
        calls: Some(200),
        days: 2,
        rates: 20,
        ..Options::default()
    })
    .await
    .unwrap();
    let broken = Simulator::start(Options {
        calls: Some(10),
        faults: {
            let mut faults = Faults::default();
            faults.merge_word("html").unwrap();
            faults
        },
        ..Options::default()
    })
    .await
    .unwrap();
    let world = World::new();
    let csv = quoted(&world.path("csv").display().to_string());
    let config = world.configure(
        &[
            SuiteAccount::of("acme", &simulator)
                .with("balances", "{ every: 1s }")
                .with("clients", "{ every: 1s }")
                .yaml(&world, "simulated"),
            SuiteAccount::of("an-account-with-a-name-as-long-as-people-give", &broken)
                .yaml(&world, "simulated"),
            PbxAccount::of("hq", &simulator).yaml(&world, "simulated"),
        ],
        &[output(
            "archive",
            &plugin("csv"),
            "calls, rates",
            &format!("{{ directory: {csv} }}"),
        )],
    );
    let exporter = Exporter::start(&config, &world.path("callmeter.log"), Web::default()).await;
    exporter
        .until("something to look at", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.sum("callmeter_up", &[]) == 2.0
                && metrics.sum("callmeter_poll_failures_total", &["reason=\"html\""]) > 0.0
                && metrics.sum("callmeter_output_up", &[]) == 1.0
                && metrics.count("callmeter_allowance_used_ratio", &[]) > 0
                && metrics.sum("callmeter_output_records_delivered_total", &[]) > 0.0
        })
        .await;

    for (name, path) in [("status", "/"), ("usage", "/usage")] {
        let page = exporter.get(path).await.text();
        assert!(!page.contains("<script"), "the page needs a script");
        fits(&chromium, &world, name, &page).await;
    }
    assert!(exporter.terminate().success());
}

/// Takes pictures of a page at each width, and checks that it does not scroll sideways.
async fn fits(chromium: &Path, world: &World, name: &str, page: &str) {
    let pictures = pictures(world);
    for width in WIDTHS {
        let framed = world.write(&format!("{name}-{width}.html"), &framed(page, width));
        let framed = format!("file://{}", framed.display());
        let picture = pictures.join(format!("{name}-{width}.png"));
        let mut command = browser(chromium, world);
        command
            .arg(format!("--screenshot={}", picture.display()))
            .arg(&framed);
        run(&mut command, world).await;
        let bytes = std::fs::read(&picture).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
        // A picture of a blank page is smaller.
        assert!(bytes.len() > 15_000, "{} bytes at {width}", bytes.len());
        println!("{}", picture.display());

        let mut command = browser(chromium, world);
        command.arg("--dump-dom").arg(&framed);
        let dom = run(&mut command, world).await;
        let title = dom
            .split("<title>")
            .nth(1)
            .and_then(|rest| rest.split("</title>").next());
        // As wide as the frame, so it does not scroll sideways.
        assert_eq!(title, Some(format!("{width} of {width}").as_str()));
    }
}

/// A page that shows the status page in a frame of this width, because a window has a minimum
/// width. Its title is the resulting width of the status page.
fn framed(page: &str, width: u32) -> String {
    let measured = page.replace(
        "</body>",
        "<script>parent.document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script></body>",
    );
    assert_ne!(measured, page);
    let attribute = measured.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!doctype html><title>not measured</title><body style=\"margin:0;background:gray\">\
         <iframe style=\"width:{width}px;height:1400px;border:0;background:white\" srcdoc=\"{attribute}\"></iframe>"
    )
}

/// The directory of the pictures. Set `CALLMETER_PICTURES` to keep them.
fn pictures(world: &World) -> PathBuf {
    std::env::var_os("CALLMETER_PICTURES").map_or_else(|| world.path(""), PathBuf::from)
}

fn browser(chromium: &Path, world: &World) -> Command {
    let mut command = Command::new(chromium);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ])
        .arg(format!(
            "--user-data-dir={}",
            world.path("chromium").display()
        ))
        .arg("--window-size=1280,1400");
    command
}

/// Runs the browser and returns its output.
async fn run(command: &mut Command, world: &World) -> String {
    let mut process = Process::start(command, &world.path("chromium.log"));
    let status = callmeter_tests::until(
        "the browser has ended",
        async || process.ended(),
        async || String::new(),
    )
    .await;
    let said = process.log();
    assert!(status.success(), "{said}");
    said
}
