//! Names of members as serde's keys: text that a type may read as a number.

use serde::de::{self, IntoDeserializer, Visitor};

use crate::error::{Error, ErrorKind, Result};
use crate::number;

/// What is wrong with a text that should be a boolean.
pub(crate) const BOOLEAN: ErrorKind = ErrorKind::Expected("a boolean");

pub(crate) enum Key<'de, 's> {
    Borrowed(&'de str),
    Scratch(&'s str),
}

impl Key<'_, '_> {
    #[expect(
        clippy::match_same_arms,
        reason = "one pattern for both would tie the two lifetimes together"
    )]
    fn text(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Scratch(text) => text,
        }
    }

    fn scalar<T>(&self, wrong: ErrorKind, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        read(self.text()).ok_or_else(|| Error::new(wrong))
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $type:ident $read:path;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.scalar(ErrorKind::Number(stringify!($type)), $read)?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Key<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self {
            Self::Borrowed(text) => visitor.visit_borrowed_str(text),
            Self::Scratch(text) => visitor.visit_str(text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.scalar(BOOLEAN, number::boolean)?)
    }

    scalars! {
        deserialize_i8 visit_i8 i8 number::whole;
        deserialize_i16 visit_i16 i16 number::whole;
        deserialize_i32 visit_i32 i32 number::whole;
        deserialize_i64 visit_i64 i64 number::whole;
        deserialize_i128 visit_i128 i128 number::whole;
        deserialize_u8 visit_u8 u8 number::whole;
        deserialize_u16 visit_u16 u16 number::whole;
        deserialize_u32 visit_u32 u32 number::whole;
        deserialize_u64 visit_u64 u64 number::whole;
        deserialize_u128 visit_u128 u128 number::whole;
        deserialize_f32 visit_f32 f32 number::float;
        deserialize_f64 visit_f64 f64 number::float;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_enum(self.text().into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}
