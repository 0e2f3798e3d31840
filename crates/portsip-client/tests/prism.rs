//! Every operation against Prism, a mock server made from the API's description. `cargo xtask
//! conformance` starts it, once with the description's examples and once with random bodies, and
//! runs this.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::sync::Arc;

use api_client::{Answer, ExecutorBuilder, Secret};
use portsip_client::generated::types::{
    CallRateCreate, CallRateUpdate, FormTokenRequest, RefreshTokenRequest, SignInRequest,
    TenantBillingUpdate,
};
use portsip_client::generated::{ReadClient, SignInClient, WriteClient};
use portsip_client::{
    BillingAccount, CallRateType, ChargingType, HttpOptions, RatesQuery, RequestContext,
    ResourceId, RetryPolicy, Session,
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
    let refuse = |answer: &Answer| answer.error_by_status("");
    let executor = ExecutorBuilder::new("portsip", Arc::new(http.clone()), refuse)
        .retry(RetryPolicy::never())
        .build();
    let context = RequestContext::new(executor).tokens(Arc::new(Secret::from("token")));
    let sign_in = SignInClient::new(&url, http.clone(), context.clone());
    let reader = ReadClient::new(&url, http.clone(), context.clone());
    let writer = WriteClient::new(&url, http, context);
    let id: ResourceId = "NzAwNTUxOTA5NzczMTQ4MTYw".parse().unwrap();

    for _ in 0..calls.div_ceil(13) {
        sign_in
            .sign_in(
                None,
                &SignInRequest {
                    username: "billing".parse().unwrap(),
                    password: "simulated".into(),
                    domain: Some("pbx.example.com".parse().unwrap()),
                },
            )
            .await
            .unwrap()
            .decode()
            .unwrap();
        sign_in
            .refresh_token(&RefreshTokenRequest {
                refresh_token: "token".into(),
            })
            .await
            .unwrap()
            .decode()
            .unwrap();
        sign_in
            .form_token(&FormTokenRequest {
                grant_type: "password".to_owned(),
                client_id: "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a".to_owned(),
                username: Some("billing".to_owned()),
                password: Some("simulated".into()),
                scope: Some("all".to_owned()),
                ..FormTokenRequest::default()
            })
            .await
            .unwrap()
            .decode()
            .unwrap();
        reader.get_tenant().await.unwrap().decode().unwrap();
        reader.get_tenant_balance().await.unwrap().decode().unwrap();
        reader.get_tenant_billing().await.unwrap().decode().unwrap();
        writer
            .update_tenant_billing(&TenantBillingUpdate {
                enabled: Some(true),
                account: Some(BillingAccount::User),
                type_: Some(ChargingType::Online),
            })
            .await
            .unwrap();
        let top = 100.try_into().unwrap();
        reader
            .list_call_rates(
                Some("prefix eq '49'"),
                Some("prefix"),
                Some("49"),
                Some(0),
                Some(top),
            )
            .await
            .unwrap()
            .decode()
            .unwrap();
        writer
            .create_call_rate(&new_rate())
            .await
            .unwrap()
            .decode()
            .unwrap();
        let mut file = reader.export_call_rates().await.unwrap();
        while file.chunk().await.unwrap().is_some() {}
        reader.get_call_rate(&id).await.unwrap().decode().unwrap();
        writer
            .update_call_rate(
                &id,
                &CallRateUpdate {
                    price_1: Some("0.2".parse().unwrap()),
                    ..CallRateUpdate::default()
                },
            )
            .await
            .unwrap();
        writer.destroy_call_rate(&id).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs Prism: cargo xtask conformance"]
async fn prism_and_the_session_understand_each_other() {
    let (url, calls) = prism();
    if calls > 1 {
        // A random answer to the sign-in is no sign-in; the generated client reads random bodies
        // above.
        return;
    }
    let writable = Session::builder(url)
        .credentials("billing", "simulated")
        .domain("pbx.example.com")
        .retry(RetryPolicy::never())
        .build_writable()
        .unwrap();
    let session = writable.reader();
    session.sign_in().await.unwrap();
    assert_eq!(
        session.balance().await.unwrap().known(),
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
