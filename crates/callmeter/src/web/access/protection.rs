//! What a web configuration file says about the protection of the server.
//!
//! A running server must not lose its protection because a file is unfinished or damaged. What is
//! cut off a file is not in it, so a protection ends only if the file says so: `{}` for TLS and
//! for users, a type for client certificates, a version for the oldest version of TLS.

use super::raw::{RawFile, RawTls};

/// The keys of a file that protect the server.
#[derive(Debug, Default)]
pub(super) struct Protection {
    tls: Said,
    users: Said,
    client_auth: Said,
    client_sans: Said,
    min_version: Said,
}

/// What a file says about one key.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// The key is not in the file, or has no value.
    #[default]
    Nothing,
    /// The key is there, and switches the protection off.
    Off,
    /// The key is there.
    On,
}

impl Said {
    fn of(present: bool, on: bool) -> Self {
        match (present, on) {
            (false, _) => Self::Nothing,
            (true, false) => Self::Off,
            (true, true) => Self::On,
        }
    }

    /// Whether the protection would end without a word about it.
    fn is_lost_in(self, new: Self) -> bool {
        self == Self::On && new == Self::Nothing
    }
}

impl Protection {
    pub(super) fn of(raw: &RawFile) -> Self {
        let users = raw.basic_auth_users.as_ref();
        let mut protection = Self {
            users: Said::of(
                users.is_some(),
                users.is_some_and(|users| !users.is_empty()),
            ),
            ..Self::default()
        };
        if let Some(tls) = &raw.tls_server_config {
            let auth = tls.client_auth_type.as_str();
            protection.tls = Said::of(true, *tls != RawTls::default());
            protection.client_auth = Said::of(!auth.is_empty(), auth != "NoClientCert");
            protection.client_sans = Said::of(tls.client_allowed_sans.is_some(), true);
            protection.min_version = Said::of(tls.min_version.is_some(), true);
        }
        protection
    }

    /// The keys that protect a server with this file and that `new` does not mention, with what to
    /// write.
    pub(super) fn lost_in(&self, new: &Self) -> Vec<&'static str> {
        let has_tls = new.tls == Said::On;
        let has_client_certs = has_tls && new.client_auth == Said::On;
        let keys = [
            (
                true,
                self.users,
                new.users,
                "basic_auth_users is missing; to remove all users, write basic_auth_users: {}",
            ),
            (
                true,
                self.tls,
                new.tls,
                "tls_server_config is missing; to serve plain HTTP, write tls_server_config: {}",
            ),
            (
                has_tls,
                self.client_auth,
                new.client_auth,
                "client_auth_type is missing; to require no certificate, write client_auth_type: NoClientCert",
            ),
            (
                has_client_certs,
                self.client_sans,
                new.client_sans,
                "client_allowed_sans is missing",
            ),
            (
                has_tls,
                self.min_version,
                new.min_version,
                "min_version is missing; to accept TLS 1.2, write min_version: TLS12",
            ),
        ];
        keys.into_iter()
            .filter(|(applies, before, after, _)| *applies && before.is_lost_in(*after))
            .map(|(.., text)| text)
            .collect()
    }
}
