//! One exchange of each format and of each class of error, byte for byte.

use crate::common::{JSON, LOGIN, ask, body, options, pbx, post, start, start_with, token};
use insta::assert_snapshot;
use serde_json::json;

const CALLS: &str = "/api/calls";
const BALANCE: &str = "/api/call-allowance/balance";

#[tokio::test]
async fn hostedsuite_in_every_format() {
    let running = start(options()).await;
    let two = body(&json!({"ItemsPerPage": 2, "SortField": "StartTime"}));
    let billed = body(&json!({
        "StartDate": "2026-08-01", "EndDate": "2026-08-31",
        "BillTalk": true, "BillHold": true, "CallRounding": "NextMinute",
    }));
    let json_body = ("Content-Type", "application/json");

    let json = post(&running, CALLS, &JSON, &two).await;
    assert_snapshot!("calls_json", json.shown());
    let jsv = post(
        &running,
        CALLS,
        &[json_body, ("Accept", "application/jsv")],
        &two,
    )
    .await;
    assert_snapshot!("calls_jsv", jsv.shown());
    let csv = post(&running, "/api/calls.csv", &JSON, &two).await;
    assert_snapshot!("calls_csv", csv.shown());
    // The media type that the vendor's pages print is not one of those known.
    let html = post(&running, CALLS, &[json_body, ("Accept", "text/jsv")], &two).await;
    assert_snapshot!("calls_html", html.shown());

    let json = post(&running, BALANCE, &JSON, &billed).await;
    assert_snapshot!("balances_json", json.shown());
    let csv = post(&running, &format!("{BALANCE}?format=csv"), &JSON, &billed).await;
    assert_snapshot!("balances_csv", csv.shown());
    let jsonp = post(
        &running,
        &format!("{BALANCE}?callback=show"),
        &JSON,
        &billed,
    )
    .await;
    assert_snapshot!("balances_jsonp", jsonp.shown());
    let request = "{CustomerName:Acme,UserName:exporter,Password:simulated,BillTalk:True}";
    let own = [("Content-Type", "text/jsv"), ("Accept", "*/*")];
    let jsv = post(&running, BALANCE, &own, request).await;
    assert_snapshot!("balances_jsv", jsv.shown());

    let clients = ask(&running, "/api/clients", json!({})).await;
    assert_snapshot!("clients_json", clients.shown());
    let user = ask(&running, "/api/Authenticate/", json!({})).await;
    assert_snapshot!("authenticate_json", user.shown());
}

#[tokio::test]
async fn hostedsuite_in_every_class_of_error() {
    let running = start(options()).await;
    let wrong = ask(&running, CALLS, json!({"Password": "wrong"})).await;
    assert_snapshot!("error_security", wrong.shown());
    let csv = format!("{CALLS}?format=csv");
    let wrong = post(&running, &csv, &JSON, &body(&json!({"Password": "wrong"}))).await;
    assert_snapshot!("error_security_csv", wrong.shown());
    let missing = post(&running, CALLS, &JSON, r#"{"CustomerName":"Acme"}"#).await;
    assert_snapshot!("error_validation", missing.shown());
    let broken = post(&running, CALLS, &JSON, "Page=1").await;
    assert_snapshot!("error_serialization", broken.shown());
    let page = format!("{CALLS}?Page=one");
    let unbindable = ask(&running, &page, json!({})).await;
    assert_snapshot!("error_binding", unbindable.shown());
    let unknown = ask(&running, "/api/receptionists", json!({})).await;
    assert_snapshot!("error_unknown_path", unknown.shown());
    running.stop().await;

    let running = start_with(&["echo"]).await;
    let echoed = ask(&running, CALLS, json!({"StartDate": "2026-08-06"})).await;
    assert_snapshot!("error_with_the_request", echoed.shown());
    running.stop().await;

    let running = start_with(&["refuse_login=not_authenticated"]).await;
    let user = ask(&running, "/api/authenticate", json!({})).await;
    assert_snapshot!("authenticate_refused", user.shown());
}

#[tokio::test]
async fn portsip_in_every_answer_and_error() {
    let running = start(options()).await;
    let granted = pbx(&running, "POST", "/api/auth/sign_in", None, LOGIN).await;
    assert_snapshot!("pbx_sign_in", granted.shown());
    let token = token(&running).await;
    let get = async |path: &str| pbx(&running, "GET", path, Some(&token), "").await.shown();
    assert_snapshot!("pbx_tenant", get("/api/tenant").await);
    assert_snapshot!("pbx_balance", get("/api/tenant/balance").await);
    assert_snapshot!("pbx_billing", get("/api/tenant/billing").await);
    assert_snapshot!(
        "pbx_rates",
        get("/api/call_rates?top=2&orderby=prefix").await
    );
    let first = "/api/call_rates/NzAwNTUxOTA5NzczMTQ4MTYw";
    assert_snapshot!("pbx_rate", get(first).await);
    let export = get("/api/call_rates/export").await;
    let start: Vec<_> = export.lines().take(12).collect();
    assert_snapshot!("pbx_export", start.join("\n"));

    assert_snapshot!("pbx_error_validation", get("/api/call_rates?top=101").await);
    assert_snapshot!("pbx_error_no_rate", get("/api/call_rates/unknown").await);
    assert_snapshot!("pbx_error_no_path", get("/api/extensions").await);
    let wrong = LOGIN.replace("simulated", "wrong");
    let refused = pbx(&running, "POST", "/api/auth/sign_in", None, &wrong).await;
    assert_snapshot!("pbx_error_login", refused.shown());
    let nobody = pbx(&running, "GET", "/api/tenant", None, "").await;
    assert_snapshot!("pbx_error_token", nobody.shown());
    let put = pbx(&running, "PUT", first, Some(&token), "{}").await;
    assert_snapshot!("pbx_error_method", put.shown());
}
