//! `cargo xtask conformance`: other programs check the clients and the simulator by the specs.
//!
//! Clients: Prism mocks an API from its spec and refuses requests that break it. The clients' tests
//! with `prism` in their names are ignored by default. They read the mocks' base URLs from
//! `PRISM_HOSTEDSUITE_URL` and `PRISM_PORTSIP_URL`, and how many calls to make from `PRISM_CALLS`.
//! They run twice: with the specs' examples as answers, and with random bodies.
//!
//! Simulator: Schemathesis makes valid and invalid requests from the same specs and checks the
//! answers.

use crate::lints::SPECS;
use crate::report::Report;
use crate::shell::{
    Error, Server, Shell, free_port, run as run_command, run_keeping, wait_for_port,
};
use crate::test;
use crate::tools::{self, Node, PRISM, SCHEMATHESIS};

/// How many requests to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Client calls that are answered with random bodies
    #[arg(long, default_value_t = 2000, value_name = "COUNT")]
    calls: u32,
    /// Most requests of Schemathesis for each operation
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    examples: u32,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            calls: 2000,
            examples: 50,
        }
    }
}

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    let mut report = Report::default();
    steps(shell, arguments, &mut report);
    report.finish()
}

/// Runs both sides as steps of a report.
pub(crate) fn steps(shell: &Shell, arguments: &Arguments, report: &mut Report) {
    report.step("prism", || prism(shell, arguments.calls).into());
    report.step("schemathesis", || {
        schemathesis(shell, arguments.examples).into()
    });
}

/// Runs the clients' Prism tests against examples and against random bodies.
fn prism(shell: &Shell, calls: u32) -> Result<(), Error> {
    let node = Node::with(shell, &[PRISM])?;
    for (kind, calls) in [("examples", 1), ("random", calls)] {
        let mut servers = Vec::new();
        let mut tests = shell.cargo([
            "test",
            "--package=hostedsuite-client",
            "--package=portsip-client",
            "--tests",
        ]);
        tests.env("PRISM_CALLS", calls.to_string());
        for (spec, variable) in SPECS
            .into_iter()
            .zip(["PRISM_HOSTEDSUITE_URL", "PRISM_PORTSIP_URL"])
        {
            let port = free_port()?;
            let log = shell.tools().join(format!("prism-{kind}-{port}.log"));
            let mut mock = node.command("prism");
            mock.current_dir(&shell.root).args([
                "mock",
                "--errors",
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
            ]);
            if kind == "random" {
                mock.arg("--dynamic");
            }
            servers.push(Server::start(mock.arg(spec), &log)?);
            wait_for_port(port, &log)?;
            tests.env(variable, format!("http://127.0.0.1:{port}"));
        }
        let (result, lines) =
            run_keeping(tests.args(["--", "--ignored", "prism"]), test::is_result);
        result?;
        if test::passed(&lines) < SPECS.len() as u64 {
            return Err(Error::Found(
                "a client has no test against Prism".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Runs Schemathesis against a simulator.
fn schemathesis(shell: &Shell, examples: u32) -> Result<(), Error> {
    let programs = tools::python(shell, &[SCHEMATHESIS])?;
    run_command(&mut shell.cargo(["build", "--package", "callmeter-simulator"]))?;
    let ports = [free_port()?, free_port()?];
    let log = shell.tools().join("simulator.log");
    let [hostedsuite, portsip] = ports.map(|port| format!("127.0.0.1:{port}"));
    let _simulator = Server::start(
        shell
            .command(shell.built(false).join("callmeter-simulator"))
            .args(["--listen", &hostedsuite, "--listen-portsip", &portsip])
            .args(["--calls", "300", "--rates", "300"]),
        &log,
    )?;
    let mut failed = Vec::new();
    let doors = shell.root.join("xtask/conformance");
    for ((spec, address), (port, door)) in SPECS
        .into_iter()
        .zip([hostedsuite, portsip])
        .zip(ports.into_iter().zip(["hostedsuite", "portsip"]))
    {
        wait_for_port(port, &log)?;
        let tested = run_command(
            shell
                .command(programs.join("schemathesis"))
                // It writes files into the current directory.
                .current_dir(shell.tools())
                .arg("--config-file")
                .arg(doors.join(format!("{door}.toml")))
                .arg("run")
                .arg(shell.root.join(spec))
                .args(["--url", &format!("http://{address}/api")])
                .args(["--max-examples", &examples.to_string(), "--seed", "1"])
                .args(["--no-color", "--generation-database", "none"])
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("PYTHONPATH", &doors)
                .env("SCHEMATHESIS_HOOKS", door),
        );
        if let Err(error) = tested {
            failed.push(error.to_string());
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::Found(failed.join("; ")))
    }
}
