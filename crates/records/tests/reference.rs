//! `docs/RECORDS.md` matches the tables of the streams.

use std::fmt::Write as _;

use arrow_schema::{DataType, Field, Fields};
use callmeter_records::Stream;

/// A line of a table.
struct Line {
    kind: &'static str,
    unit: &'static str,
    member: &'static str,
    description: &'static str,
}

macro_rules! lines {
    ($($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? = $member:literal, $doc:literal;)*) => {
        &[$(Line {
            kind: stringify!($kind),
            unit: concat!($($unit)?),
            member: $member,
            description: $doc,
        }),*]
    };
}

/// The columns that every stream has before those of its table, with their descriptions.
const COMMON: [(&str, &str); 5] = [
    ("", "The account's name in the configuration."),
    (
        "",
        "The record's place in its stream: 1, 2, 3 … over the whole journal.",
    ),
    ("", "0 for a record seen first, one more with each change."),
    (
        "",
        "`new`, `revised` when a record changed that was counted before, or `removed`.",
    ),
    ("UTC", "When callmeter read the record."),
];

/// The columns after those of the table.
const LAST: [&str; 2] = [
    "A JSON object from the source member to its text, for members that could not be read.",
    "With `change` = `revised`: the columns that are counted, as they were before.",
];

fn lines(stream: Stream) -> &'static [Line] {
    match stream {
        Stream::Calls => callmeter_record_tables::calls! { lines },
        Stream::Balances => callmeter_record_tables::balances! { lines },
        Stream::Rates => callmeter_record_tables::rates! { lines },
        Stream::Billing => callmeter_record_tables::billing! { lines },
        Stream::Charges => callmeter_record_tables::charges! { lines },
    }
}

impl Line {
    fn unit(&self) -> &'static str {
        match self.kind {
            "time" => "UTC",
            "millis" => "ms",
            _ => self.unit,
        }
    }

    fn null_when(&self) -> &'static str {
        match self.kind {
            _ if self.member.is_empty() => "there is none",
            "text" => "absent or null",
            "id" => {
                "absent, null, empty, or an id that stands for none: 0, `null`, `-`, the GUID of zeros"
            }
            "texts" | "interactions" => "absent, null or no list",
            _ => "absent, null or unreadable",
        }
    }
}

fn type_of(field: &Field) -> String {
    match field.data_type() {
        DataType::List(item) => match item.data_type() {
            DataType::Struct(_) => "List(Struct)".to_owned(),
            other => format!("List({other})"),
        },
        DataType::Struct(_) => "Struct".to_owned(),
        other => other.to_string(),
    }
}

const HEAD: &str = "| column | Arrow type | unit | source member | null when | description |\n| --- | --- | --- | --- | --- | --- |\n";

fn row(page: &mut String, field: &Field, unit: &str, member: &str, null: &str, description: &str) {
    let code = |text: &str| match text {
        "" => "–".to_owned(),
        text => format!("`{text}`"),
    };
    let unit = if unit.is_empty() { "–" } else { unit };
    let _ = writeln!(
        page,
        "| `{}` | `{}` | {unit} | {} | {null} | {description} |",
        field.name(),
        type_of(field),
        code(member),
    );
}

fn table(page: &mut String, fields: &Fields, lines: &[Line]) {
    for (field, line) in fields.iter().zip(lines) {
        row(
            page,
            field,
            line.unit(),
            line.member,
            line.null_when(),
            line.description,
        );
    }
}

fn markdown() -> String {
    let mut page = String::from(
        "# Records\n\n\
         Every column of every stream, as outputs get it. This page is written by a test from the tables in\n\
         `crates/record-tables`; do not edit it.\n\n\
         A value that the API sent and that could not be read is null, and its text is in the column `unreadable`. Unknown is\n\
         never zero. A list or an object where a text should be is kept as its text.\n",
    );
    for stream in Stream::ALL {
        let schema = stream.schema();
        let (common, own) = schema.fields().split_at(COMMON.len());
        let _ = write!(
            page,
            "\n## `{}` (schema `{}`)\n\n{HEAD}",
            stream.name(),
            stream.schema_name()
        );
        for (field, (unit, description)) in common.iter().zip(COMMON) {
            row(&mut page, field, unit, "", "never", description);
        }
        let lines = lines(stream);
        table(&mut page, &own.iter().cloned().collect(), lines);
        for (field, description) in own.iter().skip(lines.len()).zip(LAST) {
            let null = if field.name() == "previous" {
                "`change` is not `revised`"
            } else {
                "everything could be read"
            };
            row(&mut page, field, "", "", null, description);
        }
        if let Ok(field) = schema.field_with_name("interactions")
            && let DataType::List(item) = field.data_type()
            && let DataType::Struct(fields) = item.data_type()
        {
            let _ = write!(page, "\n### Members of `interactions`\n\n{HEAD}");
            table(
                &mut page,
                fields,
                callmeter_record_tables::interactions! { lines },
            );
        }
        if let Ok(field) = schema.field_with_name("previous")
            && let DataType::Struct(fields) = field.data_type()
        {
            let names: Vec<_> = fields
                .iter()
                .map(|field| format!("`{}`", field.name()))
                .collect();
            let _ = write!(
                page,
                "\n### Members of `previous`\n\nThey have the types of the columns of the same names: {}. The last three \
                 say which record\nthe version before is; they are null in records of callmeter's first versions.\n",
                names.join(", ")
            );
        }
    }
    page
}

/// With `CALLMETER_WRITE_DOCS=1` the page is written instead of compared.
#[test]
fn the_page_in_docs_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/RECORDS.md");
    if std::env::var_os("CALLMETER_WRITE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == markdown(),
        "docs/RECORDS.md is not what the tables say: run CALLMETER_WRITE_DOCS=1 cargo test -p callmeter-records"
    );
}
