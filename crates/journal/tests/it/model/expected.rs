//! What the journal should contain after a history.

use std::collections::{HashMap, HashSet};

use callmeter_journal::{AccountState, Classification};

use super::history::{Contents, Key, Talk, Upstream};
use super::{ACCOUNTS, SETTLE};
use crate::support::MINUTE;

/// A plain model of the journal: it keeps everything, compares it directly, and never drops
/// anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) known: HashMap<(usize, Key), Counted>,
    /// `account id revision talk`, in order of sequence.
    pub(super) rows: Vec<String>,
    pub(super) states: [AccountState; 2],
}

#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) start: i64,
    pub(super) contents: Contents,
    /// The talk time that is counted: the last one that was known.
    pub(super) talk: Option<u16>,
    pub(super) revision: i32,
}

/// A page as the model sees it.
#[derive(Default)]
pub(super) struct ModelPage {
    pub(super) classifications: Vec<Classification>,
    pub(super) fresh: HashSet<Key>,
    pub(super) counted: Vec<(Key, Counted)>,
    pub(super) rows: Vec<String>,
}

impl Model {
    pub(super) fn judge(
        &self,
        account: usize,
        call: &Upstream,
        window: (i64, i64),
        seen: &HashSet<Key>,
        page: &mut ModelPage,
    ) {
        let classification = self.classify(account, call, window, seen, page);
        page.classifications.push(classification);
    }

    pub(super) fn classify(
        &self,
        account: usize,
        call: &Upstream,
        (from, now): (i64, i64),
        seen: &HashSet<Key>,
        page: &mut ModelPage,
    ) -> Classification {
        let readable = call.contents.readable_start;
        if readable && !(from..now).contains(&call.start) {
            return Classification::OutsideWindow;
        }
        let key = call.key();
        if seen.contains(&key) || !page.fresh.insert(key.clone()) {
            return Classification::Repeated;
        }
        let known = self.known.get(&(account, key.clone()));
        let same =
            |known: &Counted| known.start == call.said_start() && known.contents == call.said();
        if known.is_some_and(same) {
            return Classification::Known;
        }
        let end = call.start + call.contents.minutes * MINUTE;
        if readable && end + SETTLE > now {
            return Classification::Unsettled;
        }
        let revision = known.map_or(0, |known| known.revision + 1);
        let returned = match call.contents.talk {
            Talk::Millis(millis) => Some(millis),
            Talk::Missing | Talk::Unreadable => None,
        };
        let before = known.and_then(|known| known.talk);
        let counted = Counted {
            start: call.said_start(),
            contents: call.said(),
            talk: returned.or(before),
            revision,
        };
        let talk = |talk: Option<u16>| talk.map_or(-1, i64::from);
        page.rows.push(format!(
            "{} {} r{revision} talk {}{}",
            ACCOUNTS[account],
            if call.contents.named {
                call.number.to_string()
            } else {
                "-".to_owned()
            },
            talk(returned),
            known.map_or(String::new(), |_| format!(" was {}", talk(before)))
        ));
        page.counted.push((key, counted));
        match known {
            Some(_) => Classification::Revised,
            None => Classification::New {
                late: readable
                    && self.states[account]
                        .watermark
                        .is_some_and(|mark| end + SETTLE <= mark),
                unnamed: !call.contents.named,
            },
        }
    }

    pub(super) fn commit(&mut self, account: usize, page: ModelPage, state: Option<AccountState>) {
        for (key, counted) in page.counted {
            self.known.insert((account, key), counted);
        }
        self.rows.extend(page.rows);
        self.states[account] = state.unwrap_or(self.states[account]);
    }
}
