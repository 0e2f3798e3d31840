//! Numbers as servers write them: missing, readable to the last digit, or not a number at all.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// A number member of an answer. A missing number differs from zero, and an unreadable one (`NaN`,
/// a word) keeps its text, so that it does not make its record unreadable and is not read as a
/// value.
///
/// `T` is the text's type: `&str` in records that borrow from their page, `Box<str>` in owned ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Number<T = Box<str>> {
    /// The member is absent or null.
    #[default]
    Missing,
    /// A number, kept as the digits that the server wrote.
    Value(Exact<T>),
    /// Something that is no finite number, as the server wrote it.
    Unreadable(T),
}

/// The text of a finite decimal number. Values come out of it rounded once, from the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exact<T>(T);

impl<T: AsRef<str>> Number<T> {
    /// Reads a text: trimmed, in JSON's number form (a leading `+` is accepted, thousands
    /// separators are not).
    pub fn from_text(text: T) -> Self {
        let plain = plain(text.as_ref().as_bytes());
        if plain.is_some() || is_number(text.as_ref().trim_ascii()) {
            Self::Value(Exact(text))
        } else {
            Self::Unreadable(text)
        }
    }

    /// Whether the member is absent or null.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    /// The text that is not a number, if that is what the server sent.
    pub fn unreadable(&self) -> Option<&str> {
        match self {
            Self::Unreadable(text) => Some(text.as_ref()),
            Self::Missing | Self::Value(_) => None,
        }
    }

    /// The nearest `f64`; `None` when missing or unreadable.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Value(exact) => exact.as_f64(),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }

    /// The number times 10^`places`, rounded to the nearest whole number, halves away from zero.
    ///
    /// `Ok(None)` when missing; `Err` with the server's text when it is not a number or does not
    /// fit.
    ///
    /// ```
    /// use callmeter_api_client::Number;
    /// assert_eq!(Number::from_text("-1.0005").scaled(3), Ok(Some(-1001)));
    /// assert_eq!(Number::from_text("NaN").scaled(3), Err("NaN"));
    /// assert_eq!(Number::<&str>::Missing.scaled(3), Ok(None));
    /// ```
    pub fn scaled(&self, places: u32) -> Result<Option<i128>, &str> {
        match self {
            Self::Missing => Ok(None),
            Self::Unreadable(text) => Err(text.as_ref()),
            Self::Value(exact) => match exact.scaled(places) {
                Some(value) => Ok(Some(value)),
                None => Err(exact.0.as_ref()),
            },
        }
    }

    /// The number, taken as seconds, in whole milliseconds (nearest).
    ///
    /// `Ok(None)` when missing; `Err` with the server's text when it is not a number, is negative,
    /// or does not fit.
    pub fn duration_ms(&self) -> Result<Option<i64>, &str> {
        match self {
            Self::Value(Exact(text)) => match milliseconds(text.as_ref()) {
                Some(value) => Ok(Some(value)),
                None => Err(text.as_ref()),
            },
            Self::Missing => Ok(None),
            Self::Unreadable(text) => Err(text.as_ref()),
        }
    }

    /// The number as an `i64`, when it is whole (`3`, `3.0`, `3e0`).
    ///
    /// `Ok(None)` when missing; `Err` with the server's text otherwise.
    pub fn whole(&self) -> Result<Option<i64>, &str> {
        match self {
            Self::Value(exact) => match exact.whole() {
                Some(value) => Ok(Some(value)),
                None => Err(exact.0.as_ref()),
            },
            Self::Missing => Ok(None),
            Self::Unreadable(text) => Err(text.as_ref()),
        }
    }

    /// The same number, its text borrowed.
    pub fn as_ref(&self) -> Number<&str> {
        match self {
            Self::Missing => Number::Missing,
            Self::Value(Exact(text)) => Number::Value(Exact(text.as_ref())),
            Self::Unreadable(text) => Number::Unreadable(text.as_ref()),
        }
    }

    /// The same number with a text of its own.
    pub fn to_owned(&self) -> Number {
        match self {
            Self::Missing => Number::Missing,
            Self::Value(Exact(text)) => Number::Value(Exact(text.as_ref().into())),
            Self::Unreadable(text) => Number::Unreadable(text.as_ref().into()),
        }
    }
}

impl<'a> Number<&'a str> {
    /// The text that the server wrote, number or not; `None` when missing.
    pub fn into_text(self) -> Option<&'a str> {
        match self {
            Self::Missing => None,
            Self::Value(Exact(text)) | Self::Unreadable(text) => Some(text),
        }
    }

    /// [`Number::duration_ms`], with the text living as long as the page it came from.
    pub fn into_duration_ms(self) -> Result<Option<i64>, &'a str> {
        match self {
            Self::Value(Exact(text)) => milliseconds(text).map(Some).ok_or(text),
            Self::Missing => Ok(None),
            Self::Unreadable(text) => Err(text),
        }
    }

    /// [`Number::whole`], with the text living as long as the page it came from.
    pub fn into_whole(self) -> Result<Option<i64>, &'a str> {
        match self {
            Self::Value(exact) => exact.whole().map(Some).ok_or(exact.0),
            Self::Missing => Ok(None),
            Self::Unreadable(text) => Err(text),
        }
    }

    /// [`Number::scaled`], with the text living as long as the page it came from.
    pub fn into_scaled(self, places: u32) -> Result<Option<i128>, &'a str> {
        match self {
            Self::Value(exact) => exact.scaled(places).map(Some).ok_or(exact.0),
            Self::Missing => Ok(None),
            Self::Unreadable(text) => Err(text),
        }
    }
}

impl<T: AsRef<str>> Exact<T> {
    /// The text as the server wrote it.
    pub fn text(&self) -> &str {
        self.0.as_ref()
    }

    /// The nearest `f64`; `None` when it is beyond the range of one.
    pub fn as_f64(&self) -> Option<f64> {
        let value: f64 = self.0.as_ref().trim_ascii().parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// The number times 10^`places`, nearest, halves away from zero; `None` when it does not fit.
    pub fn scaled(&self, places: u32) -> Option<i128> {
        let parts = Parts::of(self.0.as_ref())?;
        parts.scaled(places)
    }

    /// The number when it is whole and fits; `None` otherwise.
    pub fn whole(&self) -> Option<i64> {
        if let Some((value, 0)) = plain(self.0.as_ref().as_bytes()) {
            return Some(value);
        }
        // Nine places after the point must be zero: enough for every way in which a server writes
        // a whole number.
        let scaled = self.scaled(9)?;
        if scaled % 1_000_000_000 != 0 {
            return None;
        }
        i64::try_from(scaled / 1_000_000_000).ok()
    }
}

/// Seconds as text, in JSON's number form, to the nearest millisecond; `None` if they are not a
/// number, negative, or too many. The same as [`Number::duration_ms`] of [`Number::from_text`],
/// which read the text twice.
#[inline]
pub fn milliseconds(text: &str) -> Option<i64> {
    match plain(text.as_bytes()) {
        Some((value, 0)) => return Some(value * 1000),
        Some((value, 1)) => return Some(value * 100),
        Some((value, 2)) => return Some(value * 10),
        Some((value, 3)) => return Some(value),
        _ => {}
    }
    let value = Parts::of(text)?.scaled(3)?;
    i64::try_from(value).ok().filter(|&ms| ms >= 0)
}

/// A number as servers nearly always write it, such as `61` or `61.125`: its digits, and how many
/// of them follow the point. `None` for any other text, even if it is a number.
#[inline]
fn plain(text: &[u8]) -> Option<(i64, u32)> {
    // So few digits cannot overflow, not even times 1,000.
    if text.len() > 14 {
        return None;
    }
    let mut value: i64 = 0;
    let mut point = None;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    let places = point.map_or(0, |point| text.len() - point - 1);
    let has_digits = !text.is_empty() && (point.is_none() || places > 0);
    has_digits.then_some((value, u32::try_from(places).ok()?))
}

/// A decimal number taken apart: `digits` × 10^`exponent`.
struct Parts {
    negative: bool,
    digits: i128,
    exponent: i64,
}

impl Parts {
    /// `None` when the text is not a number.
    fn of(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        if !is_number(text) {
            return None;
        }
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, power) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, exponent(text.get(at + 1..)?)),
            None => (text, 0),
        };
        let mut digits: i128 = 0;
        let mut exponent = power;
        let mut after_point = false;
        for byte in mantissa.bytes() {
            if byte == b'.' {
                after_point = true;
                continue;
            }
            let digit = i128::from(byte - b'0');
            match digits.checked_mul(10).and_then(|d| d.checked_add(digit)) {
                Some(more) if more < i128::MAX / 100 => {
                    digits = more;
                    exponent -= i64::from(after_point);
                }
                // Past some 36 digits only the place counts: what is dropped cannot reach a half.
                _ => exponent += i64::from(!after_point),
            }
        }
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }

    fn scaled(&self, places: u32) -> Option<i128> {
        let shift = self.exponent.saturating_add(i64::from(places));
        let magnitude = if self.digits == 0 {
            0
        } else if let Ok(up) = u32::try_from(shift) {
            self.digits.checked_mul(10_i128.checked_pow(up)?)?
        } else {
            let down = u32::try_from(-shift).unwrap_or(u32::MAX);
            match 10_i128.checked_pow(down) {
                Some(divisor) => {
                    let whole = self.digits / divisor;
                    let rest = self.digits % divisor;
                    whole + i128::from(rest >= divisor - rest)
                }
                None => 0,
            }
        };
        Some(if self.negative { -magnitude } else { magnitude })
    }
}

/// An exponent's digits; what is beyond any use is cut to it.
fn exponent(text: &str) -> i64 {
    const FAR: i64 = 1_000_000;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = digits.bytes().fold(0_i64, |value, byte| {
        (value * 10 + i64::from(byte - b'0')).min(FAR)
    });
    if negative { -value } else { value }
}

/// `[+-]? digits [. digits] [eE [+-] digits]`
fn is_number(text: &str) -> bool {
    fn digits(bytes: &[u8]) -> Option<&[u8]> {
        let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 { None } else { bytes.get(count..) }
    }
    fn tail(bytes: &[u8]) -> Option<()> {
        let rest = match bytes {
            [b'+' | b'-', rest @ ..] => rest,
            all => all,
        };
        let mut rest = digits(rest)?;
        if let [b'.', fraction @ ..] = rest {
            rest = digits(fraction)?;
        }
        match rest {
            [b'e' | b'E', b'+' | b'-', power @ ..] | [b'e' | b'E', power @ ..] => {
                rest = digits(power)?;
            }
            _ => {}
        }
        rest.is_empty().then_some(())
    }
    tail(text.as_bytes()).is_some()
}

/// Owned numbers read any value: what is not a number becomes [`Number::Unreadable`] with its text.
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number::Missing)
    }

    fn visit_none<E>(self) -> Result<Number, E> {
        Ok(Number::Missing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Number, D::Error> {
        Number::deserialize(deserializer)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
        Ok(Number::from_text(value.to_string().into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
        Ok(Number::from_text(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
        // The shortest text that reads back as this double: what a server that holds doubles wrote.
        Ok(Number::from_text(value.to_string().into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Number, E> {
        Ok(Number::Unreadable(value.to_string().into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Number, E> {
        Ok(Number::from_text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Number::Unreadable("[…]".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Number, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Number::Unreadable("{…}".into()))
    }
}

impl<T: AsRef<str>> Serialize for Number<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing => serializer.serialize_none(),
            Self::Unreadable(text) => serializer.serialize_str(text.as_ref()),
            Self::Value(exact) => match exact.whole() {
                Some(whole) => serializer.serialize_i64(whole),
                None => match exact.as_f64() {
                    Some(value) => serializer.serialize_f64(value),
                    None => serializer.serialize_str(exact.text()),
                },
            },
        }
    }
}

impl de::Expected for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_missing_zero_and_unreadable_apart() {
        #[derive(serde::Deserialize)]
        struct Row {
            #[serde(default)]
            n: Number,
        }
        let read = |json: &str| serde_json::from_str::<Row>(json).unwrap().n;
        assert_eq!(read("{}"), Number::Missing);
        assert_eq!(read(r#"{"n":null}"#), Number::Missing);
        assert_eq!(read(r#"{"n":0}"#).scaled(0), Ok(Some(0)));
        assert_eq!(read(r#"{"n":"12.5"}"#).scaled(1), Ok(Some(125)));
        assert_eq!(read(r#"{"n":61.25}"#).duration_ms(), Ok(Some(61250)));
        assert_eq!(read(r#"{"n":"NaN"}"#).unreadable(), Some("NaN"));
        assert_eq!(read(r#"{"n":"1,000"}"#).unreadable(), Some("1,000"));
        assert_eq!(read(r#"{"n":true}"#).unreadable(), Some("true"));
        assert_eq!(read(r#"{"n":[1]}"#).unreadable(), Some("[…]"));
    }

    #[test]
    fn rounds_once_from_the_digits() {
        let ms = |text: &'static str| Number::from_text(text).into_duration_ms();
        assert_eq!(ms("61"), Ok(Some(61_000)));
        assert_eq!(ms("61.1"), Ok(Some(61_100)));
        assert_eq!(ms("0.0005"), Ok(Some(1)));
        assert_eq!(
            ms("0.00049999999999999999999999999999999999999999999"),
            Ok(Some(0))
        );
        // As a double this is 1.000499999…, and would round down.
        assert_eq!(ms("1.0005"), Ok(Some(1001)));
        assert_eq!(ms("1e2"), Ok(Some(100_000)));
        assert_eq!(ms("1.5E-1"), Ok(Some(150)));
        assert_eq!(ms("-0"), Ok(Some(0)));
        assert_eq!(ms("-1"), Err("-1"));
        assert_eq!(ms("1e300"), Err("1e300"));
        assert_eq!(ms("1e-999999999999"), Ok(Some(0)));
        assert_eq!(ms("Infinity"), Err("Infinity"));
        assert_eq!(ms(""), Err(""));
        assert_eq!(ms("."), Err("."));
        assert_eq!(ms("1."), Err("1."));
        assert_eq!(ms("99999999999999"), Ok(Some(99_999_999_999_999_000)));
        assert_eq!(Number::from_text("3.0").whole(), Ok(Some(3)));
        assert_eq!(Number::from_text("3.1").whole(), Err("3.1"));
    }

    proptest! {
        #[test]
        fn milliseconds_agree_with_integer_arithmetic(ms in 0_i64..1_000_000_000_000, zeros in 0_usize..20) {
            let text = format!("{}.{:03}{}", ms / 1000, ms % 1000, "0".repeat(zeros));
            prop_assert_eq!(Number::from_text(text.as_str()).into_duration_ms(), Ok(Some(ms)));
            let power = format!("{ms}e-3");
            prop_assert_eq!(Number::from_text(power.as_str()).into_duration_ms(), Ok(Some(ms)));
        }

        #[test]
        fn milliseconds_are_those_of_the_exact_number(text in "[-+]?[0-9]{0,16}(\\.[0-9]{0,5})?|[0-9.e+-]{0,8}|\\PC{0,10}") {
            let exact = Number::from_text(text.as_str()).scaled(3).ok().flatten();
            let expected = exact.and_then(|exact| i64::try_from(exact).ok()).filter(|ms| *ms >= 0);
            prop_assert_eq!(milliseconds(&text), expected, "{}", text);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let number = Number::from_text(text.as_str());
            let _ = (number.scaled(9), number.duration_ms(), number.whole(), number.as_f64());
        }

        #[test]
        fn doubles_come_back(value in proptest::num::f64::NORMAL) {
            let text = value.to_string();
            prop_assert_eq!(Number::from_text(text.as_str()).as_f64(), Some(value));
        }
    }
}
