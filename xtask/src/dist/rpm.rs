//! The RPM package, made with rpmbuild.

use std::process::Command;

use super::files;
use super::release::Release;
use crate::shell::{self, Error, Shell};
use crate::tools;

pub(super) fn write(shell: &Shell, release: &Release) -> Result<(), Error> {
    tools::program("rpmbuild", "rpm", "it makes the RPM package")?;
    let top = release.work.join("rpm");
    files::empty(&top)?;
    let spec = files::filled(
        &shell.root.join("packaging/rpm/callmeter.spec"),
        &[
            ("VERSION", release.version),
            ("ROOT", &release.root.display().to_string()),
        ],
    )?;
    let file = top.join("callmeter.spec");
    files::write(&file, spec.as_bytes())?;
    shell::run(
        Command::new("rpmbuild")
            .args(["-bb", "--quiet", "--target", release.machine, "--define"])
            .arg(format!("_topdir {}", top.display()))
            .args([
                "--define",
                &format!("_binary_payload w{}.gzdio", release.level()),
            ])
            .arg(&file)
            .env("SOURCE_DATE_EPOCH", &release.epoch),
    )?;
    let built = top.join("RPMS").join(release.machine).join(release.rpm());
    files::copy(&built, &release.out.join(release.rpm()), 0o644)
}
