//! Known exceptions of the tests in this package. Do not add to these lists; remove what is fixed.

/// Files of one crate that depend on each other.
pub(crate) const CYCLES: &[&[&str]] = &[
    &[
        "crates/callmeter/src/commands/export/cell.rs",
        "crates/callmeter/src/commands/export/mod.rs",
        "crates/callmeter/src/commands/export/openmetrics.rs",
        "crates/callmeter/src/commands/export/records.rs",
    ],
    &[
        "crates/callmeter/src/pipeline/mod.rs",
        "crates/callmeter/src/pipeline/restore.rs",
    ],
    &[
        "crates/callmeter/src/web/metrics.rs",
        "crates/callmeter/src/web/mod.rs",
        "crates/callmeter/src/web/routes.rs",
    ],
    &[
        "crates/hostedsuite-client/src/answer.rs",
        "crates/hostedsuite-client/src/balances.rs",
        "crates/hostedsuite-client/src/calls.rs",
        "crates/hostedsuite-client/src/client.rs",
        "crates/hostedsuite-client/src/clients.rs",
        "crates/hostedsuite-client/src/owned.rs",
        "crates/hostedsuite-client/src/paging.rs",
        "crates/hostedsuite-client/src/query.rs",
        "crates/hostedsuite-client/src/raw_table/json.rs",
        "crates/hostedsuite-client/src/raw_table/jsv.rs",
        "crates/hostedsuite-client/src/raw_table/mod.rs",
        "crates/hostedsuite-client/src/rows.rs",
    ],
    &[
        "crates/journal/src/change_streams.rs",
        "crates/journal/src/ingest.rs",
        "crates/journal/src/journal.rs",
        "crates/journal/src/outputs.rs",
        "crates/journal/src/retention.rs",
        "crates/journal/src/stats.rs",
        "crates/journal/src/writer.rs",
    ],
    &["crates/journal/src/keys.rs", "crates/journal/src/known.rs"],
    &[
        "crates/plugin-sdk/src/arrow.rs",
        "crates/plugin-sdk/src/batch/column.rs",
        "crates/plugin-sdk/src/batch/import.rs",
        "crates/plugin-sdk/src/batch/mod.rs",
        "crates/plugin-sdk/src/batch/records.rs",
        "crates/plugin-sdk/src/batch/rows.rs",
        "crates/plugin-sdk/src/batch/schema.rs",
        "crates/plugin-sdk/src/batch/value.rs",
    ],
    &[
        "crates/portsip-client/src/csv_export.rs",
        "crates/portsip-client/src/export_columns.rs",
        "crates/portsip-client/src/rates.rs",
        "crates/portsip-client/src/session.rs",
        "crates/portsip-client/src/writable.rs",
    ],
    &[
        "crates/records/src/balances.rs",
        "crates/records/src/billing.rs",
        "crates/records/src/calls/mod.rs",
        "crates/records/src/common.rs",
        "crates/records/src/rates.rs",
        "crates/records/src/stream.rs",
    ],
    &[
        "crates/simulator/src/world/calls.rs",
        "crates/simulator/src/world/people.rs",
    ],
    &[
        "xtask/codegen/src/rules.rs",
        "xtask/codegen/src/rules/operations.rs",
        "xtask/codegen/src/rules/schemas.rs",
    ],
];

/// Files that do not begin with a `//!` line.
pub(crate) const WITHOUT_PURPOSE: &[&str] = &["crates/callmeter/src/config/tests.rs"];

/// How many comment lines of a package may be too wide.
pub(crate) const WIDE_COMMENTS: &[(&str, usize)] = &[
    ("crates/api-client", 54),
    ("crates/callmeter", 42),
    ("crates/exposition", 25),
    ("crates/hostedsuite-client", 60),
    ("crates/journal", 105),
    ("crates/jsv", 29),
    ("crates/meter", 60),
    ("crates/plugin-abi", 4),
    ("crates/plugin-host", 10),
    ("crates/plugin-sdk", 10),
    ("crates/plugin-testkit", 4),
    ("crates/portsip-client", 48),
    ("crates/records", 37),
    ("crates/simulator", 1),
    ("plugins/csv", 25),
    ("plugins/webhook", 11),
    ("xtask/codegen", 24),
];

/// Files named `mod.rs` that hold more than declarations and re-exports.
pub(crate) const MOD_FILES_WITH_LOGIC: &[&str] = &[
    "crates/callmeter/src/commands/demo/mod.rs",
    "crates/callmeter/src/commands/export/mod.rs",
    "crates/callmeter/src/config/mod.rs",
    "crates/callmeter/src/pipeline/mod.rs",
    "crates/callmeter/src/web/access/mod.rs",
    "crates/callmeter/src/web/mod.rs",
    "crates/hostedsuite-client/src/raw_table/mod.rs",
    "crates/journal/src/format/mod.rs",
    "crates/plugin-host/src/backlog/mod.rs",
    "crates/plugin-sdk/src/batch/mod.rs",
    "crates/records/src/calls/mod.rs",
    "crates/simulator/src/hostedsuite/mod.rs",
    "crates/simulator/src/portsip/mod.rs",
    "crates/simulator/src/world/mod.rs",
];

/// Families that nothing updates.
pub(crate) const METRICS_NEVER_UPDATED: &[&str] = &["JournalPruned"];
