//! The three parts of a billing poll: settings, balance, and the tenant with its currency. Each is
//! an answer of its own, and one that cannot be read costs itself.

use api_client::{Error, ErrorKind};
use callmeter_records::Reading;
use portsip_client::{Amount, Session, StatedAmount, Tenant, TenantBilling};

use crate::currency;

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
            Err(error)
                if error.kind() == ErrorKind::RefusedLogin || Session::is_of_sign_in(&error) =>
            {
                Err(error)
            }
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

    /// The text of the currency, if it is not a code of three letters.
    pub(super) fn bad_currency(&self) -> Option<String> {
        let text = self.tenant.as_ref().ok()?.currency.as_deref()?;
        let text = currency::read(text);
        (!text.is_empty() && !currency::is_code(&text)).then_some(text)
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
        // Nothing is said of the part, and the others would fail in the same way.
        Err(error) if Session::is_of_sign_in(&error) => Err(error),
        Err(error) => match error.kind() {
            ErrorKind::RefusedLogin
            | ErrorKind::Throttled
            | ErrorKind::Timeout
            | ErrorKind::Transport
            | ErrorKind::Local => Err(error),
            _ => Ok(Err(error)),
        },
        read => Ok(read),
    }
}

/// After so many polls that could not read a part, it counts as one that the server does not have.
const MOST_MISSES: u32 = 3;

/// What is known of each part.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    settings: Part<TenantBilling>,
    balance: Part<StatedAmount>,
    currency: Part<Option<String>>,
}

#[derive(Clone, Debug)]
struct Part<T> {
    value: Option<T>,
    /// Polls in a row that could not read it.
    misses: u32,
    /// Whether its value is too old to be shown. The journal still has it.
    is_hidden: bool,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            value: None,
            misses: 0,
            is_hidden: false,
        }
    }
}

impl<T> Part<T> {
    /// Hides the value if the last poll could not read it.
    fn hide_missed(&mut self) {
        self.is_hidden = self.misses > 0;
    }

    /// The value, unless it is hidden.
    fn shown(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| !self.is_hidden)
    }

    /// Takes in what was read, and returns whether the part is known.
    fn take_in(&mut self, read: Result<T, &Error>) -> bool {
        match read {
            Ok(value) => {
                self.value = Some(value);
                self.misses = 0;
                self.is_hidden = false;
                true
            }
            Err(error) if may_be_missing(error) => {
                self.value = None;
                self.misses = 0;
                true
            }
            Err(_) => {
                self.misses = self.misses.saturating_add(1);
                self.value.is_some() || self.misses >= MOST_MISSES
            }
        }
    }
}

impl Parts {
    /// Takes in what was read. A part that could not be read stays as it was read last.
    ///
    /// Returns whether all is known. If not, for example after a restart, the journal would record
    /// that a value is gone, which nobody said.
    pub(super) fn take_in(&mut self, answers: &Answers) -> bool {
        let settings = self.settings.take_in(answers.settings.as_ref().cloned());
        let balance = self.balance.take_in(answers.balance.as_ref().cloned());
        let tenant = answers.tenant.as_ref();
        let currency = tenant.map(|tenant| tenant.currency.as_deref().map(currency::read));
        let currency = self.currency.take_in(currency);
        settings && balance && currency
    }

    /// Hides all parts.
    pub(super) fn hide_all(&mut self) {
        self.settings.is_hidden = true;
        self.balance.is_hidden = true;
        self.currency.is_hidden = true;
    }

    /// Hides the parts that the last poll could not read.
    pub(super) fn hide_missed(&mut self) {
        self.settings.hide_missed();
        self.balance.hide_missed();
        self.currency.hide_missed();
    }

    /// The parts that may be shown.
    pub(super) fn shown(&self) -> Self {
        fn shown<T: Clone>(part: &Part<T>) -> Part<T> {
            Part {
                value: part.shown().cloned(),
                ..Part::default()
            }
        }
        Self {
            settings: shown(&self.settings),
            balance: shown(&self.balance),
            currency: shown(&self.currency),
        }
    }

    /// The settings.
    pub(super) fn settings(&self) -> TenantBilling {
        self.settings.value.clone().unwrap_or_default()
    }

    /// The currency. What is no code of a currency cannot be read.
    pub(super) fn currency(&self) -> Reading<'_, &str> {
        currency(self.currency.value.as_ref().and_then(Option::as_deref))
    }

    /// The balance, if it is an amount.
    pub(super) fn balance_amount(&self) -> Option<Amount> {
        self.balance.value.as_ref().and_then(StatedAmount::known)
    }

    /// The balance as text; `None` if there is none.
    pub(super) fn balance_text(&self) -> Option<String> {
        match self.balance.value.as_ref()? {
            StatedAmount::Missing => None,
            StatedAmount::Known(amount) => Some(amount.to_string()),
            StatedAmount::Unreadable(text) => Some(text.clone()),
        }
    }
}

fn currency(text: Option<&str>) -> Reading<'_, &str> {
    match text {
        None | Some("") => Reading::Missing,
        Some(text) if currency::is_code(text) => Reading::Known(text),
        Some(text) => Reading::Unreadable(text),
    }
}

/// Whether the server says that this login does not have a part: then polls do without it.
pub(super) fn may_be_missing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::NotFound
    )
}
