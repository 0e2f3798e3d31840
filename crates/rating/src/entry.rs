//! How a deck stores a rate: in 32 bytes, which are in one line of the processor's cache.

use crate::amount::Amount;
use crate::not_charged::NotCharged;
use crate::tariff::Tariff;

/// The rates of a deck, by number.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    all: Vec<Entry>,
    /// Tariffs with a price of more than 32 bits, or a length of more than 16.
    wide: Vec<Tariff>,
    /// The ids of all entries, one after the other.
    ids: String,
    types: Vec<Box<str>>,
}

/// A rate, with money of 32 bits and lengths of 16.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Entry {
    connect_fee: u32,
    /// The number of a wide tariff, if the entry has one.
    price_1: u32,
    price_n: u32,
    postcall_surcharge: u32,
    interval_1: u16,
    interval_n: u16,
    free_seconds: u16,
    grace_period: u16,
    /// The end of its id; it starts where the id of the entry before ends.
    id_end: u32,
    rate_type: u16,
    /// The symbols of its prefix.
    length: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Narrow,
    Wide,
    BadRow,
    Duplicate,
}

/// More types than this are rare: the further ones are not kept.
const MOST_TYPES: u16 = u16::MAX;

/// The deck is full.
pub(crate) struct Full;

impl Entries {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            all: Vec::with_capacity(rows),
            ids: String::with_capacity(rows * 8),
            ..Self::default()
        }
    }

    /// Adds a rate, without a tariff if its row is bad. Returns its number.
    pub(crate) fn push(
        &mut self,
        tariff: Option<Tariff>,
        id: &str,
        rate_type: Option<&str>,
        length: u8,
    ) -> Result<u32, Full> {
        let number = u32::try_from(self.all.len()).map_err(|_| Full)?;
        let id_end = u32::try_from(self.ids.len() + id.len()).map_err(|_| Full)?;
        if number == u32::MAX {
            return Err(Full);
        }
        let (state, money, lengths) = match tariff.map(|tariff| (tariff, narrow(&tariff))) {
            None => (State::BadRow, [0; 4], [0; 4]),
            Some((_, Some((money, lengths)))) => (State::Narrow, money, lengths),
            Some((tariff, None)) => {
                let number = u32::try_from(self.wide.len()).map_err(|_| Full)?;
                self.wide.push(tariff);
                (State::Wide, [0, number, 0, 0], [0; 4])
            }
        };
        let [connect_fee, price_1, price_n, postcall_surcharge] = money;
        let [interval_1, interval_n, free_seconds, grace_period] = lengths;
        self.ids.push_str(id);
        let rate_type = self.type_number(rate_type);
        self.all.push(Entry {
            connect_fee,
            price_1,
            price_n,
            postcall_surcharge,
            interval_1,
            interval_n,
            free_seconds,
            grace_period,
            id_end,
            rate_type,
            length,
            state,
        });
        Ok(number)
    }

    fn type_number(&mut self, rate_type: Option<&str>) -> u16 {
        let Some(rate_type) = rate_type else {
            return MOST_TYPES;
        };
        // Decks have a handful, and rows of one type follow each other.
        let known = self.types.iter().position(|known| **known == *rate_type);
        let number = known.unwrap_or_else(|| {
            if self.types.len() < usize::from(MOST_TYPES) {
                self.types.push(rate_type.into());
                self.types.len() - 1
            } else {
                usize::from(MOST_TYPES)
            }
        });
        u16::try_from(number).unwrap_or(MOST_TYPES)
    }

    /// Notes that the prefix of a rate occurs twice and is not charged.
    pub(crate) fn reject(&mut self, number: u32) {
        if let Some(entry) = self.all.get_mut(number as usize) {
            entry.state = State::Duplicate;
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.all.shrink_to_fit();
        self.wide.shrink_to_fit();
        self.ids.shrink_to_fit();
    }

    /// The tariff of a rate, and the symbols of its prefix.
    #[inline]
    pub(crate) fn tariff(&self, number: u32) -> Result<(Tariff, u8), NotCharged> {
        let entry = self.all.get(number as usize).ok_or(NotCharged::NoMatch)?;
        let money = |units: u32| Amount::from_units(units.into());
        let tariff = match entry.state {
            State::BadRow => return Err(NotCharged::UnusableRate),
            State::Duplicate => return Err(NotCharged::DuplicatePrefix),
            State::Wide => *self
                .wide
                .get(entry.price_1 as usize)
                .ok_or(NotCharged::UnusableRate)?,
            State::Narrow => Tariff {
                connect_fee: money(entry.connect_fee),
                price_1: money(entry.price_1),
                price_n: money(entry.price_n),
                postcall_surcharge: money(entry.postcall_surcharge),
                interval_1: entry.interval_1.into(),
                interval_n: entry.interval_n.into(),
                free_seconds: entry.free_seconds.into(),
                grace_period: entry.grace_period.into(),
            },
        };
        Ok((tariff, entry.length))
    }

    /// The id of a rate; empty if it has none.
    pub(crate) fn id(&self, number: u32) -> &str {
        let at = number as usize;
        let end = |at: usize| self.all.get(at).map_or(0, |entry| entry.id_end as usize);
        let start = at.checked_sub(1).map_or(0, end);
        self.ids.get(start..end(at)).unwrap_or_default()
    }

    /// The kind of destination of a rate.
    pub(crate) fn rate_type(&self, number: u32) -> Option<&str> {
        let entry = self.all.get(number as usize)?;
        self.types
            .get(usize::from(entry.rate_type))
            .map(|name| &**name)
    }

    pub(crate) fn bytes(&self) -> usize {
        let types = self.types.iter().map(|name| name.len());
        self.all.capacity() * size_of::<Entry>()
            + self.wide.capacity() * size_of::<Tariff>()
            + self.ids.capacity()
            + self.types.capacity() * size_of::<Box<str>>()
            + types.sum::<usize>()
    }
}

/// Money and lengths, if they fit in an [`Entry`].
fn narrow(tariff: &Tariff) -> Option<([u32; 4], [u16; 4])> {
    let units = |amount: Amount| u32::try_from(amount.units()).ok();
    let length = |seconds: u32| u16::try_from(seconds).ok();
    let money = [
        units(tariff.connect_fee)?,
        units(tariff.price_1)?,
        units(tariff.price_n)?,
        units(tariff.postcall_surcharge)?,
    ];
    let lengths = [
        length(tariff.interval_1)?,
        length(tariff.interval_n)?,
        length(tariff.free_seconds)?,
        length(tariff.grace_period)?,
    ];
    Some((money, lengths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_keep_every_value() {
        assert_eq!(size_of::<Entry>(), 32);
        let narrow = Tariff {
            price_1: Amount::from_units(u32::MAX.into()),
            interval_1: 60,
            ..Tariff::default()
        };
        let wide = Tariff {
            price_1: Amount::from_units(i64::from(u32::MAX) + 1),
            ..narrow
        };
        let slow = Tariff {
            grace_period: 65_536,
            ..narrow
        };
        let mut entries = Entries::default();
        for (tariff, id, rate_type) in [
            (Some(narrow), "r1", Some("A")),
            (None, "", None),
            (Some(wide), "r3", Some("B")),
            (Some(wide), "r4", Some("A")),
            (Some(slow), "r5", None),
        ] {
            assert!(entries.push(tariff, id, rate_type, 7).is_ok());
        }
        entries.reject(3);
        assert_eq!(entries.tariff(0), Ok((narrow, 7)));
        assert_eq!(entries.tariff(1), Err(NotCharged::UnusableRate));
        assert_eq!(entries.tariff(2), Ok((wide, 7)));
        assert_eq!(entries.tariff(3), Err(NotCharged::DuplicatePrefix));
        assert_eq!(entries.tariff(4), Ok((slow, 7)));
        let ids: Vec<_> = (0..6).map(|number| entries.id(number)).collect();
        assert_eq!(ids, ["r1", "", "r3", "r4", "r5", ""]);
        let types: Vec<_> = (0..5).map(|number| entries.rate_type(number)).collect();
        assert_eq!(types, [Some("A"), None, Some("B"), Some("A"), None]);
    }
}
