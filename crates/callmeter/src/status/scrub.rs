//! Removes secrets from the texts of the status. Its numbers, times and words stay, so that what is
//! made of it is valid even if a password is `5` or `true`.
//!
//! Each struct is taken apart with all its fields: a new one does not compile until it is listed.

use super::account::{AccountStatus, CallsProgress, TaskStatus};
use super::charging::ChargingStatus;
use super::outputs::OutputStatus;
use super::overview::{ConfigStatus, JournalStatus, Status};
use super::sharing::{SharingStatus, WorkStatus};
use super::work_state::WorkState;

impl Status {
    /// The status with each text as `scrub` returns it.
    #[must_use]
    pub fn scrubbed(mut self, scrub: impl Fn(&str) -> String) -> Self {
        let change = |text: &mut String| *text = scrub(text);
        let Self {
            now: _,
            started: _,
            ready: _,
            versions: _,
            config,
            accounts,
            charges,
            outputs,
            journal,
            sharing,
        } = &mut self;
        let ConfigStatus {
            file,
            loaded: _,
            error,
            warnings,
        } = config;
        change(file);
        error.iter_mut().chain(warnings).for_each(change);
        for one in accounts.iter_mut() {
            account(one, &change);
        }
        for one in charges.iter_mut() {
            charging(one, &change);
        }
        for one in outputs.iter_mut() {
            output(one, &change);
        }
        let JournalStatus {
            path,
            bytes: _,
            last_batch: _,
            error,
            not_followed,
        } = journal;
        change(path);
        error.iter_mut().chain(not_followed).for_each(&change);
        if let Some(one) = sharing {
            shared(one, &change);
        }
        self
    }
}

fn shared(sharing: &mut SharingStatus, change: &impl Fn(&mut String)) {
    let SharingStatus {
        instance,
        instances,
        last_round: _,
        error,
        followed: _,
        work,
        rounds_ok: _,
        rounds_failed: _,
    } = sharing;
    change(instance);
    instances.iter_mut().chain(error).for_each(change);
    for one in work {
        let WorkStatus {
            kind: _,
            name,
            held: _,
            instance,
            state,
        } = one;
        change(name);
        instance.iter_mut().for_each(change);
        let Some(state) = state else { continue };
        let WorkState {
            works: _,
            error,
            last_success: _,
            days_incomplete: _,
            waiting: _,
            oldest: _,
        } = state;
        error.iter_mut().for_each(change);
    }
}

fn account(account: &mut AccountStatus, change: &impl Fn(&mut String)) {
    let AccountStatus {
        name,
        api: _,
        stale_after: _,
        calls,
        tasks,
    } = account;
    change(name);
    if let Some(calls) = calls {
        let CallsProgress {
            watermark: _,
            complete_until: _,
            unproven,
            waiting: _,
            clock_skew: _,
            tail,
            requests_last_hour: _,
            requests_per_hour: _,
            requests_needed_per_hour: _,
        } = calls;
        let reasons = unproven.iter_mut().map(|day| &mut day.reason);
        reasons.chain(tail).for_each(change);
    }
    for task in tasks.values_mut() {
        let TaskStatus {
            state: _,
            running: _,
            every: _,
            last_start: _,
            last_success: _,
            next: _,
            failures: _,
            failing_since: _,
            error,
            found,
        } = task;
        error.iter_mut().chain(found).for_each(change);
    }
}

fn charging(charging: &mut ChargingStatus, change: &impl Fn(&mut String)) {
    let ChargingStatus {
        name,
        account,
        waiting: _,
        reason,
        error,
    } = charging;
    change(name);
    change(account);
    reason.iter_mut().chain(error).for_each(change);
}

fn output(output: &mut OutputStatus, change: &impl Fn(&mut String)) {
    let OutputStatus {
        name,
        plugin,
        description,
        up: _,
        state: _,
        error,
        streams: _,
    } = output;
    change(name);
    change(plugin);
    description.iter_mut().chain(error).for_each(change);
}
