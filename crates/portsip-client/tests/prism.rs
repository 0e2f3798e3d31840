//! Every operation against Prism, a mock of the API that others make from its description. `cargo xtask conformance` starts it, once with the
//! description's examples and once with random bodies, and runs this.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::Arc;

use api_client::ExecutorBuilder;
use futures_util::StreamExt as _;
use portsip_client::generated::types::{
    CallRateCreate, CallRateUpdate, FormTokenRequest, RefreshTokenRequest, SignInRequest,
    TenantBillingUpdate,
};
use portsip_client::{
    BillingAccount, CallRateType, ChargingType, HttpOptions, Inner, MANNERS, RatesQuery,
    ResourceId, RetryPolicy, Session, generated,
};

/// Where Prism listens, and how many calls to make.
fn prism() -> (String, u32) {
    let variable = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask conformance`"))
    };
    (
        variable("PRISM_PORTSIP_URL"),
        variable("PRISM_CALLS").parse().unwrap(),
    )
}

fn new_rate() -> CallRateCreate {
    CallRateCreate {
        prefix: "49".parse().unwrap(),
        type_: CallRateType::National,
        free_seconds: 0,
        grace_period: 1,
        interval_1: 60.try_into().unwrap(),
        interval_n: 1.try_into().unwrap(),
        connect_fee: "0.1".parse().unwrap(),
        postcall_surcharge: "0.01".parse().unwrap(),
        price_1: "0.12345".parse().unwrap(),
        price_n: "0.1".parse().unwrap(),
        description: Some("Germany".parse().unwrap()),
    }
}

#[tokio::test]
#[ignore = "needs Prism: cargo xtask conformance"]
async fn prism_and_the_generated_client_understand_each_other() {
    let (url, calls) = prism();
    let http = HttpOptions::default().build().unwrap();
    let executor = ExecutorBuilder::new("portsip", Arc::new(http.clone()))
        .retry(RetryPolicy::never())
        .build();
    let inner = Inner::new(executor, MANNERS).bearer(Some("token".into()));
    let client = generated::Client::new_with_client(&url, http, inner);
    let id: ResourceId = "NzAwNTUxOTA5NzczMTQ4MTYw".parse().unwrap();

    for _ in 0..calls.div_ceil(13) {
        client
            .sign_in(
                None,
                &SignInRequest {
                    username: "billing".parse().unwrap(),
                    password: "simulated".into(),
                    domain: Some("pbx.example.com".parse().unwrap()),
                },
            )
            .await
            .unwrap();
        client
            .refresh_token(&RefreshTokenRequest {
                refresh_token: "token".into(),
            })
            .await
            .unwrap();
        client
            .form_token(&FormTokenRequest {
                grant_type: "password".to_owned(),
                client_id: "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a".to_owned(),
                username: Some("billing".to_owned()),
                password: Some("simulated".into()),
                scope: Some("all".to_owned()),
                ..FormTokenRequest::default()
            })
            .await
            .unwrap();
        client.get_tenant().await.unwrap();
        client.get_tenant_balance().await.unwrap();
        client.get_tenant_billing().await.unwrap();
        client
            .update_tenant_billing(&TenantBillingUpdate {
                enabled: Some(true),
                account: Some(BillingAccount::User),
                type_: Some(ChargingType::Online),
            })
            .await
            .unwrap();
        let top = 100.try_into().unwrap();
        client
            .list_call_rates(
                Some("prefix eq '49'"),
                Some("prefix"),
                Some("49"),
                Some(0),
                Some(top),
            )
            .await
            .unwrap();
        client.create_call_rate(&new_rate()).await.unwrap();
        let mut file = client
            .export_call_rates()
            .await
            .unwrap()
            .into_inner()
            .into_inner();
        while let Some(part) = file.next().await {
            part.unwrap();
        }
        client.get_call_rate(&id).await.unwrap();
        client
            .update_call_rate(
                &id,
                &CallRateUpdate {
                    price_1: Some("0.2".parse().unwrap()),
                    ..CallRateUpdate::default()
                },
            )
            .await
            .unwrap();
        client.destroy_call_rate(&id).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Prism: cargo xtask conformance"]
async fn prism_and_the_session_understand_each_other() {
    let (url, calls) = prism();
    if calls > 1 {
        // A random answer to the sign-in is no sign-in; the generated client reads random bodies above.
        return;
    }
    let session = Session::builder(url)
        .credentials("billing", "simulated")
        .domain("pbx.example.com")
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    session.sign_in().await.unwrap();
    assert_eq!(
        session.balance().await.unwrap(),
        Some("1250.12345".parse().unwrap())
    );
    assert_eq!(
        session.billing().await.unwrap().account,
        Some(BillingAccount::Tenant)
    );
    assert_eq!(
        session.tenant().await.unwrap().currency.as_deref(),
        Some("EUR")
    );
    let page = session
        .rates(&RatesQuery::default())
        .next()
        .await
        .unwrap()
        .unwrap();
    let listed = page.rates.into_iter().next().unwrap().unwrap();
    assert_eq!(listed.price_1, Some("1".parse().unwrap()));
    let id: ResourceId = listed.id.unwrap().parse().unwrap();
    assert_eq!(
        session.rate(&id).await.unwrap().connect_fee,
        Some("1".parse().unwrap())
    );
    session.export().await.unwrap();

    let writable = session.writable();
    writable
        .update_billing(&TenantBillingUpdate {
            enabled: Some(true),
            ..TenantBillingUpdate::default()
        })
        .await
        .unwrap();
    assert_eq!(
        writable.create_rate(&new_rate()).await.unwrap(),
        Some(id.clone())
    );
    writable
        .update_rate(&id, &CallRateUpdate::default())
        .await
        .unwrap();
    writable.destroy_rate(&id).await.unwrap();
}
