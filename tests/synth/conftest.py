"""Fixtures: each configuration is synthesized once per session and checked by cdk-nag."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks

from awscdk.config import Config
from awscdk.discovery import Project
from awscdk.project_file import ProjectFile
from awscdk.project_schedules import ProjectSchedule
from awscdk.readers import Mailbox
from awscdk.stack import DjambdaStack

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "tests" / "projects" / "shop"
PROJECT = Project(SHOP, SHOP / "requirements.txt", SHOP / "requirements.lock", SHOP / "layer")

type Template = dict[str, Any]

CONFIGURATIONS = {
    "default": Config("mysite", "dev", "eu-west-1"),
    "everything": Config(
        "mysite",
        "prod",
        "us-east-1",
        aws_account_id="123456789012",
        availability_zones=("us-east-1b", "us-east-1d"),
        domain_name="www.example.com",
        hosted_zone_id="Z2FDTNDATAQYW2",
        cors_origins=("https://app.example.com",),
        db_max_acu=8,
        db_pause_minutes=60,
        lambda_memory=2048,
        lambda_timeout=60,
        lambda_architecture="arm64",
        lambda_concurrency=20,
        api_rate=500,
        api_burst=1000,
        log_retention_days=90,
        egress="nat-gateway",
        mail_from=Mailbox("shop@example.com", "Shop"),
        django_superuser_username="root",
        django_superuser_email="root@example.com",
        debug=True,
    ),
    "ephemeral": Config(
        "mysite", "trial", "eu-west-1", cors_origins=("*",), egress="nat-instance", ephemeral=True
    ),
    "proxy": Config("mysite", "dev", "eu-west-1", egress="proxy"),
}

PROJECT_FILES = {
    "everything": ProjectFile(
        python="3.12",
        release=("createcachetable", "migrate --no-input"),
        variables=("APP_KEY=SECRET_KEY", "DB=DATABASE_URL"),
        exclude=("shop/wsgi.py",),
        schedules=(
            ProjectSchedule(
                "clear", "cron(0 3 * * ? *)", run="clearsessions", zone="Europe/Warsaw"
            ),
            ProjectSchedule("close-polls", "rate(15 minutes)", task="polls.tasks.close_polls"),
        ),
    ),
    "ephemeral": ProjectFile(
        python="3.14", schedules=(ProjectSchedule("clear", "rate(1 day)", run="clearsessions"),)
    ),
}
"""The projects' own configurations."""


def new_app(folder: Path) -> cdk.App:
    """Return an app with the feature flags of cdk.json, as the `cdk` command creates it."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    return cdk.App(outdir=str(folder), context=context)


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a small folder like `layers/django`."""
    folder = tmp_path_factory.mktemp("layer")
    (folder / "python").mkdir()
    (folder / "python" / "dependency.py").write_text("answer = 42\n")
    return folder


@pytest.fixture(scope="session")
def cloud_assembly(layer: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that synthesizes a named configuration and fails on cdk-nag's findings."""

    @cache
    def synthesize(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        app = new_app(folder)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        project = replace(PROJECT, layer=layer, file=PROJECT_FILES.get(name, ProjectFile()))
        DjambdaStack(app, CONFIGURATIONS[name], project=project)
        app.synth()
        return folder

    return synthesize


@pytest.fixture(scope="session")
def template(cloud_assembly: Callable[[str], Path]) -> Callable[[str], Template]:
    """Return a function that returns a named configuration's template."""

    @cache
    def read(name: str) -> Template:
        [file] = cloud_assembly(name).glob("*.template.json")
        parsed: Template = json.loads(file.read_text())
        return parsed

    return read


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """Return the properties of all resources of a type."""
    return [
        resource.get("Properties", {})
        for resource in template["Resources"].values()
        if resource["Type"] == kind
    ]


def only(template: Template, kind: str) -> dict[str, Any]:
    """Return the properties of the only resource of a type."""
    [properties] = resources(template, kind)
    return properties
