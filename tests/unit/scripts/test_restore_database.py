"""`scripts/restore-database`, run by bash with the real `aws`.

RDS is a stand-in that keeps clusters and instances by name, as AWS does. The emulator cannot
restore. These tests show that the calls fit together, and not how AWS handles them.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "restore-database"
TIME = "2026-11-24T08:00:00Z"
ENDPOINT = "{}.cluster-abc.eu-west-1.rds.amazonaws.com"
CLUSTER = {
    "DBSubnetGroup": "the-subnets",
    "DBClusterParameterGroup": "the-parameters",
    "Port": "5432",
    "BackupRetentionPeriod": "7",
    "DeletionProtection": "true",
    "EarliestRestorableTime": "2026-11-17T08:00:00Z",
    "LatestRestorableTime": "2026-11-24T09:00:00Z",
    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
    "ServerlessV2ScalingConfiguration": {
        "MinCapacity": "0",
        "MaxCapacity": "2",
        "SecondsUntilAutoPause": "300",
    },
    "TagList": [{"Key": "App", "Value": "shop"}, {"Key": "aws:cloudformation:x", "Value": "y"}],
}
RESTORED = {
    "DBSubnetGroupName": "the-subnets",
    "DBClusterParameterGroupName": "the-parameters",
    "VpcSecurityGroupIds.VpcSecurityGroupId.1": "sg-1",
    "Port": "5432",
    "BackupRetentionPeriod": "7",
    "ServerlessV2ScalingConfiguration.MinCapacity": "0.0",
    "ServerlessV2ScalingConfiguration.MaxCapacity": "2.0",
    "ServerlessV2ScalingConfiguration.SecondsUntilAutoPause": "300",
    "DeletionProtection": "true",
    "CopyTagsToSnapshot": "true",
    "Tags.Tag.1.Key": "App",
    "Tags.Tag.1.Value": "shop",
    "MasterUserPassword": "the-password",
}
"""The options of a restored cluster, apart from its source."""

MAINTENANCE_AND_CHECKS = [
    "djambda maintenance on",
    "djambda manage check --database default",
    "djambda manage migrate --check",
    "djambda maintenance off",
]

type Parameters = dict[str, str]


class NotFoundError(Exception):
    """There is no cluster or instance of that name."""


class RefusedError(Exception):
    """RDS refuses the call, as a test wants it."""


@dataclass
class Rds:
    """Clusters by name, and instances with the names of their clusters.

    A new name is unknown when it is first requested. `refused` is an action and its new name, which
    fails once.
    """

    clusters: dict[str, Parameters] = field(default_factory=lambda: {"the-cluster": {}})
    instances: dict[str, str] = field(default_factory=lambda: {"the-writer": "the-cluster"})
    snapshots: list[str] = field(default_factory=list)
    renamed: set[str] = field(default_factory=set)
    refused: tuple[str, str] = ("", "")

    def describe_db_clusters(self, request: Parameters) -> Any:
        name = request["DBClusterIdentifier"]
        self._require(name, self.clusters)
        endpoint = {"Endpoint": ENDPOINT.format(name), "Status": "available"}
        return {"DBClusters": [CLUSTER | endpoint]}

    def describe_db_instances(self, request: Parameters) -> Any:
        name = request["DBInstanceIdentifier"]
        self._require(name, self.instances)
        return {"DBInstances": [{"DBInstanceIdentifier": name, "DBInstanceStatus": "available"}]}

    def restore_db_cluster_to_point_in_time(self, request: Parameters) -> Any:
        assert request["SourceDBClusterIdentifier"] in self.clusters
        self._create_cluster(request)

    def restore_db_cluster_from_snapshot(self, request: Parameters) -> Any:
        assert request.pop("Engine") == "aurora-postgresql"
        self._create_cluster(request)

    def create_db_instance(self, request: Parameters) -> Any:
        name = request["DBInstanceIdentifier"]
        assert name not in self.instances
        assert request["DBClusterIdentifier"] in self.clusters
        assert request["DBInstanceClass"] == "db.serverless"
        self.instances[name] = request["DBClusterIdentifier"]

    def modify_db_cluster(self, request: Parameters) -> Any:
        name, new = request.pop("DBClusterIdentifier"), request.pop("NewDBClusterIdentifier", None)
        assert request.pop("ApplyImmediately") == "true"
        self._refuse_once("rename cluster", new or "")
        self.clusters[name] |= request
        if new:
            assert new not in self.clusters
            self.clusters[new] = self.clusters.pop(name)
            self.instances = {
                instance: new if cluster == name else cluster
                for instance, cluster in self.instances.items()
            }
            self.renamed.add(new)

    def modify_db_instance(self, request: Parameters) -> Any:
        new = request["NewDBInstanceIdentifier"]
        assert request["ApplyImmediately"] == "true"
        assert new not in self.instances
        self._refuse_once("rename instance", new)
        self.instances[new] = self.instances.pop(request["DBInstanceIdentifier"])
        self.renamed.add(new)

    def delete_db_instance(self, request: Parameters) -> Any:
        del self.instances[request["DBInstanceIdentifier"]]

    def delete_db_cluster(self, request: Parameters) -> Any:
        name = request["DBClusterIdentifier"]
        assert name not in self.instances.values()
        assert self.clusters.pop(name)["DeletionProtection"] == "false"
        self.snapshots.append(request["FinalDBSnapshotIdentifier"])

    def list_stack_resources(self, _: Parameters) -> Any:
        types = {"the-cluster": "DBCluster", "the-writer": "DBInstance", "other": "DBSubnetGroup"}
        return {
            "StackResourceSummaries": [
                {"PhysicalResourceId": name, "ResourceType": f"AWS::RDS::{kind}"}
                for name, kind in types.items()
            ]
        }

    def describe_stacks(self, _: Parameters) -> Any:
        outputs = {"OutputKey": "DatabaseEndpoint", "OutputValue": ENDPOINT.format("the-cluster")}
        return {"Stacks": [{"StackName": "prod-shop", "Outputs": [outputs]}]}

    def _create_cluster(self, request: Parameters) -> None:
        name = request.pop("DBClusterIdentifier")
        assert name not in self.clusters
        self.clusters[name] = request

    def _refuse_once(self, *action: str) -> None:
        if action == self.refused:
            self.refused = ("", "")
            raise RefusedError

    def _require(self, name: str, things: dict[str, Any]) -> None:
        if name in self.renamed or name not in things:
            self.renamed.discard(name)
            raise NotFoundError


@pytest.fixture
def rds() -> Iterator[tuple[Rds, str]]:
    """The stand-in and its address."""
    state = Rds()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "GetParameter" in self.headers.get("X-Amz-Target", ""):
                assert json.loads(body)["Name"] == "/djambda/prod/shop/database-password"
                self._send(200, json.dumps({"Parameter": {"Value": "the-password"}}))
                return
            request = dict(parse_qsl(body))
            action = request.pop("Action")
            request.pop("Version")
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", action).replace("DB", "DB_").lower()
            handle: Callable[[Parameters], Any] = getattr(state, name.replace("__", "_"))
            try:
                result = handle(request) or {}
            except NotFoundError:
                code = "DBClusterNotFoundFault" if "Cluster" in action else "DBInstanceNotFound"
                self._send_error(404, code)
            except RefusedError:
                self._send_error(400, "InvalidDBClusterStateFault")
            else:
                inner = f"<{action}Result>{_xml(result)}</{action}Result>"
                self._send(200, f"<{action}Response>{inner}</{action}Response>")

        def _send_error(self, status: int, code: str) -> None:
            error = f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>"
            self._send(status, error)

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield state, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(rds: tuple[Rds, str], tmp_path: Path) -> Run:
    """Run the script, with a `sleep` that does not wait and a `djambda` that records its calls."""
    _, address = rds
    stubs = {"sleep": "", "djambda": f'echo "djambda $*" >> {tmp_path}/calls'}
    for name, line in stubs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)

    def run_script(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *arguments],
            env={
                "PATH": os.pathsep.join(
                    (str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"])
                ),
                "APP_NAME": "shop",
                "ENVIRONMENT": "prod",
                "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run_script


def djambda_calls(folder: Path) -> list[str]:
    """Return the commands of `djambda` that the script has run."""
    return (folder / "calls").read_text().splitlines()


def test_restored_cluster_takes_over_the_names(
    rds: tuple[Rds, str], run: Run, tmp_path: Path
) -> None:
    state, _ = rds

    restored = run(TIME)

    assert restored.returncode == 0, restored.stderr
    [replaced] = state.clusters.keys() - {"the-cluster"}
    source = {"SourceDBClusterIdentifier": "the-cluster", "RestoreToTime": TIME}
    assert state.clusters["the-cluster"] == RESTORED | source
    assert state.instances == {"the-writer": "the-cluster", f"{replaced}-writer": replaced}
    assert djambda_calls(tmp_path) == MAINTENANCE_AND_CHECKS
    assert ENDPOINT.format("the-cluster") in restored.stderr
    assert f"scripts/restore-database --delete-replaced {replaced}" in restored.stderr

    deleted = run("--delete-replaced", replaced)

    assert deleted.returncode == 0, deleted.stderr
    assert state.clusters.keys() == {"the-cluster"}
    assert state.instances == {"the-writer": "the-cluster"}
    assert state.snapshots == [f"{replaced}-final"]


def test_interrupted_restore_of_a_snapshot_continues(
    rds: tuple[Rds, str], run: Run, tmp_path: Path
) -> None:
    state, _ = rds
    state.refused = ("rename cluster", "the-cluster")

    interrupted = run("--snapshot", "the-snapshot")

    assert interrupted.returncode != 0
    assert "djambda maintenance off" in interrupted.stderr
    assert djambda_calls(tmp_path) == ["djambda maintenance on"]

    continued = run("--snapshot", "the-snapshot")

    assert continued.returncode == 0, continued.stderr
    assert state.clusters["the-cluster"] == RESTORED | {"SnapshotIdentifier": "the-snapshot"}
    assert len(state.clusters) == len(state.instances) == 2
    assert djambda_calls(tmp_path) == ["djambda maintenance on", *MAINTENANCE_AND_CHECKS]


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ([], {}, (2, ["Usage"])),
        (["yesterday"], {}, (2, ["Usage"])),
        (["--snapshot"], {}, (2, ["Usage"])),
        ([TIME], {"APP_NAME": ""}, (1, ["APP_NAME", ". .variables"])),
        (["2026-11-10T08:00:00Z"], {}, (1, ["2026-11-17T08:00:00Z", "2026-11-24T09:00:00Z"])),
        (["2026-11-24T10:00:00Z"], {}, (1, ["2026-11-17T08:00:00Z", "2026-11-24T09:00:00Z"])),
        (["--delete-replaced", "the-cluster"], {}, (1, ["the-cluster", "replaced-"])),
    ],
)
def test_invalid_request_changes_nothing(
    rds: tuple[Rds, str],
    run: Run,
    arguments: list[str],
    variables: dict[str, str],
    expected: tuple[int, list[str]],
) -> None:
    state, _ = rds
    status, words = expected

    done = run(*arguments, **variables)

    assert done.returncode == status
    assert all(word in done.stderr for word in words), done.stderr
    assert state.clusters == {"the-cluster": {}}


def _xml(value: Any, member: str = "member") -> str:
    """Return a value in the XML of AWS's query protocol."""
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml(item, _member(key))}</{key}>" for key, item in value.items())
    if isinstance(value, list):
        return "".join(f"<{member}>{_xml(item)}</{member}>" for item in value)
    return str(value)


def _member(key: str) -> str:
    names = {
        "DBClusters": "DBCluster",
        "DBInstances": "DBInstance",
        "VpcSecurityGroups": "VpcSecurityGroupMembership",
        "TagList": "Tag",
    }
    return names.get(key, "member")
