//! A client of a server for threads: it waits for answers, but only for a limited time.
//!
//! It stands in for the crate `postgres`, which waits forever for a server that has accepted a
//! connection and then says nothing: it is suspended, or its disk hangs.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::{BorrowToSql, ToSql};
use tokio_postgres::{AsyncMessage, Connection, Error, Row, Socket, Statement};

use crate::database::error::{DatabaseError, DatabaseResult};
use crate::ending::Ending;
use crate::postgres::hosts::Hosts;
use crate::postgres::in_time::in_time;
use crate::postgres::tls::{Connector, Stream};

/// The longest time until the server answers to an empty message.
const PING: Duration = Duration::from_secs(10);
/// The longest time until a connection is closed in good order.
const CLOSE: Duration = Duration::from_secs(1);

/// A connection.
pub(crate) struct Client {
    /// `None` only while this is dropped.
    client: Option<tokio_postgres::Client>,
    line: Line,
}

/// What carries the messages.
struct Line {
    runtime: Runtime,
    /// How long the server may take to answer to a statement.
    answer: Duration,
    connection: Connection<Socket, Stream<Socket>>,
    /// The payloads of the notifications that nobody has asked for yet.
    payloads: VecDeque<String>,
    ending: Ending,
    /// Whether the connection has ended.
    has_ended: bool,
    /// Whether an answer has not come in time: what comes next would not be its own.
    is_lost: bool,
}

impl Client {
    /// Connects to one of the hosts that a URL names. The server may take the time `answer` to
    /// answer to a statement.
    pub(crate) fn connect(
        hosts: &Hosts,
        connector: &Connector,
        answer: Duration,
        ending: Ending,
    ) -> DatabaseResult<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (client, connection) = match runtime.block_on(hosts.connect(connector, &ending)) {
            Ok(connected) => connected,
            Err(error) => {
                // A look-up of the host's address may go on, which nobody waits for.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let line = Line {
            runtime,
            answer,
            connection,
            payloads: VecDeque::new(),
            ending,
            has_ended: false,
            is_lost: false,
        };
        Ok(Self {
            client: Some(client),
            line,
        })
    }

    /// Whether the connection is lost, or the server does not answer.
    pub(crate) fn is_closed(&mut self) -> bool {
        let Some((client, line)) = self.parts() else {
            return true;
        };
        line.wait(Some(PING), client.check_connection()).is_err() || client.is_closed()
    }

    pub(crate) fn prepare(&mut self, sql: &str) -> DatabaseResult<Statement> {
        let (client, line) = self.parts().ok_or(DatabaseError::Closed)?;
        line.wait(None, client.prepare(sql))
    }

    pub(crate) fn execute(
        &mut self,
        statement: &Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> DatabaseResult<u64> {
        let (client, line) = self.parts().ok_or(DatabaseError::Closed)?;
        line.wait(None, client.execute(statement, values))
    }

    /// Runs statements without values.
    pub(crate) fn batch_execute(&mut self, sql: &str) -> DatabaseResult<()> {
        let (client, line) = self.parts().ok_or(DatabaseError::Closed)?;
        line.wait(None, client.batch_execute(sql))
    }

    /// Runs a query, and calls `each` with its rows until it returns false.
    pub(crate) fn query<P>(
        &mut self,
        statement: &Statement,
        values: &[P],
        mut each: impl FnMut(&Row) -> bool,
    ) -> DatabaseResult<()>
    where
        P: BorrowToSql + Copy,
    {
        let (client, line) = self.parts().ok_or(DatabaseError::Closed)?;
        let rows = client.query_raw(statement, values.iter().copied());
        let mut rows = pin!(line.wait(None, rows)?);
        while let Some(row) = line.wait(None, rows.try_next())? {
            if !each(&row) {
                break;
            }
        }
        Ok(())
    }

    /// The first row of a query.
    pub(crate) fn first<P>(
        &mut self,
        statement: &Statement,
        values: &[P],
    ) -> DatabaseResult<Option<Row>>
    where
        P: BorrowToSql + Copy,
    {
        let (client, line) = self.parts().ok_or(DatabaseError::Closed)?;
        let rows = client.query_raw(statement, values.iter().copied());
        let mut rows = pin!(line.wait(None, rows)?);
        line.wait(None, rows.try_next())
    }

    /// Waits for notifications, but not longer than `time`; returns their payloads.
    pub(crate) fn notifications(&mut self, time: Duration) -> DatabaseResult<VecDeque<String>> {
        let first = |_: &mut Context<'_>, payloads: &mut VecDeque<String>| {
            if payloads.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(Ok(std::mem::take(payloads)))
            }
        };
        match self.line.drive(time, first) {
            Err(DatabaseError::NoAnswer { .. }) => Ok(VecDeque::new()),
            heard => heard,
        }
    }

    fn parts(&mut self) -> Option<(&tokio_postgres::Client, &mut Line)> {
        Some((self.client.as_ref()?, &mut self.line))
    }
}

impl Line {
    /// The result of a request.
    fn wait<T>(
        &mut self,
        limit: Option<Duration>,
        request: impl Future<Output = Result<T, Error>>,
    ) -> DatabaseResult<T> {
        let mut request = pin!(request);
        let limit = limit.unwrap_or(Duration::MAX).min(self.answer);
        let done = self.drive(limit, |context, _| {
            request.as_mut().poll(context).map_err(DatabaseError::from)
        });
        self.is_lost |= matches!(
            done,
            Err(DatabaseError::NoAnswer { .. } | DatabaseError::GivenUp)
        );
        done
    }

    /// Sends and receives until `poll` is ready.
    fn drive<T>(
        &mut self,
        limit: Duration,
        mut poll: impl FnMut(&mut Context<'_>, &mut VecDeque<String>) -> Poll<DatabaseResult<T>>,
    ) -> DatabaseResult<T> {
        if self.is_lost {
            return Err(DatabaseError::Closed);
        }
        let Self {
            runtime,
            connection,
            payloads,
            ending,
            has_ended,
            ..
        } = self;
        let work = poll_fn(|context| {
            while !*has_ended {
                match connection.poll_message(context) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(AsyncMessage::Notification(heard)))) => {
                        payloads.push_back(heard.payload().to_owned());
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => {
                        *has_ended = true;
                        return Poll::Ready(Err(error.into()));
                    }
                    Poll::Ready(None) => *has_ended = true,
                }
            }
            match poll(context, payloads) {
                Poll::Pending if *has_ended => Poll::Ready(Err(DatabaseError::Closed)),
                done => done,
            }
        });
        runtime.block_on(in_time(limit, ending, work))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The server is told, and then it closes the connection.
        drop(self.client.take());
        if !self.line.is_lost && !self.line.ending.is_given_up() {
            let _ = self
                .line
                .drive(CLOSE, |_, _| Poll::<DatabaseResult<()>>::Pending);
        }
    }
}
