//! The PBX's operations, and the controls.

use crate::common::{LOGIN, exchange, options, pbx, start, token};
use callmeter_simulator::{LedgerQuery, Options, SignIn};
use serde_json::{Value, json};

fn rate() -> Value {
    json!({
        "prefix": "0044", "type": "MOBILE", "free_seconds": 5, "grace_period": 1, "interval_1": 60,
        "interval_n": 6, "connect_fee": 0.05, "postcall_surcharge": 0.01, "price_1": 0.123_45,
        "price_n": 0.1,
    })
}

#[tokio::test]
async fn a_rate_lives_from_its_creation_to_its_end() {
    let running = start(options()).await;
    let token = token(&running).await;
    let call = async |method: &str, path: &str, body: Value| {
        pbx(&running, method, path, Some(&token), &body.to_string()).await
    };
    let created = call("POST", "/api/call_rates", rate()).await;
    assert_eq!(created.status(), "200 OK");
    let id = created.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/call_rates/{id}");

    let mut shown = call("GET", &path, json!({})).await.json();
    assert_eq!(shown["description"], Value::Null);
    assert_eq!(shown["connect_fee"], json!(0.05));
    let again = call("POST", "/api/call_rates", rate()).await;
    assert_eq!(again.status(), "400 Bad Request", "a prefix is unique");

    let updated = call("POST", &path, json!({"price_n": 0.2, "description": "UK"})).await;
    assert_eq!((updated.status(), updated.body.len()), ("200 OK", 0));
    shown["price_n"] = json!(0.2);
    shown["description"] = json!("UK");
    assert_eq!(call("GET", &path, json!({})).await.json(), shown);
    let bad = call("POST", &path, json!({"interval_1": 0})).await;
    assert_eq!(bad.json()["errors"][0]["code"], "VALIDATE_FAILED");

    let listed = call(
        "GET",
        "/api/call_rates?filter=prefix%20eq%20'0044'",
        json!({}),
    )
    .await
    .json();
    assert_eq!(listed["count"], 1);
    assert!(listed["items"][0].get("connect_fee").is_none());

    let gone = call("POST", &format!("{path}/destroy"), json!({})).await;
    assert_eq!((gone.status(), gone.body.len()), ("204 No Content", 0));
    assert_eq!(
        call("GET", &path, json!({})).await.status(),
        "404 Not Found"
    );
    assert_eq!(
        running
            .ledger(&LedgerQuery::default())
            .portsip
            .rates_changed,
        3
    );
}

#[tokio::test]
async fn the_export_holds_what_list_and_detail_hold() {
    let running = start(options()).await;
    let token = token(&running).await;
    let get = async |path: String| pbx(&running, "GET", &path, Some(&token), "").await;
    let export = get("/api/call_rates/export".to_owned()).await;
    assert_eq!(
        export.header("content-type"),
        Some("application/octet-stream")
    );
    let mut rows = csv::Reader::from_reader(export.body.as_slice());
    let mut count = 0;
    for (row, skip) in rows.records().zip(0..) {
        let row = row.expect("a row");
        let page = get(format!("/api/call_rates?top=1&skip={skip}"))
            .await
            .json();
        let id = page["items"][0]["id"].as_str().expect("an id").to_owned();
        let full = get(format!("/api/call_rates/{id}")).await.json();
        let text = |name: &str| match &full[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            number => number.to_string(),
        };
        let names = [
            "prefix",
            "type",
            "free_seconds",
            "grace_period",
            "interval_1",
            "interval_n",
            "connect_fee",
            "postcall_surcharge",
            "price_1",
            "price_n",
            "description",
        ];
        assert_eq!(row.iter().collect::<Vec<_>>(), names.map(text));
        count += 1;
    }
    assert_eq!(count, 200);
}

#[tokio::test]
async fn the_billing_settings_can_be_changed() {
    let running = start(options()).await;
    let token = token(&running).await;
    let call = async |method: &str, body: &str| {
        pbx(&running, method, "/api/tenant/billing", Some(&token), body).await
    };
    let changed = call("POST", r#"{"type":"OFFLINE","account":"USER"}"#).await;
    assert_eq!((changed.status(), changed.body.len()), ("200 OK", 0));
    let shown = call("GET", "").await.json();
    assert_eq!(
        shown,
        json!({"enabled": true, "account": "USER", "type": "OFFLINE"})
    );
    let bad = call("POST", r#"{"type":"SOMETIMES"}"#).await;
    assert_eq!(bad.status(), "400 Bad Request");
}

#[tokio::test]
async fn writes_are_refused_and_counted_where_only_reading_is_allowed() {
    let running = start(Options {
        require_get_only: true,
        ..options()
    })
    .await;
    let token = token(&running).await;
    let billing = pbx(&running, "GET", "/api/tenant/billing", Some(&token), "").await;
    assert_eq!(billing.status(), "200 OK");
    for path in [
        "/api/tenant/billing",
        "/api/call_rates",
        "/api/call_rates/x/destroy",
    ] {
        let refused = pbx(&running, "POST", path, Some(&token), "{}").await;
        assert_eq!(refused.status(), "403 Forbidden", "{path}");
    }
    assert_eq!(
        running
            .ledger(&LedgerQuery::default())
            .portsip
            .writes_refused,
        3
    );
    assert_eq!(running.requests().to("/api/tenant"), 2);
}

#[tokio::test]
async fn each_generation_has_its_own_login() {
    let form = "grant_type=password&client_id=9d806019-75b2-4b3d-bb8b-f5a3a412cc0a&scope=all\
                &username=billing&password=simulated&domain=PBX.example.com";
    let by_form =
        async |running: &_| pbx(running, "POST", "/api/login/oauth/token", None, form).await;
    let by_json = async |running: &_| pbx(running, "POST", "/api/auth/sign_in", None, LOGIN).await;

    let old = start(Options {
        sign_in: SignIn::Form,
        ..options()
    })
    .await;
    assert_eq!(by_json(&old).await.status(), "404 Not Found");
    let granted = by_form(&old).await.json();
    let refresh = format!(
        "grant_type=refresh_token&client_id=9d806019-75b2-4b3d-bb8b-f5a3a412cc0a&refresh_token={}",
        granted["refresh_token"].as_str().expect("a token")
    );
    let again = pbx(&old, "POST", "/api/login/oauth/token", None, &refresh).await;
    assert!(again.json()["access_token"].is_string());

    let new = start(Options {
        sign_in: SignIn::Json,
        ..options()
    })
    .await;
    assert_eq!(by_form(&new).await.status(), "404 Not Found");
    assert_eq!(by_json(&new).await.json()["expires_in"], 1_800);
    for wrong in [
        LOGIN.replace("simulated", "Simulated"),
        LOGIN.replace("pbx.example.com", "example.com"),
        r#"{"username":"billing","password":"simulated"}"#.to_owned(),
    ] {
        let refused = pbx(&new, "POST", "/api/auth/sign_in", None, &wrong).await;
        assert_eq!(
            refused.json()["errors"][0]["code"],
            "UNAUTHORIZED",
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn one_port_is_enough_for_both() {
    let running = start(options()).await;
    let request = format!(
        "POST /portsip/api/auth/sign_in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{LOGIN}",
        LOGIN.len()
    );
    let granted = exchange(running.hostedsuite_address(), &request).await;
    assert!(granted.json()["access_token"].is_string());
}

#[tokio::test]
async fn the_controls_steer_the_clock_and_the_faults() {
    let running = start(options()).await;
    let control = async |method: &str, path: &str, body: &str| {
        pbx(&running, method, &format!("/_sim/{path}"), None, body).await
    };
    let set = control("POST", "clock", r#"{"set":"2026-08-06T19:00:00Z"}"#)
        .await
        .json();
    assert_eq!(
        set,
        json!({"now": "2026-08-06T19:00:00Z", "frozen": true, "speed": 1.0})
    );
    let back = control("POST", "clock", r#"{"set":"2026-08-06T18:00:00Z"}"#).await;
    assert_eq!(back.status(), "400 Bad Request");
    let advanced = control("POST", "clock", r#"{"advance":90,"speed":60}"#)
        .await
        .json();
    assert_eq!(advanced["now"], "2026-08-06T19:01:30Z");

    let faults = control("POST", "faults", r#"{"html":true,"late":0.25}"#)
        .await
        .json();
    assert_eq!(
        (&faults["html"]["rate"], &faults["late"]["rate"]),
        (&json!(1.0), &json!(0.25))
    );
    let faults = control("POST", "faults", r#"{"html":null}"#).await.json();
    assert_eq!(
        (&faults["html"], &faults["late"]["rate"]),
        (&Value::Null, &json!(0.25))
    );
    let typo = control("POST", "faults", r#"{"htlm":true}"#).await;
    assert_eq!(typo.status(), "400 Bad Request");
    assert!(typo.text().contains("htlm"));
    control("DELETE", "faults", "").await;
    assert_eq!(running.faults(), callmeter_simulator::Faults::default());

    let all = control("GET", "ledger", "").await.json();
    assert_eq!(
        all["total"]["calls"].as_u64(),
        all["ids"].as_array().map(|ids| ids.len() as u64)
    );
    let part = control(
        "GET",
        "ledger?settled_before=2026-08-06T12:00:00Z&ids=false",
        "",
    )
    .await
    .json();
    assert!(part["total"]["calls"].as_u64() < all["total"]["calls"].as_u64());
    assert_eq!(part["ids"], json!([]));
    let rest = control("GET", "ledger?started_after=2026-08-06T12:00:00Z", "")
        .await
        .json();
    let calls = |ledger: &Value| ledger["total"]["calls"].as_u64().expect("a count");
    assert!(calls(&part) + calls(&rest) <= calls(&all));
    let typo = control("GET", "ledger?setled_before=x", "").await;
    assert_eq!(typo.status(), "400 Bad Request");
    assert_eq!(
        control("GET", "requests", "").await.json(),
        json!({"counts": []})
    );
}

#[tokio::test]
async fn a_large_deck_is_paged_through_quickly_enough_to_be_used() {
    let running = start(Options {
        rates: 20_000,
        ..options()
    })
    .await;
    let token = token(&running).await;
    let mut last = String::new();
    for skip in (0..20_000).step_by(2_500) {
        let path = format!("/api/call_rates?orderby=prefix&top=100&skip={skip}");
        let page = pbx(&running, "GET", &path, Some(&token), "").await.json();
        assert_eq!(page["count"], 20_000);
        for item in page["items"].as_array().expect("items") {
            let prefix = item["prefix"].as_str().expect("a prefix");
            assert!(prefix > last.as_str());
            prefix.clone_into(&mut last);
        }
    }
}
