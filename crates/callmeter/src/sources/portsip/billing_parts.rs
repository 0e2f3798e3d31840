//! The three parts of a billing poll: settings, balance, and the tenant with its currency. Each is
//! an answer of its own, and one that cannot be read costs itself.

use api_client::{Error, ErrorKind};
use portsip_client::{Amount, Session, StatedAmount, Tenant, TenantBilling};

/// The answers of one poll.
pub(super) struct Answers {
    settings: Result<TenantBilling, Error>,
    balance: Result<StatedAmount, Error>,
    tenant: Result<Tenant, Error>,
}

impl Answers {
    /// Asks for the parts one after the other.
    ///
    /// # Errors
    /// If the login is refused, or nothing more can be expected of the server.
    pub(super) async fn read(session: &Session) -> Result<Self, Error> {
        // Boxed one by one: each has its own buffers.
        let settings = needed(Box::pin(session.billing()).await)?;
        let balance = needed(Box::pin(session.balance()).await)?;
        let tenant = Box::pin(session.tenant()).await;
        match tenant {
            Err(error) if error.kind() == ErrorKind::RefusedLogin => Err(error),
            tenant => Ok(Self {
                settings,
                balance,
                tenant,
            }),
        }
    }

    /// Whether nothing came but the tenant.
    pub(super) fn is_empty(&self) -> bool {
        self.settings.is_err() && self.balance.is_err()
    }

    /// The parts that did not come, and why.
    pub(super) fn missing(&self) -> impl Iterator<Item = (&'static str, &Error)> {
        let settings = self.settings.as_ref().err();
        let balance = self.balance.as_ref().err();
        let tenant = self.tenant.as_ref().err();
        [
            ("settings", settings),
            ("balance", balance),
            ("currency", tenant),
        ]
        .into_iter()
        .filter_map(|(what, error)| Some((what, error?)))
    }

    /// Why settings or balance did not come. A missing currency is no failure.
    pub(super) fn failure(&self) -> Option<Error> {
        let settings = self.settings.as_ref().err();
        let balance = self.balance.as_ref().err();
        let errors = || settings.into_iter().chain(balance);
        let worst = errors().find(|error| !may_be_missing(error));
        worst.or_else(|| errors().next()).cloned()
    }
}

/// A part without which the poll goes on, unless the others could not be read either.
fn needed<T>(part: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match part {
        Err(error) => match error.kind() {
            ErrorKind::RefusedLogin
            | ErrorKind::Throttled
            | ErrorKind::Timeout
            | ErrorKind::Transport
            | ErrorKind::Redirected
            | ErrorKind::Local => Err(error),
            _ => Ok(Err(error)),
        },
        read => Ok(read),
    }
}

/// What is known of each part.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) settings: Option<TenantBilling>,
    balance: Option<StatedAmount>,
    pub(super) currency: Option<String>,
}

impl Parts {
    /// Takes in what was read. A part that could not be read stays as it was read last.
    ///
    /// Returns whether all is known, except for what this login may not read. Otherwise the journal
    /// would record that a value is gone, which nobody said.
    pub(super) fn take_in(&mut self, answers: &Answers) -> bool {
        let settings = take(&mut self.settings, &answers.settings);
        let balance = take(&mut self.balance, &answers.balance);
        let currency = match &answers.tenant {
            Ok(tenant) => {
                self.currency.clone_from(&tenant.currency);
                true
            }
            Err(error) => self.currency.is_some() || may_be_missing(error),
        };
        settings && balance && currency
    }

    /// The balance, if it is an amount.
    pub(super) fn balance_amount(&self) -> Option<Amount> {
        self.balance.as_ref().and_then(StatedAmount::known)
    }

    /// The balance as text; `None` if there is none.
    pub(super) fn balance_text(&self) -> Option<String> {
        match self.balance.as_ref()? {
            StatedAmount::Missing => None,
            StatedAmount::Known(amount) => Some(amount.to_string()),
            StatedAmount::Unreadable(text) => Some(text.clone()),
        }
    }
}

/// Takes in one part, and returns whether it is known.
fn take<T: Clone>(last: &mut Option<T>, read: &Result<T, Error>) -> bool {
    match read {
        Ok(value) => {
            *last = Some(value.clone());
            true
        }
        Err(error) if may_be_missing(error) => {
            *last = None;
            true
        }
        Err(_) => last.is_some(),
    }
}

/// Whether the server says that this login does not have a part: then polls do without it.
pub(super) fn may_be_missing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::NotFound
    )
}
