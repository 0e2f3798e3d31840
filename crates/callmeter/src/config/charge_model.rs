//! The validated entries of `charges`.

use std::path::PathBuf;

use callmeter_rating::Options;
use callmeter_records::{CallField, Direction};

use super::output_from::OutputFrom;

/// What the calls of an account cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Charging {
    /// The name of the entry. Charges name it, and the rates of a file are journaled under it.
    pub name: String,
    /// The account of the calls.
    pub account: String,
    /// Where the rates come from.
    pub deck: Deck,
    /// The currency, if it is not that of the account of the deck.
    pub currency: Option<String>,
    /// Where a new entry starts in the journal.
    pub from: OutputFrom,
    /// Which calls are charged, and how; each rule charges on its own.
    pub rules: Vec<Rule>,
    /// How numbers are read.
    pub numbers: Numbers,
    /// How amounts are computed.
    pub rating: Options,
}

/// Where rates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deck {
    /// The rates that are polled of a PortSIP account.
    Account(String),
    /// A file: an export of the PBX, or its rates as JSON.
    File(PathBuf),
}

/// Which calls are charged by which number and for which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The name of the rule.
    pub name: String,
    /// Only calls of these directions; all if it is empty.
    pub directions: Vec<Direction>,
    /// Only calls of these centers; all if it is empty.
    pub centers: Vec<String>,
    /// The number that is charged.
    pub number: NumberColumn,
    /// The times that are charged together.
    pub times: Vec<CallField>,
}

/// The number of a call that is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberColumn {
    /// That of the other side.
    Caller,
    /// The one that the call was transferred to. Other calls are not selected.
    TransferTo,
}

impl NumberColumn {
    /// The column's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller_number",
            Self::TransferTo => "transfer_to_number",
        }
    }
}

/// How numbers are read, so that they begin with a country code like the prefixes of the deck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// Put before national numbers.
    pub country_code: Option<String>,
    /// Stripped from national numbers.
    pub trunk_prefix: Option<String>,
    /// Stripped from international numbers.
    pub international_prefixes: Vec<String>,
    /// Numbers of so many digits or fewer are internal, and free.
    pub internal_digits: usize,
    /// Numbers that begin like this are internal, and free.
    pub internal_prefixes: Vec<String>,
}
