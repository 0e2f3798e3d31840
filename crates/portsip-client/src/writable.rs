//! The operations that change something, in a type that has to be built explicitly.

use api_client::{Error, ResourceId};

use crate::generated::WriteClient;
use crate::generated::types::{CallRateCreate, CallRateUpdate, TenantBillingUpdate};
use crate::session::{Session, SessionBuilder};

/// A session that may also change billing settings and call rates. Each change is sent once, never
/// repeated; after a time-out, look up whether it was made.
#[derive(Debug, Clone)]
pub struct WritableSession {
    reader: Session,
    api: WriteClient,
}

impl SessionBuilder {
    /// A session that may also change things. A program that only watches should call
    /// [`build`](Self::build): a [`Session`] cannot be turned into a session that writes.
    pub fn build_writable(self) -> Result<WritableSession, Error> {
        let (reader, api) = self.connect()?;
        Ok(WritableSession { reader, api })
    }
}

impl WritableSession {
    /// The session that reads.
    pub fn reader(&self) -> &Session {
        &self.reader
    }

    /// All operations of the API that write, as the description has them.
    pub fn api(&self) -> &WriteClient {
        &self.api
    }

    /// Changes the billing settings; members that are `None` stay as they are.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     session: &portsip_client::WritableSession,
    /// # ) -> Result<(), portsip_client::Error> {
    /// use portsip_client::{ChargingType, TenantBillingUpdate};
    ///
    /// let mut change = TenantBillingUpdate::default();
    /// change.type_ = Some(ChargingType::Online);
    /// session.update_billing(&change).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_billing(&self, change: &TenantBillingUpdate) -> Result<(), Error> {
        self.api.update_tenant_billing(change).await.map(drop)
    }

    /// Adds a call rate; returns its id, if the server gives it.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     session: &portsip_client::WritableSession,
    /// # ) -> Result<(), portsip_client::Error> {
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
        let created = self.api.create_call_rate(rate).await?.decode()?;
        Ok(created.id.and_then(|id| ResourceId::try_from(id).ok()))
    }

    /// Changes a call rate; members that are `None` stay as they are.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     session: &portsip_client::WritableSession,
    /// # ) -> Result<(), portsip_client::Error> {
    /// use portsip_client::{CallRateUpdate, Decimal};
    ///
    /// let mut change = CallRateUpdate::default();
    /// change.price_1 = Some(Decimal::new(12345, 5).into());
    /// session.update_rate(&"NzAw".parse().unwrap(), &change).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_rate(&self, id: &ResourceId, change: &CallRateUpdate) -> Result<(), Error> {
        self.api.update_call_rate(id, change).await.map(drop)
    }

    /// Removes a call rate permanently.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     session: &portsip_client::WritableSession,
    /// # ) -> Result<(), portsip_client::Error> {
    /// session.destroy_rate(&"NzAw".parse().unwrap()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy_rate(&self, id: &ResourceId) -> Result<(), Error> {
        self.api.destroy_call_rate(id).await.map(drop)
    }
}
