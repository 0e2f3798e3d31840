//! Where the connections of a journal come from: its file, or its server.

use std::path::PathBuf;

use crate::database::connection::Connection;
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
    Server(Box<PostgresJournal>),
}

impl Source {
    /// Opens the connection that writes; creates the journal if it does not exist.
    pub(crate) fn writer(&self) -> Result<Connection> {
        match self {
            Self::File { path, page_limit } => {
                sqlite::connection::writer(path, *page_limit, migration::to_format_2)
            }
            Self::Server(journal) => postgres::connection::writer(journal),
        }
    }

    /// Opens the connection that writes in place of one that is lost.
    pub(crate) fn writer_again(&self) -> Result<Connection> {
        match self {
            Self::File { .. } => self.writer(),
            Self::Server(journal) => postgres::connection::writer_again(journal),
        }
    }

    /// Opens a connection that only reads.
    pub(crate) fn reader(&self) -> Result<Connection> {
        match self {
            Self::File { path, .. } => sqlite::connection::reader(path),
            Self::Server(journal) => postgres::connection::reader(journal),
        }
    }
}
