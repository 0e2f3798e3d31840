//! Bytes that are the same in each line.

/// Bytes that each line has. Short ones are copied as a whole array, which takes three instructions
/// instead of a call.
#[derive(Debug)]
pub(crate) enum Fixed {
    Comma,
    Short([u8; SHORT], usize),
    Long(Vec<u8>),
}

const SHORT: usize = 24;

impl Fixed {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        if bytes == b"," {
            return Self::Comma;
        }
        let mut short = [0; SHORT];
        match short.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(&bytes);
                Self::Short(short, bytes.len())
            }
            None => Self::Long(bytes),
        }
    }

    #[inline]
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Comma => out.push(b','),
            Self::Short(bytes, len) => {
                let end = out.len() + len;
                out.extend_from_slice(bytes);
                out.truncate(end);
            }
            Self::Long(bytes) => out.extend_from_slice(bytes),
        }
    }
}
