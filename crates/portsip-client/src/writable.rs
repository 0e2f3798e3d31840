//! The operations that change things, apart from those that do not.

use client_support::{Error, ResourceId};

use crate::{CallRateCreate, CallRateUpdate, Session, TenantBillingUpdate};

/// A session that may also change billing settings and call rates. Each change is sent once, never repeated; one whose
/// outcome is not known (a time-out) has to be looked up.
#[derive(Debug, Clone)]
pub struct WritableSession(Session);

impl WritableSession {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }

    /// The session that reads.
    pub fn reader(&self) -> &Session {
        &self.0
    }

    /// Changes the billing settings; members that are `None` stay as they are.
    pub async fn update_billing(&self, change: &TenantBillingUpdate) -> Result<(), Error> {
        self.0
            .call("update_tenant_billing", |api| {
                let change = change.clone();
                async move { api.update_tenant_billing(&change).await }
            })
            .await
    }

    /// Adds a call rate; its id, if the server says it.
    pub async fn create_rate(&self, rate: &CallRateCreate) -> Result<Option<ResourceId>, Error> {
        let created = self
            .0
            .call("create_call_rate", |api| {
                let rate = rate.clone();
                async move { api.create_call_rate(&rate).await }
            })
            .await?;
        Ok(created.id.and_then(|id| ResourceId::try_from(id).ok()))
    }

    /// Changes a call rate; members that are `None` stay as they are.
    pub async fn update_rate(&self, id: &ResourceId, change: &CallRateUpdate) -> Result<(), Error> {
        self.0
            .call("update_call_rate", |api| {
                let (id, change) = (id.clone(), change.clone());
                async move { api.update_call_rate(&id, &change).await }
            })
            .await
    }

    /// Removes a call rate for good.
    pub async fn destroy_rate(&self, id: &ResourceId) -> Result<(), Error> {
        self.0
            .call("destroy_call_rate", |api| {
                let id = id.clone();
                async move { api.destroy_call_rate(&id).await }
            })
            .await
    }
}
