//! Goes through the elements of a DER structure one by one.

use der::{Decode as _, Length, Reader as _, SliceReader, Tag, TagNumber};

use crate::error::Error;

/// One element: its tag, its value, and all of its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'c> {
    tag: Tag,
    value: &'c [u8],
    der: &'c [u8],
}

impl<'c> Element<'c> {
    /// The only element in these bytes.
    pub(crate) fn only(der: &'c [u8], field: &'static str) -> Result<Self, Error> {
        let mut elements = Elements::in_bytes(der, field)?;
        let element = elements.next(field)?;
        if elements.is_empty() {
            Ok(element)
        } else {
            Err(Error { field })
        }
    }

    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    pub(crate) fn value(&self) -> &'c [u8] {
        self.value
    }

    pub(crate) fn der(&self) -> &'c [u8] {
        self.der
    }

    /// The number of its tag, if the structure around it gives the tag its meaning.
    pub(crate) fn context_number(&self) -> Option<TagNumber> {
        match self.tag {
            Tag::ContextSpecific { number, .. } => Some(number),
            _ => None,
        }
    }
}

/// The elements of a structure, from the first on.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'c> {
    reader: SliceReader<'c>,
}

impl<'c> Elements<'c> {
    fn in_bytes(bytes: &'c [u8], field: &'static str) -> Result<Self, Error> {
        let reader = SliceReader::new(bytes).map_err(|_| Error { field })?;
        Ok(Self { reader })
    }

    /// Those of an element with this tag.
    pub(crate) fn of(element: Element<'c>, tag: Tag, field: &'static str) -> Result<Self, Error> {
        if element.tag == tag {
            Self::in_bytes(element.value, field)
        } else {
            Err(Error { field })
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    /// The next element.
    pub(crate) fn next(&mut self, field: &'static str) -> Result<Element<'c>, Error> {
        let unreadable = |_| Error { field };
        let der = self.reader.tlv_bytes().map_err(unreadable)?;
        let mut inside = SliceReader::new(der).map_err(unreadable)?;
        let tag = Tag::decode(&mut inside).map_err(unreadable)?;
        let length = Length::decode(&mut inside).map_err(unreadable)?;
        let value = inside.read_slice(length).map_err(unreadable)?;
        Ok(Element { tag, value, der })
    }

    /// The next element, if its tag has this number in the structure.
    pub(crate) fn next_if_context(
        &mut self,
        number: u32,
        field: &'static str,
    ) -> Result<Option<Element<'c>>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut ahead = self.clone();
        let element = ahead.next(field)?;
        if element.context_number() != Some(TagNumber(number)) {
            return Ok(None);
        }
        *self = ahead;
        Ok(Some(element))
    }
}
