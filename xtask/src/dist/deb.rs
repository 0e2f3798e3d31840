//! The Debian package, made with dpkg's own tools.

use std::process::Command;

use super::files;
use super::release::Release;
use crate::shell::{self, Error, Shell, output};
use crate::tools;

/// Scripts of the package.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

pub(super) fn write(shell: &Shell, release: &Release) -> Result<(), Error> {
    tools::program(
        "dpkg-shlibdeps",
        "dpkg-dev",
        "it finds out what the package depends on",
    )?;
    let tree = release.work.join("deb");
    if tree.exists() {
        files::empty(&tree)?;
        std::fs::remove_dir(&tree).map_err(|source| Error::File {
            path: tree.clone(),
            source,
        })?;
    }
    shell::run(
        Command::new("cp")
            .arg("--archive")
            .arg(&release.root)
            .arg(&tree),
    )?;
    let control = tree.join("DEBIAN");
    let from = shell.root.join("packaging/deb");
    let mut sums = Vec::new();
    let mut bytes = 0;
    for file in files::tree(&release.root)? {
        let name = file.strip_prefix(&release.root).unwrap_or(&file);
        bytes += files::size(&file)?;
        if !name.starts_with("etc") {
            sums.push(format!("{}  {}\n", files::md5(&file)?, name.display()));
        }
    }
    let text = files::filled(
        &from.join("control"),
        &[
            ("VERSION", release.version),
            ("ARCHITECTURE", release.debian_machine),
            ("SIZE", &bytes.div_ceil(1024).to_string()),
            ("DEPENDS", &dependencies(release)?),
        ],
    )?;
    files::write(&control.join("control"), text.as_bytes())?;
    files::write(&control.join("md5sums"), sums.concat().as_bytes())?;
    files::copy(&from.join("conffiles"), &control.join("conffiles"), 0o644)?;
    for script in SCRIPTS {
        files::copy(&from.join(script), &control.join(script), 0o755)?;
    }
    shell::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz"])
            .arg(format!("-z{}", release.level()))
            .arg("--build")
            .arg(&tree)
            .arg(release.out.join(release.deb()))
            .env("SOURCE_DATE_EPOCH", &release.epoch),
    )
}

/// The packages whose libraries the programs load.
fn dependencies(release: &Release) -> Result<String, Error> {
    let directory = release.work.join("shlibdeps");
    files::empty(&directory)?;
    // It reads the names of packages there.
    files::write(
        &directory.join("debian/control"),
        b"Source: callmeter\n\nPackage: callmeter\nArchitecture: any\n",
    )?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.current_dir(&directory).arg("-O");
    command.arg(release.root.join("usr/bin/callmeter"));
    for plugin in files::list(&release.root.join("usr/lib/callmeter"))? {
        command.arg(plugin);
    }
    let line = output(&mut command)?;
    line.trim()
        .strip_prefix("shlibs:Depends=")
        .map(str::to_owned)
        .ok_or_else(|| Error::Found(format!("dpkg-shlibdeps says: {line}")))
}
