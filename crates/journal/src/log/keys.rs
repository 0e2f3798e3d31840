//! The keys of a batch of calls, stored beside it: known ids are loaded from them without unpacking
//! it.
//!
//! Part of the format, little-endian: `u32` rows, `u32` revisions; then the hash of each row
//! (`u64`), the fingerprint of each row (`u64`), and the day of each row (`i16`); then for each
//! revised row its number (`u16`) and the address of the row that it revises: batch (`u32`) and row
//! (`u16`).

use callmeter_records::id_hash;

/// The keys of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchKeys {
    pub(crate) rows: Vec<CallKey>,
    /// Revised rows, in order, with the address of the row that each revises.
    pub(crate) revised: Vec<(u16, RowAddress)>,
    /// The last day of the rows and of the rows that they revise.
    pub(crate) last_day: Option<i16>,
}

/// What identifies a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallKey {
    /// See [`CallKey::hash_of`].
    pub(crate) hash: u64,
    /// The hash of all its fields.
    pub(crate) fingerprint: u64,
    /// The day on which the call started; without a start time, the day of the window.
    pub(crate) day: i16,
}

/// The address of a row. Batch numbers fit 32 bits: the writer refuses larger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowAddress {
    pub(crate) batch: u32,
    pub(crate) row: u16,
}

impl CallKey {
    /// The hash of a call's id, or its fingerprint if it has no id.
    pub(crate) fn hash_of(id: Option<&str>, fingerprint: u64) -> u64 {
        id.map_or(fingerprint, id_hash)
    }
}

impl BatchKeys {
    pub(crate) fn push_new(&mut self, key: CallKey) {
        self.note_day(key.day);
        self.rows.push(key);
    }

    /// Adds the key of a row that revises the row at `revises`, which has day `revised_day`.
    pub(crate) fn push_revised(&mut self, key: CallKey, revises: RowAddress, revised_day: i16) {
        self.note_day(revised_day);
        // A batch has at most 2¹⁶ rows.
        let row = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        self.revised.push((row, revises));
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
        for (row, address) in &self.revised {
            bytes.extend_from_slice(&row.to_le_bytes());
            bytes.extend_from_slice(&address.batch.to_le_bytes());
            bytes.extend_from_slice(&address.row.to_le_bytes());
        }
        bytes
    }
}

impl BatchKeys {
    /// `None` if the bytes are not the result of [`BatchKeys::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(StoredKeys::new(bytes)?.decode())
    }
}

/// The keys of a batch as they are stored.
pub(crate) struct StoredKeys<'b> {
    hashes: &'b [[u8; 8]],
    fingerprints: &'b [[u8; 8]],
    days: &'b [[u8; 2]],
    revised: &'b [[u8; 8]],
}

impl<'b> StoredKeys<'b> {
    /// `None` if the bytes are not the result of [`BatchKeys::encode`].
    pub(crate) fn new(bytes: &'b [u8]) -> Option<Self> {
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
        let keys = Self {
            hashes: hashes.as_chunks().0,
            fingerprints: fingerprints.as_chunks().0,
            days: days.as_chunks().0,
            revised: bytes.as_chunks().0,
        };
        let mut last = None;
        for (row, _) in keys.revised() {
            if usize::from(row) >= rows || last.is_some_and(|last| last >= row) {
                return None;
            }
            last = Some(row);
        }
        Some(keys)
    }

    /// The hash of each row.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.hashes.iter().map(|hash| u64::from_le_bytes(*hash))
    }

    /// The hashes of the rows of days before a day; of all rows if there is none.
    pub(crate) fn hashes_before(&self, day: Option<i16>) -> impl Iterator<Item = u64> {
        let days = self.days.iter().map(|day| i16::from_le_bytes(*day));
        let is_before = move |row_day: &i16| day.is_none_or(|day| *row_day < day);
        self.hashes()
            .zip(days)
            .filter(move |(_, day)| is_before(day))
            .map(|(hash, _)| hash)
    }

    /// Whether a row revises another one.
    pub(crate) fn has_revised(&self) -> bool {
        !self.revised.is_empty()
    }

    /// The key of each row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = CallKey> {
        let rows = self.hashes().zip(self.fingerprints).zip(self.days);
        rows.map(|((hash, fingerprint), day)| CallKey {
            hash,
            fingerprint: u64::from_le_bytes(*fingerprint),
            day: i16::from_le_bytes(*day),
        })
    }

    /// Revised rows, in order, with the address of the row that each revises.
    pub(crate) fn revised(&self) -> impl Iterator<Item = (u16, RowAddress)> {
        self.revised.iter().map(|[r0, r1, b0, b1, b2, b3, n0, n1]| {
            let address = RowAddress {
                batch: u32::from_le_bytes([*b0, *b1, *b2, *b3]),
                row: u16::from_le_bytes([*n0, *n1]),
            };
            (u16::from_le_bytes([*r0, *r1]), address)
        })
    }

    pub(crate) fn decode(&self) -> BatchKeys {
        let mut keys = BatchKeys::default();
        keys.rows.reserve_exact(self.hashes.len());
        self.rows().for_each(|key| keys.push_new(key));
        keys.revised.extend(self.revised());
        keys
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encoded_keys_decode_to_the_same(rows in prop::collection::vec((any::<u64>(), any::<u64>(), any::<i16>(), any::<Option<(u32, u16)>>()), 0..40)) {
            let mut keys = BatchKeys::default();
            for (hash, fingerprint, day, revises) in rows {
                let key = CallKey { hash, fingerprint, day };
                match revises {
                    None => keys.push_new(key),
                    Some((batch, of)) => {
                        keys.push_revised(key, RowAddress { batch, row: of }, day);
                    }
                }
            }
            let encoded = keys.encode();
            let stored = StoredKeys::new(&encoded).unwrap();
            let before = stored.hashes_before(Some(7)).collect::<Vec<_>>();
            let expected = keys.rows.iter().filter(|key| key.day < 7).map(|key| key.hash);
            prop_assert_eq!(before, expected.collect::<Vec<_>>());
            prop_assert_eq!(stored.decode(), keys);
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = StoredKeys::new(&bytes).map(|keys| keys.decode());
        }
    }
}
