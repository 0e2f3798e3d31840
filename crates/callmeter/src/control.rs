//! The socket beside the journal: commands of the same user reach the running exporter through it.
//!
//! One connection carries one request, a line of JSON, and then lines of JSON until it is done.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use callmeter_journal::{Claim, account_lease};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::JournalPlace;
use crate::context::AppContext;
use crate::sources::BackfillProgress;
use crate::status::Task;
use crate::stop::Stop;

/// The longest request, in bytes.
const LONGEST_REQUEST: u64 = 4096;
/// The most days of one request.
pub(crate) const MOST_DAYS: usize = 4000;

/// How long a command waits for an account whose polls fail, without a day having been read.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long an account may take to move from another instance, and how often it is looked for.
const MOVE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// A request to the running exporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Read past days of an account's calls.
    Backfill {
        /// The account.
        account: String,
        /// The first day, in the account's time zone.
        from: Date,
        /// The last day, inclusive.
        to: Date,
        /// Whether to read days that have been read.
        again: bool,
    },
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// How far a backfill is.
    Progress(BackfillProgress),
    /// The request cannot be followed, and why.
    Refused(String),
}

/// The socket of the exporter that uses this journal: beside its file, or in the directory that the
/// configuration names for a journal on a server.
pub(crate) fn path(journal: &JournalPlace) -> PathBuf {
    match journal {
        JournalPlace::File(path) => {
            let mut path = path.as_os_str().to_owned();
            path.push(".sock");
            PathBuf::from(path)
        }
        JournalPlace::Server(server) => server.directory.join("callmeter.sock"),
    }
}

/// Answers requests until stopped. A socket that cannot be opened is logged: the exporter works
/// without it.
///
/// The file of a journal is locked, so that no other exporter uses a socket that is there. Beside a
/// journal on a server there may be one.
pub(crate) fn serve(app: AppContext, journal: &JournalPlace, stop: Stop) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let path = path(journal);
    match open(&path) {
        Ok(listener) => {
            tasks.spawn(accept(listener, path.clone(), app, stop));
        }
        Err(error) => warn!(
            path = %path.display(),
            %error,
            "cannot open the control socket: `callmeter backfill` will not reach this process"
        ),
    }
    tasks
}

fn open(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        let text = "another callmeter answers there: set another journal.postgres.directory";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, path: PathBuf, app: AppContext, mut stop: Stop) {
    let mut connections = JoinSet::new();
    // This process created the file.
    let owner = std::fs::metadata(&path).map_or(0, |file| file.uid());
    while let Some(accepted) = stop.unless_stopped(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(answer(stream, owner, app.clone(), stop.clone()));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection of the control socket");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
    // The next start removes it otherwise.
    let _gone = std::fs::remove_file(path);
    connections.shutdown().await;
}

async fn answer(mut stream: UnixStream, owner: u32, app: AppContext, mut stop: Stop) {
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == owner) {
        return;
    }
    let answered = async {
        let refusal = match read(&mut stream).await {
            Ok(Request::Backfill {
                account,
                from,
                to,
                again,
            }) => backfill(&mut stream, &app, &account, (from, to), again).await?,
            Err(error) => Some(error),
        };
        if let Some(refusal) = refusal {
            write(&mut stream, &Answer::Refused(refusal)).await?;
        }
        Ok::<(), io::Error>(())
    };
    // A client that has gone away needs no answer.
    let _ended = stop.unless_stopped(answered).await;
}

async fn read(stream: &mut UnixStream) -> Result<Request, String> {
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_REQUEST))
        .read_line(&mut line)
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_str(&line).map_err(|error| format!("the request cannot be read: {error}"))
}

/// Hands the days to the account's polls, and follows them. Returns why it cannot.
async fn backfill(
    stream: &mut UnixStream,
    app: &AppContext,
    account: &str,
    (from, to): (Date, Date),
    again: bool,
) -> io::Result<Option<String>> {
    let days: Vec<Date> = from
        .series(1.day())
        .take_while(|day| *day <= to)
        .take(MOST_DAYS + 1)
        .collect();
    if days.is_empty() || days.len() > MOST_DAYS {
        return Ok(Some(format!("a request has 1 to {MOST_DAYS} days")));
    }
    // Until the days are read, the account stays here.
    let _claim = match claim(app, account).await {
        Ok(claim) => claim,
        Err(refusal) => return Ok(Some(refusal)),
    };
    info!(account, %from, %to, "past days of calls were asked for");
    let mut progress = app.backfills.submit(account, days, again);
    loop {
        match tokio::time::timeout(PATIENCE, progress.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => match app.status.accounts().failure(account, Task::Calls) {
                Some(error) => return Ok(Some(unanswered(account, &error))),
                None => continue,
            },
        }
        let now = progress.borrow_and_update().clone();
        let is_done = now.is_done;
        write(stream, &Answer::Progress(now)).await?;
        if is_done {
            return Ok(None);
        }
    }
    Ok(Some(
        "the account was reloaded, or another instance polls it now: run the same command to follow the rest, without --again".to_owned(),
    ))
}

/// Gets an account from the instance that polls it, if several share the journal. Returns why that
/// fails.
async fn claim(app: &AppContext, account: &str) -> Result<Option<Claim>, String> {
    let not_polled = || format!("the running exporter does not poll calls of account {account:?}");
    let has_calls = || app.status.accounts().has_task(account, Task::Calls);
    let journal = &app.journal;
    if !journal.is_shared() {
        return if has_calls() {
            Ok(None)
        } else {
            Err(not_polled())
        };
    }
    let lease = account_lease(account);
    let claim = journal.claim(&lease).ok_or_else(not_polled)?;
    let begun = Instant::now();
    while !(has_calls() && journal.held_leases().contains(&lease)) {
        if begun.elapsed() > MOVE {
            let text = not_polled();
            return Err(format!(
                "{text}, and has not got it from another instance within {} seconds",
                MOVE.as_secs()
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(Some(claim))
}

fn unanswered(account: &str, error: &str) -> String {
    format!(
        "account {account:?} cannot be read: {error}\nThe running exporter goes on trying; when it succeeds, the same command follows the rest"
    )
}

async fn write(stream: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use callmeter_journal::{Journal, Options};
    use callmeter_plugin_host::Outputs;

    use super::*;
    use crate::status::{AccountSetup, PollEnd};

    #[tokio::test(start_paused = true)]
    async fn a_command_does_not_wait_for_ever_for_an_account_that_fails() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("j.db"), &Options::default()).unwrap();
        let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
        let app = AppContext::of(journal, Arc::new(outputs));
        let accounts = app.status.accounts();
        accounts.add(&AccountSetup {
            name: "acme",
            api: callmeter_meter::Api::HostedSuite,
            stale_after: 3,
            tasks: &[(Task::Calls, Duration::from_mins(1))],
            failure_reasons: &["timeout"],
        });
        let failing = PollEnd::Failing {
            error: "the server does not answer".to_owned(),
            reason: "timeout",
        };
        accounts.poll_ended("acme", Task::Calls, &failing, Duration::from_secs(1));
        let (mut ours, _theirs) = UnixStream::pair().unwrap();
        let days = (Date::constant(2026, 1, 1), Date::constant(2026, 1, 2));
        let refusal = backfill(&mut ours, &app, "acme", days, false)
            .await
            .unwrap();
        let refusal = refusal.unwrap();
        assert!(
            refusal.starts_with("account \"acme\" cannot be read: the server does not answer\n"),
            "{refusal}"
        );
    }

    #[tokio::test]
    async fn the_socket_of_another_process_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("callmeter.sock");
        let first = open(&path).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("journal.postgres.directory"), "{error}");
        // That of a process that was killed does not.
        drop(first);
        assert!(path.exists());
        open(&path).unwrap();
    }
}
