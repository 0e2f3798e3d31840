//! The columns of an export, found by their headers.
//!
//! Their names are not documented. The portal's other exports have titles for people ("Provider
//! ID"), so headers are matched without case, blanks and punctuation, and by every likely name.

use api_client::Amount;

use crate::generated::types::CallRate;
use crate::open::CallRateType;
use crate::rates::RowError;

/// A member of a rate: its name in the API, whether a rate is useless without it, and the possible
/// names of its column.
struct Member {
    name: &'static str,
    needed: bool,
    titles: &'static [&'static str],
}

const MEMBERS: &[Member] = &[
    member("id", false, &["id", "rateid", "callrateid", "uniqueid"]),
    member(
        "prefix",
        true,
        &[
            "prefix",
            "callprefix",
            "rateprefix",
            "dialprefix",
            "dialcode",
        ],
    ),
    member(
        "type",
        true,
        &["type", "ratetype", "calltype", "callratetype"],
    ),
    member(
        "free_seconds",
        true,
        &["freeseconds", "freesecond", "freesecs", "freetime"],
    ),
    member(
        "grace_period",
        true,
        &["graceperiod", "grace", "graceseconds"],
    ),
    member(
        "interval_1",
        true,
        &[
            "interval1",
            "firstinterval",
            "intervalfirst",
            "initialinterval",
        ],
    ),
    member(
        "interval_n",
        true,
        &[
            "intervaln",
            "nextinterval",
            "intervalnext",
            "subsequentinterval",
        ],
    ),
    member(
        "connect_fee",
        true,
        &["connectfee", "connectionfee", "connectingfee", "setupfee"],
    ),
    member(
        "postcall_surcharge",
        true,
        &[
            "postcallsurcharge",
            "surcharge",
            "postsurcharge",
            "postcallcharge",
        ],
    ),
    member(
        "price_1",
        true,
        &[
            "price1",
            "firstprice",
            "pricefirst",
            "initialprice",
            "firstintervalprice",
        ],
    ),
    member(
        "price_n",
        true,
        &[
            "pricen",
            "nextprice",
            "pricenext",
            "subsequentprice",
            "nextintervalprice",
        ],
    ),
    member(
        "description",
        false,
        &[
            "description",
            "desc",
            "descriptions",
            "comment",
            "notes",
            "remark",
        ],
    ),
];

const fn member(name: &'static str, needed: bool, titles: &'static [&'static str]) -> Member {
    Member {
        name,
        needed,
        titles,
    }
}

/// An export in which not all columns can be recognized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the export has no column, or several, for {}: its headers are {}", .members.join(", "), .headers.join(", "))]
pub struct MissingColumns {
    /// The members that no header names, or several do.
    pub members: Vec<&'static str>,
    /// The file's headers, cut to a printable length.
    pub headers: Vec<String>,
}

/// The column of each member.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    places: [Option<usize>; MEMBERS.len()],
    /// How many columns there are.
    width: usize,
}

impl Header {
    /// Finds the columns in a file's first row.
    pub(crate) fn read(titles: &[String]) -> Result<Self, MissingColumns> {
        let mut places = [None; MEMBERS.len()];
        let mut repeated = Vec::new();
        for (place, title) in titles.iter().enumerate() {
            let plain: String = title
                .chars()
                .filter(|c| c.is_alphanumeric())
                .flat_map(char::to_lowercase)
                .collect();
            let found = MEMBERS
                .iter()
                .position(|member| member.titles.contains(&plain.as_str()));
            let Some(index) = found else { continue };
            match places.get_mut(index) {
                Some(slot @ None) => *slot = Some(place),
                Some(Some(_)) => repeated.push(index),
                None => {}
            }
        }
        let members: Vec<_> = MEMBERS
            .iter()
            .zip(&places)
            .enumerate()
            .filter(|(index, (member, place))| {
                // Of two columns for one member, nobody knows which is right.
                member.needed && (place.is_none() || repeated.contains(index))
            })
            .map(|(_, (member, _))| member.name)
            .collect();
        if members.is_empty() {
            let width = titles.len();
            return Ok(Self { places, width });
        }
        Err(MissingColumns {
            members,
            headers: titles
                .iter()
                .take(40)
                .map(|title| title.chars().filter(|c| !c.is_control()).take(40).collect())
                .collect(),
        })
    }

    /// A row as a rate. Empty fields are missing members; a field that cannot be read makes the row
    /// an error. So does another number of fields than the header has: then a comma is missing or
    /// was not quoted, and nobody knows which field is which.
    pub(crate) fn rate(&self, index: usize, row: &[String]) -> Result<CallRate, RowError> {
        if row.len() != self.width {
            return Err(RowError {
                index,
                reason: format!("{} fields, but the header has {}", row.len(), self.width),
            });
        }
        let field = |member: usize| {
            let place = self.places.get(member).copied().flatten()?;
            row.get(place)
                .map(|text| text.trim())
                .filter(|text| !text.is_empty())
        };
        let wrong = |member: usize| {
            let name = MEMBERS.get(member).map_or("a member", |member| member.name);
            RowError {
                index,
                reason: format!("{name} cannot be read"),
            }
        };
        let text = |member| field(member).map(str::to_owned);
        let whole = |member| match field(member) {
            None => Ok(None),
            Some(text) => match api_client::Number::from_text(text).into_whole() {
                Ok(Some(value)) => i32::try_from(value).map(Some).map_err(|_| wrong(member)),
                _ => Err(wrong(member)),
            },
        };
        let money = |member| match field(member) {
            None => Ok(None),
            Some(text) => text.parse::<Amount>().map(Some).map_err(|_| wrong(member)),
        };
        if field(1).is_none() {
            return Err(wrong(1));
        }
        Ok(CallRate {
            id: text(0),
            prefix: text(1),
            type_: field(2).map(CallRateType::from),
            free_seconds: whole(3)?,
            grace_period: whole(4)?,
            interval_1: whole(5)?,
            interval_n: whole(6)?,
            connect_fee: money(7)?,
            postcall_surcharge: money(8)?,
            price_1: money(9)?,
            price_n: money(10)?,
            description: text(11),
        })
    }
}
