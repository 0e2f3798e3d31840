//! The RPM package, made with rpmbuild.

use std::path::PathBuf;
use std::process::Command;

use super::files;
use super::release::Release;
use crate::shell::{self, Error, Shell};
use crate::tools;

/// Writes the package of the release.
pub(super) fn write(shell: &Shell, release: &Release) -> Result<(), Error> {
    let built = build(shell, release, release.version)?;
    files::copy(&built, &release.out.join(release.rpm()), 0o644)
}

/// Makes a package with this version; returns where it is.
pub(super) fn build(shell: &Shell, release: &Release, version: &str) -> Result<PathBuf, Error> {
    tools::program("rpmbuild", "rpm", "it makes the RPM package")?;
    let top = release.work.join("rpm");
    files::empty(&top)?;
    let spec = files::filled(
        &shell.root.join("packaging/rpm/callmeter.spec"),
        &[
            ("VERSION", version),
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
    let built = top.join("RPMS").join(release.machine);
    Ok(built.join(release.rpm().replace(release.version, version)))
}
