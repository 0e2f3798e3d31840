//! What the status page says of other instances: who lives, and what they work on.

use jiff::Timestamp;
use maud::{Markup, html};

use super::words::{moment, number, optional, plural};
use crate::status::{Held, SharingStatus, WorkKind, WorkState, WorkStatus};

/// A class of the style, and a word.
type Badge = (&'static str, &'static str);

/// Whether something of the work needs attention: the journal cannot be reached, or nobody works on
/// something.
pub(super) fn needs_attention(sharing: &SharingStatus) -> bool {
    let nobody = |kind| sharing.count(kind, Held::Nobody) > 0;
    sharing.error.is_some() || WorkKind::ALL.into_iter().any(nobody)
}

/// Whether what is worked on elsewhere works, for each account or output of a kind. What is not
/// known is left out.
pub(super) fn works_elsewhere(
    sharing: Option<&SharingStatus>,
    kind: WorkKind,
) -> impl Iterator<Item = Option<bool>> {
    let work = sharing.into_iter().flat_map(move |one| one.not_here(kind));
    let known = work.filter(|one| one.held != Held::Unknown);
    known.map(|one| match one.held {
        Held::Nobody => Some(false),
        _ => one.state.as_ref().and_then(|state| state.works),
    })
}

/// The instances, as this one sees them.
pub(super) fn instances(sharing: &SharingStatus, now: Timestamp) -> Markup {
    let lag = sharing.followed.lag_batches;
    let class = if needs_attention(sharing) {
        "bad"
    } else {
        "good"
    };
    let others = sharing.instances.iter();
    let others = others.filter(|name| **name != sharing.instance);
    html! {
        section {
            h2 { "Instances" }
            article class=(class) {
                h3 { (sharing.instance) small { "this instance" } }
                @for name in others { h3 { (name) } }
                @if sharing.instances.is_empty() {
                    p.fact { "Which other instances live is not known." }
                }
                p.fact {
                    @if lag > 0 {
                        (number(lag)) @if lag == 1 { " batch is" } @else { " batches are" }
                        " not counted here yet; all were counted "
                        (optional(sharing.followed.complete_at, now, "never"))
                    } @else {
                        "All batches that are known here are counted"
                    }
                }
                @for journal in sharing.work.iter().filter(|one| one.kind == WorkKind::Journal) {
                    p.fact {
                        "Old batches are removed, and totals stored, by "
                        (journal.instance.as_deref().unwrap_or(journal.held.label()))
                    }
                }
                @if let Some(error) = &sharing.error {
                    p.error {
                        "The journal was last reached " (optional(sharing.last_round, now, "never"))
                        ": " (error)
                    }
                }
            }
        }
    }
}

/// What of a kind other instances work on, or nobody. `here` are the names of what is shown with
/// all its details: this instance may still do what it does not hold for certain.
pub(super) fn elsewhere(
    sharing: Option<&SharingStatus>,
    kind: WorkKind,
    here: &[&str],
    now: Timestamp,
) -> Markup {
    let work = sharing.into_iter().flat_map(|one| one.not_here(kind));
    let work: Vec<&WorkStatus> = work
        .filter(|one| one.held != Held::Unknown || !here.contains(&one.name.as_str()))
        .collect();
    let (title, what) = match kind {
        WorkKind::Account => ("Not polled by this instance", "Account"),
        WorkKind::Charges => ("Not charged by this instance", "Calls of"),
        WorkKind::Output => ("Not run by this instance", "Output"),
        WorkKind::Journal => ("Not kept by this instance", "Journal"),
    };
    let waiting = kind != WorkKind::Account;
    let worst = work.iter().map(|one| badge(one).0).fold("good", worse);
    html! {
        @if !work.is_empty() {
            article class=(worst) {
                h3 { (title) }
                div.scroll { table {
                    thead { tr {
                        th { (what) } th { "Instance" } th { "State" }
                        @if waiting { th { "Waiting" } th { "Oldest waiting" } } @else { th { "Last success" } }
                    } }
                    tbody { @for one in work { (row(one, what, waiting, now)) } }
                } }
            }
        }
    }
}

fn row(work: &WorkStatus, what: &str, waiting: bool, now: Timestamp) -> Markup {
    let state = work.state.clone().unwrap_or_default();
    let known = work.state.is_some();
    let (class, word) = badge(work);
    html! {
        tr {
            th data-label=(what) { (work.name) }
            td data-label="Instance" { (work.instance.as_deref().unwrap_or("–")) }
            td data-label="State" { span class={ "badge " (class) } { (word) } }
            @if waiting {
                td data-label="Waiting" { @if known { (number(state.waiting)) } @else { "–" } }
                td data-label="Oldest waiting" { (optional(state.oldest, now, "–")) }
            } @else {
                td data-label="Last success" {
                    @if let Some(time) = state.last_success { (moment(time, now)) } @else { "–" }
                }
            }
        }
        (trouble(&state))
    }
}

fn trouble(state: &WorkState) -> Markup {
    let days = usize::try_from(state.days_incomplete).unwrap_or(usize::MAX);
    html! {
        @if days > 0 || state.error.is_some() {
            tr.error { td colspan="5" {
                @if days > 0 { (plural(days, "day", "days")) " may miss calls. " }
                @if let Some(error) = &state.error { (error) }
            } }
        }
    }
}

fn badge(work: &WorkStatus) -> Badge {
    let works = work.state.as_ref().and_then(|state| state.works);
    match (work.held, works) {
        (Held::Nobody, _) => ("bad", "nobody"),
        (Held::Unknown, _) => ("waiting", "unknown"),
        (_, Some(true)) => ("good", "works"),
        (_, Some(false)) => ("bad", "fails"),
        (_, None) => ("waiting", "waiting"),
    }
}

fn worse(one: &'static str, other: &'static str) -> &'static str {
    match (one, other) {
        ("bad", _) | (_, "bad") => "bad",
        ("waiting", _) | (_, "waiting") => "waiting",
        _ => "good",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Followed;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn work(kind: WorkKind, name: &str, held: Held, state: Option<WorkState>) -> WorkStatus {
        let instance = match held {
            Held::Here => Some("a.example:71"),
            Held::Elsewhere => Some("b.example:12"),
            Held::Nobody | Held::Unknown => None,
        };
        WorkStatus {
            kind,
            name: name.to_owned(),
            held,
            instance: instance.map(str::to_owned),
            state,
        }
    }

    fn sharing() -> SharingStatus {
        let works = WorkState {
            works: Some(true),
            last_success: Some(at("2026-08-06T12:00:00Z")),
            ..WorkState::default()
        };
        let fails = WorkState {
            works: Some(false),
            error: Some("calls: the server refused <the> login".to_owned()),
            days_incomplete: 3,
            ..works.clone()
        };
        let lags = WorkState {
            works: Some(true),
            waiting: 4_321,
            oldest: Some(at("2026-08-06T11:00:00Z")),
            ..WorkState::default()
        };
        SharingStatus {
            instance: "a.example:71".to_owned(),
            instances: vec!["a.example:71".to_owned(), "b.example:12".to_owned()],
            last_round: Some(at("2026-08-06T12:00:28Z")),
            error: None,
            followed: Followed {
                lag_batches: 1,
                complete_at: Some(at("2026-08-06T12:00:20Z")),
            },
            work: vec![
                work(WorkKind::Account, "acme", Held::Here, None),
                work(WorkKind::Account, "beta", Held::Elsewhere, Some(fails)),
                work(WorkKind::Account, "gamma", Held::Elsewhere, Some(works)),
                work(WorkKind::Account, "new", Held::Elsewhere, None),
                work(WorkKind::Account, "orphan", Held::Nobody, None),
                work(WorkKind::Output, "archive", Held::Elsewhere, Some(lags)),
                work(WorkKind::Journal, "journal", Held::Elsewhere, None),
            ],
            rounds_ok: 0,
            rounds_failed: 0,
        }
    }

    fn page(sharing: &SharingStatus) -> String {
        let now = at("2026-08-06T12:00:30Z");
        let shown = [WorkKind::Account, WorkKind::Charges, WorkKind::Output];
        let tables = shown.map(|kind| elsewhere(Some(sharing), kind, &["acme"], now).into_string());
        format!(
            "{}{}",
            instances(sharing, now).into_string(),
            tables.concat()
        )
    }

    #[test]
    fn what_other_instances_do_is_shown() {
        let shown = page(&sharing());
        assert!(!shown.contains("<the>"), "text is escaped");
        insta::assert_snapshot!(shown.replace("><", ">\n<"));
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let mut lost = sharing();
        lost.error = Some("cannot connect".to_owned());
        lost.instances.clear();
        for one in &mut lost.work {
            (one.held, one.instance, one.state) = (Held::Unknown, None, None);
        }
        let shown = page(&lost);
        assert!(shown.contains("The journal was last reached"), "{shown}");
        assert!(shown.contains(">beta<") && !shown.contains(">acme<"));
        assert!(shown.contains("cannot connect") && shown.contains("is not known"));
        assert!(
            !shown.contains("b.example") && !shown.contains("works") && shown.contains("unknown")
        );
    }

    #[test]
    fn what_needs_attention() {
        let mut sharing = sharing();
        assert!(needs_attention(&sharing));
        let works: Vec<_> = works_elsewhere(Some(&sharing), WorkKind::Account).collect();
        assert_eq!(works, [Some(false), Some(true), None, Some(false)]);
        sharing.work.retain(|one| one.held != Held::Nobody);
        assert!(!needs_attention(&sharing));
        sharing.error = Some("no connection".to_owned());
        assert!(needs_attention(&sharing));
    }
}
