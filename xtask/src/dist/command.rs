//! The steps: build, stage once, and make every package from the staged tree.

use super::release::Release;
use super::{archive, check, deb, files, image, rpm, sbom, stage};
use crate::report::Report;
use crate::shell::{Error, Shell};

/// What is made.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Check the packages: lintian, installation, upgrade and removal in a clean Debian, the image,
    /// and whether they can be made again byte for byte
    #[arg(long)]
    check: bool,
    /// With --check: also compile everything again, in another directory, and compare
    #[arg(long, requires = "check")]
    rebuild: bool,
    /// Package a debug build, to try the packages quickly
    #[arg(long, conflicts_with = "rebuild")]
    debug: bool,
}

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    let release = Release::new(shell, arguments.debug)?;
    release.build(shell)?;
    stage::write(shell, &release)?;
    archive::write(&release)?;
    deb::write(shell, &release)?;
    rpm::write(shell, &release)?;
    image::write(&release)?;
    sbom::write(shell, &release)?;
    checksums(&release)?;
    println!("\n{}", release.out.display());
    for package in release.packages() {
        println!(
            "{:>12}  {}",
            files::size(&release.out.join(&package))?,
            package
        );
    }
    if arguments.check {
        let mut report = Report::default();
        check::steps(shell, &release, arguments.rebuild, &mut report);
        report.finish()?;
    }
    Ok(())
}

fn checksums(release: &Release) -> Result<(), Error> {
    let mut lines = Vec::new();
    for package in release.packages() {
        let sum = files::sha256(&release.out.join(&package))?;
        lines.push(format!("{sum}  {package}\n"));
    }
    let lines = lines.concat();
    files::write(&release.out.join(release.checksums()), lines.as_bytes())
}
