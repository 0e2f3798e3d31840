//! The section `journal`: where the journal is, and what it keeps.

use std::net::IpAddr;

use callmeter_journal::{Location, PostgresJournal, TlsMode};
use yaml_sections::{DAY, Section, Text};

use super::journal_place::{JournalPlace, JournalServer, JournalUrl};
use super::model::{Account, Api, Journal};
use super::paths::{usable_directory, usable_journal};
use super::secret::SecretSource;

const PATH: &str = "the file of all records, such as /var/lib/callmeter/journal.db";

pub(super) fn journal(root: &mut Section<'_>, accounts: &[Account]) -> Option<Journal> {
    if root.node("journal").is_none() {
        let hint = format!("set journal.path: {PATH}");
        root.mistake("journal", "is missing", Some(hint));
        return None;
    }
    let mut journal = root.section("journal")?;
    let keep = journal.duration("keep", 90 * DAY, DAY..=36_525 * DAY);
    for account in accounts {
        let lookback = match &account.api {
            Api::HostedSuite(api) => api.calls.as_ref().map(|calls| calls.lookback),
            Api::PortSip(_) => None,
        };
        if lookback.is_some_and(|lookback| lookback >= keep) {
            let message = format!(
                "is not longer than calls.lookback of account {}, which polls read again",
                account.name
            );
            let hint = "make keep longer than every lookback".to_owned();
            journal.mistake("keep", message, Some(hint));
        }
    }
    let max_bytes = journal.size("max_bytes", 10 << 30, 16 << 20..=1 << 50);
    let drop_undelivered = journal.boolean("drop_undelivered", false);
    Some(Journal {
        place: place(&mut journal)?,
        keep,
        max_bytes,
        drop_undelivered,
    })
}

fn place(journal: &mut Section<'_>) -> Option<JournalPlace> {
    let is_file = journal.node("path").is_some();
    if journal.node("postgres").is_none() {
        let hint = format!("{PATH}; or set postgres, for a journal on a server");
        let path = journal.required("path", &hint)?;
        let path = journal.path(&path);
        if let Err((message, hint)) = usable_journal(&path) {
            journal.mistake("path", message, Some(hint));
        }
        return Some(JournalPlace::File(path));
    }
    let server = server(&mut journal.section("postgres")?);
    if is_file {
        let hint = "the journal is in a file or on a server: keep one of the two".to_owned();
        journal.mistake("postgres", "conflicts with path", Some(hint));
        return None;
    }
    Some(JournalPlace::Server(Box::new(server?)))
}

fn server(section: &mut Section<'_>) -> Option<JournalServer> {
    let url = url(section);
    let schema = section
        .text("schema")
        .map_or_else(|| "callmeter".to_owned(), |text| text.value);
    let has_schema = PostgresJournal::is_schema_name(&schema);
    if !has_schema {
        let hint = "write a name of at most 63 bytes, without quotes and commas, that does not \
                    start with pg_";
        let message = format!("{schema:?} cannot be the schema of a journal");
        section.mistake("schema", message, Some(hint.to_owned()));
    }
    let words = [
        ("disable", Some(TlsMode::Disable)),
        ("prefer", Some(TlsMode::Prefer)),
        ("require", Some(TlsMode::Require)),
        ("verify-ca", Some(TlsMode::VerifyCa)),
        ("verify-full", Some(TlsMode::VerifyFull)),
    ];
    let tls = section.word("tls", None, &words);
    let ca_file = section.text("ca_file").map(|text| section.path(&text));
    let checks = [TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull];
    let is_used = tls.is_some_and(|tls| checks.contains(&tls));
    if let Some(path) = &ca_file {
        if let Err(error) = api_client::Tls::new().ca_file(path).check() {
            section.mistake("ca_file", error.to_string(), None);
        } else if !is_used {
            let message = "is of no use, because tls does not check the server's certificate";
            section.mistake("ca_file", message, Some("set tls: verify-full".to_owned()));
        }
    }
    let directory = match section.text("directory") {
        Some(text) => section.path(&text),
        None => section.directory().to_owned(),
    };
    if let Err((message, hint)) = usable_directory(&directory) {
        section.mistake("directory", message, Some(hint));
    }
    let (key, url) = url?;
    let server = JournalServer {
        url,
        schema,
        tls,
        ca_file: ca_file.filter(|_| is_used),
        directory,
    };
    if has_schema {
        check_url(section, key, &server);
    }
    Some(server)
}

/// The URL, and its key.
fn url(section: &mut Section<'_>) -> Option<(&'static str, JournalUrl)> {
    type Read = fn(&Section<'_>, Text) -> JournalUrl;
    let keys: [(&'static str, Read); 3] = [
        ("url_file", |section, text| {
            JournalUrl::Secret(SecretSource::File(section.path(&text)))
        }),
        ("url_env", |_, text| {
            JournalUrl::Secret(SecretSource::Env(text.value))
        }),
        ("url", |_, text| JournalUrl::Open(text.value)),
    ];
    let mut given = keys
        .into_iter()
        .filter(|(key, _)| section.node(key).is_some())
        .collect::<Vec<_>>()
        .into_iter();
    let Some((key, read)) = given.next() else {
        let hint = "name a file that contains the URL of the database, such as \
                    postgres://user:password@host:5432/database";
        section.mistake("url_file", "is missing", Some(hint.to_owned()));
        return None;
    };
    if let Some((other, _)) = given.next() {
        let message = format!("conflicts with {key}");
        section.mistake(other, message, Some("keep one of them".to_owned()));
        return None;
    }
    let text = section.text(key)?;
    Some((key, read(section, text)))
}

/// Reports a URL that cannot be used. Its text is in no message.
fn check_url(section: &Section<'_>, key: &'static str, server: &JournalServer) {
    let text = match &server.url {
        JournalUrl::Open(text) => text.clone(),
        JournalUrl::Secret(_) if !section.problems().connects => return,
        JournalUrl::Secret(source) => match source.read() {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => return section.mistake(key, error.to_string(), None),
        },
    };
    let journal = PostgresJournal {
        schema: server.schema.clone(),
        tls: server.tls,
        ca_file: server.ca_file.clone(),
        ..PostgresJournal::new(text)
    };
    let checked = match journal.check() {
        Ok(checked) => checked,
        Err(error) => return section.mistake(key, error.to_string(), None),
    };
    if matches!(server.url, JournalUrl::Open(_)) && journal.password().is_some() {
        let hint = "put the URL into a file of its own and name that file as url_file".to_owned();
        let message = "has a password: a secret must not be in the configuration file";
        section.mistake(key, message, Some(hint));
    }
    let is_checked = match server.tls {
        Some(TlsMode::VerifyCa | TlsMode::VerifyFull) => true,
        Some(TlsMode::Require) => server.ca_file.is_some(),
        _ => false,
    };
    if !is_checked && !is_here(&checked) {
        section.problems().warning(
            section.place("tls").or(section.at()),
            &section.key_of("tls"),
            "does not check the server's certificate: anyone on the network may read the password \
             and the call records; set verify-full",
        );
    }
}

/// Whether connections stay on this machine.
fn is_here(location: &Location) -> bool {
    let Location::Server(server) = location else {
        return true;
    };
    server.host.split(',').all(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let name = name.trim_matches(['[', ']']);
        let address = name.parse::<IpAddr>();
        name.starts_with('/') || name == "localhost" || address.is_ok_and(|a| a.is_loopback())
    })
}
