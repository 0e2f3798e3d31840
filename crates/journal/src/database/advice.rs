//! Says why a server does not let callmeter in, and what to do.

use std::error::Error as _;

use callmeter_error_chain::{chain, one_line};
use callmeter_server_certificate::{Settings, advice, cause};

/// How the settings are called.
const SETTINGS: Settings = Settings {
    ca_file: "`ca_file`",
    other_name: "write its name as the host of the URL, with `hostaddr=` and the address after the `?` if that \
                 name does not lead to the server, or set `tls` to verify-ca, which checks no name",
    no_tls: "check host and port of the URL",
};

/// Why a connection is not encrypted.
pub(crate) fn of_tls(error: &tokio_postgres::Error) -> String {
    let known = cause(error).and_then(|cause| advice(cause, &SETTINGS));
    known.unwrap_or_else(|| match error.source().map(ToString::to_string) {
        Some(cause) if cause == "server does not support TLS" => {
            "the server does not offer TLS, which `tls`, `sslmode` or `channel_binding=require` asks for: turn it on \
             there (`ssl = on` in its postgresql.conf), or check host and port of the URL"
                .to_owned()
        }
        _ => chain(error),
    })
}

/// What to do if a login is not bound to the server's certificate.
pub(crate) const UNBOUND: &str = "use scram-sha-256 in the server's `pg_hba.conf`, set the password again if it was stored with md5, and \
                                  use a certificate that is signed with RSA or ECDSA and SHA-256 or SHA-384; or remove `channel_binding`";

/// What words in the text of a refusal mean.
const REFUSALS: [(&str, &str); 6] = [
    (
        "channel binding",
        "something between callmeter and the server ends TLS: if it is your own proxy, write \
         `channel_binding=disable` into the URL",
    ),
    (
        "client certificate",
        "callmeter cannot present a client certificate: let the server's `pg_hba.conf` ask for a password instead",
    ),
    ("password missing", "write it into the URL"),
    (
        "unsupported",
        "callmeter logs in with a password only: use scram-sha-256 in the server's `pg_hba.conf`",
    ),
    ("no encryption", NO_ENTRY),
    // What servers before version 14 say.
    ("SSL off", NO_ENTRY),
];

const NO_ENTRY: &str = "the connection is not encrypted: set `tls` to verify-full if the server's `pg_hba.conf` asks for \
                        that, or add a line for this machine to it";

/// Why a login is refused.
pub(crate) fn of_login(error: &tokio_postgres::Error) -> String {
    let said = match error.as_db_error() {
        Some(error) => one_line(error.message()),
        None => error.source().map_or_else(|| chain(error), chain),
    };
    let known = REFUSALS.iter().find(|(words, _)| said.contains(words));
    let what_to_do = known.map_or(
        "check the user and the password in the URL, and the server's `pg_hba.conf`",
        |(_, what_to_do)| what_to_do,
    );
    format!("{said}; {what_to_do}")
}
