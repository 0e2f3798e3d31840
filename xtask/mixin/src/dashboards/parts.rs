//! Variables and kinds of panels that the dashboards share.

use crate::panels::Panel;

pub(super) const ACCOUNT: (&str, &str) = ("account", "label_values({Up}, account)");
pub(super) const CENTER: (&str, &str) = (
    "center",
    "label_values({CallAnswer}_count{account=~\"$account\"}, center_id)",
);
pub(super) const CLIENT: (&str, &str) = (
    "client",
    "label_values({Calls}{account=~\"$account\"}, client_id)",
);

pub(super) const STAT: (u64, u64) = (4, 4);
pub(super) const HALF: (u64, u64) = (12, 8);
pub(super) const FULL: (u64, u64) = (24, 9);

pub(super) fn graph<'a>(
    title: &'a str,
    description: &'a str,
    unit: &'a str,
    queries: &'a [(&'a str, &'a str)],
) -> Panel<'a> {
    Panel {
        kind: "timeseries",
        title,
        description,
        unit,
        size: HALF,
        queries,
    }
}

pub(super) fn stat<'a>(
    title: &'a str,
    description: &'a str,
    unit: &'a str,
    queries: &'a [(&'a str, &'a str)],
) -> Panel<'a> {
    Panel {
        kind: "stat",
        size: STAT,
        ..graph(title, description, unit, queries)
    }
}
