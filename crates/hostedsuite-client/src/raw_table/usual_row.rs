//! The usual row, read by a loop that knows what comes next.
//!
//! The service writes members in the order of the columns, and without blanks. Such a row takes
//! two thirds of the instructions that [`Reader`] needs for any other.

use super::json::{Read, Reader};
use super::key::Key;
use super::scalars::{end_of_text, is_bare};
use super::table::{Column, Holds, Kind, MAX_INNER, RawCell, RawTable};

impl Reader<'_> {
    /// Reads the row that begins here, if it is a usual one. `None` if it is not: then it has to be
    /// read again from its beginning, with what was read into `table` removed.
    pub(super) fn usual_row(&mut self, table: &mut RawTable, base: usize) -> Option<()> {
        let end = self.bytes.len();
        let [b'{', members @ ..] = self.bytes.get(self.at..)? else {
            return None;
        };
        let mut rest = members;
        let RawTable {
            columns,
            cells,
            inner,
            unescaped,
            ..
        } = table;
        let cells = cells.get_mut(base..)?;
        for (column, cell) in columns.iter().zip(cells) {
            // The service leaves out members that are null.
            if !column.key.begins(rest.first_chunk::<{ Key::SPAN }>()?) {
                continue;
            }
            let value = rest.get(column.key.len()..)?;
            rest = match (column.holds, value) {
                (Holds::Scalar, [b'"', text @ ..]) => match end_of_text(text) {
                    Some(len) => {
                        let start = end - text.len();
                        *cell = RawCell::at(Kind::Text, start..start + len);
                        text.get(len + 1..)?
                    }
                    None => self.at_value(value, cell, |reader| reader.scalar(unescaped))?,
                },
                (Holds::Scalar, _) => bare(value, end, cell)?,
                (Holds::Texts, [b'[', ..]) => {
                    self.at_value(value, cell, |reader| reader.list(inner, unescaped, None))?
                }
                (Holds::Objects(members), [b'[', items @ ..]) => {
                    let start = inner.len();
                    if let Some(rest) = usual_objects(items, end, members, inner) {
                        *cell = RawCell::at(Kind::List, start..inner.len());
                        rest
                    } else {
                        inner.truncate(start);
                        self.at_value(value, cell, |reader| {
                            reader.list(inner, unescaped, Some(members))
                        })?
                    }
                }
                _ => return None,
            };
            match rest {
                [b',', next @ ..] => rest = next,
                [b'}', next @ ..] => {
                    self.at = end - next.len();
                    return Some(());
                }
                _ => return None,
            }
        }
        None
    }

    /// Has the value at the beginning of `rest` read as in any row. Returns what follows it.
    fn at_value<'b>(
        &mut self,
        rest: &'b [u8],
        cell: &mut RawCell,
        read: impl FnOnce(&mut Self) -> Read<RawCell>,
    ) -> Option<&'b [u8]> {
        let start = self.bytes.len() - rest.len();
        self.at = start;
        *cell = read(self).ok()?;
        rest.get(self.at - start..)
    }
}

/// The rest of a list of objects, if all are usual ones: plain texts and bare values in the order
/// of the columns. Returns what follows it. `None` if it is another list, which has to be read
/// again.
fn usual_objects<'b>(
    list: &'b [u8],
    end: usize,
    columns: &'static [Column],
    inner: &mut Vec<RawCell>,
) -> Option<&'b [u8]> {
    if let [b']', rest @ ..] = list {
        return Some(rest);
    }
    let mut rest = list;
    loop {
        if inner.len() >= MAX_INNER {
            return None;
        }
        let base = inner.len();
        inner.resize(base + columns.len(), RawCell::default());
        rest = usual_object(rest, end, columns, inner.get_mut(base..)?)?;
        match rest {
            [b',', next @ ..] => rest = next,
            [b']', next @ ..] => return Some(next),
            _ => return None,
        }
    }
}

fn usual_object<'b>(
    object: &'b [u8],
    end: usize,
    columns: &'static [Column],
    cells: &mut [RawCell],
) -> Option<&'b [u8]> {
    let [b'{', members @ ..] = object else {
        return None;
    };
    let mut rest = members;
    for (column, cell) in columns.iter().zip(cells) {
        if !column.key.begins(rest.first_chunk::<{ Key::SPAN }>()?) {
            continue;
        }
        let value = rest.get(column.key.len()..)?;
        rest = match value {
            [b'"', text @ ..] => {
                let len = end_of_text(text)?;
                let start = end - text.len();
                *cell = RawCell::at(Kind::Text, start..start + len);
                text.get(len + 1..)?
            }
            _ => bare(value, end, cell)?,
        };
        match rest {
            [b',', next @ ..] => rest = next,
            [b'}', next @ ..] => return Some(next),
            _ => return None,
        }
    }
    None
}

/// A value without quotes at the beginning of `value`. Returns what follows it. `None` if there is
/// none. `end` is the length of the whole text.
#[inline]
fn bare<'b>(value: &'b [u8], end: usize, cell: &mut RawCell) -> Option<&'b [u8]> {
    let len = value.iter().position(|byte| !is_bare(*byte))?;
    let (text, rest) = value.split_at_checked(len)?;
    let kind = match text {
        [] => return None,
        b"null" => Kind::Missing,
        _ => Kind::Bare,
    };
    let start = end - value.len();
    *cell = RawCell::at(kind, start..start + len);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::calls::COLUMNS;

    /// What one of the two ways reads of a row: where it ends, and the texts of its cells.
    fn cells(text: &str, usual: bool) -> Option<(usize, Vec<(Kind, String)>)> {
        let mut table = RawTable::with_room_for(COLUMNS, text.len());
        let base = table.begin_row();
        let mut reader = Reader::new(text, None);
        let read = if usual {
            reader.usual_row(&mut table, base)
        } else {
            reader.row(&mut table, base).ok()
        };
        read?;
        let end = reader.at;
        let all = table.cells.iter().chain(&table.inner);
        let text = |cell: &RawCell| match cell.kind {
            Kind::Missing => String::new(),
            Kind::List => format!("{:?}", cell.range()),
            Kind::Unescaped => table.unescaped[cell.range()].to_owned(),
            _ => text[cell.range()].to_owned(),
        };
        Some((end, all.map(|cell| (cell.kind, text(cell))).collect()))
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "\"[a-z ]{0,60}\"",
            "[0-9]{1,4}(\\.[0-9]{1,3})?",
            "true|false|null|NaN",
            r#"\[\]|\["f1",null\]|\[\{"Type":"Answer"\},null,\{\}\]"#,
            r#"\[(\{"StartTime":"[0-9:]{3}","Type":("[A-Z]{3}"|null|7|"a\\n")(,"Description":"x{0,60}"|,"Other":1)?\},){0,2}\{("Type":"Hold")?\}\]"#,
            r#""[a-z"\\u0\n]{0,6}"|\{"a":\[1\]\}| 1|"#,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_it_reads_is_what_the_reader_of_any_row_reads(
            members in prop::collection::vec((0..COLUMNS.len() + 2, value()), 0..12),
            sorted in prop::bool::weighted(0.8),
            changed in prop::option::weighted(0.3, (any::<prop::sample::Index>(), 0_u8..128)),
        ) {
            let mut members = members;
            if sorted {
                members.sort_by_key(|(column, _)| *column);
                members.dedup_by_key(|(column, _)| *column);
            }
            let member = |(column, value): &(usize, String)| {
                format!("\"{}\":{value}", COLUMNS.get(*column).map_or("Other", |column| column.name))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            let mut text = format!("{{{}}},{{\"Id\":\"the next row\",\"Notes\":\"\"}}]", members.join(","));
            if let Some((at, byte)) = changed {
                let at = at.index(text.len());
                let mut bytes = text.into_bytes();
                bytes[at] = byte;
                text = String::from_utf8(bytes).unwrap();
            }
            if let Some(usual) = cells(&text, true) {
                prop_assert_eq!(Some(usual), cells(&text, false), "{}", text);
            }
        }
    }

    #[test]
    fn a_row_as_the_service_writes_it_is_a_usual_one() {
        let row = r#"{"Id":"7","ClientId":"c","StartTime":"2026-08-06 08:45:00","Notes":"left a long message, will call again tomorrow","DurationInSeconds":61.5,"HoldCount":null,"Interactions":[{"Type":"Answer"}],"CompletedFormIds":["f1"],"Flagged":false}"#;
        let text = format!("{row},{{\"Id\":\"8\",\"Notes\":\"the next row\"}}]");
        let (end, _) = cells(&text, true).unwrap();
        assert_eq!(end, row.len());
    }
}
