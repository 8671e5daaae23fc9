"""Record the calls to a local cloud: who called which API with which parameters.

`install` puts this file in the place of the emulator's script in a copied checkout. It runs with
the emulator's interpreter, wraps the emulator behind the check of signatures, and then runs the
script. Functions get credentials of their roles, as on AWS, so that a call shows its function.
Tests, which have no `ministack`, import this module as well.
"""

import hashlib
import json
import runpy
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

CALLS = "calls.jsonl"
"""In the cloud's folder: one JSON object for each call."""
ORIGINAL = "unrecorded_emulator.py"
MAX_VALUE = 500
"""Longer parameters, such as templates, are not recorded."""
SECRET = "Value"
"""The parameter of SSM that is not recorded either."""

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Message, Receive, Send], Awaitable[None]]


def install(local: Path) -> None:
    """Record the calls to clouds that `cli/djambda_cli/local` in a copied checkout starts."""
    script = local / "emulator.py"
    script.rename(local / ORIGINAL)
    script.write_text(Path(__file__).read_text())


class Recorder:
    """The emulator's ASGI application `app`, with a record of its calls in `file`."""

    def __init__(self, app: App, file: Path) -> None:
        self._app = app
        self._file = file
        self._policies: dict[str, dict[str, Any]] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        credential = query.get("X-Amz-Credential", [""])[0]
        credential = credential or headers.get("authorization", "").partition("Credential=")[2]
        if not credential:
            await self._app(scope, receive, send)  # A visitor of the site, or a custom resource.
            return
        key, _, _, service, *_ = credential.partition(",")[0].split("/") + [""] * 4
        principal = principal_of(key)
        parameters = {}
        if service not in {"s3", "lambda"} or "delete" in query:
            body, receive = await read(receive)
            parameters = parse(body, headers.get("content-type", ""))
        if "x-amz-copy-source" in headers:
            parameters["CopySource"] = headers["x-amz-copy-source"]
        record = {
            "principal": principal,
            "policies": self._changed_policies(principal),
            "service": service,
            "method": scope["method"],
            "path": scope.get("raw_path", b"").decode() or scope["path"],
            "query": {name: values[0] for name, values in query.items()},
            "target": headers.get("x-amz-target", ""),
            "parameters": parameters,
        }
        with self._file.open("a") as file:
            file.write(json.dumps(record) + "\n")
        await self._app(scope, receive, send)

    def _changed_policies(self, principal: str) -> dict[str, Any]:
        """Return the policies of the principal's role unless the record has them already."""
        policies = policies_of(principal)
        if self._policies.get(principal) == policies:
            return {}
        self._policies[principal] = policies
        return policies


async def read(receive: Receive) -> tuple[bytes, Receive]:
    """Return the body, and what then receives the same messages."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return body, replay


def parse(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the short parameters of a form, of JSON, or the keys of S3's DeleteObjects."""
    if "json" in content_type:
        parameters = json.loads(body or b"{}")
    elif "form" in content_type:
        parameters = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    else:
        keys = body.decode("latin-1").split("<Key>")[1:]
        parameters = {"Keys": [key.partition("</Key>")[0] for key in keys]}
    return {
        name: value
        for name, value in parameters.items()
        if (name != SECRET and len(str(value)) < MAX_VALUE) or name == "Keys"
    }


def role_credentials(config: dict[str, Any]) -> dict[str, str]:
    """Return temporary credentials of a function's role, the same for all its processes."""
    sts = import_module("ministack.services.sts")
    function, role = config["FunctionName"], config["Role"].rpartition("/")[2]
    digest = hashlib.sha256(f"{config['FunctionArn']} {role}".encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:48], digest[48:]
    account = config["FunctionArn"].split(":")[4]
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{function}",
        "UserId": f"{role}:{function}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    }
    sts.register_session(key, session)
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def policies_of(principal: str) -> dict[str, Any]:
    """Return the policies of a session's role by their names; {} if it has none."""
    iam = import_module("ministack.services.iam")
    if ":assumed-role/" not in principal:
        return {}
    role = iam._roles.get(principal.split("/")[1]) or {}
    return {
        name: json.loads(policy) if isinstance(policy, str) else policy
        for name, policy in (role.get("InlinePolicies") or {}).items()
    }


def principal_of(access_key: str) -> str:
    """Return the ARN of the user or the role's session that an access key belongs to."""
    evaluator = import_module("ministack.core.iam_evaluator")
    return getattr(evaluator.resolve_credential(access_key), "principal_arn", "")


def main() -> None:
    """Run the emulator with the recorder."""
    app: Any = import_module("ministack.app")
    lambda_runtime: Any = import_module("ministack.core.lambda_runtime")
    lambda_svc: Any = import_module("ministack.services.lambda_svc")
    lambda_runtime.execution_credentials = role_credentials
    lambda_svc.execution_credentials = role_credentials
    app.app = Recorder(app.app, Path(CALLS))
    runpy.run_path(str(Path(__file__).with_name(ORIGINAL)), run_name="__main__")


if __name__ == "__main__":
    main()
