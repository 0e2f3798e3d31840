//! Installs the RPM package in a clean root, upgrades it, and removes it.
//!
//! The root is a Debian, whose packages RPM does not know. So what the package requires is not
//! checked; its files, owners, modes and scripts are.

use std::process::Command;

use super::chroot::Chroot;
use super::installed::{modes, packaged_configuration, plugins, there};
use super::release::Release;
use super::{files, rpm};
use crate::shell::{self, Error, Shell, output};

const CONFIGURATION: &str = "/etc/callmeter/callmeter.yml";
const JOURNAL: &str = "/var/lib/callmeter/journal.db";
const SECRET: &str = "/etc/callmeter/secrets/acme.password";

pub(super) fn check(shell: &Shell, release: &Release, clean: &Chroot) -> Result<(), Error> {
    let root = Chroot(release.work.join("rpm-root"));
    root.copy(clean)?;
    let old = rpm::build(shell, release, "0.0.1")?;
    shell::run(command(&root).arg("--initdb"))?;
    rpm(&root, &["--install", &old.display().to_string()])?;
    verify(&root)?;
    modes(&root)?;
    packaged_configuration(&root)?;
    plugins(&root)?;

    // What an operator and the service would write.
    let mut changed = files::read(&root.path(CONFIGURATION))?;
    changed.extend_from_slice(b"# changed\n");
    std::fs::write(root.path(CONFIGURATION), &changed).map_err(|source| Error::File {
        path: root.path(CONFIGURATION),
        source,
    })?;
    files::write(&root.path(JOURNAL), b"a journal\n")?;
    files::write(&root.path(SECRET), b"secret\n")?;

    let new = release.out.join(release.rpm()).display().to_string();
    rpm(&root, &["--upgrade", &new])?;
    modes(&root)?;
    if files::read(&root.path(CONFIGURATION))? != changed {
        return Err(Error::Found(format!(
            "the upgrade replaced a changed {CONFIGURATION}"
        )));
    }
    let version = output(&mut root.command(&["callmeter", "--version"]))?;
    if !version.contains(release.version) {
        return Err(Error::Found(format!("the upgrade left {version}")));
    }

    // A removal keeps what was changed, under another name, and what the package did not bring.
    rpm(&root, &["--erase", "callmeter"])?;
    there(&root, CONFIGURATION, false)?;
    there(&root, &format!("{CONFIGURATION}.rpmsave"), true)?;
    there(&root, SECRET, true)?;
    there(&root, JOURNAL, true)?;
    for gone in [
        "/usr/bin/callmeter",
        "/usr/lib/callmeter",
        "/usr/lib/systemd/system/callmeter.service",
        "/usr/share/callmeter",
        "/usr/share/doc/callmeter",
        "/etc/default/callmeter",
    ] {
        there(&root, gone, false)?;
    }
    Ok(())
}

/// RPM for this root and its database.
fn command(root: &Chroot) -> Command {
    let mut command = Command::new("rpm");
    command
        .arg(format!("--root={}", root.0.display()))
        .arg("--dbpath=/var/lib/rpm");
    command
}

fn rpm(root: &Chroot, arguments: &[&str]) -> Result<(), Error> {
    shell::run(command(root).arg("--nodeps").args(arguments))
}

/// Every file has the content, owner and mode that the package names.
fn verify(root: &Chroot) -> Result<(), Error> {
    shell::run(command(root).args(["--verify", "--nodeps", "callmeter"]))
}
