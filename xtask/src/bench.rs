//! `cargo xtask bench`: runs every benchmark and prints one table.

use crate::shell::{self, Error, Shell, run_keeping};

/// Which benchmarks.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this package; may be given several times
    #[arg(short, long, value_name = "NAME")]
    package: Vec<String>,
    /// Only benchmarks whose name contains this
    #[arg(value_name = "NAME")]
    filter: Vec<String>,
}

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    let selection = if arguments.package.is_empty() {
        vec!["--workspace".to_owned()]
    } else {
        arguments
            .package
            .iter()
            .map(|name| format!("--package={name}"))
            .collect()
    };
    // Built first, so that no compiler runs during a measurement. `growth` runs the programs,
    // `boundary` loads the plugins and examples.
    shell::run(&mut shell.cargo([
        "build",
        "--release",
        "--package=callmeter",
        "--package=callmeter-plugin-csv",
        "--package=callmeter-plugin-webhook",
    ]))?;
    shell::run(&mut shell.cargo([
        "build",
        "--release",
        "--package=callmeter-plugin-testkit",
        "--examples",
    ]))?;
    shell::run(
        shell
            .cargo(["bench", "--bench=*", "--no-run"])
            .args(&selection),
    )?;
    let mut command = shell.cargo(["bench", "--bench=*"]);
    command.args(&selection).arg("--").args(&arguments.filter);
    let (result, lines) = run_keeping(&mut command, |line| line.contains('│'));
    println!("\n{}", table(&lines).join("\n"));
    result
}

/// Turns Divan's trees into rows: full name, fastest and median time, throughput at the median.
///
/// The first line of a tree shows where the columns begin:
///
/// ```text
/// page           fastest    │ slowest  │ median    │ mean     │ samples │ iters
/// ├─ decode      1.494 ms   │ 17.64 ms │ 1.809 ms  │ 4.442 ms │ 100     │ 100
/// │              477.6 MB/s │ …
/// ```
fn table(lines: &[String]) -> Vec<String> {
    let mut rows = vec![row(["benchmark", "fastest", "median", "median moves"])];
    let mut path: Vec<String> = Vec::new();
    let mut pending: Option<[String; 4]> = None;
    let mut flush = |pending: &mut Option<[String; 4]>| {
        if let Some([name, fastest, median, moves]) = pending.take() {
            rows.push(row([&name, &fastest, &median, &moves]));
        }
    };
    let mut begin = 0;
    for line in lines {
        if let Some(at) = line.find("fastest ").filter(|_| line.contains("│ slowest")) {
            flush(&mut pending);
            begin = line[..at].chars().count();
            path = vec![line[..at].trim().to_owned()];
            continue;
        }
        let label: String = line.chars().take(begin).collect();
        let rest: String = line.chars().skip(begin).collect();
        let columns: Vec<&str> = rest.split('│').map(str::trim).collect();
        let [fastest, _, median, ..] = columns.as_slice() else {
            continue;
        };
        let name = label
            .trim_start_matches(['│', '├', '╰', '─', ' '])
            .trim_end();
        if name.is_empty() {
            if let Some(pending) = &mut pending {
                (*median).clone_into(&mut pending[3]);
            }
            continue;
        }
        flush(&mut pending);
        // Each level of the tree is three characters wide.
        let depth = label
            .chars()
            .take_while(|letter| "│├╰─ ".contains(*letter))
            .count()
            / 3;
        path.truncate(depth);
        path.push(name.to_owned());
        if !fastest.is_empty() {
            pending = Some([
                path.join("/"),
                (*fastest).to_owned(),
                (*median).to_owned(),
                String::new(),
            ]);
        }
    }
    flush(&mut pending);
    rows
}

fn row([name, fastest, median, moves]: [&str; 4]) -> String {
    format!("{name:<78}{fastest:>12}{median:>12}{moves:>16}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn trees_become_rows() {
        let lines = "\
page                     fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ decode                │               │               │               │         │
│  ├─ json               1.494 ms      │ 17.64 ms      │ 1.809 ms      │ 4.442 ms      │ 100     │ 100
│  │                     477.6 MB/s    │ 40.45 MB/s    │ 394.3 MB/s    │ 160.6 MB/s    │         │
│  ╰─ jsv                1.605 ms      │ 15.4 ms       │ 1.931 ms      │ 4.197 ms      │ 100     │ 100
╰─ skip                  681.3 µs      │ 5.409 ms      │ 728.9 µs      │ 1.48 ms       │ 100     │ 100
                         819 MB/s      │ 103.1 MB/s    │ 765.5 MB/s    │ 376.8 MB/s    │         │
"
        .lines()
        .map(ToOwned::to_owned)
        .collect::<Vec<_>>();
        let rows: Vec<String> = table(&lines)
            .iter()
            .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            rows,
            [
                "benchmark fastest median median moves",
                "page/decode/json 1.494 ms 1.809 ms 394.3 MB/s",
                "page/decode/jsv 1.605 ms 1.931 ms",
                "page/skip 681.3 µs 728.9 µs 765.5 MB/s",
            ]
        );
    }
}
