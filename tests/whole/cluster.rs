//! A PostgreSQL server with a synchronous standby that may take over.

use std::time::Duration;

use ::postgres::{Client, NoTls};

use crate::postgres::OwnServer;

/// A server and its standby. A commit waits for both.
pub(crate) struct Cluster {
    primary: OwnServer,
    standby: OwnServer,
}

/// How the server may be away for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outage {
    Stop,
    Crash,
    /// It accepts connections and does not answer.
    Suspension,
}

fn connect(server: &OwnServer) -> Client {
    Client::connect(&server.url(), NoTls).unwrap()
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let primary = OwnServer::start();
        let standby = primary.standby();
        let cluster = Self { primary, standby };
        cluster.synchronize();
        cluster
    }

    /// The port of the server that takes writes.
    pub(crate) fn port(&self) -> u16 {
        self.primary.port
    }

    /// The server is away from now on.
    pub(crate) fn interrupt(&mut self, how: Outage) {
        match how {
            Outage::Stop => self.primary.stop(),
            Outage::Crash => self.primary.kill(),
            Outage::Suspension => self.primary.suspend(true),
        }
    }

    /// The server is back after an outage.
    pub(crate) fn go_on(&mut self, how: Outage) {
        match how {
            Outage::Stop | Outage::Crash => self.primary.resume(),
            Outage::Suspension => self.primary.suspend(false),
        }
    }

    /// How many records of calls are in the journal.
    pub(crate) fn calls_journaled(&self) -> usize {
        let query = "SELECT coalesce(max(first_sequence + rows) - 1, 0)::bigint
                     FROM callmeter.batches WHERE stream = 1";
        let row = connect(&self.primary).query_one(query, &[]).unwrap();
        usize::try_from(row.get::<_, i64>(0)).unwrap()
    }

    /// Ends all connections of clients.
    pub(crate) fn end_connections(&self) {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        connect(&self.primary).batch_execute(others).unwrap();
    }

    /// The server is lost, and the standby takes over on the port that `lead_to` is told. Then it
    /// gets a standby of its own.
    pub(crate) fn promote(&mut self, lead_to: impl FnOnce(u16)) {
        // What was committed while the standby was away, it has when it has this.
        self.synchronize();
        connect(&self.primary)
            .batch_execute("CREATE TABLE IF NOT EXISTS standby_is_there ()")
            .unwrap();
        self.primary.kill();
        connect(&self.standby)
            .batch_execute("SELECT pg_promote()")
            .unwrap();
        lead_to(self.standby.port);
        let standby = self.standby.standby();
        self.primary = std::mem::replace(&mut self.standby, standby);
        self.synchronize();
    }

    /// Commits wait for the standby from now on.
    fn synchronize(&self) {
        let mut client = connect(&self.primary);
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        ] {
            client.batch_execute(statement).unwrap();
        }
        let is_synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        while client.query(is_synchronous, &[]).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
