//! What stands beside a batch of calls so that known ids are rebuilt without unpacking it.
//!
//! Part of the format, little-endian: `u32` rows, `u32` revisions; then for each row its hash (`u64`), for each row
//! its fingerprint (`u64`), for each row its day (`i16`); then for each revised row its number (`u16`) and the place
//! of the row that it revises: batch (`u32`) and number in it (`u16`).

use crate::known::{Entry, Place};

/// The keys of a batch, while it is built or read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) rows: Vec<Key>,
    /// Revised rows, in order, and what each revises.
    pub(crate) revised: Vec<(u16, Place)>,
    /// The last day of the rows and of what they revise.
    pub(crate) last_day: Option<i16>,
}

/// What tells a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The hash of its id; its fingerprint if it has none.
    pub(crate) hash: u64,
    /// The hash of all its fields.
    pub(crate) fingerprint: u64,
    /// The day on which it began; that on which it was seen, if it does not say.
    pub(crate) day: i16,
}

impl Keys {
    pub(crate) fn push_new(&mut self, key: Key) {
        self.note_day(key.day);
        self.rows.push(key);
    }

    /// `row` is the number that the row gets.
    pub(crate) fn push_revised(&mut self, row: u16, key: Key, revises: &Entry) {
        self.note_day(revises.day);
        self.revised.push((row, revises.place()));
        self.push_new(key);
    }

    fn note_day(&mut self, day: i16) {
        self.last_day = self.last_day.max(Some(day));
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.rows.len() * 18 + self.revised.len() * 8);
        // A batch has at most 2¹⁶ rows.
        bytes.extend_from_slice(
            &u32::try_from(self.rows.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        bytes.extend_from_slice(
            &u32::try_from(self.revised.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        self.rows
            .iter()
            .for_each(|key| bytes.extend_from_slice(&key.hash.to_le_bytes()));
        self.rows
            .iter()
            .for_each(|key| bytes.extend_from_slice(&key.fingerprint.to_le_bytes()));
        self.rows
            .iter()
            .for_each(|key| bytes.extend_from_slice(&key.day.to_le_bytes()));
        for (row, place) in &self.revised {
            bytes.extend_from_slice(&row.to_le_bytes());
            bytes.extend_from_slice(&place.batch.to_le_bytes());
            bytes.extend_from_slice(&place.row.to_le_bytes());
        }
        bytes
    }

    /// `None` where the bytes are not what [`Keys::encode`] gives.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (rows, bytes) = bytes.split_first_chunk::<4>()?;
        let (revised, bytes) = bytes.split_first_chunk::<4>()?;
        let rows = usize::try_from(u32::from_le_bytes(*rows)).ok()?;
        let revised = usize::try_from(u32::from_le_bytes(*revised)).ok()?;
        let (hashes, bytes) = bytes.split_at_checked(rows.checked_mul(8)?)?;
        let (fingerprints, bytes) = bytes.split_at_checked(rows.checked_mul(8)?)?;
        let (days, bytes) = bytes.split_at_checked(rows.checked_mul(2)?)?;
        if bytes.len() != revised.checked_mul(8)? {
            return None;
        }
        let mut keys = Self::default();
        keys.rows.reserve_exact(rows);
        let (hashes, fingerprints) = (hashes.as_chunks::<8>().0, fingerprints.as_chunks::<8>().0);
        for ((hash, fingerprint), day) in
            hashes.iter().zip(fingerprints).zip(days.as_chunks::<2>().0)
        {
            keys.push_new(Key {
                hash: u64::from_le_bytes(*hash),
                fingerprint: u64::from_le_bytes(*fingerprint),
                day: i16::from_le_bytes(*day),
            });
        }
        for [r0, r1, b0, b1, b2, b3, n0, n1] in bytes.as_chunks::<8>().0 {
            let row = u16::from_le_bytes([*r0, *r1]);
            if usize::from(row) >= rows || keys.revised.last().is_some_and(|(last, _)| *last >= row)
            {
                return None;
            }
            let place = Place {
                batch: u32::from_le_bytes([*b0, *b1, *b2, *b3]),
                row: u16::from_le_bytes([*n0, *n1]),
            };
            keys.revised.push((row, place));
        }
        Some(keys)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_lead_back(rows in prop::collection::vec((any::<u64>(), any::<u64>(), any::<i16>(), any::<Option<(u32, u16)>>()), 0..40)) {
            let mut keys = Keys::default();
            for (row, (hash, fingerprint, day, revises)) in rows.into_iter().enumerate() {
                let key = Key { hash, fingerprint, day };
                match revises {
                    None => keys.push_new(key),
                    Some((batch, of)) => {
                        let old = Entry::new(key, Place { batch, row: of });
                        keys.push_revised(u16::try_from(row).unwrap(), key, &old);
                    }
                }
            }
            prop_assert_eq!(Keys::decode(&keys.encode()), Some(keys));
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Keys::decode(&bytes);
        }
    }
}
