//! The operations that change things, apart from those that do not.

use api_client::{Error, ResourceId};

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
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::WritableSession) -> Result<(), portsip_client::Error> {
    /// use portsip_client::{ChargingType, TenantBillingUpdate};
    ///
    /// let mut change = TenantBillingUpdate::default();
    /// change.type_ = Some(ChargingType::Online);
    /// session.update_billing(&change).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_billing(&self, change: &TenantBillingUpdate) -> Result<(), Error> {
        self.0
            .call("update_tenant_billing", |api| {
                let change = change.clone();
                async move { api.update_tenant_billing(&change).await }
            })
            .await
    }

    /// Adds a call rate; its id, if the server says it.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::WritableSession) -> Result<(), portsip_client::Error> {
    /// use portsip_client::{CallRateCreate, CallRateType, Decimal};
    ///
    /// let id = session
    ///     .create_rate(&CallRateCreate {
    ///         prefix: "49".parse().unwrap(),
    ///         type_: CallRateType::International,
    ///         interval_1: 60.try_into().unwrap(),
    ///         interval_n: 1.try_into().unwrap(),
    ///         price_1: Decimal::new(12, 2).into(),
    ///         price_n: Decimal::new(12, 2).into(),
    ///         connect_fee: Decimal::ZERO.into(),
    ///         postcall_surcharge: Decimal::ZERO.into(),
    ///         free_seconds: 0,
    ///         grace_period: 0,
    ///         description: None,
    ///     })
    ///     .await?;
    /// println!("{id:?}");
    /// # Ok(())
    /// # }
    /// ```
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
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::WritableSession) -> Result<(), portsip_client::Error> {
    /// use portsip_client::{CallRateUpdate, Decimal};
    ///
    /// let mut change = CallRateUpdate::default();
    /// change.price_1 = Some(Decimal::new(12345, 5).into());
    /// session.update_rate(&"NzAw".parse().unwrap(), &change).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_rate(&self, id: &ResourceId, change: &CallRateUpdate) -> Result<(), Error> {
        self.0
            .call("update_call_rate", |api| {
                let (id, change) = (id.clone(), change.clone());
                async move { api.update_call_rate(&id, &change).await }
            })
            .await
    }

    /// Removes a call rate for good.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::WritableSession) -> Result<(), portsip_client::Error> {
    /// session.destroy_rate(&"NzAw".parse().unwrap()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy_rate(&self, id: &ResourceId) -> Result<(), Error> {
        self.0
            .call("destroy_call_rate", |api| {
                let id = id.clone();
                async move { api.destroy_call_rate(&id).await }
            })
            .await
    }
}
