"""What Schemathesis must know to get past the simulator's doors: its credentials, and a token."""

import requests
import schemathesis

HOSTEDSUITE = {"CustomerName": "Acme", "UserName": "exporter", "Password": "simulated"}
PORTSIP = {"username": "billing", "password": "simulated", "domain": "pbx.example.com"}


@schemathesis.hook
def map_body(context, body):
    """Puts the right credentials where a request has some, so that most requests get as far as the operation."""
    if isinstance(body, dict):
        for credentials in (HOSTEDSUITE, PORTSIP):
            if all(isinstance(body.get(name), str) for name in credentials):
                body.update(credentials)
    return body


@schemathesis.auth()
class Token:
    """A token of the simulated PBX. HostedSuite's operations ask for none and do not get one."""

    def get(self, case, context):
        base = case.operation.schema.get_base_url().rstrip("/")
        answer = requests.post(f"{base}/auth/sign_in", json=PORTSIP, timeout=30)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
