//! The files that a configuration names are read within bounds.

use serde_json::json;

use super::create;

#[test]
fn a_file_that_is_no_file_or_has_no_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    std::fs::File::create(&large)
        .and_then(|file| file.set_len(1 << 40))
        .unwrap();
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let config = |name: &str, path: &std::path::Path| {
        let mut config = json!({"url": "https://h/", "client_cert_file": certificate,
            "client_key_file": key, "ca_file": certificate});
        config[name] = json!(path);
        config
    };
    assert!(create(&config("ca_file", &certificate)).is_ok());
    for name in ["ca_file", "client_cert_file", "client_key_file"] {
        for (path, problem) in [
            ("/dev/zero".as_ref(), "it is no regular file"),
            (fifo.as_path(), "it is no regular file"),
            (dir.path(), "it is no regular file"),
            (large.as_path(), "it has more than 4 MiB"),
            (
                "/no/such/file".as_ref(),
                "No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(
                create(&config(name, path)).unwrap_err(),
                format!("`{name}`: {}: {problem}", path.display())
            );
        }
    }
}
