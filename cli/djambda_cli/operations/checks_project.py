"""Checks of the project before a deploy: what would fail, or be wrong, on Lambda."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import distributions
from textwrap import indent

from awscdk.discovery import Project
from awscdk.layer import SIZE_LIMIT
from djambda_cli.aws import variables
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.operations.checks_commands import check_commands
from djambda_cli.operations.findings import Finding, Level, Report, ok, problem, warning
from djambda_cli.project.inspection import Inspection, Missing, inspect, obstacle
from djambda_cli.project.layer import measure
from djambda_cli.project.site_paths import find_site_paths
from djambda_common.variables import KINDS, encode

DJANGO = ("5.2", "6.0", "6.1")
"""The supported versions of Django."""
SHOWN = 5
"""The places that a finding names."""
DEBUG_APPS = ("debug_toolbar", "silk", "django_browser_reload")
WORKERS = {"celery", "django-q", "django-q2", "django-rq", "dramatiq", "huey"}
"""Packages whose tasks wait for a worker that a deployment does not have."""
WEBSOCKETS = {"channels"}
MISSING_MODULE = "ModuleNotFoundError"
MODULE_ACTION = (
    "Add its package to the requirements, or name its extra or group in djambda.toml. For a module "
    "of the project: `djambda synth --files` shows whether it ships."
)
OTHER_ENGINES = {
    "django_mysql": "MySQL",
    "djongo": "MongoDB",
    "mssql": "SQL Server",
    "sql_server": "SQL Server",
}
"""Apps that work with another database only, and its name."""


def check_project(deployment: Deployment, project: Project, *, with_values: bool) -> Report:
    """Return the findings about a project whose layer is current. Raises `CliError`.

    `with_values` is whether the values of the project's variables are read. Otherwise
    placeholders take their place.
    """
    report: Report = {"Packages": list(check_packages(project))}
    if reason := obstacle(project, deployment.config.lambda_architecture):
        report["Settings"] = [
            warning(
                f"this machine cannot start the project: {reason}",
                "Run `djambda check` on a machine that can, such as a pipeline's runner.",
            )
        ]
    else:
        stored = stored_variables(deployment, with_values=with_values)
        inspection = inspect(
            project, function_variables(deployment), stored.parameters, stored.names
        )
        report["Settings"] = [*stored.findings, *check_settings(inspection, deployment, stored)]
        report["Commands"] = list(check_commands(project.file, inspection.facts))
        report["Django's checks"] = list(check_messages(inspection.messages))
    if not deployment.config.domain_name:
        report["Paths"] = list(check_paths(find_site_paths(project)))
    return {section: findings for section, findings in report.items() if findings}


def function_variables(deployment: Deployment) -> dict[str, str]:
    """Return the variables of the Django function that the configuration decides."""
    config = deployment.config
    return {
        "APP_NAME": config.app_name,
        "AWS_REGION": config.aws_default_region,
        "DEBUG": "1" if config.debug else "",
        "DJANGO_SUPERUSER_EMAIL": config.superuser_email,
        "DJANGO_SUPERUSER_USERNAME": config.django_superuser_username,
        "ENVIRONMENT": config.environment,
        **config.mail_variables,
    }


@dataclass(frozen=True)
class Stored:
    """The known facts about the project's variables in SSM.

    `parameters` are their stored values by the names below the path, or else `names` are their
    names. `findings` has the reason if not even these can be read.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def stored_variables(deployment: Deployment, *, with_values: bool) -> Stored:
    """Return the project's variables, as far as they can be read."""
    if deployment.local and not deployment.local.running():
        return Stored()
    client, path = deployment.client("ssm"), deployment.config.secrets_path
    if with_values:
        with suppress(CliError):
            return Stored(
                {
                    f"{kind}/{name}": encode(value)
                    for kind in KINDS
                    for name, value in variables.load(client, path, kind).items()
                }
            )
    try:
        return Stored(names=frozenset(variables.names_of_all(client, path)))
    except CliError as error:
        reason = error.output.strip().rpartition("\n")[2]
        finding = warning(f"could not read the names of the variables: {reason or error}")
        return Stored(findings=(finding,))


def check_packages(project: Project) -> Iterator[Finding]:
    """Check the version of Django and the size of the layer."""
    python = project.layer / "python"
    versions = {
        distribution.name.lower(): distribution.version
        for distribution in distributions(path=[str(python)])
    }
    version = versions.get("django", "")
    if ".".join(version.split(".")[:2]) not in DJANGO:
        yield problem(
            f"Django {version} is not supported" if version else "Django is not among the packages",
            f"Require Django {', '.join(DJANGO[:-1])} or {DJANGO[-1]} in "
            f"{project.requirements.name}.",
        )
    else:
        yield ok(f"Django {version}")
    yield from check_unsupported(versions)
    sizes = measure(python, project)
    size = f"{sizes.total / 1e6:.0f} MB of Lambda's {SIZE_LIMIT / 1e6:.0f} MB"
    if sizes.are_close_to_the_limit:
        yield warning(f"code and packages have {size}: {sizes.largest}", "Remove unused packages.")
    else:
        yield ok(f"code and packages: {size}")


def check_unsupported(packages: Iterable[str]) -> Iterator[Finding]:
    """Return the findings about packages that need a process of their own."""
    packages = {name.replace("_", "-") for name in packages}
    if workers := sorted(WORKERS & packages):
        yield warning(
            f"{', '.join(workers)}: a deployment has no worker, so tasks for one are never run",
            "Change them to django.tasks, and beat to schedules: see docs/how-to/tasks.md.",
        )
    if websockets := sorted(WEBSOCKETS & packages):
        yield warning(
            f"{', '.join(websockets)}: WebSockets do not work on Lambda",
            "Poll instead, or run this part of the site on a server.",
        )


def check_settings(
    inspection: Inspection, deployment: Deployment, stored: Stored
) -> Iterator[Finding]:
    """Return the findings about the start of Django and about the settings.

    What placeholders may have caused is no problem, but a warning.
    """
    are_known = not stored.findings
    for missing in inspection.required:
        message = f"{missing.place} needs the variable {missing.name}"
        action = _how_to_set(missing.name, deployment)
        if are_known:
            yield problem(f"{message}, which is not set", action)
        else:
            yield warning(message, f"If it is not set: {action}")
    if inspection.failure:
        intro = "with placeholders for these variables, " if inspection.required else ""
        finding = problem if are_known and not stored.names else warning
        action = MODULE_ACTION if MISSING_MODULE in inspection.failure else ""
        yield finding(f"{intro}Django does not start:\n{inspection.failure}", action)
        return
    if inspection.optional:
        yield warning(
            f"variables that are not set: {_described(inspection.optional)}",
            f"Set those that the site needs: {_how_to_set('NAME', deployment)}",
        )
    if inspection.connections:
        yield warning(
            f"{inspection.connections[0] or 'a package'} connects to the database while Django "
            "starts",
            "Every cold start then waits for the database. Connect when a request needs it.",
        )
    yield from check_facts(inspection.facts)


def check_facts(facts: Mapping[str, object]) -> Iterator[Finding]:
    """Return the findings about the settings of a project that starts."""
    apps = [str(app) for app in _items(facts, "apps")]
    for app in apps:
        if engine := OTHER_ENGINES.get(app.partition(".")[0]):
            yield problem(
                f"INSTALLED_APPS: {app} needs a {engine} database, and the deployment's is "
                "PostgreSQL",
                "Remove it, or replace it with an app for PostgreSQL.",
            )
        if app.partition(".")[0] in DEBUG_APPS:
            yield warning(
                f"INSTALLED_APPS: {app} is for development",
                "Add it only if an environment variable requires it, not if the module's DEBUG is "
                "True: the deployment sets DEBUG after the settings module has run.",
            )
    engines = facts.get("engines")
    for alias, backend in engines.items() if isinstance(engines, dict) else ():
        if alias != "default" and "sqlite" in str(backend):
            yield warning(
                f'DATABASES["{alias}"] is SQLite, which is read-only on Lambda',
                "Move its tables to the default database, unless they only need to be read.",
            )
    for search in _items(facts, "haystack"):
        if "whoosh" in str(search).lower() or "xapian" in str(search).lower():
            yield problem(
                f"HAYSTACK_CONNECTIONS: {search} writes to the disk, which is read-only on Lambda",
                "Use django.contrib.postgres.search, or a search service.",
            )
    if facts.get("uses_postgres_search") and "django.contrib.postgres" not in apps:
        yield warning(
            "django.contrib.postgres is not in INSTALLED_APPS, but its search is imported",
            "Add it: lookups such as __search are missing otherwise.",
        )
    yield from _check_superuser(facts)
    replaced = facts.get("replaced")
    if isinstance(replaced, dict) and replaced:
        lines = "".join(f"\n{name}: {reason}" for name, reason in replaced.items())
        yield ok(f"settings that the deployment replaces:{lines}")


def _check_superuser(facts: Mapping[str, object]) -> Iterator[Finding]:
    login = facts.get("login")
    if lacking := _items(facts, "superuser_lacks"):
        yield warning(
            f"the user model requires {', '.join(map(str, lacking))}: no superuser is created",
            "Create it after the deploy: djambda manage help createsuperuser",
        )
    elif isinstance(login, dict) and login.get("field") not in {None, "username"}:
        yield ok(f"users log in with {login['field']}; the superuser is {login['value']}")


def check_messages(messages: Iterable[Mapping[str, object]]) -> Iterator[Finding]:
    """Return the messages of Django's checks; equal ones of several objects are one finding."""
    groups: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for message in messages:
        key = tuple(message[part] for part in ("is_error", "id", "message", "hint"))
        groups[key].append(str(message["object"]))
    for (is_error, name, text, hint), objects in groups.items():
        where = _shortened(filter(None, objects))
        shown = ": ".join(filter(None, (where, f"({name}) {text}" if name else str(text))))
        yield (problem if is_error else warning)(shown, str(hint))


def check_paths(paths: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Return the finding about paths without the prefix."""
    found = [f"{place} ({path})" for place, path in paths]
    if found:
        yield warning(
            f"paths without the prefix /prod: {_shortened(found)}",
            "API Gateway rejects them with 403. Use {% url %}, {% static %} and reverse(), or a "
            "custom domain.",
        )


def require_no_problem(report: Report, deployment: Deployment) -> None:
    """Raise `CliError` with all problems of the report, if it has any."""
    problems = [
        "\n".join(filter(None, (finding.message, finding.action)))
        for findings in report.values()
        for finding in findings
        if finding.level is Level.PROBLEM
    ]
    if problems:
        lines = "\n".join(indent(text, "    ").replace("    ", "  - ", 1) for text in problems)
        raise CliError(
            f"The project would not work on Lambda. Nothing was deployed.\n{lines}\n"
            f"To check again: {deployment.command('check')}"
        )


def _how_to_set(name: str, deployment: Deployment) -> str:
    return f"{deployment.command(f'env set {name}')}, or {deployment.command(f'secret set {name}')}"


def _described(variables: list[Missing]) -> str:
    return _shortened(f"{missing.name} ({missing.place})" for missing in variables)


def _shortened(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)


def _items(facts: Mapping[str, object], key: str) -> list[object]:
    value = facts.get(key)
    return value if isinstance(value, list) else []
