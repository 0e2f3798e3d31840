//! Journals on a PostgreSQL server, for tests.

use callmeter_journal::{Journal, PostgresJournal};

#[expect(dead_code, reason = "these tests need only the server that all share")]
#[path = "../../../journal/tests/it/server.rs"]
mod server;

/// A schema on the server of the tests, as long as this value exists.
pub(super) struct Schema(PostgresJournal);

impl Schema {
    pub(super) fn new(name: &str) -> Self {
        let url = format!(
            "postgres://callmeter@127.0.0.1:{}/postgres",
            server::shared().port
        );
        Self(PostgresJournal {
            schema: format!("{name}_{}", std::process::id()),
            ..PostgresJournal::new(url)
        })
    }

    pub(super) fn open(&self) -> Journal {
        Journal::connect(&self.0).unwrap()
    }

    /// Ends all leases, as if no instance had renewed them in time.
    pub(super) fn end_leases(&self) {
        let mut client = postgres::Client::connect(&self.0.url, postgres::NoTls).unwrap();
        let schema = &self.0.schema;
        let end = format!(
            "UPDATE {schema}.leases SET expires_at = 0; UPDATE {schema}.instances SET expires_at = 0"
        );
        client.batch_execute(&end).unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let mut client = postgres::Client::connect(&self.0.url, postgres::NoTls).unwrap();
        let drop = format!(
            "SET client_min_messages = error; DROP SCHEMA IF EXISTS {} CASCADE",
            self.0.schema
        );
        client.batch_execute(&drop).unwrap();
    }
}
