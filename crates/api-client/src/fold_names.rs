//! Reading JSON whose member names differ in case from those described.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::bare_words;
use crate::body::strip_bom;
use crate::windows_1252::text_of;

/// A deserializer (or a part of one) that matches the names of struct members without case.
///
/// Works with any self-describing format and with derived types, nested ones included. A name that
/// differs from one of the struct's only in case is replaced with the struct's own.
#[derive(Debug)]
pub struct FoldNames<T>(pub T);

/// Reads one JSON value, names without case; a byte order mark is skipped, trailing text is an
/// error. Bare `NaN` and `Infinity` are read as if they were in quotes, and bytes that are not
/// UTF-8 as Windows-1252: they cost one text, not the answer.
pub fn from_json<T: DeserializeOwned>(body: &Bytes) -> Result<T, serde_json::Error> {
    let body = strip_bom(body);
    let text = text_of(&body);
    match read(&text) {
        Err(error) if error.is_syntax() => match bare_words::quote(&text) {
            Cow::Owned(quoted) => read(&quoted),
            Cow::Borrowed(_) => Err(error),
        },
        result => result,
    }
}

fn read<'de, T: serde::Deserialize<'de>>(text: &'de str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(FoldNames(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Reads the items of a list in an object one by one, so that an item that cannot be read does not
/// affect the others; `None` where there is no such list. `member` is the list's name; names match
/// without case, bare `NaN` is as in [`from_json`].
///
/// Also returns the object without the items, as far as `T` describes it.
pub fn from_json_items<T: DeserializeOwned, I: DeserializeOwned>(
    body: &Bytes,
    member: &str,
) -> Option<(T, Vec<Result<I, serde_json::Error>>)> {
    let body = strip_bom(body);
    let text = text_of(&body);
    let text = bare_words::quote(&text);
    let object: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(&text).ok()?;
    let list = object
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(member))?;
    let items: Vec<&RawValue> = serde_json::from_str(list.1.get()).ok()?;
    let rest: serde_json::Map<String, serde_json::Value> = object
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case(member))
        .map(|(name, value)| {
            let value = serde_json::from_str(value.get()).unwrap_or_default();
            (name.to_ascii_lowercase(), value)
        })
        .collect();
    let rest = T::deserialize(FoldNames(serde_json::Value::Object(rest))).ok()?;
    let items = items.into_iter().map(|item| read(item.get())).collect();
    Some((rest, items))
}

/// The names of the struct that is being read; `None` for maps.
type Names = Option<&'static [&'static str]>;

struct Fold<T> {
    inner: T,
    names: Names,
}

macro_rules! forward {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Fold { inner: visitor, names: None })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for FoldNames<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(
            name,
            Fold {
                inner: visitor,
                names: None,
            },
        )
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(
            name,
            Fold {
                inner: visitor,
                names: None,
            },
        )
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(
            len,
            Fold {
                inner: visitor,
                names: None,
            },
        )
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(
            name,
            len,
            Fold {
                inner: visitor,
                names: None,
            },
        )
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(
            name,
            fields,
            Fold {
                inner: visitor,
                names: Some(fields),
            },
        )
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(
            name,
            variants,
            Fold {
                inner: visitor,
                names: None,
            },
        )
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($ty:ty))*) => {$(
        fn $method<E: serde::de::Error>(self, value: $ty) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Fold<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32) visit_f64(f64)
        visit_char(char) visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(FoldNames(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(FoldNames(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(FoldNames(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Fold {
            inner: members,
            names: self.names,
        })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        // Variants with content do not occur in these APIs, so their inner names are not changed.
        self.inner.visit_enum(variant)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for FoldNames<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(FoldNames(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fold<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(Fold {
            inner: seed,
            names: self.names,
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(FoldNames(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for FoldNames<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(FoldNames(deserializer))
    }
}

/// The seed of a member's name.
impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Fold<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(NameDeserializer {
            inner: deserializer,
            names: self.names,
        })
    }
}

struct NameDeserializer<D> {
    inner: D,
    names: Names,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for NameDeserializer<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        match self.names {
            Some(names) => self.inner.deserialize_str(NameVisitor {
                inner: visitor,
                names,
            }),
            None => self.inner.deserialize_any(visitor),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        match self.names {
            Some(names) => self.inner.deserialize_identifier(NameVisitor {
                inner: visitor,
                names,
            }),
            None => self.inner.deserialize_identifier(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_string(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }
}

struct NameVisitor<V> {
    inner: V,
    names: &'static [&'static str],
}

impl<'de, V: Visitor<'de>> Visitor<'de> for NameVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<V::Value, E> {
        let described = self.names.iter().find(|known| **known == name).or_else(|| {
            self.names
                .iter()
                .find(|known| known.eq_ignore_ascii_case(name))
        });
        self.inner.visit_str(described.copied().unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Page {
        #[serde(rename = "Items")]
        items: Vec<Item>,
        #[serde(rename = "TotalCount")]
        total: Option<i64>,
        #[serde(default)]
        map: BTreeMap<String, Item>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item {
        client_id: Option<String>,
        price: Option<crate::Amount>,
    }

    #[test]
    fn folds_struct_names_but_not_map_keys() {
        let page: Page = from_json(&Bytes::from_static(
            b"\xEF\xBB\xBF{\"items\":[{\"clientid\":\"a\",\"PRICE\":0.10,\"other\":[{}]}],\"totalCount\":7,\"map\":{\"KEY\":{\"ClientId\":null}}}",
        ))
        .unwrap();
        assert_eq!(page.items[0].client_id.as_deref(), Some("a"));
        assert_eq!(page.items[0].price, Some("0.10".parse().unwrap()));
        assert_eq!(page.total, Some(7));
        assert!(page.map.contains_key("KEY"));
    }

    #[test]
    fn bare_words_cost_their_member_or_their_item() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Row {
            n: crate::Number,
        }
        let row: Row = from_json(&Bytes::from_static(b"{\"N\":NaN}")).unwrap();
        assert_eq!(row.n.unreadable(), Some("NaN"));
        let body = Bytes::from_static(b"{\"Items\":[{\"price\":1},{\"price\":NaN},7],\"n\":3}");
        let (rest, items) = from_json_items::<Row, Item>(&body, "items").unwrap();
        assert_eq!(rest.n.whole(), Ok(Some(3)));
        let good: Vec<_> = items.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, false]);
    }

    #[test]
    fn refuses_trailing_text() {
        assert!(from_json::<Item>(&Bytes::from_static(b"{} x")).is_err());
        assert!(from_json::<Item>(&Bytes::from_static(b"")).is_err());
    }
}
