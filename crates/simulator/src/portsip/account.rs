//! The tenant's billing settings and balance.

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::rate::Money;

/// The decrease of the balance per simulated second while calls are charged online, in millionths.
const DRAIN: i64 = 1_370;
const FIRST_BALANCE: i64 = 2_500_000_000;
/// The balance is refilled after this decrease.
const REFILL: i64 = 2_400_000_000;

#[derive(Debug)]
pub(super) struct Account {
    pub(super) billing: Billing,
    /// The balance at `since`, in millionths.
    base: i64,
    since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Billing {
    pub(super) enabled: bool,
    pub(super) account: Payer,
    pub(super) r#type: Charging,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Payer {
    Tenant,
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Charging {
    Offline,
    Online,
}

impl Account {
    pub(super) fn new(start: i64) -> Self {
        Self {
            billing: Billing {
                enabled: true,
                account: Payer::Tenant,
                r#type: Charging::Online,
            },
            base: FIRST_BALANCE,
            since: start,
        }
    }

    /// The balance at a simulated time. It moves only while calls are charged
    /// online.
    pub(super) fn balance(&self, now: i64) -> Money {
        Money::from_millionths(self.millionths(now))
    }

    fn millionths(&self, now: i64) -> i64 {
        if !self.billing.enabled || self.billing.r#type == Charging::Offline {
            return self.base;
        }
        let seconds = (now - self.since).max(0) / 1_000;
        self.base - (seconds * DRAIN) % REFILL
    }

    /// Changes the settings that a request names.
    pub(super) fn update(
        &mut self,
        now: i64,
        changes: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        let mut billing = self.billing;
        for (name, value) in changes {
            match (name.as_str(), value) {
                ("enabled", Value::Bool(enabled)) => billing.enabled = *enabled,
                ("account", Value::String(text)) if text == "TENANT" => {
                    billing.account = Payer::Tenant;
                }
                ("account", Value::String(text)) if text == "USER" => billing.account = Payer::User,
                ("type", Value::String(text)) if text == "OFFLINE" => {
                    billing.r#type = Charging::Offline;
                }
                ("type", Value::String(text)) if text == "ONLINE" => {
                    billing.r#type = Charging::Online;
                }
                ("enabled" | "account" | "type", _) => {
                    return Err(ApiError::validation(format!("{name} cannot be {value}")));
                }
                _ => {}
            }
        }
        self.base = self.millionths(now);
        self.since = now;
        self.billing = billing;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_balance_moves_only_while_calls_are_charged_online() {
        let mut account = Account::new(0);
        assert_eq!(account.balance(0).to_string(), "2500");
        assert_eq!(account.balance(10_000).to_string(), "2499.9863");

        let offline = json!({"type": "OFFLINE"});
        account
            .update(10_000, offline.as_object().expect("an object"))
            .expect("valid");
        assert_eq!(account.balance(99_000), account.balance(10_000));

        let bad = json!({"type": "SOMETIMES"});
        assert!(
            account
                .update(0, bad.as_object().expect("an object"))
                .is_err()
        );
    }
}
