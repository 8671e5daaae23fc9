"""`djambda doctor`: is everything there that a deploy needs, and is what is deployed well?

It looks at the machine, the variables, the layer, the AWS account and the stack, changes nothing,
and says of each thing that is wrong what to do. What it may not look at is no reason to stop.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import typer
from botocore.exceptions import ClientError
from rich.text import Text

from awscdk import layer as layer_rules
from djambda_cli.aws.errors import aws_errors
from djambda_cli.aws.versions import History
from djambda_cli.commands import status
from djambda_cli.deployment import BOOTSTRAP_VERSION, VARIABLES_FILE, Deployment, use_deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import NEEDED_BYTES
from djambda_cli.operations.log_rendering import printable
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.paths import EMULATOR_PYTHON, LAYER, REQUIREMENTS, ROOT, tool
from djambda_cli.project import layer as layer_builder
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import ALIAS

PACKAGE = ROOT / "package.json"
BOOTSTRAP_NEEDED = 6
"""What the CDK's DefaultStackSynthesizer needs at least."""
UNRESERVED = 100
"""Concurrency that an account has to keep unreserved, unless it has less at all:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
SMALL_CONCURRENCY = 50
VPC_QUOTA = ("vpc", "L-F678F1CE")
VPC_DEFAULT = 5
NOT_DEPLOYED = "nothing is deployed"
COMFORTABLE_BYTES = 2_000_000_000


class Mark(StrEnum):
    """How a thing is."""

    GOOD = "ok"
    ODD = "warning"
    BAD = "problem"

    @property
    def sign(self) -> tuple[str, str]:
        """Its sign and that one's style."""
        signs = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}
        return signs[self.value]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `do` is what to do about it, if anything."""

    mark: Mark
    said: str
    do: str = ""


def good(said: str) -> Finding:
    """As it should be."""
    return Finding(Mark.GOOD, said)


def odd(said: str, do: str = "") -> Finding:
    """Worth knowing."""
    return Finding(Mark.ODD, said, do)


def bad(said: str, do: str) -> Finding:
    """A deploy, or the site, cannot work with it."""
    return Finding(Mark.BAD, said, do)


def doctor(*, local: Local = False, as_json: Json = False, folder: Folder = DEFAULT_FOLDER) -> None:
    """Check this machine, the variables, the account and what is deployed; say what to do.

    Exits with 1 if there is a problem.

    Example: `djambda doctor --local`
    """
    report = {"Machine": list(machine(local=local))}
    deployment = None
    if local or os.environ.get("APP_NAME") or VARIABLES_FILE.exists():
        try:
            deployment = use_deployment(local=local, folder=folder)
        except CliError as error:
            report["Configuration"] = [_unusable(error, local=local)]
    else:
        report["Configuration"] = [
            odd(
                "no deployment is configured here",
                "For AWS: cp .variables.template .variables, and fill it in. Without AWS: make up, "
                "and then djambda doctor --local",
            )
        ]
    if deployment:
        report["Configuration"] = list(configuration(deployment))
        with stderr.status("Asking the local cloud" if local else "Asking AWS"):
            report |= of_aws(deployment)
    if as_json:
        stdout.print_json(json.dumps(as_data(report)))
    else:
        stdout.print(_page(report), soft_wrap=True)
    if not as_data(report)["ok"]:
        raise typer.Exit(1)


def as_data(report: dict[str, list[Finding]]) -> dict[str, Any]:
    """The report for scripts; `ok` if it has no problem."""
    findings = [
        {"section": section, **asdict(finding)}
        for section, found in report.items()
        for finding in found
    ]
    return {"ok": all(each["mark"] != Mark.BAD for each in findings), "findings": findings}


def machine(*, local: bool) -> Iterator[Finding]:
    """The tools of this checkout, and the disk."""
    tools = "make tools"
    python = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, layer_rules.PYTHON))
    if sys.version_info[:2] == layer_rules.PYTHON:
        yield good(f"Python {python}")
    else:
        yield bad(f"Python {python}, and Lambda runs {wanted}", tools)
    yield _tool("uv", _said("uv", "--version").partition("uv ")[2].partition(" ")[0], tools)
    node = _said("node", "--version").lstrip("v")
    if node and int(node.partition(".")[0]) not in supported_node():
        yield bad(f"Node {node} is none that the CDK supports", tools)
    else:
        yield _tool("Node", node, tools)
    pinned, there = (
        _version_of_cdk(file) for file in ("package-lock", "node_modules/.package-lock")
    )
    if there and there != pinned:
        yield bad(f"CDK command line {there}, and {pinned} is locked", tools)
    else:
        yield _tool("CDK command line", there, tools)
    if local:
        yield _tool("AWS emulator", "installed" * EMULATOR_PYTHON.exists(), tools)
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        yield bad(f"only {free / 1e9:.1f} GB free on the disk", "Free some space.")
    elif free < COMFORTABLE_BYTES:
        yield odd(f"{free / 1e9:.1f} GB free on the disk", "Tools and local cloud take about 2 GB.")
    else:
        yield good(f"{free / 1e9:.0f} GB free on the disk")


def supported_node() -> range:
    """Return the major versions of Node that package.json accepts (`>=22 <27`)."""
    low, high = map(int, re.findall(r"\d+", json.loads(PACKAGE.read_text())["engines"]["node"]))
    return range(low, high)


def configuration(deployment: Deployment) -> Iterator[Finding]:
    """What the variables say, beyond what makes them unusable; and the layer that they need."""
    config = deployment.config
    yield good(f"{deployment.stack} {deployment.location}")
    if config.debug:
        yield odd("DEBUG=true: Django shows its debug pages to everybody", "Never in production.")
    if config.ephemeral and not deployment.local:
        yield odd("EPHEMERAL=true: deleting the stack deletes its data", "For trials only.")
    other = os.environ.get("AWS_REGION")
    if other and other != config.aws_default_region:
        yield odd(
            f"AWS_REGION={other}, and AWS_DEFAULT_REGION={config.aws_default_region}",
            "Some tools read the one, some the other: unset AWS_REGION.",
        )
    problems = layer_rules.problems(LAYER.parent, REQUIREMENTS, config.lambda_architecture)
    yield from (odd(problem.partition(": ")[0], "djambda layer") for problem in problems)
    if not problems and not layer_builder.is_current(config.lambda_architecture):
        yield odd("the layer is not the one that would be built now", "djambda layer")
    elif not problems:
        yield good(f"layer for {config.lambda_architecture}")


def of_aws(deployment: Deployment) -> dict[str, list[Finding]]:
    """What AWS says; nothing but that if nobody is logged in."""
    account = attempt("the credentials", lambda: credentials(deployment))
    if any(finding.mark is Mark.BAD for finding in account):
        return {"Account": account}
    found = attempt("the stack", lambda: deployed(deployment))
    if not deployment.local:
        checks: dict[str, Callable[[Deployment], Iterator[Finding]]] = {
            "the CDK's bootstrap": bootstrap,
            "Lambda's concurrency": concurrency,
            "the domain": domain,
        }
        if found[0].said == NOT_DEPLOYED:
            checks |= {"the number of VPCs": vpcs, "the number of database clusters": clusters}
            checks |= {"the account's plan": plan}
        for about, check in checks.items():
            account += attempt(about, partial(check, deployment))
    return {"Account": account, "Stack": found}


def attempt(about: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The check's findings, with the last that it could not be made if it could not."""
    found: list[Finding] = []
    try:
        with aws_errors():
            found.extend(check())
    except CliError as error:
        why = error.output.strip().rpartition("\n")[2]
        found.append(odd(f"{about} cannot be looked at: {why or error}"))
    return found


def credentials(deployment: Deployment) -> Iterator[Finding]:
    """Who asks, and whether it is the right account."""
    wanted = deployment.config.aws_account_id
    try:
        with aws_errors():
            me = deployment.client("sts").get_caller_identity()
    except CliError as error:
        yield bad("AWS does not let you in", f"{error.output}\n{error}".strip())
        return
    if wanted and me["Account"] != wanted:
        yield bad(
            f"you are in account {me['Account']}, and AWS_ACCOUNT_ID is {wanted}",
            "Take the other profile (AWS_PROFILE), or correct the variable.",
        )
    else:
        yield good(f"account {me['Account']}, as {me['Arn'].rpartition(':')[2]}")
    if not wanted:
        yield odd("AWS_ACCOUNT_ID is not set", "With it, no other account can be deployed to.")


def bootstrap(deployment: Deployment) -> Iterator[Finding]:
    """The CDK's own stack."""
    ssm = deployment.client("ssm")
    config = deployment.config
    place = f"aws://{config.aws_account_id or 'ACCOUNT'}/{config.aws_default_region}"
    do = f'cdk bootstrap --app "" {place}'
    try:
        version = int(ssm.get_parameter(Name=BOOTSTRAP_VERSION)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        yield odd(f"the CDK is not set up in {config.aws_default_region} yet", do)
        return
    if version < BOOTSTRAP_NEEDED:
        yield bad(f"the CDK's bootstrap has version {version}, {BOOTSTRAP_NEEDED} is needed", do)
    else:
        yield good(f"CDK bootstrap, version {version}")


def concurrency(deployment: Deployment) -> Iterator[Finding]:
    """Whether enough functions may run at once: new accounts start with 10."""
    lambda_ = deployment.client("lambda")
    limits = lambda_.get_account_settings()["AccountLimit"]
    limit, unreserved = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    wanted = deployment.config.lambda_concurrency or 0
    try:
        own = lambda_.get_function_concurrency(FunctionName=deployment.function)
    except lambda_.exceptions.ResourceNotFoundException:
        own = {}
    left = unreserved + own.get("ReservedConcurrentExecutions", 0) - wanted
    more = "Ask for more: Service Quotas, AWS Lambda, Concurrent executions."
    if wanted and left < min(UNRESERVED, limit):
        yield bad(
            f"LAMBDA_CONCURRENCY={wanted} cannot be reserved: of the account's {limit}, "
            f"{min(UNRESERVED, limit)} have to stay unreserved",
            f"Leave the variable empty. {more}",
        )
    elif limit < SMALL_CONCURRENCY:
        yield odd(f"{limit} functions at once, which is {limit // 2} requests to the site", more)
    else:
        yield good(f"{limit} functions at once")


def domain(deployment: Deployment) -> Iterator[Finding]:
    """Whether the hosted zone is the domain's."""
    name, zone_id = deployment.config.domain_name, deployment.config.hosted_zone_id
    if not name or not zone_id:
        return
    route53 = deployment.client("route53")
    try:
        zone = route53.get_hosted_zone(Id=zone_id)["HostedZone"]["Name"].rstrip(".")
    except route53.exceptions.NoSuchHostedZone:
        yield bad(
            f"HOSTED_ZONE_ID={zone_id} is not in this account", "aws route53 list-hosted-zones"
        )
        return
    if f".{name}".endswith(f".{zone}"):
        yield good(f"{name} is in the zone {zone}")
    else:
        yield bad(f"{name} is not in the zone {zone} ({zone_id})", "Correct HOSTED_ZONE_ID.")


def vpcs(deployment: Deployment) -> Iterator[Finding]:
    """Whether there is room for another VPC."""
    pages = deployment.client("ec2").get_paginator("describe_vpcs").paginate()
    there = sum(len(page["Vpcs"]) for page in pages)
    service, code = VPC_QUOTA
    quotas = deployment.client("service-quotas")
    limit = VPC_DEFAULT
    with contextlib.suppress(ClientError):
        quota = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
        limit = int(quota["Quota"]["Value"])
    yield _room(
        "VPCs", there, limit, "Delete one, or ask for more: Service Quotas, VPC, VPCs per Region."
    )


def clusters(deployment: Deployment) -> Iterator[Finding]:
    """Whether there is room for another database cluster."""
    for quota in deployment.client("rds").describe_account_attributes()["AccountQuotas"]:
        if quota["AccountQuotaName"] == "DBClusters":
            yield _room(
                "database clusters",
                quota["Used"],
                quota["Max"],
                "Ask for more: Service Quotas, RDS.",
            )


def plan(deployment: Deployment) -> Iterator[Finding]:
    """Whether the account may have this kind of database."""
    # The API is in one region for all.
    freetier = deployment.client("freetier", region_name="us-east-1")
    try:
        found = freetier.get_account_plan_state()
    except freetier.exceptions.ResourceNotFoundException:
        return  # Accounts from before there were plans have none.
    if found["accountPlanType"] == "FREE":
        yield bad(
            "the account is on AWS's Free plan, which has no Aurora of this kind",
            "Upgrade: Billing and Cost Management, Upgrade plan. It stays about $0 while idle.",
        )
    else:
        yield good("paid plan")


def deployed(deployment: Deployment) -> Iterator[Finding]:
    """What is deployed, and how it is."""
    stack = status.stack_of(deployment)
    if not stack:
        yield odd(NOT_DEPLOYED, deployment.command("deploy"))
        return
    yield _stack(deployment, stack)
    found = status.status_of(deployment)
    if not isinstance(found.history, status.Unknown):
        yield from _versions(deployment, found.history)
    if not isinstance(found.database, status.Unknown):
        yield _database(found.database)
    if found.closed is True:
        yield odd("the site is closed for maintenance", deployment.command("maintenance off"))
    if not isinstance(found.errors, status.Unknown):
        number = len(found.errors)
        yield (
            odd(
                f"{number} error{'s' * (number > 1)} in 24 hours",
                deployment.command("logs --errors --since 1d"),
            )
            if number
            else good("no error in 24 hours")
        )
    for unknown in (found.history, found.database, found.closed, found.errors):
        if isinstance(unknown, status.Unknown):
            yield odd(unknown.reason)


def _stack(deployment: Deployment, stack: status.Stack) -> Finding:
    words = stack.status.lower().replace("_", " ")
    if stack.is_busy:
        return odd(f"{stack.name}: {words}", "Wait until it is through.")
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        return odd(
            f"{stack.name}: the last deploy failed, what was before serves",
            deployment.command("deploy"),
        )
    if stack.status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
        return good(f"{stack.name}: {words}")
    return bad(
        f"{stack.name}: {words}",
        f"{deployment.command('deploy')} says what to do. The reason: aws cloudformation "
        f"describe-stack-events --stack-name {stack.name}",
    )


def _versions(deployment: Deployment, past: History) -> Iterator[Finding]:
    live = past.live
    found = deployment.client("lambda").get_function_configuration(
        FunctionName=deployment.function, Qualifier=ALIAS
    )
    state, why = found.get("State", "Active"), found.get("StateReason", "")
    if state == "Active":
        yield good(f"version {live.number} serves, commit {live.short_commit}")
    elif state in {"Inactive", "Pending"}:
        yield odd(
            f"version {live.number} is {state.lower()}: {why}",
            "After weeks without a request the first one takes minutes. Open the site.",
        )
    else:
        yield bad(f"version {live.number} is {state.lower()}: {why}", deployment.command("deploy"))
    if past.newer:
        number = past.newer[0].number
        yield odd(
            f"version {number} is newer and does not serve: somebody has gone back",
            "The next deploy that changes anything in Django serves a new version.",
        )


def _database(database: status.Database) -> Finding:
    if database.state in {"awake", "available", "paused", "resuming"}:
        return good(f"database {database.state}")
    if database.state.endswith("ing"):
        return odd(f"database {database.state}")
    return bad(
        f"database {database.state}",
        f"aws rds describe-events --source-type db-cluster --source-identifier {database.cluster}",
    )


def _room(things: str, there: int, limit: int, do: str) -> Finding:
    said = f"{there} of {limit} {things}"
    return good(said) if there < limit else bad(f"{said}: no room for another", do)


def _unusable(error: CliError, *, local: bool) -> Finding:
    if local:
        return odd(str(error))
    first, *problems = str(error).splitlines()
    return bad("\n".join([first.rstrip(":"), *problems[:-1]]), problems[-1] if problems else "")


def _tool(name: str, version: str, do: str) -> Finding:
    return good(f"{name} {version}") if version else bad(f"{name} is missing", do)


def _said(name: str, *arguments: str) -> str:
    """What a tool prints; "" if it cannot be run."""
    try:
        command = [tool(name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (CliError, OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _version_of_cdk(file: str) -> str:
    try:
        packages = json.loads((ROOT / f"{file}.json").read_text())["packages"]
        return str(packages["node_modules/aws-cdk"]["version"])
    except (OSError, ValueError, KeyError):
        return ""


def _page(report: dict[str, list[Finding]]) -> Text:
    page = Text()
    for section, findings in report.items():
        page.append(f"{section}\n", "bold")
        for finding in findings:
            sign, style = finding.mark.sign
            page.append(f"  {sign} ", style).append(printable(finding.said.replace("\n", "\n    ")))
            if finding.do:
                page.append("\n    " + finding.do.replace("\n", "\n    "), "dim")
            page.append("\n")
    problems, odds = (
        sum(finding.mark is mark for findings in report.values() for finding in findings)
        for mark in (Mark.BAD, Mark.ODD)
    )
    if not problems and not odds:
        return page.append("\nAll is well.", "green")
    return page.append(
        f"\n{problems} problem{'s' * (problems != 1)}, {odds} to know of.",
        "red" if problems else "",
    )
