//! The image: Debian's own libraries and callmeter, as an OCI archive that `docker load` and
//! `podman load` take. It has no shell and no package manager.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::files;
use super::release::Release;
use crate::shell::{self, Error, output};
use crate::tools;

/// What the programs need of Debian.
const INCLUDE: &str = "--include=libc6,libgcc-s1,ca-certificates";
/// The user, by number: an orchestrator that requires non-root reads only numbers.
pub(super) const USER: &str = "10177";

/// A layer: its file, and the digests of it unpacked and packed.
struct Layer {
    packed: PathBuf,
    diff: String,
    digest: String,
}

pub(super) fn write(release: &Release) -> Result<(), Error> {
    let work = release.work.join("image");
    files::empty(&work)?;
    let base = work.join("base.tar");
    let own = work.join("own.tar");
    debian(release, &base)?;
    callmeter(release, &base, &own)?;
    let layers = [pack(&base, release)?, pack(&own, release)?];

    let layout = work.join("layout");
    let config = blob(&layout, config(release, &layers)?.as_bytes())?;
    for layer in &layers {
        let to = layout.join("blobs/sha256").join(&layer.digest);
        files::copy(&layer.packed, &to, 0o644)?;
    }
    let text = manifest(&layout, &config, &layers)?;
    let manifest = blob(&layout, text.as_bytes())?;
    files::write(
        &layout.join("oci-layout"),
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{manifest}","size":{},"annotations":{{"io.containerd.image.name":"docker.io/library/callmeter:{version}","org.opencontainers.image.ref.name":"{version}"}}}}]}}"#,
        text.len(),
        version = release.version,
    );
    files::write(&layout.join("index.json"), index.as_bytes())?;
    // What `docker load` reads before version 25.
    let list = format!(
        r#"[{{"Config":"blobs/sha256/{config}","RepoTags":["callmeter:{}"],"Layers":["blobs/sha256/{}","blobs/sha256/{}"]}}]"#,
        release.version, layers[0].digest, layers[1].digest,
    );
    files::write(&layout.join("manifest.json"), list.as_bytes())?;
    shell::run(
        release
            .tar()
            .arg("--create")
            .arg("--file")
            .arg(release.out.join(release.image()))
            .arg("--directory")
            .arg(&layout)
            .args(["blobs", "index.json", "manifest.json", "oci-layout"]),
    )
}

/// Debian's packages, unpacked without running their scripts.
fn debian(release: &Release, to: &Path) -> Result<(), Error> {
    tools::program(
        "mmdebstrap",
        "mmdebstrap",
        "the image is made of Debian's packages",
    )?;
    shell::run(
        Command::new("mmdebstrap")
            .args(["--variant=extract", "--quiet", INCLUDE])
            .args(["--dpkgopt=path-exclude=/usr/share/man/*"])
            .arg(suite()?)
            .arg(to)
            .args(sources())
            .env("SOURCE_DATE_EPOCH", &release.epoch),
    )
}

/// The Debian release of this machine: the programs were linked with its libraries.
pub(super) fn suite() -> Result<String, Error> {
    let text = files::read(Path::new("/etc/os-release"))?;
    String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(str::to_owned)
        .ok_or_else(|| Error::Missing("/etc/os-release names no Debian release".to_owned()))
}

/// Where this machine gets Debian's packages.
pub(super) fn sources() -> Option<PathBuf> {
    let own = [
        "/etc/apt/sources.list.d/debian.sources",
        "/etc/apt/sources.list",
    ];
    own.map(PathBuf::from)
        .into_iter()
        .find(|file| file.is_file())
}

/// callmeter's own files, and those that Debian's scripts would make.
fn callmeter(release: &Release, base: &Path, to: &Path) -> Result<(), Error> {
    let tree = release.work.join("image/own");
    let program = "usr/bin/callmeter";
    files::copy(&release.root.join(program), &tree.join(program), 0o755)?;
    for plugin in files::list(&release.root.join("usr/lib/callmeter"))? {
        let name = plugin.strip_prefix(&release.root).unwrap_or(&plugin);
        files::copy(&plugin, &tree.join(name), 0o644)?;
    }
    let certificates = output(
        Command::new("tar")
            .arg("--extract")
            .arg("--to-stdout")
            .arg("--file")
            .arg(base)
            .args(["--wildcards", "./usr/share/ca-certificates/mozilla/*.crt"]),
    )?;
    for (name, text) in [
        ("etc/ssl/certs/ca-certificates.crt", certificates.as_str()),
        (
            "etc/passwd",
            "root:x:0:0:root:/:/usr/sbin/nologin\ncallmeter:x:10177:10177::/var/lib/callmeter:/usr/sbin/nologin\n",
        ),
        ("etc/group", "root:x:0:\ncallmeter:x:10177:\n"),
        ("etc/nsswitch.conf", "hosts: files dns\n"),
    ] {
        files::write(&tree.join(name), text.as_bytes())?;
    }
    files::directory(&tree.join("etc/callmeter"), 0o755)?;
    files::directory(&tree.join("tmp"), 0o1777)?;
    files::directory(&tree.join("var/lib/callmeter"), 0o750)?;
    let archive = |options: &[&str]| {
        let mut tar = release.tar();
        tar.arg("--file")
            .arg(to)
            .arg("--directory")
            .arg(&tree)
            .args(options);
        tar
    };
    shell::run(&mut archive(&["--create", "usr", "etc", "tmp"]))?;
    let owner = [format!("--owner={USER}"), format!("--group={USER}")];
    shell::run(archive(&["--append"]).args(owner).arg("var/lib/callmeter"))
}

fn pack(tar: &Path, release: &Release) -> Result<Layer, Error> {
    let diff = files::sha256(tar)?;
    files::gzip(tar, release.level())?;
    let mut packed = tar.as_os_str().to_owned();
    packed.push(".gz");
    let packed = PathBuf::from(packed);
    let digest = files::sha256(&packed)?;
    Ok(Layer {
        packed,
        diff,
        digest,
    })
}

/// Stores a document by its digest, which is returned.
fn blob(layout: &Path, bytes: &[u8]) -> Result<String, Error> {
    let blobs = layout.join("blobs/sha256");
    let unnamed = blobs.join("new");
    files::write(&unnamed, bytes)?;
    let digest = files::sha256(&unnamed)?;
    std::fs::rename(&unnamed, blobs.join(&digest)).map_err(|source| Error::File {
        path: unnamed,
        source,
    })?;
    Ok(digest)
}

/// As in the systemd unit, the threads share one pool of memory.
fn config(release: &Release, layers: &[Layer; 2]) -> Result<String, Error> {
    let created = release.date("+%Y-%m-%dT%H:%M:%SZ")?;
    Ok(format!(
        r#"{{"created":"{created}","architecture":"{}","os":"linux","config":{{"User":"{USER}:{USER}","ExposedPorts":{{"10177/tcp":{{}}}},"Env":["PATH=/usr/bin:/bin"],"Entrypoint":["/usr/bin/callmeter"],"Cmd":["run","--config.file=/etc/callmeter/callmeter.yml"],"WorkingDir":"/var/lib/callmeter","Volumes":{{"/var/lib/callmeter":{{}}}},"StopSignal":"SIGTERM","Healthcheck":{{"Test":["CMD","/usr/bin/callmeter","healthcheck"],"Interval":30000000000,"Timeout":10000000000,"StartPeriod":300000000000,"Retries":3}},"Labels":{{"org.opencontainers.image.title":"callmeter","org.opencontainers.image.version":"{}","org.opencontainers.image.licenses":"MIT OR Apache-2.0"}}}},"rootfs":{{"type":"layers","diff_ids":["sha256:{}","sha256:{}"]}},"history":[{{"created":"{created}","created_by":"mmdebstrap"}},{{"created":"{created}","created_by":"cargo xtask dist"}}]}}"#,
        release.debian_machine, release.version, layers[0].diff, layers[1].diff,
    ))
}

fn manifest(layout: &Path, config: &str, layers: &[Layer; 2]) -> Result<String, Error> {
    let size = |digest: &str| files::size(&layout.join("blobs/sha256").join(digest));
    let mut entries = Vec::new();
    for layer in layers {
        entries.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:{}","size":{}}}"#,
            layer.digest,
            size(&layer.digest)?
        ));
    }
    Ok(format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{config}","size":{}}},"layers":[{}]}}"#,
        size(config)?,
        entries.join(",")
    ))
}
