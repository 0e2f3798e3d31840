//! How the generated client sends: through the executor, as its inner value says.

use api_client::{Answer, Call, Manners, Mode, Verdict};
use progenitor_client::{ClientHooks, OperationInfo};

use crate::generated::Client;

/// What the generated client carries: make one with [`Inner::new`] and [`MANNERS`].
pub type Inner = Call;

/// The manners of this API: what reads, what writes, what streams.
pub const MANNERS: Manners = Manners { mode, judge };

fn mode(operation: &str) -> Mode {
    match operation {
        "export_call_rates" => Mode::Stream,
        "sign_in" | "get_tenant" | "get_tenant_balance" | "get_tenant_billing"
        | "list_call_rates" | "get_call_rate" => Mode::Read,
        // A refresh token may be good for one use only, so refreshing is sent once like a write. What is not known is
        // taken for a write, too.
        _ => Mode::Write,
    }
}

/// Refusals are 4xx here, so the status says enough.
fn judge(answer: &Answer) -> Verdict {
    Verdict::by_status(answer.status, &answer.headers)
}

impl ClientHooks<Inner> for Client {
    async fn exec(
        &self,
        request: reqwest::Request,
        info: &OperationInfo,
    ) -> reqwest::Result<reqwest::Response> {
        self.inner.exec(request, info).await
    }
}
