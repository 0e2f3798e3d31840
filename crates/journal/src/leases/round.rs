//! A round: one transaction in which an instance says that it lives, renews its leases, and takes
//! what is free.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use callmeter_records::Stream;

use crate::database::connection::{Access, Connection};
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::error::Result;
use crate::leases::claims;
use crate::leases::fence::{InstanceId, NOW};
use crate::leases::held::Instance;
use crate::leases::names::cursor_of;
use crate::leases::shares;
use crate::leases::standings::{Peer, Seen};

/// How long the rows of an instance and of a lease stay after their end, as a multiple of a lease.
const KEPT: i64 = 10;

/// What this instance says of its work.
pub(super) struct State<'r> {
    pub(super) text: Vec<u8>,
    /// What its row has.
    pub(super) told: &'r mut Option<Vec<u8>>,
    /// The leases that it claims.
    pub(super) claims: Vec<String>,
}

/// What a round found and did.
pub(super) struct Done {
    pub(super) me: InstanceId,
    /// The epoch of each lease that is held now.
    pub(super) held: HashMap<String, i64>,
    pub(super) give_up: Vec<String>,
    pub(super) live: Vec<Peer>,
    /// All leases, and who holds them.
    pub(super) leases: BTreeMap<String, Option<InstanceId>>,
    /// The oldest batch, and the sequence of the oldest call.
    pub(super) oldest: (i64, i64),
}

/// Runs the transaction. `unheld` says in how many rounds a lease was seen without a holder.
///
/// No round waits for another one, except for rows that both add: these are added in the same
/// order. A round waits for the writes of its own process, which hold locks on its leases.
pub(super) fn run(
    conn: &Connection,
    me: &Instance,
    wanted: &[String],
    state: State<'_>,
    unheld: &mut HashMap<String, u32>,
) -> DatabaseResult<Done> {
    // If the server crashes, a lease that is lost is taken again. What is written under it comes
    // later, so it is lost, too.
    let transaction = conn.begin(Access::LazyWrite)?;
    let time = micros(me.options.lease);
    let wanted: HashSet<String> = wanted.iter().cloned().collect();
    let dropped = no_longer_wanted(&transaction, me, &wanted)?;
    heartbeat(&transaction, me, &wanted, &state, time)?;
    renew(&transaction, me.id, time)?;
    let mut rows = read_leases(&transaction, time)?;
    add_missing(&transaction, &wanted, &mut rows)?;
    let live = read_live(&transaction)?;
    remove_cursors(&transaction, &live, &dropped)?;
    remove_unused(&transaction, &live, &mut rows, time)?;
    unheld.retain(|name, _| rows.get(name).is_some_and(|row| row.holder.is_none()));
    let seen: BTreeMap<String, Seen> = rows
        .iter()
        .map(|(name, row)| {
            let rounds = if row.holder.is_some() {
                0
            } else {
                let rounds = unheld.entry(name.clone()).or_insert(0);
                *rounds += 1;
                *rounds - 1
            };
            let holder = row.holder;
            (
                name.clone(),
                Seen {
                    holder,
                    unheld: rounds,
                },
            )
        })
        .collect();
    let plan = shares::plan(me.id, &live, &seen);
    let mut held = HashMap::new();
    let mut leases = BTreeMap::new();
    for (name, row) in rows {
        if row.holder == Some(me.id) {
            held.insert(name.clone(), row.epoch);
        }
        leases.insert(name, row.holder);
    }
    for name in plan.take {
        if let Some(epoch) = take(&transaction, me.id, &name, time)? {
            leases.insert(name.clone(), Some(me.id));
            held.insert(name, epoch);
        }
    }
    let oldest = oldest(&transaction)?;
    transaction.commit()?;
    *state.told = Some(state.text);
    Ok(Done {
        me: me.id,
        held,
        give_up: plan.give_up,
        live,
        leases,
        oldest,
    })
}

/// Gives leases up, and tells the others.
pub(super) fn release(conn: &Connection, me: InstanceId, leases: &[(String, i64)]) -> Result<()> {
    const OPERATION: &str = "release leases of";
    let release = || -> DatabaseResult<()> {
        let transaction = conn.begin(Access::LazyWrite)?;
        for (name, epoch) in leases {
            transaction.execute(
                "UPDATE leases SET holder = ?, expires_at = 0
                 WHERE name = ? AND holder = ? AND epoch = ?",
                values![NOBODY, name, &me, *epoch],
            )?;
        }
        transaction.announce_release()?;
        transaction.commit()
    };
    release().map_err(|source| conn.failed(OPERATION, source))
}

/// Removes an instance that has given up everything, so that the others share without it.
pub(super) fn leave(conn: &Connection, me: InstanceId) -> Result<()> {
    conn.execute("DELETE FROM instances WHERE id = ?", values![&me])
        .map(drop)
        .map_err(|source| conn.failed("leave", source))
}

/// The leases that other live instances hold.
pub(crate) fn held_by_others(
    conn: &Connection,
    me: Option<InstanceId>,
) -> DatabaseResult<HashSet<String>> {
    let me = me.as_ref().map_or(NOBODY, InstanceId::as_slice);
    let names = conn.all(
        &format!("SELECT name FROM leases WHERE holder <> ? AND expires_at > {NOW}"),
        values![me],
        |row| row.get(0),
    )?;
    Ok(names.into_iter().collect())
}

/// The leases that other live instances want.
pub(crate) fn wanted_by_others(
    conn: &Connection,
    me: Option<InstanceId>,
) -> DatabaseResult<HashSet<String>> {
    let live = read_live(conn)?;
    let others = live.into_iter().filter(|peer| Some(peer.id) != me);
    Ok(others.flat_map(|peer| peer.wanted).collect())
}

/// The names of the live instances.
pub(crate) fn live_names(conn: &Connection) -> DatabaseResult<Vec<String>> {
    conn.all(
        &format!("SELECT name FROM instances WHERE expires_at > {NOW} ORDER BY name"),
        values![],
        |row| row.get(0),
    )
}

/// The holder of a lease that nobody holds.
const NOBODY: &[u8] = &[];

fn heartbeat(
    conn: &Connection,
    me: &Instance,
    wanted: &HashSet<String>,
    state: &State<'_>,
    time: i64,
) -> DatabaseResult<()> {
    let claims = state.claims.iter().map(|lease| claims::written(lease));
    let mut names: Vec<String> = wanted.iter().cloned().chain(claims).collect();
    names.sort_unstable();
    conn.execute(
        &format!(
            "INSERT INTO instances (id, name, wanted, state, expires_at)
             VALUES (?, ?, ?, ?, {NOW} + ?)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, wanted = excluded.wanted,
             expires_at = excluded.expires_at"
        ),
        values![
            &me.id,
            &me.options.name,
            names.join("\0").as_bytes(),
            &state.text,
            time
        ],
    )?;
    if state.told.as_ref() != Some(&state.text) {
        // A state that is not set is not written again, however long it is.
        conn.execute(
            "UPDATE instances SET state = ? WHERE id = ?",
            values![&state.text, &me.id],
        )?;
    }
    conn.execute(
        &format!(
            "DELETE FROM instances WHERE id IN (SELECT id FROM instances
             WHERE expires_at < {NOW} - ? FOR UPDATE SKIP LOCKED)"
        ),
        values![time.saturating_mul(KEPT)],
    )?;
    Ok(())
}

/// Renews what has not expired. What has, must be taken again, and gets another epoch.
fn renew(conn: &Connection, me: InstanceId, time: i64) -> DatabaseResult<()> {
    // In this order, as the writes of this process take them.
    let _locked: Vec<String> = conn.all(
        "SELECT name FROM leases WHERE holder = ? ORDER BY name FOR UPDATE",
        values![&me],
        |row| row.get(0),
    )?;
    conn.execute(
        &format!(
            "UPDATE leases SET expires_at = {NOW} + ? WHERE holder = ? AND expires_at > {NOW}"
        ),
        values![time, &me],
    )?;
    Ok(())
}

struct LeaseRow {
    holder: Option<InstanceId>,
    epoch: i64,
    /// It ended so long ago that it is removed if nobody wants it.
    is_old: bool,
}

fn read_leases(conn: &Connection, time: i64) -> DatabaseResult<BTreeMap<String, LeaseRow>> {
    let rows = conn.all(
        &format!(
            "SELECT name, CASE WHEN expires_at > {NOW} THEN holder END, epoch,
             CASE WHEN expires_at < {NOW} - ? THEN 1 ELSE 0 END::bigint FROM leases"
        ),
        values![time.saturating_mul(KEPT)],
        |row| {
            let row_of = LeaseRow {
                holder: row.get(1)?,
                epoch: row.get(2)?,
                is_old: row.get::<i64>(3)? != 0,
            };
            Ok((row.get(0)?, row_of))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// The outputs and charges that this instance wanted in its last round, and no longer wants.
fn no_longer_wanted(
    conn: &Connection,
    me: &Instance,
    wanted: &HashSet<String>,
) -> DatabaseResult<Vec<String>> {
    let told = conn.first(
        "SELECT wanted FROM instances WHERE id = ?",
        values![&me.id],
        |row| row.get::<String>(0),
    )?;
    let told = told.unwrap_or_default();
    let dropped = told
        .split('\0')
        .filter(|name| cursor_of(name).is_some() && !wanted.contains(*name));
    let dropped: Vec<String> = dropped.map(str::to_owned).collect();
    if !dropped.is_empty() {
        // Instances that drop the same do it one after the other: the last one sees that nobody
        // wants it.
        conn.first("SELECT 1 FROM journal FOR UPDATE", values![], |_| Ok(()))?;
    }
    Ok(dropped)
}

/// Removes the cursors of outputs and charges that no live instance wants: retention must not wait
/// for them.
fn remove_cursors(conn: &Connection, live: &[Peer], dropped: &[String]) -> DatabaseResult<()> {
    let is_wanted = |name: &String| live.iter().any(|peer| peer.wanted.contains(name));
    let unwanted = dropped.iter().filter(|name| !is_wanted(name));
    for output in unwanted.filter_map(|name| cursor_of(name)) {
        let removed = conn.execute("DELETE FROM cursors WHERE output = ?", values![output])?;
        if removed > 0 {
            tracing::info!(
                output,
                "no instance has this output any more; its cursors in the journal were removed"
            );
        }
    }
    Ok(())
}

/// Removes the leases that no live instance wants.
fn remove_unused(
    conn: &Connection,
    live: &[Peer],
    rows: &mut BTreeMap<String, LeaseRow>,
    time: i64,
) -> DatabaseResult<()> {
    let is_unused = |name: &String| !live.iter().any(|peer| peer.wanted.contains(name));
    let unused: Vec<String> = rows
        .iter()
        .filter(|(name, row)| row.is_old && is_unused(name))
        .map(|(name, _)| name.clone())
        .collect();
    for name in unused {
        conn.execute(
            &format!(
                "DELETE FROM leases WHERE name IN (SELECT name FROM leases
                 WHERE name = ? AND expires_at < {NOW} - ? FOR UPDATE SKIP LOCKED)"
            ),
            values![&name, time.saturating_mul(KEPT)],
        )?;
        rows.remove(&name);
    }
    Ok(())
}

/// Adds the leases that are wanted and not there. The epochs of one begin at the time, so that
/// those of a lease with the same name, which was removed, do not come again.
fn add_missing(
    conn: &Connection,
    wanted: &HashSet<String>,
    rows: &mut BTreeMap<String, LeaseRow>,
) -> DatabaseResult<()> {
    let mut missing: Vec<&String> = wanted
        .iter()
        .filter(|name| !rows.contains_key(*name))
        .collect();
    missing.sort_unstable();
    for name in missing {
        conn.execute(
            &format!(
                "INSERT INTO leases (name, holder, epoch, expires_at) VALUES (?, ?, {NOW}, 0)
                 ON CONFLICT (name) DO NOTHING"
            ),
            values![name, NOBODY],
        )?;
        let row = LeaseRow {
            holder: None,
            epoch: 0,
            is_old: false,
        };
        rows.insert(name.clone(), row);
    }
    Ok(())
}

fn read_live(conn: &Connection) -> DatabaseResult<Vec<Peer>> {
    let mut live = conn.all(
        &format!(
            "SELECT id, name, wanted, state FROM instances WHERE expires_at > {NOW} ORDER BY id"
        ),
        values![],
        |row| {
            let wanted: &str = row.get(2)?;
            Ok(Peer {
                id: row.get(0)?,
                name: row.get(1)?,
                wanted: wanted
                    .split('\0')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
                state: row.get(3)?,
            })
        },
    )?;
    claims::heed(&mut live);
    Ok(live)
}

/// Takes a lease if it is still free; returns its new epoch.
fn take(conn: &Connection, me: InstanceId, name: &str, time: i64) -> DatabaseResult<Option<i64>> {
    let epoch: Option<i64> = conn.first(
        &format!(
            "SELECT epoch FROM leases WHERE name = ? AND expires_at <= {NOW} FOR UPDATE SKIP LOCKED"
        ),
        values![name],
        |row| row.get(0),
    )?;
    let Some(epoch) = epoch.map(|epoch| epoch + 1) else {
        return Ok(None);
    };
    conn.execute(
        &format!("UPDATE leases SET holder = ?, epoch = ?, expires_at = {NOW} + ? WHERE name = ?"),
        values![&me, epoch, time, name],
    )?;
    Ok(Some(epoch))
}

/// The oldest batch, and the sequence of the oldest call. Both are those that come next if there is
/// none.
fn oldest(conn: &Connection) -> DatabaseResult<(i64, i64)> {
    conn.only(
        "SELECT coalesce((SELECT min(seq) FROM batches), (SELECT next_batch FROM journal)),
         coalesce((SELECT first_sequence FROM batches WHERE stream = ?1 ORDER BY seq LIMIT 1),
                  (SELECT next_sequence FROM streams WHERE stream = ?1), 1)",
        values![Stream::Calls.code()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 16)
}
