//! The usual row, read by a loop that knows what comes next.
//!
//! The service writes members in the order of the columns, and without blanks. Such a row takes
//! two thirds of the instructions that [`Reader`] needs for any other.

use super::json::{Read, Reader};
use super::key::Key;
use super::scalars::{is_bare, near_quote_or_backslash};
use super::table::{Holds, Kind, RawCell, RawTable};

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
            (*cell, rest) = match (value, column.holds) {
                ([b'"', text @ ..], Holds::Scalar) => match end_of_text(text) {
                    Some(len) => {
                        let start = end - text.len();
                        let cell = RawCell::at(Kind::Text, start..start + len);
                        (cell, text.get(len + 1..)?)
                    }
                    None => self.at_value(value, |reader| reader.scalar(unescaped))?,
                },
                ([b'[', ..], Holds::Texts) => {
                    self.at_value(value, |reader| reader.list(inner, unescaped, None))?
                }
                ([b'[', ..], Holds::Objects(members)) => {
                    self.at_value(value, |reader| reader.list(inner, unescaped, Some(members)))?
                }
                (_, Holds::Scalar) => {
                    let len = value.iter().position(|byte| !is_bare(*byte))?;
                    let (text, rest) = value.split_at_checked(len)?;
                    let kind = match text {
                        [] => return None,
                        b"null" => Kind::Missing,
                        _ => Kind::Bare,
                    };
                    let start = end - value.len();
                    (RawCell::at(kind, start..start + len), rest)
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

    /// Has the value at the beginning of `rest` read as in any row. Returns also what follows it.
    fn at_value<'b>(
        &mut self,
        rest: &'b [u8],
        read: impl FnOnce(&mut Self) -> Read<RawCell>,
    ) -> Option<(RawCell, &'b [u8])> {
        let start = self.bytes.len() - rest.len();
        self.at = start;
        let cell = read(self).ok()?;
        Some((cell, rest.get(self.at - start..)?))
    }
}

/// Where a text without escapes ends: at its quote.
#[inline]
fn end_of_text(bytes: &[u8]) -> Option<usize> {
    let end = match near_quote_or_backslash(bytes) {
        Some(end) => end,
        None => memchr::memchr2(b'"', b'\\', bytes)?,
    };
    (*bytes.get(end)? == b'"').then_some(end)
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
