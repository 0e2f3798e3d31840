//! How many requests run at the same time: one of an account, and a few of all accounts at a host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use api_client::ConcurrencyLimit;
use url::Url;

/// Requests at one host.
const AT_A_HOST: usize = 8;
/// Requests of one account.
const OF_AN_ACCOUNT: usize = 1;

/// The limits of all hosts.
#[derive(Debug, Clone, Default)]
pub struct HostLimits(Arc<Mutex<HashMap<String, ConcurrencyLimit>>>);

impl HostLimits {
    /// The limits of an account whose API is at this address.
    pub(super) fn of_account(&self, url: &Url) -> Vec<ConcurrencyLimit> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at_host = hosts
            .entry(host)
            .or_insert_with(|| ConcurrencyLimit::new(AT_A_HOST));
        vec![ConcurrencyLimit::new(OF_AN_ACCOUNT), at_host.clone()]
    }
}
