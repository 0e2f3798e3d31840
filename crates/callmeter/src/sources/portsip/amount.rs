//! Amounts of money from the client's decimals.

use callmeter_records::{Reading, money};
use portsip_client::Amount;

/// An amount in units of 10⁻⁹; unreadable, with its text, if it does not fit.
pub(super) fn nano(amount: Option<Amount>, text: Option<&str>) -> Reading<'_, i128> {
    let (Some(amount), Some(text)) = (amount, text) else {
        return Reading::Missing;
    };
    let decimal = amount.get();
    match money::from_parts(decimal.mantissa(), decimal.scale()) {
        Some(units) => Reading::Known(units),
        None => Reading::Unreadable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        let of = |text: &str| {
            let amount: Amount = text.parse().unwrap();
            nano(Some(amount), Some(text)).known()
        };
        assert_eq!(of("0.1"), Some(100_000_000));
        assert_eq!(of("0.10000"), Some(100_000_000));
        assert_eq!(of("-12.00001"), Some(-12_000_010_000));
        assert_eq!(nano(None, None), Reading::Missing);
    }
}
