//! Where the connections of a journal come from: its file, or its server.

use std::path::PathBuf;

use crate::database::connection::Connection;
use crate::ending::Ending;
use crate::error::Result;
use crate::log::migration;
use crate::postgres::settings::PostgresJournal;
use crate::{postgres, sqlite};

/// Opens connections to a journal.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file, and the most pages that it may have.
    File {
        path: PathBuf,
        page_limit: Option<u32>,
    },
    /// A server, and when to wait for it no longer.
    Server(Box<PostgresJournal>, Ending),
}

impl Source {
    /// A journal on a server.
    pub(crate) fn server(journal: &PostgresJournal) -> Self {
        Self::Server(Box::new(journal.clone()), Ending::default())
    }

    /// Ends all waits for a server, for good. True if this is the first time.
    pub(crate) fn give_up(&self) -> bool {
        match self {
            Self::File { .. } => false,
            Self::Server(_, ending) => ending.give_up(),
        }
    }

    /// Opens the connection that writes; creates the journal if it does not exist.
    pub(crate) fn writer(&self) -> Result<Connection> {
        match self {
            Self::File { path, page_limit } => {
                sqlite::connection::writer(path, *page_limit, migration::to_format_2)
            }
            Self::Server(journal, ending) => postgres::connection::writer(journal, ending),
        }
    }

    /// Opens the connection that writes in place of one that is lost.
    pub(crate) fn writer_again(&self) -> Result<Connection> {
        match self {
            Self::File { .. } => self.writer(),
            Self::Server(journal, ending) => postgres::connection::writer_again(journal, ending),
        }
    }

    /// Opens a connection that only reads.
    pub(crate) fn reader(&self) -> Result<Connection> {
        match self {
            Self::File { path, .. } => sqlite::connection::reader(path),
            Self::Server(journal, ending) => postgres::connection::reader(journal, ending),
        }
    }
}
