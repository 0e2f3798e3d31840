//! What is packaged: versions, times, names, and how it is compiled.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, Error, Shell, output};

/// A release that is being made.
#[derive(Debug)]
pub(crate) struct Release {
    pub(super) version: &'static str,
    /// The time of everything in the packages: `SOURCE_DATE_EPOCH`, or that of the last commit.
    pub(super) epoch: String,
    /// The architecture as Rust and RPM name it, and as Debian and OCI do.
    pub(super) machine: &'static str,
    pub(super) debian_machine: &'static str,
    /// The directory of the packages.
    pub(super) out: PathBuf,
    /// The tree of files that the packages contain.
    pub(super) root: PathBuf,
    /// Intermediate files.
    pub(super) work: PathBuf,
    /// The target directory that the programs are compiled in. Release builds for packages have
    /// one of their own: their compiler flags differ from those of benches.
    pub(super) compiled: PathBuf,
    debug: bool,
}

/// The programs and libraries that are shipped.
const PACKAGES: [&str; 3] = [
    "--package=callmeter",
    "--package=callmeter-plugin-csv",
    "--package=callmeter-plugin-webhook",
];

impl Release {
    pub(super) fn new(shell: &Shell, debug: bool) -> Result<Self, Error> {
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => output(shell.command("git").args(["log", "-1", "--format=%ct"]))?,
        };
        let (machine, debian_machine) = match std::env::consts::ARCH {
            "x86_64" => ("x86_64", "amd64"),
            "aarch64" => ("aarch64", "arm64"),
            other => {
                return Err(Error::Missing(format!(
                    "callmeter is not packaged for {other}"
                )));
            }
        };
        let out = shell.target.join("dist");
        let work = shell.tools().join("dist");
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            epoch: epoch.trim().to_owned(),
            machine,
            debian_machine,
            root: work.join("root"),
            out,
            work,
            compiled: if debug {
                shell.target.clone()
            } else {
                shell.tools().join("release")
            },
            debug,
        })
    }

    /// The same release, made a second time in other directories. Only if it is compiled again are
    /// its programs others.
    pub(super) fn again(&self, shell: &Shell, compile: bool) -> Self {
        let work = shell.tools().join("dist-again");
        Self {
            epoch: self.epoch.clone(),
            out: work.join("packages"),
            root: work.join("root"),
            work,
            compiled: if compile {
                shell.tools().join("release-again")
            } else {
                self.compiled.clone()
            },
            ..*self
        }
    }

    pub(super) fn is_debug(&self) -> bool {
        self.debug
    }

    /// How hard packages are compressed: a debug build only tries them.
    pub(super) fn level(&self) -> &'static str {
        if self.debug { "1" } else { "6" }
    }

    /// The directory of the compiled programs.
    pub(super) fn programs(&self) -> PathBuf {
        self.compiled
            .join(if self.debug { "debug" } else { "release" })
    }

    /// Compiles the programs. Names of this machine's directories do not get into them.
    pub(super) fn build(&self, shell: &Shell) -> Result<(), Error> {
        let mut build = shell.cargo(["build", "--locked"]);
        build
            .args(PACKAGES)
            .env("CARGO_TARGET_DIR", &self.compiled)
            .env("SOURCE_DATE_EPOCH", &self.epoch);
        if self.debug {
            return shell::run(&mut build);
        }
        let home = std::env::var("CARGO_HOME")
            .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
        let home = home.map_err(|_| Error::Missing("HOME is not set".to_owned()))?;
        let flags = [
            format!("--remap-path-prefix={home}=/cargo"),
            format!("--remap-path-prefix={}=/callmeter", shell.root.display()),
        ];
        shell::run(
            build
                .arg("--release")
                .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")),
        )
    }

    /// A name such as `callmeter-0.1.0-x86_64-linux`.
    pub(super) fn base(&self) -> String {
        format!("callmeter-{}-{}-linux", self.version, self.machine)
    }

    pub(super) fn archive(&self) -> String {
        format!("{}.tar.gz", self.base())
    }

    pub(super) fn deb(&self) -> String {
        format!("callmeter_{}-1_{}.deb", self.version, self.debian_machine)
    }

    pub(super) fn rpm(&self) -> String {
        format!("callmeter-{}-1.{}.rpm", self.version, self.machine)
    }

    pub(super) fn image(&self) -> String {
        format!("{}.oci.tar", self.base())
    }

    pub(super) fn sbom(&self) -> String {
        format!("{}.cdx.json", self.base())
    }

    pub(super) fn checksums(&self) -> String {
        format!("callmeter-{}.sha256", self.version)
    }

    /// All files of the release but the checksums.
    pub(super) fn packages(&self) -> [String; 5] {
        [
            self.archive(),
            self.deb(),
            self.rpm(),
            self.image(),
            self.sbom(),
        ]
    }

    /// tar for archives that are the same each time.
    pub(super) fn tar(&self) -> Command {
        let mut tar = Command::new("tar");
        tar.args([
            "--sort=name",
            "--format=gnu",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .arg(format!("--mtime=@{}", self.epoch));
        tar
    }

    /// A time in a format of `date`.
    pub(super) fn date(&self, format: &str) -> Result<String, Error> {
        let at = format!("--date=@{}", self.epoch);
        let text = output(
            Command::new("date")
                .env("LC_ALL", "C")
                .args(["--utc", &at, format]),
        )?;
        Ok(text.trim().to_owned())
    }
}
