//! Reads the web configuration again and again, and decides which reading takes effect.
//!
//! The file and the files that it names are read every second, apart from requests: new
//! certificates and users take effect without a restart, and no request waits for a disk. A reading
//! takes effect when the next one is the same, so that a file that is being written is not taken
//! for a finished one. A file that is not valid, or that leaves out a protection of the running
//! server, changes nothing and is logged.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tracing::{error, info};

use crate::access::Access;
use crate::error::AccessError;
use crate::rules::Rules;

/// The interval at which the files are read.
const INTERVAL: Duration = Duration::from_secs(1);

impl Access {
    /// Reads the file now, and again whenever it or a file that it names has changed, until the
    /// returned value is dropped. Without a file, everyone has access over plain HTTP.
    ///
    /// # Errors
    /// If the file cannot be read or is not valid.
    pub fn open(file: Option<&Path>) -> Result<Arc<Self>, AccessError> {
        let rules = match file {
            Some(file) => Rules::read(file)?,
            None => Rules::open_to_all(),
        };
        for warning in rules.warnings() {
            tracing::warn!(warning, "web configuration");
        }
        let access = Arc::new(Self::new(rules));
        if let Some(file) = file {
            let (watched, path) = (Arc::downgrade(&access), file.to_path_buf());
            // A thread of its own works with every runtime, and no request waits for a disk.
            std::thread::Builder::new()
                .name("web-config".to_owned())
                .spawn(move || watch(&watched, &path))
                .map_err(|source| AccessError::Watch {
                    file: file.display().to_string(),
                    source,
                })?;
        }
        Ok(access)
    }
}

/// Applies the readings of `file` until `access` is dropped.
fn watch(access: &Weak<Access>, file: &Path) {
    let mut readings = Readings::default();
    loop {
        std::thread::sleep(INTERVAL);
        if access.strong_count() == 0 {
            return;
        }
        // A panic, which was reported, ends one reading.
        let Ok(read) = std::panic::catch_unwind(|| Rules::read(file)) else {
            continue;
        };
        let Some(access) = access.upgrade() else {
            return;
        };
        if let Some(rules) = readings.accepted(read, &access.rules()) {
            for warning in rules.warnings() {
                tracing::warn!(warning, "web configuration");
            }
            access.apply(rules);
            info!(file = %file.display(), "web configuration reloaded");
        }
    }
}

/// What was read last.
#[derive(Default)]
struct Readings {
    last: Option<Reading>,
    /// The error that was logged last.
    reported: Option<String>,
}

#[derive(PartialEq)]
enum Reading {
    /// Valid files with this digest.
    Valid(u64),
    /// This error.
    Invalid(String),
}

impl Readings {
    /// The rules that take effect now, if they are new.
    fn accepted(
        &mut self,
        read: Result<Rules, AccessError>,
        current: &Rules,
    ) -> Option<Box<Rules>> {
        let read = read.and_then(|rules| current.replaced_by(rules));
        let reading = match &read {
            Ok(rules) => Reading::Valid(rules.digest()),
            Err(error) => Reading::Invalid(error.to_string()),
        };
        let finished = self.last.as_ref() == Some(&reading);
        self.last = Some(reading);
        match read {
            Ok(rules) if rules.digest() == current.digest() => {
                self.reported = None;
                None
            }
            Ok(rules) => finished.then_some(rules),
            Err(reason) => {
                let reason = reason.to_string();
                if finished && self.reported.as_ref() != Some(&reason) {
                    error!(
                        reason,
                        "web configuration not reloaded; the old one stays in effect"
                    );
                    self.reported = Some(reason);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::loses_protection;

    const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

    /// Whether a server that runs with `before` takes `after` when it reads it twice.
    fn takes(before: &str, after: &str) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("crt"), certificate.pem()).unwrap();
        std::fs::write(directory.path().join("key"), key.serialize_pem()).unwrap();
        let file = directory.path().join("web.yml");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Rules::read(&file)
        };
        let current = read(before).unwrap();
        let mut readings = Readings::default();
        assert!(readings.accepted(read(after), &current).is_none(), "once");
        readings.accepted(read(after), &current).is_some()
    }

    fn whole() -> String {
        format!(
            "tls_server_config:\n  cert_file: crt\n  key_file: key\n  min_version: TLS12\n  \
             client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a.example.com]\n\
             basic_auth_users:\n  eve: {HASH}\n"
        )
    }

    /// Wherever the file is cut off, the running server stays as protected as it is.
    #[test]
    fn no_beginning_of_a_file_takes_its_place() {
        let whole = whole();
        let cuts = (0..whole.len()).filter(|cut| {
            // Within a line, only the ends of words make a difference.
            whole[*cut..].starts_with([' ', '\n', ':', '[', ']', '$'])
        });
        for cut in cuts.chain([0]) {
            let begun = &whole[..cut];
            // The line break at the very end is not missed.
            let complete = cut + 1 == whole.len();
            assert_eq!(takes(&whole, begun), complete, "{begun:?}");
        }
        // In the other order, the end of TLS is what is missing.
        let (tls, users) = whole.split_at(whole.find("basic").unwrap());
        let other = format!("{users}{tls}");
        for lines in 1..other.lines().count() {
            let begun: String = other.split_inclusive('\n').take(lines).collect();
            assert!(!takes(&other, &begun), "{begun:?}");
        }
    }

    /// Files whose last keys protect the server, in several orders and ways to write them.
    fn protected() -> Vec<String> {
        let tls = "tls_server_config:\n  cert_file: crt\n  key_file: key\n";
        let lists = "  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  - \
                     TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  curve_preferences: [X25519, CurveP256]\n";
        let versions = "  max_version: TLS12\n  min_version: TLS12\n";
        let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    \
                       Content-Security-Policy: default-src 'none';\n      script-src 'none'\n    \
                       Strict-Transport-Security: max-age=31536000\n";
        let limit = "rate_limit:\n  burst: 30\n  interval: 1h30m\n";
        vec![
            format!("{tls}{lists}{versions}{headers}{limit}"),
            format!("{limit}{headers}{tls}{versions}{lists}"),
            format!("{tls}  min_version: TLS13\n"),
            format!("{headers}basic_auth_users:\n  eve: {HASH}\n"),
            "rate_limit: { interval: 10m, burst: 2 }\n".to_owned(),
            format!(
                "{tls}{versions}  client_auth_type: RequireAnyClientCert\n  \
                     client_allowed_sans:\n  - a.example.com\n  - b.example.com\n"
            ),
        ]
    }

    /// Wherever a file is cut off, each of its protections stays, or the old file does.
    #[test]
    fn a_file_that_is_cut_off_weakens_no_protection() {
        for whole in protected() {
            assert!(!loses_protection(&whole, &whole), "{whole}");
            for cut in 0..whole.len() {
                let begun = &whole[..cut];
                assert!(!loses_protection(&whole, begun), "{begun:?} of {whole}");
            }
        }
    }

    #[test]
    fn each_protection_that_would_be_lost_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("web.yml");
        let lost = |before: &str, after: &str| {
            let read = |text: &str| {
                std::fs::write(&file, text).unwrap();
                Rules::read(&file).unwrap()
            };
            let replaced = read(before).replaced_by(read(after));
            replaced
                .err()
                .map(|error| error.to_string().replace(file.to_str().unwrap(), "web.yml"))
        };
        let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    \
                       Strict-Transport-Security: max-age=31536000\n";
        let limit = "rate_limit:\n  burst: 30\n  interval: 1h30m\n";
        let whole = format!("{headers}{limit}");
        insta::assert_snapshot!(lost(&whole, "# cut\n").unwrap(), @"web.yml: is it unfinished? http_server_config.headers.Strict-Transport-Security is missing; to send no such header, write Strict-Transport-Security: ''; http_server_config.headers.X-Frame-Options is missing; to send no such header, write X-Frame-Options: ''; rate_limit is missing; to have no limit, write rate_limit: {}; restart the server if the file is meant to be as it is");
        let cut = whole.replace("30m\n", "\n");
        insta::assert_snapshot!(lost(&whole, cut.trim_end()).unwrap(), @"web.yml: is it unfinished? rate_limit protects less, and the file may be cut off there; if it is complete, end it with a line of three dots (...); restart the server if the file is meant to be as it is");
        // What the file says takes effect.
        for stated in [
            "http_server_config: { headers: {} }\nrate_limit: {}\n".to_owned(),
            whole.replace("deny", "''").replace("1h30m", "0"),
            format!("{cut}...\n"),
            whole.replace("30m\n", "\n  # Less.\n"),
            whole.replace("burst: 30", "burst: 4000"),
            whole.replace("burst: 30", "burst: 3"),
        ] {
            assert_eq!(lost(&whole, &stated), None, "{stated}");
        }
    }

    #[test]
    fn every_list_of_tls_ends_when_the_file_says_so() {
        for whole in protected() {
            let stated = whole
                .replace("  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n", "    []\n")
                .replace("[X25519, CurveP256]", "[]")
                .replace("max_version: TLS12", "max_version: TLS13")
                .replace("min_version: TLS13", "min_version: TLS12");
            if stated != whole {
                assert!(takes(&whole, &stated), "{stated}");
            }
        }
    }

    #[test]
    fn a_protection_ends_when_the_file_says_so() {
        let whole = whole();
        let tls = whole.split("basic").next().unwrap();
        for stated in [
            format!("{tls}basic_auth_users: {{}}\n"),
            format!("tls_server_config: {{}}\nbasic_auth_users: {{ eve: '{HASH}' }}\n"),
            "tls_server_config: {}\nbasic_auth_users: {}\n".to_owned(),
            whole
                .replace("RequireAnyClientCert", "NoClientCert")
                .replace("  client_allowed_sans: [a.example.com]\n", ""),
            whole.replace("eve:", "bob:"),
        ] {
            assert!(takes(&whole, &stated), "{stated}");
        }
        for silent in [tls.to_owned(), format!("{tls}basic_auth_users:\n")] {
            assert!(!takes(&whole, &silent), "{silent}");
        }
    }
}
