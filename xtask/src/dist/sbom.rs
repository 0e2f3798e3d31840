//! The list of all crates in the programs, as CycloneDX.

use super::files;
use super::release::Release;
use crate::shell::{Error, Shell, output};
use crate::tools;

pub(super) fn write(shell: &Shell, release: &Release) -> Result<(), Error> {
    let sbom = tools::cargo_sbom(shell)?;
    let text = output(shell.command(sbom).args([
        "--output-format",
        "cyclone_dx_json_1_6",
        "--cargo-package",
        "callmeter",
    ]))?;
    files::write(&release.out.join(release.sbom()), text.as_bytes())
}
