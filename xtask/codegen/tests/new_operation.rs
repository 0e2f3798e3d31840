//! An operation that is added to a spec can be called through a session without further code.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod scratch;

use callmeter_codegen::generate::{changes, write};
use callmeter_codegen::plan::APIS;
use scratch::Scratch;

/// Pasted before the first path of specs/portsip.yaml.
const OPERATION: &str = r##"paths:
  /tenant/capacity:
    get:
      operationId: get_tenant_capacity
      tags: [Tenant]
      summary: Retrieve how many calls the tenant may have at a time.
      description: Made for a test.
      responses:
        "200":
          description: The capacity.
          content:
            application/json:
              schema:
                $ref: "#/components/schemas/TenantCapacity"
        4XX:
          $ref: "#/components/responses/Failure"
        5XX:
          $ref: "#/components/responses/Failure"

"##;

/// Pasted before the first schema.
const SCHEMA: &str = "  schemas:
    TenantCapacity:
      type: object
      description: How many calls the tenant may have at a time.
      properties:
        calls:
          type: integer
          format: int32
          nullable: true
          description: The calls.

";

const TEST: &str = r##"
use std::time::Duration;

#[path = "../../api-client/tests/canned/mod.rs"]
mod canned;

use canned::{Canned, json, with_headers};
use portsip_client::{RetryPolicy, Session};

/// Token, renewal, retries and classification of a session apply to the new operation.
#[tokio::test]
async fn the_new_operation_is_called_through_the_session() {
    let server = Canned::start(|request, before| match (request.line(), before) {
        ("POST /api/auth/sign_in", _) => {
            json(format!(r#"{{"access_token":"token-{before}","expires_in":1800}}"#))
        }
        (_, 1) => with_headers("401 Unauthorized", &[], ""),
        (_, 3) => with_headers("503 Service Unavailable", &[], ""),
        _ => json(r#"{"calls":"30"}"#),
    })
    .await;
    let session = Session::builder(server.url())
        .credentials("billing", "simulated")
        .env_proxy(false)
        .retry(RetryPolicy::default().waits(Duration::from_millis(1), Duration::from_millis(20)))
        .build()
        .unwrap();
    let capacity = session.api().get_tenant_capacity().await.unwrap().decode().unwrap();
    assert_eq!(capacity.calls, Some(30));
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(canned::Seen::line).collect();
    let (sign_in, get) = ("POST /api/auth/sign_in", "GET /api/tenant/capacity");
    assert_eq!(lines, [sign_in, get, sign_in, get, get]);
    assert_eq!(seen[4].header("authorization"), Some("Bearer token-2"));
}
"##;

#[test]
fn an_operation_pasted_into_the_spec_is_callable_through_a_session() {
    let api = APIS.iter().find(|api| api.name == "portsip").unwrap();
    let scratch = Scratch::new("new-operation");
    scratch.edit(api.spec, "paths:\n", OPERATION);
    scratch.edit(api.spec, "  schemas:\n", SCHEMA);
    for change in changes(&scratch.root, api).unwrap() {
        write(&scratch.root, &change).unwrap();
    }
    scratch.write("crates/portsip-client/tests/pasted_operation.rs", TEST);
    let (passed, text) = scratch.test("pasted_operation", "");
    assert!(passed, "{text}");
}
