//! Reading JSV into a table, through the `jsv` crate.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::table::{Column, ENVELOPE, Holds, ITEMS, Kind, RawCell, RawTable, RowState, Unreadable};

pub(super) fn read(text: &str, table: &mut RawTable) -> Result<(), Unreadable> {
    let mut reader = jsv::Deserializer::from_str(text);
    Whole { text, table }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| Unreadable(reason(&error)))
}

/// What is wrong and where. The crate's own texts contain neither values nor names.
fn reason(error: &jsv::Error) -> String {
    match error.kind() {
        // A message of serde may quote a value.
        jsv::ErrorKind::Message(_) => "not as described".to_owned(),
        _ => error.to_string(),
    }
}

struct Whole<'s, 't> {
    text: &'t str,
    table: &'s mut RawTable,
}

impl<'t> DeserializeSeed<'t> for Whole<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Whole<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, rows: A) -> Result<(), A::Error> {
        read_rows(self.text, self.table, rows)
    }

    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            match column_of(ENVELOPE, &name) {
                Some(ITEMS) => members.next_value_seed(Items {
                    text: self.text,
                    table: self.table,
                })?,
                Some(column) => {
                    let raw = members.next_value::<jsv::Raw<'t>>()?;
                    let cell = scalar(self.text, self.table, raw.get());
                    if let Some(slot) = self.table.envelope.get_mut(column) {
                        *slot = cell;
                    }
                }
                None => {
                    self.table.add_unknown_member();
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The rows within an object.
struct Items<'s, 't> {
    text: &'t str,
    table: &'s mut RawTable,
}

impl<'t> DeserializeSeed<'t> for Items<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'t> Visitor<'t> for Items<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.table.begin_list();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(self, rows: A) -> Result<(), A::Error> {
        read_rows(self.text, self.table, rows)
    }
}

fn read_rows<'t, A: SeqAccess<'t>>(
    text: &'t str,
    table: &mut RawTable,
    mut rows: A,
) -> Result<(), A::Error> {
    table.begin_list();
    while let Some(raw) = rows.next_element::<jsv::Raw<'t>>()? {
        let raw = raw.get();
        table.check_room().map_err(A::Error::custom)?;
        let base = table.begin_row();
        let state = if !raw.starts_with('{') {
            RowState::Faulty("not an object".into())
        } else if let Err(error) = row(text, table, base, raw) {
            RowState::Faulty(reason(&error).into())
        } else {
            RowState::Read(base)
        };
        table.end_row(place_in(text, raw).unwrap_or_default(), state);
    }
    Ok(())
}

fn row(text: &str, table: &mut RawTable, base: usize, raw: &str) -> Result<(), jsv::Error> {
    let columns = table.columns;
    for (name, value) in members(raw)? {
        let Some(index) = column_of(columns, &name) else {
            continue;
        };
        let holds = columns
            .get(index)
            .map_or(Holds::Scalar, |column| column.holds);
        let cell = match holds {
            Holds::Scalar => scalar(text, table, value),
            _ if !value.starts_with('[') => scalar(text, table, value),
            Holds::Texts => {
                let start = table.inner.len();
                for item in jsv::from_str::<Vec<jsv::Raw<'_>>>(value)? {
                    let cell = scalar(text, table, item.get());
                    table.inner.push(cell);
                }
                RawCell::at(Kind::List, start..table.inner.len())
            }
            Holds::Objects(inner) => {
                let start = table.inner.len();
                for item in jsv::from_str::<Vec<jsv::Raw<'_>>>(value)? {
                    let base = table.inner.len();
                    table.inner.resize(base + inner.len(), RawCell::default());
                    if !item.get().starts_with('{') {
                        continue;
                    }
                    for (name, value) in members(item.get())? {
                        let cell = scalar(text, table, value);
                        let slot = column_of(inner, &name)
                            .and_then(|index| table.inner.get_mut(base + index));
                        if let Some(slot) = slot {
                            *slot = cell;
                        }
                    }
                }
                RawCell::at(Kind::List, start..table.inner.len())
            }
        };
        if let Some(slot) = table.cells.get_mut(base + index) {
            *slot = cell;
        }
    }
    Ok(())
}

/// A value as a cell. JSV writes texts without quotes, so a bare value may be a text or a number.
fn scalar(text: &str, table: &mut RawTable, raw: &str) -> RawCell {
    let Some(place) = place_in(text, raw) else {
        return table.keep(raw);
    };
    match raw.as_bytes().first() {
        None => RawCell::default(),
        Some(b'{' | b'[') => RawCell::at(Kind::Nested, place),
        Some(b'"') => {
            let content = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            if content.contains('"') {
                table.keep(&content.replace("\"\"", "\""))
            } else {
                RawCell::at(Kind::Text, place.start + 1..place.start + 1 + content.len())
            }
        }
        Some(_) => RawCell::at(Kind::Bare, place),
    }
}

/// The range of `part` within `text`.
fn place_in(text: &str, part: &str) -> Option<std::ops::Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start + part.len();
    (range.end <= text.len()).then_some(range)
}

fn column_of(columns: &[Column], name: &str) -> Option<usize> {
    columns
        .iter()
        .position(|column| column.name.eq_ignore_ascii_case(name.trim_ascii()))
}

type Members<'t> = Vec<(Cow<'t, str>, &'t str)>;

/// The members of an object, values as they are written.
fn members(raw: &str) -> Result<Members<'_>, jsv::Error> {
    struct Collect;
    impl<'t> Visitor<'t> for Collect {
        type Value = Members<'t>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::with_capacity(25);
            while let Some(name) = members.next_key::<Cow<'t, str>>()? {
                found.push((name, members.next_value::<jsv::Raw<'t>>()?.get()));
            }
            Ok(found)
        }
    }
    let mut reader = jsv::Deserializer::from_str(raw);
    let found = (&mut reader).deserialize_map(Collect)?;
    reader.end()?;
    Ok(found)
}
