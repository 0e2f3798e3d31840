//! How the generated client sends: through the executor, as its inner value says.

use api_client::{Call, Manners, Mode};
use progenitor_client::{ClientHooks, OperationInfo};

use crate::generated::Client;

/// What the generated client carries: make one with [`Inner::new`] and [`MANNERS`].
pub type Inner = Call;

/// The manners of this API: every operation is a read, and a refused login is not tried again.
pub const MANNERS: Manners = Manners {
    mode: |_| Mode::Read,
    judge: crate::answer::judge,
};

impl ClientHooks<Inner> for Client {
    async fn exec(
        &self,
        request: reqwest::Request,
        info: &OperationInfo,
    ) -> reqwest::Result<reqwest::Response> {
        self.inner.exec(request, info).await
    }
}
