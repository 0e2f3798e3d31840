//! What holds wherever a package is installed.

use super::chroot::Chroot;
use super::files;
use crate::shell::{self, Error, output};

/// Where the service finds its secrets.
const CREDENTIALS: &str = "/run/credentials/callmeter.service";

/// The user callmeter can load the packaged plugins.
pub(super) fn plugins(debian: &Chroot) -> Result<(), Error> {
    for plugin in ["csv", "webhook"] {
        let library = format!("/usr/lib/callmeter/libcallmeter_{plugin}.so");
        shell::run(&mut debian.as_callmeter(&["callmeter", "plugin", "check", &library]))?;
    }
    Ok(())
}

/// Who may read what.
pub(super) fn modes(debian: &Chroot) -> Result<(), Error> {
    for (path, wanted) in [
        ("/etc/callmeter", "750 root callmeter"),
        ("/etc/callmeter/callmeter.yml", "640 root callmeter"),
        ("/etc/callmeter/secrets", "700 root root"),
        ("/var/lib/callmeter", "750 callmeter callmeter"),
        ("/usr/lib/callmeter/libcallmeter_csv.so", "644 root root"),
    ] {
        let found = output(&mut debian.command(&["stat", "--format=%a %U %G", path]))?;
        if found.trim() != wanted {
            return Err(Error::Found(format!("{path} is {found}, not {wanted}")));
        }
    }
    Ok(())
}

/// The configuration is refused until its secrets exist.
pub(super) fn packaged_configuration(debian: &Chroot) -> Result<(), Error> {
    let check =
        || debian.as_callmeter(&["callmeter", "check-config", "/etc/callmeter/callmeter.yml"]);
    if shell::succeeds(&mut check()) {
        return Err(Error::Found(
            "check-config accepts a missing secret".to_owned(),
        ));
    }
    // systemd puts /etc/callmeter/secrets/acme.password there.
    let secret = debian.path(CREDENTIALS).join("secret_acme.password");
    files::write(&secret, b"secret\n")?;
    shell::run(&mut check())
}

/// Whether a file is there as wanted.
pub(super) fn there(debian: &Chroot, path: &str, wanted: bool) -> Result<(), Error> {
    if debian.path(path).exists() == wanted {
        return Ok(());
    }
    let word = if wanted { "is gone" } else { "is there" };
    Err(Error::Found(format!("{path} {word}")))
}
