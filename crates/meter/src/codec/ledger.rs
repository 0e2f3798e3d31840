//! The totals as bytes, which the journal stores so that a start need not count all records again.
//!
//! Equal totals give equal bytes, whether they were counted in one run or read back in between.
//! Layout (numbers are LEB128 varints, signed ones zigzag, texts length + UTF-8): magic, version,
//! bucket layout, batches counted, settings, accounts, xxh3 of everything before.

use xxhash_rust::xxh3::xxh3_64;

use super::account::{decode_account, encode_account};
use super::bytes::{BlobError, Reader, Writer};
use super::versions::{
    VERSION, VERSION_WITHOUT_CHARGES, VERSION_WITHOUT_SETTINGS, VERSION_WITHOUT_UNKNOWN,
};
use crate::folding::Limits;
use crate::histogram::{BUCKETS, NATIVE_SCHEMA};
use crate::ledger::{Account, Ledger};
use crate::operators::Operators;
use crate::rules::Settings;

const MAGIC: &[u8; 4] = b"CMtr";

impl Ledger {
    /// The totals as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.number(VERSION);
        out.number(BUCKETS as u64);
        out.signed(NATIVE_SCHEMA.into());
        out.number(self.applied.through);
        out.length(self.applied.beyond.len());
        for batch in &self.applied.beyond {
            out.number(*batch);
        }
        encode_settings(&mut out, &self.settings);
        let accounts = || {
            self.accounts
                .values()
                .filter(|one| one.totals.has_records())
        };
        out.length(accounts().count());
        for account in accounts() {
            encode_account(&mut out, &account.totals);
        }
        let sum = xxh3_64(&out.0);
        out.0.extend_from_slice(&sum.to_le_bytes());
        out.0
    }

    /// Whether the bytes are in an older version of the format that lacks figures, which only
    /// counting the records again gives.
    pub fn is_outdated(bytes: &[u8]) -> bool {
        let mut input = Reader(bytes.strip_prefix(MAGIC).unwrap_or_default());
        input
            .number()
            .is_ok_and(|version| version <= VERSION_WITHOUT_CHARGES)
    }

    /// Whether the bytes hold the settings by which calls were counted, as older versions do not.
    pub fn has_settings(bytes: &[u8]) -> bool {
        let mut input = Reader(bytes.strip_prefix(MAGIC).unwrap_or_default());
        (input.number()).is_ok_and(|version| version > VERSION_WITHOUT_SETTINGS)
    }

    /// Reads what [`encode`](Self::encode) wrote. No account is configured yet.
    ///
    /// The limits are those in the bytes; [`set_limits`](Self::set_limits) changes them. `limits`
    /// are for bytes of an older version, which hold none. All of its totals are kept, and figures
    /// that it lacks start at 0.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, BlobError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BlobError::NotABlob)?;
        let (_, sum) = bytes.split_last_chunk().ok_or(BlobError::Damaged)?;
        let body = rest
            .get(..rest.len().wrapping_sub(sum.len()))
            .ok_or(BlobError::Damaged)?;
        let mut input = Reader(body);
        let version = input.number()?;
        if !(VERSION_WITHOUT_UNKNOWN..=VERSION).contains(&version) {
            return Err(BlobError::Version(version));
        }
        let summed = bytes.get(..bytes.len() - sum.len()).map(xxh3_64);
        if summed != Some(u64::from_le_bytes(*sum)) {
            return Err(BlobError::Damaged);
        }
        if input.number()? != BUCKETS as u64 || input.signed()? != i128::from(NATIVE_SCHEMA) {
            return Err(BlobError::Version(version));
        }
        let mut ledger = Self::new(limits);
        ledger.applied.through = input.number()?;
        for _ in 0..input.length()? {
            ledger.applied.beyond.insert(input.number()?);
        }
        if version > VERSION_WITHOUT_SETTINGS {
            ledger.settings = decode_settings(&mut input)?;
        }
        for _ in 0..input.length()? {
            let mut totals = decode_account(&mut input, version)?;
            if !ledger.settings.limits.operators {
                totals.operators = Operators::new(&totals.name);
            }
            let name: Box<str> = totals.name.as_str().into();
            let mut account = Account::new(&name);
            account.totals = totals;
            ledger.accounts.insert(name, account);
        }
        if input.0.is_empty() {
            Ok(ledger)
        } else {
            Err(BlobError::Damaged)
        }
    }
}

fn encode_settings(out: &mut Writer, settings: &Settings) {
    out.length(settings.limits.label_sets);
    out.signed(settings.limits.short_abandon_ms.into());
    out.number(settings.limits.operators.into());
    out.signed(settings.operators_since.into());
    out.signed(settings.last.into());
    out.length(settings.earlier.len());
    for (until, value) in &settings.earlier {
        out.signed((*until).into());
        out.signed((*value).into());
    }
}

fn decode_settings(input: &mut Reader<'_>) -> Result<Settings, BlobError> {
    let mut settings = Settings::new(Limits {
        label_sets: usize::try_from(input.number()?).map_err(|_| BlobError::Damaged)?,
        short_abandon_ms: input.signed_64()?,
        operators: input.number()? != 0,
    });
    settings.operators_since = input.signed_64()?;
    settings.last = input.signed_64()?;
    for _ in 0..input.length()? {
        let entry = (input.signed_64()?, input.signed_64()?);
        settings.earlier.push(entry);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_damage_is_noticed(place in 0_usize..200, flip in 1_u8..) {
            let mut ledger = Ledger::new(Limits::default());
            ledger.totals("acme").rate_changed("local", callmeter_records::Change::New, Limits::default());
            ledger.totals("acme").revised = 7;
            let mut bytes = ledger.encode();
            let place = place % bytes.len();
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= flip;
            }
            prop_assert!(Ledger::decode(&bytes, Limits::default()).is_err());
        }

        #[test]
        fn noise_does_not_panic(bytes: Vec<u8>) {
            let mut blob = MAGIC.to_vec();
            blob.extend_from_slice(&[3, 15, 6]);
            blob.extend_from_slice(&bytes);
            let sum = xxh3_64(&blob);
            blob.extend_from_slice(&sum.to_le_bytes());
            let _ = Ledger::decode(&blob, Limits::default());
        }
    }
}
