//! The streams of records and their Arrow schemas.

use std::fmt;
use std::str::FromStr;

/// A kind of record. Each stream has its own schema, its own `sequence` and its own cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Call records of a HostedSuite account.
    Calls,
    /// Call-allowance balances of a HostedSuite account.
    Balances,
    /// The rate deck of a PortSIP tenant.
    Rates,
    /// Billing settings and balance of a PortSIP tenant.
    Billing,
    /// What calls cost.
    Charges,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 5] = [
        Self::Calls,
        Self::Balances,
        Self::Rates,
        Self::Billing,
        Self::Charges,
    ];

    /// The name in configuration, labels and files: `calls`, `balances`, `rates`, `billing`,
    /// `charges`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Balances => "balances",
            Self::Rates => "rates",
            Self::Billing => "billing",
            Self::Charges => "charges",
        }
    }

    /// The schema's name and version, as in the schema's metadata under [`Stream::SCHEMA_KEY`]:
    /// `calls/1` …
    pub const fn schema_name(self) -> &'static str {
        match self {
            Self::Calls => "calls/1",
            Self::Balances => "balances/1",
            Self::Rates => "rates/1",
            Self::Billing => "billing/1",
            Self::Charges => "charges/1",
        }
    }

    /// The key of the schema metadata that holds [`Stream::schema_name`].
    pub const SCHEMA_KEY: &'static str = "callmeter.schema";

    /// The number that stands for the stream in files; never reused.
    pub const fn code(self) -> u8 {
        match self {
            Self::Calls => 1,
            Self::Balances => 2,
            Self::Rates => 3,
            Self::Billing => 4,
            Self::Charges => 5,
        }
    }

    /// The stream of a [`Stream::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.code() == code)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown stream `{0}`: expected calls, balances, rates, billing or charges")]
pub struct ParseStreamError(String);

impl FromStr for Stream {
    type Err = ParseStreamError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|stream| stream.name() == text)
            .ok_or_else(|| ParseStreamError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back() {
        for stream in Stream::ALL {
            assert_eq!(stream.name().parse(), Ok(stream));
            assert_eq!(Stream::from_code(stream.code()), Some(stream));
            assert_eq!(
                stream
                    .schema()
                    .metadata()
                    .get(Stream::SCHEMA_KEY)
                    .map(String::as_str),
                Some(stream.schema_name())
            );
        }
        assert_eq!(Stream::from_code(0), None);
        insta::assert_snapshot!(
            "Calls".parse::<Stream>().unwrap_err(),
            @"unknown stream `Calls`: expected calls, balances, rates, billing or charges"
        );
    }

    /// The contract with every output: a change here is a change of the schema.
    #[test]
    fn schemas() {
        let mut text = String::new();
        for stream in Stream::ALL {
            use std::fmt::Write as _;
            writeln!(text, "{}", stream.schema_name()).unwrap();
            for field in stream.schema().fields() {
                let null = if field.is_nullable() { "" } else { "!" };
                writeln!(text, "  {}: {}{null}", field.name(), field.data_type()).unwrap();
            }
        }
        insta::assert_snapshot!(text);
    }
}
