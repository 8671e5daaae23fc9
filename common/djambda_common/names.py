"""Names that the CDK app, the CLI and the Lambda packages share, each declared once.

Only constants and no imports: the proxy imports this module at every cold start.
"""

ALIAS = "live"
"""The alias of the Django function that the proxy invokes; it points to the live version."""

TASKS_ALIAS = "tasks"
"""The alias for background tasks. It also points to the live version, but Lambda retries its
asynchronous invocations."""

DJANGO_SUFFIX = "-djambda-lambda"
PROXY_SUFFIX = "-proxy"
RELEASE_SUFFIX = "-release"
SECRETS_SUFFIX = "-secrets"
BUCKET_CLEANUP_SUFFIX = "-emptier"
EGRESS_SUFFIX = "-egress"
FAILED_TASKS_SUFFIX = "-failed-tasks"
TASKS_SUFFIX = "-tasks"
DEAD_TASKS_SUFFIX = "-tasks-dead"
"""The stack's name with one of these suffixes is the name of a function, a queue or a group of
scheduled tasks."""

DATABASE_PASSWORD = "database-password"  # noqa: S105 (a parameter's name)
SECRET_KEY = "secret-key"  # noqa: S105 (a parameter's name)
SUPERUSER_PASSWORD = "superuser-password"  # noqa: S105 (a parameter's name)
SECRET_PARAMETERS = (DATABASE_PASSWORD, SECRET_KEY, SUPERUSER_PASSWORD)
"""The SSM parameters below a deployment's secrets path."""

BUILD_ID_VARIABLE = "RELEASE"
"""The Django function's environment variable with the hash of its code and layer."""

EGRESS_VARIABLE = "EGRESS_FUNCTION"
"""The Django function's environment variable with the egress function, if there is one."""

IPV4_LOGGER = "djambda.ipv4_hosts"
"""The logger of the hosts without an IPv6 address; the field `host` of its records has the name."""

VARIABLES_CONTEXT = "djambda:variables"
SNAPSHOT_VARIABLE = "VARIABLES_SNAPSHOT"
"""The CDK app's context key, and the Django function's environment variable, with the id of the
snapshot of the project's variables that a version reads, or `NONE` if the project has none. A
version without it reads the current variables.
"""

NAMES_VARIABLE = "VARIABLE_NAMES"
"""The Django function's environment variable with the project's names of facts about the
deployment: NAME=FACT, separated by spaces.
"""

TASKS_VARIABLE = "DJAMBDA_TASKS"
"""The Django function's environment variable with the backend of the project's tasks."""
TASKS_TARGET_VARIABLE = "DJAMBDA_TASKS_TARGET"
TASKS_ROLE_VARIABLE = "DJAMBDA_TASKS_ROLE"
"""Those with the ARNs of the alias that runs tasks, and of the role with which EventBridge
Scheduler invokes it for tasks with `run_after`."""
TASKS_QUEUE_VARIABLE = "DJAMBDA_TASKS_QUEUE"
DEAD_TASKS_VARIABLE = "DJAMBDA_TASKS_DEAD_LETTERS"
"""Those with the URLs of the queue and of its dead-letter queue, if the backend is the queue."""
DIRECT, QUEUE = TASK_BACKENDS = ("direct", "queue")
TASK_ATTEMPTS = 3
"""The attempts that a task has; those after the first one are Lambda's retries."""

MAINTENANCE_VARIABLE = "MAINTENANCE"
"""The proxy's environment variable with the SHA-256 of the bypass secret, in hexadecimal digits.

Unset or empty if the site is not in maintenance.
"""
MAINTENANCE_BYPASS = "djambda-bypass"
"""The query parameter and the cookie that carry the bypass secret."""

CORS_VARIABLE = "CORS_ORIGINS"
"""The setting, and the proxy's environment variable, with the origins that may read its errors."""

BLOCKED_PATHS_VARIABLE = "BLOCKED_PATHS"
"""The setting, and the proxy's environment variable, with the patterns of blocked paths."""

MAIL_FROM_VARIABLE = "MAIL_FROM"
"""The setting with the sender of the site's mail."""
SENDER_VARIABLE = "DJAMBDA_MAIL_FROM"
"""The Django function's environment variable with the sender, in the form of a header (RFC 5322).

A project may have a variable MAIL_FROM of its own.
"""
PERMITTED_VARIABLE = "DJAMBDA_MAIL_SENDERS"
"""The one with a pattern of the addresses from which the site may send: "*@example.com"."""
MAIL_IDENTITY = "MailIdentity"
"""The stack's output with the identity in SES that it has created: a domain or an address."""

STATIC_PREFIX = "static/"
PUBLIC_PREFIX = "public/"
MEDIA_PREFIX = "media/"
RUNS_PREFIX = "runs/"
"""The prefixes of the assets bucket: static files, public media, private media, and the output of
management commands with one folder per run. Everyone can read the first two."""

SCHEDULES_PREFIX = "schedules/"
"""The prefix of the assets bucket with the last run of each schedule: `schedules/<name>.json`."""

SCHEDULES = "ScheduleNames"
"""The stack's output with the names of its schedules, separated by spaces. A project without
schedules has none."""

ENQUEUE_COMMAND = "enqueue_task"
"""The management command that enqueues a task, which schedules run."""
TASKS_PREFIX = "tasks/"
FAILED_TASKS_PREFIX = "tasks/failed/"
"""The prefixes of the records of tasks (`task_record.py`), and of an empty object for each task
that has failed."""

ASYNC_START_SECONDS = 300
"""The time that Lambda has to start an asynchronous management command before it drops it."""

SUPERUSER = "Superuser"
REPLACED_SETTINGS = "ReplacedSettings"
ADMIN_PATH = "AdminPath"
"""The stack's outputs, and the release's attributes, with the superuser's login, with the project's
settings that the deployment replaces, and with the path of the admin below the site's URL."""
NONE = "none"
UNKNOWN = "unknown"
"""Their values if there is nothing, and if the released version could not be asked."""

OMISSION = "\n[...]\n"
"""Marks the omitted part of a failure reason that is too long for CloudFormation."""

ERROR_HEADER = "x-djambda-error"
"""The header with which the Django function reports an error code and its request ID."""

START_FAILURE = "DjangoFailedToStart"
"""The type of the Django function's error if Django does not start."""

DATABASE_ASLEEP = "DatabaseAsleep"
"""The type of that error if Django's start needs the database, which is paused."""

START_FAILURES = (START_FAILURE, DATABASE_ASLEEP)

RELEASE_COMMANDS = ("migrate --no-input", "collectstatic --no-input")
"""The management commands of a release, unless the project lists its own."""
