//! Money: exact decimals, never a double.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An amount of money, or a price: the decimal that the JSON text says, to the last digit.
///
/// Reads a JSON number or a text that holds one; everything else is an error. Written as a JSON
/// number. Only `serde_json` over text that it can borrow keeps the digits, so only that is
/// supported.
///
/// ```
/// use callmeter_api_client::Amount;
/// let amount: Amount = serde_json::from_str("0.10000").unwrap();
/// assert_eq!(amount, "0.1".parse().unwrap());
/// assert_eq!(serde_json::to_string(&amount).unwrap(), "0.10000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(Decimal);

impl Amount {
    /// The decimal.
    pub fn get(self) -> Decimal {
        self.0
    }
}

/// An amount member of an answer. A value that cannot be read does not make the answer unreadable.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum StatedAmount {
    /// The member is absent or null.
    #[default]
    Missing,
    /// An amount.
    Known(Amount),
    /// Something else, as the server wrote it.
    Unreadable(String),
}

impl StatedAmount {
    /// The amount; `None` if it is missing or cannot be read.
    pub fn known(&self) -> Option<Amount> {
        match self {
            Self::Known(amount) => Some(*amount),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for StatedAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        if raw == "null" {
            return Ok(Self::Missing);
        }
        let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
        Ok(match text.parse() {
            Ok(amount) => Self::Known(amount),
            Err(_) if text.trim().is_empty() => Self::Missing,
            Err(_) => Self::Unreadable(text),
        })
    }
}

impl From<Decimal> for Amount {
    fn from(decimal: Decimal) -> Self {
        Self(decimal)
    }
}

impl From<Amount> for Decimal {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl FromStr for Amount {
    type Err = rust_decimal::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_ascii();
        // The decimal's own parser skips underscores: `0_05` is not 5.
        let of_a_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if !text.bytes().all(of_a_number) {
            return Err(rust_decimal::Error::ErrorString("not a number".to_owned()));
        }
        // The exact readers refuse what does not fit instead of dropping digits silently.
        let decimal = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)?
        } else {
            Decimal::from_str_exact(text)?
        };
        Ok(Self(decimal))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        let digits = match raw
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
        {
            Some(text) => text,
            None => raw,
        };
        digits
            .parse()
            .map_err(|_| D::Error::custom("not an amount of money with at most 28 digits"))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;

        RawValue::from_string(self.0.to_string())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_amount_costs_itself() {
        #[derive(Deserialize)]
        struct Tenant {
            #[serde(default)]
            balance: StatedAmount,
        }
        let balance = |json: &str| serde_json::from_str::<Tenant>(json).unwrap().balance;
        let known = |text: &str| StatedAmount::Known(text.parse().unwrap());
        let unreadable = |text: &str| StatedAmount::Unreadable(text.to_owned());
        for (json, wanted) in [
            ("{}", StatedAmount::Missing),
            (r#"{"balance":null}"#, StatedAmount::Missing),
            (r#"{"balance":""}"#, StatedAmount::Missing),
            (r#"{"balance":0.10}"#, known("0.1")),
            (r#"{"balance":"-7.5"}"#, known("-7.5")),
            (r#"{"balance":"12,50"}"#, unreadable("12,50")),
            (r#"{"balance":"NaN"}"#, unreadable("NaN")),
            (r#"{"balance":{"a":1}}"#, unreadable(r#"{"a":1}"#)),
        ] {
            assert_eq!(balance(json), wanted, "{json}");
        }
    }

    #[test]
    fn reads_numbers_and_texts_exactly() {
        #[derive(Deserialize, Serialize)]
        struct Rate {
            price: Option<Amount>,
        }
        let price = |json: &str| serde_json::from_str::<Rate>(json).map(|rate| rate.price);
        let amount = |text: &str| Some(text.parse::<Amount>().unwrap());
        assert_eq!(price("{}").unwrap(), None);
        assert_eq!(price(r#"{"price":null}"#).unwrap(), None);
        assert_eq!(price(r#"{"price":0.1}"#).unwrap(), amount("0.1"));
        assert_eq!(price(r#"{"price":"-0.12"}"#).unwrap(), amount("-0.12"));
        assert_eq!(price(r#"{"price":1E-5}"#).unwrap(), amount("0.00001"));
        assert_eq!(
            price(r#"{"price":79228162514264337593.54395}"#).unwrap(),
            amount("79228162514264337593.54395")
        );
        for bad in [
            "NaN",
            "\"NaN\"",
            "\"\"",
            "true",
            "[1]",
            "1e99",
            "\"1,5\"",
            "\"0_05\"",
            "\"1_000\"",
            "\"1_0e1\"",
            "\"١٢\"",
            "0.12345678901234567890123456789012",
        ] {
            assert!(price(&format!(r#"{{"price":{bad}}}"#)).is_err(), "{bad}");
        }
        let rate = Rate {
            price: amount("0.1"),
        };
        assert_eq!(serde_json::to_string(&rate).unwrap(), r#"{"price":0.1}"#);
    }
}
