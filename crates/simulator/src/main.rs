//! The simulator as a program.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::filter::LevelFilter;

use callmeter_simulator::Simulator;
use cli::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&error),
    };
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let options = match arguments.options() {
        Ok(options) => options,
        Err(error) => return cli::fail(&error),
    };
    let mut running = match Simulator::start(options).await {
        Ok(running) => running,
        Err(error) => return cli::fail(&error),
    };
    if let Some(Err(error)) = arguments.write_certificate(&running) {
        return cli::fail(&error);
    }
    cli::introduce(&running);
    tokio::select! {
        () = running.wait() => cli::fail(&"both servers ended"),
        ended = tokio::signal::ctrl_c() => {
            running.stop().await;
            ended.map_or_else(|error| cli::fail(&error), |()| ExitCode::SUCCESS)
        }
    }
}
