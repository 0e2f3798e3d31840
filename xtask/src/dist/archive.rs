//! The archive: for systems without packages, and for other packagers.

use super::files;
use super::release::Release;
use crate::shell::{self, Error};

pub(super) fn write(release: &Release) -> Result<(), Error> {
    // `usr/bin` becomes `NAME/bin`, `etc` becomes `NAME/etc`.
    let base = release.base();
    let plain = release.out.join(format!("{base}.tar"));
    shell::run(
        release
            .tar()
            .arg("--create")
            .arg("--file")
            .arg(&plain)
            .arg("--directory")
            .arg(&release.root)
            .arg(format!("--transform=s,^usr,{base},;s,^etc,{base}/etc,"))
            .args(["usr", "etc"]),
    )?;
    files::gzip(&plain, release.level())
}
