//! Reading: serde's `Deserializer` over the grammar.

use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use crate::error::{Error, ErrorKind, Result};
use crate::key::{BOOLEAN, Key};
use crate::limits::Limits;
use crate::number;
use crate::raw;
use crate::scan::{Cursor, Names, Piece, Shape, Within};

/// Reads one value from a text.
///
/// [`from_str`](crate::from_str) is shorter to use; this type also takes [`Limits`] and reads
/// pretty-printed text.
///
/// ```
/// use serde::Deserialize;
///
/// let limits = jsv::Limits { depth: 2, ..jsv::Limits::DEFAULT };
/// let mut text = jsv::Deserializer::from_str("[[[1]]]").with_limits(limits);
/// let error = Vec::<Vec<Vec<u8>>>::deserialize(&mut text).unwrap_err();
/// let message = "more than 2 levels of lists and objects at line 1 column 3 (byte 2)";
/// assert_eq!(error.to_string(), message);
/// ```
pub struct Deserializer<'de> {
    pub(crate) cursor: Cursor<'de>,
}

impl<'de> Deserializer<'de> {
    /// Reads compact text, as it goes over the wire.
    #[expect(
        clippy::should_implement_trait,
        reason = "the name that serde's text formats use; the trait has no room for the lifetime"
    )]
    pub fn from_str(text: &'de str) -> Self {
        Self {
            cursor: Cursor::new(text),
        }
    }

    /// Reads pretty-printed text too; see [`from_str_pretty`](crate::from_str_pretty).
    pub fn from_str_pretty(text: &'de str) -> Self {
        let mut new = Self::from_str(text);
        new.cursor.set_pretty();
        new
    }

    /// Sets other limits than [`Limits::DEFAULT`].
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.cursor.set_limits(limits);
        self
    }

    /// Checks that only blanks follow the value. Call it after reading the value.
    pub fn end(&mut self) -> Result<()> {
        self.cursor.end()
    }

    /// Reads the whole text as one value.
    pub(crate) fn whole<T: de::Deserialize<'de>>(mut self) -> Result<T> {
        self.cursor.check_length()?;
        let start = self.cursor.offset();
        let value = T::deserialize(&mut self)
            .map_err(|error| error.or_at(|| self.cursor.position(start)))?;
        self.end()?;
        Ok(value)
    }

    /// Hands the text at the cursor to a visitor.
    fn visit_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.cursor.text()? {
            Piece::Borrowed(text) => visitor.visit_borrowed_str(text),
            Piece::Scratch => visitor.visit_str(self.cursor.scratch()),
        }
    }

    /// Reads a number or boolean: `read` parses its text, `visit` passes the value on.
    fn visit_scalar<V, T>(
        &mut self,
        visitor: V,
        wrong: ErrorKind,
        read: impl FnOnce(&str) -> Option<T>,
        visit: impl FnOnce(V, T) -> Result<V::Value>,
    ) -> Result<V::Value>
    where
        V: Visitor<'de>,
    {
        if self.cursor.shape()? != Shape::Text {
            return de::Deserializer::deserialize_any(self, visitor);
        }
        let start = self.cursor.offset();
        let value = match self.cursor.text()? {
            Piece::Borrowed(text) => read(text),
            Piece::Scratch => read(self.cursor.scratch()),
        };
        match value {
            Some(value) => visit(visitor, value),
            None => Err(self.cursor.fail_at(start, wrong)),
        }
    }

    fn visit_list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let outer = self.cursor.enter(Within::List)?;
        let mut list = Items::new(self, Names::Exact);
        let value = visitor.visit_seq(&mut list);
        let value = value.and_then(|value| list.finish().map(|()| value));
        self.after(outer, value)
    }

    fn visit_object<V: Visitor<'de>>(&mut self, visitor: V, names: Names) -> Result<V::Value> {
        let outer = self.cursor.enter(Within::Object)?;
        let mut members = Items::new(self, names);
        let value = visitor.visit_map(&mut members);
        let value = value.and_then(|value| members.finish().map(|()| value));
        self.after(outer, value)
    }

    /// Leaves a list or object. After an error in it the cursor gives up, so that a type that
    /// ignores the error does not continue in the middle of it.
    fn after<T>(&mut self, outer: Within, value: Result<T>) -> Result<T> {
        match &value {
            Ok(_) => self.cursor.leave(outer),
            Err(_) => self.cursor.give_up(),
        }
        value
    }

    fn expected<T>(&self, what: &'static str) -> Result<T> {
        Err(self.cursor.expected(what))
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let wrong = ErrorKind::Number(stringify!($type));
            self.visit_scalar(visitor, wrong, number::whole::<$type>, V::$visit)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Error;

    /// The format has no scalar types: whatever is not a list, an object or null is text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.cursor.shape()? {
            Shape::Null => visitor.visit_unit(),
            Shape::Text => self.visit_text(visitor),
            Shape::List => self.visit_list(visitor),
            Shape::Object => self.visit_object(visitor, Names::Exact),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_scalar(visitor, BOOLEAN, number::boolean, V::visit_bool)
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_scalar(
            visitor,
            ErrorKind::Number("f32"),
            number::float::<f32>,
            V::visit_f32,
        )
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit_scalar(
            visitor,
            ErrorKind::Number("f64"),
            number::float::<f64>,
            V::visit_f64,
        )
    }

    /// Text as bytes; a list of numbers goes element by element.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.cursor.shape()? != Shape::Text {
            return self.deserialize_any(visitor);
        }
        match self.cursor.text()? {
            Piece::Borrowed(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            Piece::Scratch => visitor.visit_bytes(self.cursor.scratch().as_bytes()),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.cursor.shape()? {
            Shape::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == raw::TOKEN {
            let text = self.cursor.raw()?;
            return visitor.visit_borrowed_str(text);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.cursor.shape()? {
            Shape::Null => visitor.visit_unit(),
            Shape::List => self.visit_list(visitor),
            _ => self.expected("a list, which starts with `[`"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.cursor.shape()? {
            Shape::Null => visitor.visit_unit(),
            Shape::Object => self.visit_object(visitor, Names::Exact),
            _ => self.expected("an object, which starts with `{`"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.cursor.shape()? {
            Shape::Null => visitor.visit_unit(),
            Shape::Object => self.visit_object(visitor, Names::Trimmed),
            _ => self.expected("an object, which starts with `{`"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.cursor.shape()? {
            Shape::Null => visitor.visit_unit(),
            Shape::List => self.expected("a variant's name or an object of one member"),
            Shape::Text => match self.cursor.text()? {
                Piece::Borrowed(name) => visitor.visit_enum(name.into_deserializer()),
                Piece::Scratch => visitor.visit_enum(self.cursor.scratch().into_deserializer()),
            },
            Shape::Object => {
                let outer = self.cursor.enter(Within::Object)?;
                let value = if self.cursor.first()? {
                    visitor.visit_enum(Variant { reader: self })
                } else {
                    self.expected("a variant's name")
                };
                let value = value.and_then(|value| {
                    if self.cursor.next()? {
                        return self.expected("an object of one member");
                    }
                    Ok(value)
                });
                self.after(outer, value)
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.cursor.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char str string unit unit_struct identifier
    }
}

/// The items of a list or the members of an object, one after the other.
struct Items<'a, 'de> {
    reader: &'a mut Deserializer<'de>,
    names: Names,
    started: bool,
    ended: bool,
}

impl<'a, 'de> Items<'a, 'de> {
    fn new(reader: &'a mut Deserializer<'de>, names: Names) -> Self {
        Self {
            reader,
            names,
            started: false,
            ended: false,
        }
    }

    fn advance(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let more = if self.started {
            self.reader.cursor.next()?
        } else {
            self.started = true;
            self.reader.cursor.first()?
        };
        self.ended = !more;
        Ok(more)
    }

    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let start = self.reader.cursor.offset();
        seed.deserialize(&mut *self.reader)
            .map_err(|error| error.or_at(|| self.reader.cursor.position(start)))
    }

    /// Checks that the list or object ends where the visitor stopped.
    fn finish(&mut self) -> Result<()> {
        if self.advance()? {
            return self
                .reader
                .expected("no further item: the type takes fewer");
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.advance()? {
            self.value(seed).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.advance()? {
            return Ok(None);
        }
        let cursor = &mut self.reader.cursor;
        let start = cursor.offset();
        let key = match cursor.name(self.names)? {
            Piece::Borrowed(name) => seed.deserialize(Key::Borrowed(name)),
            Piece::Scratch => seed.deserialize(Key::Scratch(cursor.scratch())),
        };
        key.map(Some)
            .map_err(|error| error.or_at(|| cursor.position(start)))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        self.value(seed)
    }
}

/// A variant with content: `{Name:content}`.
struct Variant<'a, 'de> {
    reader: &'a mut Deserializer<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let cursor = &mut self.reader.cursor;
        let start = cursor.offset();
        let variant = match cursor.name(Names::Trimmed)? {
            Piece::Borrowed(name) => seed.deserialize(Key::Borrowed(name)),
            Piece::Scratch => seed.deserialize(Key::Scratch(cursor.scratch())),
        };
        match variant {
            Ok(variant) => Ok((variant, self)),
            Err(error) => Err(error.or_at(|| cursor.position(start))),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.reader.cursor.shape()? {
            Shape::Null => Ok(()),
            _ => self.reader.expected("a variant without content"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_tuple(self.reader, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        de::Deserializer::deserialize_struct(self.reader, "", fields, visitor)
    }
}
