//! The tree of files that all packages contain.

use std::process::Command;

use super::files;
use super::release::Release;
use crate::shell::{self, Error, Shell};

/// Files of the repository: where they are, where they go, and their modes.
const FILES: [(&str, &str, u32); 14] = [
    (
        "packaging/callmeter.yml",
        "etc/callmeter/callmeter.yml",
        0o640,
    ),
    ("packaging/default", "etc/default/callmeter", 0o644),
    (
        "packaging/systemd/callmeter.service",
        "usr/lib/systemd/system/callmeter.service",
        0o644,
    ),
    (
        "packaging/systemd/callmeter.socket",
        "usr/lib/systemd/system/callmeter.socket",
        0o644,
    ),
    (
        "packaging/systemd/sysusers.conf",
        "usr/lib/sysusers.d/callmeter.conf",
        0o644,
    ),
    (
        "packaging/systemd/tmpfiles.conf",
        "usr/lib/tmpfiles.d/callmeter.conf",
        0o644,
    ),
    (
        "packaging/deb/copyright",
        "usr/share/doc/callmeter/copyright",
        0o644,
    ),
    ("README.md", "usr/share/doc/callmeter/README.md", 0o644),
    (
        "examples/callmeter.yml",
        "usr/share/doc/callmeter/examples/callmeter.yml",
        0o644,
    ),
    (
        "packaging/compose/compose-two-instances.yml",
        "usr/share/doc/callmeter/examples/compose-two-instances.yml",
        0o644,
    ),
    (
        "packaging/compose/callmeter-two-instances.yml",
        "usr/share/doc/callmeter/examples/callmeter-two-instances.yml",
        0o644,
    ),
    (
        "packaging/compose/prometheus-two-instances.yml",
        "usr/share/doc/callmeter/examples/prometheus-two-instances.yml",
        0o644,
    ),
    (
        "crates/plugin-abi/include/callmeter_plugin.h",
        "usr/share/callmeter/include/callmeter_plugin.h",
        0o644,
    ),
    (
        "templates/plugin/examples/c/talk_times.c",
        "usr/share/doc/callmeter/examples/talk_times.c",
        0o644,
    ),
];

/// Directories that are packaged with everything below them.
const TREES: [(&str, &str); 2] = [
    ("docs", "usr/share/doc/callmeter"),
    ("mixin", "usr/share/callmeter/mixin"),
];

/// Empty directories and their modes.
const DIRECTORIES: [(&str, u32); 2] = [
    ("etc/callmeter/secrets", 0o700),
    ("var/lib/callmeter", 0o750),
];

/// Completion scripts: the shell and its file.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/callmeter"),
    ("zsh", "usr/share/zsh/vendor-completions/_callmeter"),
    ("fish", "usr/share/fish/vendor_completions.d/callmeter.fish"),
];

/// Writes the tree from what was compiled.
pub(super) fn write(shell: &Shell, release: &Release) -> Result<(), Error> {
    files::empty(&release.out)?;
    files::empty(&release.root)?;
    let root = |path: &str| release.root.join(path);
    let programs = release.programs();
    let program = root("usr/bin/callmeter");
    files::copy(&programs.join("callmeter"), &program, 0o755)?;
    let mut built = vec![program.clone()];
    for plugin in ["libcallmeter_csv.so", "libcallmeter_webhook.so"] {
        let to = root("usr/lib/callmeter").join(plugin);
        files::copy(&programs.join(plugin), &to, 0o644)?;
        built.push(to);
    }
    // Release builds are stripped by the compiler; this also takes a debug build's symbols.
    shell::run(Command::new("strip").arg("--strip-unneeded").args(&built))?;
    for (from, to, mode) in FILES {
        files::copy(&shell.root.join(from), &root(to), mode)?;
    }
    for (from, to) in TREES {
        let from = shell.root.join(from);
        if from.is_dir() {
            for file in files::tree(&from)? {
                let below = file.strip_prefix(&from).unwrap_or(&file);
                files::copy(&file, &root(to).join(below), 0o644)?;
            }
        }
    }
    for (path, mode) in DIRECTORIES {
        files::directory(&root(path), mode)?;
    }
    files::mode(&root("etc/callmeter"), 0o750)?;

    let manual = root("usr/share/man/man1");
    files::directory(&manual, 0o755)?;
    shell::run(Command::new(&program).arg("man").arg(&manual))?;
    for page in files::list(&manual)? {
        files::mode(&page, 0o644)?;
        files::gzip(&page, "9")?;
    }
    for (name, to) in COMPLETIONS {
        let script = shell::output(Command::new(&program).args(["completions", name]))?;
        files::write(&root(to), script.as_bytes())?;
    }
    changelogs(shell, release)
}

fn changelogs(shell: &Shell, release: &Release) -> Result<(), Error> {
    let directory = release.root.join("usr/share/doc/callmeter");
    let changes = directory.join("changelog");
    files::copy(&shell.root.join("CHANGELOG.md"), &changes, 0o644)?;
    files::gzip(&changes, "9")?;
    let debian = directory.join("changelog.Debian");
    let text = format!(
        "callmeter ({}-1) unstable; urgency=medium\n\n  * As released; changelog.gz lists the changes.\n\n -- The callmeter maintainers <callmeter@example.invalid>  {}\n",
        release.version,
        release.date("--rfc-email")?
    );
    files::write(&debian, text.as_bytes())?;
    files::gzip(&debian, "9")
}
