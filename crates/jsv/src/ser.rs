//! Writing: serde's `Serializer` into a string.

use serde::ser::{self, Serialize};

use crate::bytes::{Name, Stops as _};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;
use crate::number;

/// Writes values at the end of a string. [`to_string`](crate::to_string) is shorter to use; this
/// type can reuse a buffer.
///
/// ```
/// use serde::Serialize;
///
/// let mut buffer = String::with_capacity(64);
/// [1, 2].serialize(&mut jsv::Serializer::new(&mut buffer))?;
/// assert_eq!(buffer, "[1,2]");
/// # Ok::<(), jsv::Error>(())
/// ```
pub struct Serializer<'a> {
    out: &'a mut String,
    depth: usize,
}

impl<'a> Serializer<'a> {
    /// Writes at the end of `out`. After an error `out` holds an incomplete text.
    pub fn new(out: &'a mut String) -> Self {
        Self { out, depth: 0 }
    }

    /// Writes text as it is, or in quotes if it is empty or holds a byte that forces quotes.
    #[inline]
    fn push_text(&mut self, text: &str) {
        if !text.is_empty() && Name::find(text.as_bytes()).is_none() {
            self.out.push_str(text);
        } else {
            self.push_quoted(text);
        }
    }

    fn push_quoted(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('"') {
            self.out.push_str(before);
            self.out.push_str("\"\"");
            rest = after;
        }
        self.out.push_str(rest);
        self.out.push('"');
    }

    #[inline]
    fn open(&mut self, bracket: char) -> Result<()> {
        // ServiceStack writes nothing that is nested deeper, and our own reader refuses it.
        if self.depth >= Limits::DEFAULT.depth {
            let limit = ErrorKind::Limit("levels of lists and objects", Limits::DEFAULT.depth);
            return Err(Error::new(limit));
        }
        self.depth += 1;
        self.out.push(bracket);
        Ok(())
    }

    #[inline]
    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        self.out.push(bracket);
    }

    fn open_variant(&mut self, variant: &str) -> Result<()> {
        self.open('{')?;
        self.push_text(variant);
        self.out.push(':');
        Ok(())
    }
}

macro_rules! whole_numbers {
    ($($method:ident $type:ident)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<()> {
            self.out.push_str(itoa::Buffer::new().format(value));
            Ok(())
        }
    )*};
}

impl<'s, 'a> ser::Serializer for &'s mut Serializer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'s, 'a>;
    type SerializeTuple = List<'s, 'a>;
    type SerializeTupleStruct = List<'s, 'a>;
    type SerializeTupleVariant = List<'s, 'a>;
    type SerializeMap = Object<'s, 'a>;
    type SerializeStruct = Object<'s, 'a>;
    type SerializeStructVariant = Object<'s, 'a>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<()> {
        self.out.push_str(if value { "True" } else { "False" });
        Ok(())
    }

    whole_numbers! {
        serialize_i8 i8
        serialize_i16 i16
        serialize_i32 i32
        serialize_i64 i64
        serialize_i128 i128
        serialize_u8 u8
        serialize_u16 u16
        serialize_u32 u32
        serialize_u64 u64
        serialize_u128 u128
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        number::push_f32(self.out, value);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<()> {
        number::push_f64(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.push_text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.push_text(value);
        Ok(())
    }

    /// A list of numbers, as serde_json writes bytes.
    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.collect_seq(value)
    }

    /// Null is written as nothing: the caller leaves the member out or the item empty.
    #[inline]
    fn serialize_none(self) -> Result<()> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.push_text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.open_variant(variant)?;
        value.serialize(&mut *self)?;
        self.close('}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'s, 'a>> {
        self.open('[')?;
        Ok(List::new(self, false))
    }

    fn serialize_tuple(self, len: usize) -> Result<List<'s, 'a>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<List<'s, 'a>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'s, 'a>> {
        self.open_variant(variant)?;
        self.open('[')?;
        Ok(List::new(self, true))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'s, 'a>> {
        self.open('{')?;
        Ok(Object::new(self, false))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Object<'s, 'a>> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Object<'s, 'a>> {
        self.open_variant(variant)?;
        self.open('{')?;
        Ok(Object::new(self, true))
    }
}

/// A list being written.
pub struct List<'s, 'a> {
    to: &'s mut Serializer<'a>,
    empty: bool,
    in_variant: bool,
}

impl<'s, 'a> List<'s, 'a> {
    fn new(to: &'s mut Serializer<'a>, in_variant: bool) -> Self {
        Self {
            to,
            empty: true,
            in_variant,
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if !self.empty {
            self.to.out.push(',');
        }
        self.empty = false;
        value.serialize(&mut *self.to)
    }

    fn finish(self) {
        self.to.close(']');
        if self.in_variant {
            self.to.close('}');
        }
    }
}

impl ser::SerializeSeq for List<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeTuple for List<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeTupleStruct for List<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeTupleVariant for List<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.item(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

/// An object being written.
pub struct Object<'s, 'a> {
    to: &'s mut Serializer<'a>,
    empty: bool,
    in_variant: bool,
    /// The start of the member whose key is written but whose value is not yet.
    member: usize,
}

impl<'s, 'a> Object<'s, 'a> {
    fn new(to: &'s mut Serializer<'a>, in_variant: bool) -> Self {
        Self {
            to,
            empty: true,
            in_variant,
            member: 0,
        }
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.member = self.to.out.len();
        if !self.empty {
            self.to.out.push(',');
        }
        let start = self.to.out.len();
        key.serialize(&mut *self.to)?;
        // Null, a list or an object cannot be a name. A text never begins with a bracket here,
        // because it would be quoted.
        match self.to.out.as_bytes().get(start) {
            None | Some(b'[' | b'{') => return Err(Error::new(ErrorKind::Key)),
            Some(_) => self.to.out.push(':'),
        }
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let start = self.to.out.len();
        value.serialize(&mut *self.to)?;
        if self.to.out.len() == start {
            // Null: the whole member is left out.
            self.to.out.truncate(self.member);
        } else {
            self.empty = false;
        }
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.member = self.to.out.len();
        if !self.empty {
            self.to.out.push(',');
        }
        self.to.push_text(name);
        self.to.out.push(':');
        self.value(value)
    }

    fn finish(self) {
        self.to.close('}');
        if self.in_variant {
            self.to.close('}');
        }
    }
}

impl ser::SerializeMap for Object<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.value(value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStruct for Object<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}

impl ser::SerializeStructVariant for Object<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<()> {
        self.finish();
        Ok(())
    }
}
