//! `cargo xtask dist --check`: installs the packages, runs what they install, and removes them.

use std::path::Path;
use std::process::Command;

use super::chroot::{Chroot, Running, sum};
use super::installed::{modes, packaged_configuration, plugins, there};
use super::release::Release;
use super::{archive, deb, docker, files, image, page, rpm, rpm_root, stage};
use crate::report::{Outcome, Report};
use crate::shell::{self, Error, Shell, free_port, output};
use crate::tools;

/// The most that `systemd-analyze security` may report, in tenths.
const EXPOSURE: &str = "20";
/// The most bytes of the program and of a plugin.
const SIZES: [(&str, u64); 3] = [
    ("usr/bin/callmeter", 25_000_000),
    ("usr/lib/callmeter/libcallmeter_webhook.so", 8_000_000),
    ("usr/lib/callmeter/libcallmeter_csv.so", 8_000_000),
];
const CALLS: &str = "callmeter_calls_total";

pub(super) fn steps(shell: &Shell, release: &Release, rebuild: bool, report: &mut Report) {
    report.step("readme", || readme(shell, release).into());
    report.step("sizes", || sizes(release).into());
    report.step("lintian", || lintian(release).into());
    report.step("rpm files", || rpm_files(release).into());
    report.step("units", || units(release).into());
    report.step("plugin in C", || plugin_in_c(shell, release).into());
    report.step("clean debian", || clean(release).create().into());
    report.step("install", || install(release).into());
    report.step("systemd", || boot(shell, release));
    report.step("remove", || removal(&debian(release)).into());
    report.step("rpm", || {
        rpm_root::check(shell, release, &clean(release)).into()
    });
    report.step("run image", || run_image(release).into());
    report.step("docker", || docker::check(shell, release));
    report.step("same bytes", || again(shell, release, rebuild).into());
}

/// The README names the packages as they are, with their version, and the oldest glibc.
fn readme(shell: &Shell, release: &Release) -> Result<(), Error> {
    let text = files::read(&shell.root.join("README.md"))?;
    let text = String::from_utf8_lossy(&text);
    if release.machine != "x86_64" {
        return Ok(());
    }
    for name in [
        release.deb(),
        release.archive(),
        release.image(),
        release.rpm(),
    ] {
        if !text.contains(&format!("target/dist/{name}")) {
            return Err(Error::Found(format!("README.md does not name {name}")));
        }
    }
    let glibc = oldest_glibc(release)?;
    if !text.contains(&format!("glibc {glibc} or later")) {
        return Err(Error::Found(format!(
            "the programs need glibc {glibc}, and README.md does not say \"glibc {glibc} or later\""
        )));
    }
    Ok(())
}

/// The oldest glibc that has every symbol which the programs use, such as `2.34`. RPM lists the
/// versions of the symbols.
fn oldest_glibc(release: &Release) -> Result<String, Error> {
    let list = output(
        Command::new("rpm")
            .args(["--query", "--package", "--requires", "--nosignature"])
            .arg(release.out.join(release.rpm())),
    )?;
    let versions = list.split("(GLIBC_").skip(1).filter_map(|rest| {
        let (major, minor) = rest.split_once(')')?.0.split_once('.')?;
        // A third number, as in 2.2.5, is only in old versions.
        let minor = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    let (major, minor) = versions
        .max()
        .ok_or_else(|| Error::Found("the RPM requires no version of glibc".to_owned()))?;
    Ok(format!("{major}.{minor}"))
}

fn sizes(release: &Release) -> Result<(), Error> {
    for (name, most) in SIZES {
        let size = files::size(&release.root.join(name))?;
        println!("{size:>12}  {name}");
        if size > most && !release.is_debug() {
            return Err(Error::Found(format!("{name} has more than {most} bytes")));
        }
    }
    Ok(())
}

fn lintian(release: &Release) -> Result<(), Error> {
    tools::program("lintian", "lintian", "it checks the Debian package")?;
    shell::run(
        Command::new("lintian")
            .args(["--fail-on=error", "--tag-display-limit=0"])
            .arg(release.out.join(release.deb())),
    )
}

/// The RPM has the files of the tree, and no others.
fn rpm_files(release: &Release) -> Result<(), Error> {
    let list = output(
        Command::new("rpm")
            .args(["--query", "--package", "--list", "--nosignature"])
            .arg(release.out.join(release.rpm())),
    )?;
    for file in files::tree(&release.root)? {
        let name = file.strip_prefix(&release.root).unwrap_or(&file);
        if !list
            .lines()
            .any(|line| Path::new(line) == Path::new("/").join(name))
        {
            return Err(Error::Found(format!("the RPM lacks /{}", name.display())));
        }
    }
    Ok(())
}

fn units(release: &Release) -> Result<(), Error> {
    tools::program("systemd-analyze", "systemd", "it checks the units")?;
    let unit = release
        .root
        .join("usr/lib/systemd/system/callmeter.service");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    security.arg(format!("--threshold={EXPOSURE}")).arg(&unit);
    let text = output(&mut security)?;
    println!("{}", text.lines().last().unwrap_or_default());
    Ok(())
}

fn install(release: &Release) -> Result<(), Error> {
    let debian = debian(release);
    debian.copy(&clean(release))?;
    let old = older(release)?;
    files::copy(&old, &debian.path("old.deb"), 0o644)?;
    let new = release.out.join(release.deb());
    files::copy(&new, &debian.path("new.deb"), 0o644)?;

    from_archive(release, &debian)?;
    debian.run(&["apt", "install", "--yes", "/old.deb"])?;
    modes(&debian)?;
    packaged_configuration(&debian)?;
    plugins(&debian)?;
    upgrade(release, &debian)
}

/// What the archive contains runs where it is unpacked.
fn from_archive(release: &Release, debian: &Chroot) -> Result<(), Error> {
    let archive = release.out.join(release.archive());
    files::copy(&archive, &debian.path("archive.tar.gz"), 0o644)?;
    debian.run(&["tar", "xzf", "/archive.tar.gz", "--directory=/opt"])?;
    let base = format!("/opt/{}", release.base());
    let program = format!("{base}/bin/callmeter");
    debian.run(&[&program, "--version"])?;
    for plugin in ["csv", "webhook"] {
        let library = format!("{base}/lib/callmeter/libcallmeter_{plugin}.so");
        debian.run(&[&program, "plugin", "check", &library])?;
    }
    Ok(())
}

/// Compiles the example in C with the packaged header, and tests it with the packaged program.
fn plugin_in_c(shell: &Shell, release: &Release) -> Result<(), Error> {
    tools::program("cc", "gcc", "it compiles a plugin in C")?;
    let [lines] = page::commands(&shell.root.join("docs/PLUGINS.md"), "A plugin in C")?;
    let root = release.root.display();
    let directory = release.work.join("plugin-in-c");
    files::empty(&directory)?;
    shell::run(
        Command::new("bash")
            .args([
                "-euxc",
                &lines.replace("/usr/share", &format!("{root}/usr/share")),
            ])
            .current_dir(&directory)
            .env("PATH", format!("{root}/usr/bin:/usr/bin:/bin")),
    )
}

/// A Debian without callmeter, of which the checks take copies.
fn clean(release: &Release) -> Chroot {
    Chroot(release.work.join("clean"))
}

/// The Debian that the package is installed in, upgraded, booted and removed from.
fn debian(release: &Release) -> Chroot {
    Chroot(release.work.join("debian"))
}

/// Boots the Debian, where a script works with the service. A machine that can start no container
/// skips it.
fn boot(shell: &Shell, release: &Release) -> Outcome {
    let debian = debian(release);
    let ended = with_postgresql(&debian)
        .and_then(|()| debian.boot(&shell.root.join("packaging/tests/systemd.sh")));
    match ended {
        Ok(log) if log.trim_end().ends_with("PASSED") => Outcome::Passed,
        Ok(log) if log.is_empty() => Outcome::Skipped(
            "systemd does not boot in a container on this machine: the service was not run"
                .to_owned(),
        ),
        Ok(log) => Outcome::Failed(format!("packaging/tests/systemd.sh failed:\n{log}")),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Installs a PostgreSQL server, for a service whose journal is there.
fn with_postgresql(debian: &Chroot) -> Result<(), Error> {
    debian.run(&["apt-get", "update"])?;
    let install = ["apt-get", "install", "--yes", "--no-install-recommends"];
    debian.run(&[&install[..], &["postgresql"]].concat())
}

/// The same package with a lower version, to upgrade from.
fn older(release: &Release) -> Result<std::path::PathBuf, Error> {
    let tree = release.work.join("deb");
    let control = tree.join("DEBIAN/control");
    let text = String::from_utf8_lossy(&files::read(&control)?).into_owned();
    let version = format!("Version: {}-1", release.version);
    files::write(
        &control,
        text.replace(&version, "Version: 0.0.1-1").as_bytes(),
    )?;
    let old = release.work.join("old.deb");
    shell::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(&tree)
            .arg(&old),
    )?;
    files::write(&control, text.as_bytes())?;
    Ok(old)
}

/// Runs the demo, and a service that reads the demo's simulator; upgrades while an output has
/// batches to deliver.
fn upgrade(release: &Release, debian: &Chroot) -> Result<(), Error> {
    let log = |name: &str| release.work.join(format!("{name}.log"));
    let (demo_port, port) = (free_port()?, free_port()?);
    let address = format!("--web.listen-address=127.0.0.1:{demo_port}");
    debian.run(&[
        "install",
        "-d",
        "-o",
        "callmeter",
        "-g",
        "callmeter",
        "/var/lib/callmeter/demo",
        "/var/lib/callmeter/service",
    ])?;
    let demo = [
        "callmeter",
        "demo",
        "--directory=/var/lib/callmeter/demo",
        &address,
    ];
    let mut demo = Running::start(&mut debian.as_callmeter(&demo), demo_port, &log("demo"))?;
    demo.until("/metrics", |page| {
        sum(page, CALLS) > 0.0 && sum(page, "callmeter_output_records_delivered_total") > 0.0
    })?;

    // The accounts of the demo, and outputs of which one has nobody to talk to.
    let written = debian.path("/var/lib/callmeter/demo/callmeter.yml");
    let text = String::from_utf8_lossy(&files::read(&written)?).into_owned();
    let accounts = text.split("outputs:").next().unwrap_or_default();
    let accounts = accounts.replace("password_file: ", "password_file: /var/lib/callmeter/demo/");
    let config = format!(
        "{accounts}outputs:\n\
         \x20 - name: archive\n\
         \x20   plugin: /usr/lib/callmeter/libcallmeter_csv.so\n\
         \x20   streams: [calls]\n\
         \x20   config: {{ directory: csv }}\n\
         \x20 - name: crm\n\
         \x20   plugin: /usr/lib/callmeter/libcallmeter_webhook.so\n\
         \x20   streams: [calls]\n\
         \x20   config: {{ url: \"http://127.0.0.1:1/\", secret_file: /var/lib/callmeter/demo/webhook.secret }}\n"
    )
    .replace("directory: csv", "directory: /var/lib/callmeter/service/csv")
    .replace("path: journal.db", "path: /var/lib/callmeter/service/journal.db");
    files::write(
        &debian.path("/var/lib/callmeter/service.yml"),
        config.as_bytes(),
    )?;
    let address = format!("--web.listen-address=127.0.0.1:{port}");
    let line = [
        "callmeter",
        "run",
        "--config.file=/var/lib/callmeter/service.yml",
        &address,
    ];
    let mut service = Running::start(&mut debian.as_callmeter(&line), port, &log("service"))?;
    service.until("/metrics", |page| {
        sum(page, CALLS) > 1000.0 && sum(page, "callmeter_output_records_delivered_total") > 0.0
    })?;
    // Without the simulator, nothing new arrives.
    demo.terminate()?;
    std::thread::sleep(std::time::Duration::from_secs(5));
    let before = service.until("/metrics", |page| sum(page, CALLS) > 0.0)?;
    service.terminate()?;
    let journal = [
        "callmeter",
        "journal",
        "stats",
        "--journal=/var/lib/callmeter/service/journal.db",
    ];
    let owed = output(&mut debian.as_callmeter(&journal))?;
    if !owed
        .lines()
        .any(|line| line.starts_with("crm") && line.split_whitespace().nth(2) != Some("0"))
    {
        return Err(Error::Found(format!("the output crm owes nothing: {owed}")));
    }

    debian.run(&["apt", "install", "--yes", "/new.deb"])?;
    modes(debian)?;
    let after = output(&mut debian.as_callmeter(&journal))?;
    if after != owed {
        return Err(Error::Found(format!(
            "before the upgrade: {owed}\nafter: {after}"
        )));
    }
    let mut service = Running::start(&mut debian.as_callmeter(&line), port, &log("upgraded"))?;
    let page = service.until("/metrics", |page| sum(page, CALLS) > 0.0)?;
    let [before, after] = [&before, &page].map(|page| sum(page, CALLS));
    println!("{before} calls before the upgrade, {after} after");
    service.terminate()?;
    if (before - after).abs() > 0.0 {
        return Err(Error::Found("the upgrade changed the counters".to_owned()));
    }
    Ok(())
}

/// A removal keeps configuration and journal; a purge keeps the journal.
fn removal(debian: &Chroot) -> Result<(), Error> {
    let there = |path: &str, wanted| there(debian, path, wanted);
    let journal = "/var/lib/callmeter/service/journal.db";
    // An upgrade does not need the configuration, and does not bring it back.
    let configuration = "/etc/callmeter/callmeter.yml";
    debian.run(&["mv", configuration, "/root/kept.yml"])?;
    debian.run(&["dpkg", "--install", "/new.deb"])?;
    there(configuration, false)?;
    debian.run(&["mv", "/root/kept.yml", configuration])?;

    debian.run(&["dpkg", "--remove", "callmeter"])?;
    there("/usr/bin/callmeter", false)?;
    there("/usr/lib/callmeter", false)?;
    there(configuration, true)?;
    there(journal, true)?;
    debian.run(&["dpkg", "--purge", "callmeter"])?;
    there("/etc/callmeter", false)?;
    there("/etc/default/callmeter", false)?;
    there(journal, true)
}

/// Runs the image as an orchestrator does: as a user without rights, with process id 1.
fn run_image(release: &Release) -> Result<(), Error> {
    tools::program(
        "umoci",
        "umoci",
        "it unpacks the image as a container runtime does",
    )?;
    let work = release.work.join("run-image");
    files::empty(&work)?;
    let layout = work.join("layout");
    files::directory(&layout, 0o755)?;
    shell::run(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(release.out.join(release.image()))
            .arg("--directory")
            .arg(&layout),
    )?;
    let named = format!("{}:{}", layout.display(), release.version);
    let bundle = work.join("bundle");
    shell::run(
        Command::new("umoci")
            .args(["unpack", "--image", &named])
            .arg(&bundle),
    )?;
    let root = Chroot(bundle.join("rootfs"));
    for absent in ["bin/sh", "usr/bin/sh", "usr/bin/dpkg", "usr/bin/bash"] {
        if root.path(absent).exists() {
            return Err(Error::Found(format!("the image has /{absent}")));
        }
    }
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let listen = format!("--web.listen-address={address}");
    files::directory(&root.path("proc"), 0o755)?;
    let in_image = |line: &[&str]| {
        let mut command = root.command(&["/usr/bin/callmeter"]);
        command.args(line);
        // The options of unshare are in front of the command.
        command
    };
    let log = release.work.join("image.log");
    let line = ["demo", "--directory=/var/lib/callmeter/demo", &listen];
    let mut demo = Running::start(&mut as_user(&root, &line), port, &log)?;
    demo.until("/metrics", |page| {
        sum(page, CALLS) > 0.0 && sum(page, "callmeter_output_records_delivered_total") > 0.0
    })?;
    shell::run(&mut in_image(&["healthcheck", &address]))?;
    demo.terminate()?;
    if shell::succeeds(&mut in_image(&["healthcheck", &address])) {
        return Err(Error::Found("a stopped exporter is healthy".to_owned()));
    }
    Ok(())
}

/// A command of the image as its user. `unshare` starts it directly: there is nothing else.
fn as_user(root: &Chroot, line: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .arg(format!("--setuid={}", image::USER))
        .arg(format!("--setgid={}", image::USER))
        .arg(format!("--root={}", root.0.display()))
        .args(["--mount-proc", "--", "/usr/bin/callmeter"])
        .args(line)
        .env_clear();
    command
}

/// Makes the packages again, from the same sources, and compares.
fn again(shell: &Shell, release: &Release, rebuild: bool) -> Result<(), Error> {
    let sums = |release: &Release| {
        // The SBOM has the time and a number of its own.
        let packages = release
            .packages()
            .into_iter()
            .filter(|name| *name != release.sbom());
        packages
            .map(|name| {
                Ok(format!(
                    "{}  {name}",
                    files::sha256(&release.out.join(&name))?
                ))
            })
            .collect::<Result<Vec<String>, Error>>()
    };
    let first = sums(release)?;
    let other = release.again(shell, rebuild);
    if rebuild {
        other.build(shell)?;
    }
    stage::write(shell, &other)?;
    archive::write(&other)?;
    deb::write(shell, &other)?;
    rpm::write(shell, &other)?;
    image::write(&other)?;
    let second = sums(&other)?;
    for (one, two) in first.iter().zip(&second) {
        println!("{one}");
        if one != two {
            return Err(Error::Found(format!("other bytes the second time: {two}")));
        }
    }
    Ok(())
}
