"""How docs/tutorial.md restores the database: its script, run by bash with the real `aws`.

RDS is a stand-in that keeps clusters and instances by their names, as AWS does; the emulator cannot
restore. So this shows that the calls fit together, and not what AWS makes of them.
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

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
SECTION = PAGE[PAGE.index("## Backups and restoring") : PAGE.index("## Destroying")]
ENDPOINT = "{}.cluster-abc.eu-west-1.rds.amazonaws.com"
CLUSTER = {
    "DBSubnetGroup": "the-subnets",
    "DBClusterParameterGroup": "the-parameters",
    "Port": "5432",
    "BackupRetentionPeriod": "7",
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
PRELUDE = """\
set -eu
sleep() { :; }
djambda() { echo "djambda $*" >> said; }
"""

type Parameters = dict[str, str]


class Missing(Exception):  # noqa: N818 (an AWS error's meaning)
    """There is no cluster or instance of that name."""


@dataclass
class Rds:
    """Clusters by their names, and instances with the names of theirs.

    What has a new name is unknown when it is asked for once.
    """

    clusters: dict[str, Parameters] = field(default_factory=lambda: {"the-cluster": {}})
    instances: dict[str, str] = field(default_factory=lambda: {"the-writer": "the-cluster"})
    snapshots: list[str] = field(default_factory=list)
    renamed: set[str] = field(default_factory=set)

    def describe_db_clusters(self, asked: Parameters) -> Any:
        name = asked["DBClusterIdentifier"]
        self._know(name, self.clusters)
        endpoint = {"Endpoint": ENDPOINT.format(name), "Status": "available"}
        return {"DBClusters": [CLUSTER | endpoint]}

    def describe_db_instances(self, asked: Parameters) -> Any:
        name = asked["DBInstanceIdentifier"]
        self._know(name, self.instances)
        return {"DBInstances": [{"DBInstanceIdentifier": name, "DBInstanceStatus": "available"}]}

    def restore_db_cluster_to_point_in_time(self, asked: Parameters) -> Any:
        assert asked["SourceDBClusterIdentifier"] in self.clusters
        self.clusters[asked.pop("DBClusterIdentifier")] = asked

    def create_db_instance(self, asked: Parameters) -> Any:
        assert asked["DBClusterIdentifier"] in self.clusters
        assert asked["DBInstanceClass"] == "db.serverless"
        self.instances[asked["DBInstanceIdentifier"]] = asked["DBClusterIdentifier"]

    def modify_db_cluster(self, asked: Parameters) -> Any:
        name, new = asked.pop("DBClusterIdentifier"), asked.pop("NewDBClusterIdentifier", None)
        assert asked.pop("ApplyImmediately") == "true"
        self.clusters[name] |= asked
        if new:
            assert new not in self.clusters
            self.clusters[new] = self.clusters.pop(name)
            self.instances = {
                instance: new if cluster == name else cluster
                for instance, cluster in self.instances.items()
            }
            self.renamed.add(new)

    def modify_db_instance(self, asked: Parameters) -> Any:
        new = asked["NewDBInstanceIdentifier"]
        assert asked["ApplyImmediately"] == "true"
        assert new not in self.instances
        self.instances[new] = self.instances.pop(asked["DBInstanceIdentifier"])
        self.renamed.add(new)

    def delete_db_instance(self, asked: Parameters) -> Any:
        del self.instances[asked["DBInstanceIdentifier"]]

    def delete_db_cluster(self, asked: Parameters) -> Any:
        name = asked["DBClusterIdentifier"]
        assert name not in self.instances.values()
        assert self.clusters.pop(name)["DeletionProtection"] == "false"
        self.snapshots.append(asked["FinalDBSnapshotIdentifier"])

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

    def _know(self, name: str, things: dict[str, Any]) -> None:
        if name in self.renamed or name not in things:
            self.renamed.discard(name)
            raise Missing


@pytest.fixture
def rds() -> Iterator[tuple[Rds, str]]:
    """The stand-in and its address."""
    state = Rds()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "GetParameter" in self.headers.get("X-Amz-Target", ""):
                assert json.loads(body)["Name"] == "/djambda/prod/shop/database-password"
                self._say(200, json.dumps({"Parameter": {"Value": "the-password"}}))
                return
            asked = dict(parse_qsl(body))
            action = asked.pop("Action")
            asked.pop("Version")
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", action).replace("DB", "DB_").lower()
            answer: Callable[[Parameters], Any] = getattr(state, name.replace("__", "_"))
            try:
                result = answer(asked) or {}
            except Missing:
                code = "DBClusterNotFoundFault" if "Cluster" in action else "DBInstanceNotFound"
                self._say(404, f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>")
                return
            inner = f"<{action}Result>{_xml(result)}</{action}Result>"
            self._say(200, f"<{action}Response>{inner}</{action}Response>")

        def _say(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield state, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_script(rds: tuple[Rds, str], tmp_path: Path) -> None:
    state, address = rds
    (tmp_path / ".variables").write_text("export APP_NAME=shop ENVIRONMENT=prod\n")
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL))

    done = subprocess.run(
        ["bash"],
        input=PRELUDE + script,
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert state.clusters == {
        "the-cluster": {
            "SourceDBClusterIdentifier": "the-cluster",
            "RestoreToTime": "2026-11-24T08:00:00Z",
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
    }
    assert state.instances == {"the-writer": "the-cluster"}
    assert len(state.snapshots) == 1
    assert done.stdout.splitlines()[-2:] == [ENDPOINT.format("the-cluster")] * 2
    assert (tmp_path / "said").read_text().splitlines() == [
        "djambda maintenance on",
        "djambda manage check --database default",
        "djambda manage migrate --check",
        "djambda maintenance off",
    ]


def _xml(value: Any, member: str = "member") -> str:
    """In the form of AWS's query protocol, as botocore's parser takes it."""
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml(each, _member(key))}</{key}>" for key, each in value.items())
    if isinstance(value, list):
        return "".join(f"<{member}>{_xml(each)}</{member}>" for each in value)
    return str(value)


def _member(key: str) -> str:
    names = {
        "DBClusters": "DBCluster",
        "DBInstances": "DBInstance",
        "VpcSecurityGroups": "VpcSecurityGroupMembership",
        "TagList": "Tag",
    }
    return names.get(key, "member")
