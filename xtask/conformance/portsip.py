"""What Schemathesis must know to get past the simulated PBX's door: a token."""

import requests
import schemathesis

CREDENTIALS = {"username": "billing", "password": "simulated", "domain": "pbx.example.com"}


@schemathesis.auth()
class Token:
    def get(self, case, context):
        base = case.operation.schema.get_base_url().rstrip("/")
        answer = requests.post(f"{base}/auth/sign_in", json=CREDENTIALS, timeout=30)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
