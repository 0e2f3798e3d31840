"""What Schemathesis must know to get past the simulated HostedSuite's door: the credentials that every body carries."""

import schemathesis

CREDENTIALS = {"CustomerName": "Acme", "UserName": "exporter", "Password": "simulated"}


@schemathesis.hook
def map_body(context, body):
    """Puts the right credentials where a request has some, so that most requests get as far as the operation."""
    if isinstance(body, dict) and all(isinstance(body.get(name), str) for name in CREDENTIALS):
        body.update(CREDENTIALS)
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    """Asks for JSON: without that, ServiceStack answers with a page for people."""
    case.headers = case.headers or {}
    case.headers.setdefault("Accept", "application/json")
