"""The runtime as a Django app: its management commands and its checks."""

import os
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, register

from djambda.aws import is_deployed
from djambda_common.names import SENDER_VARIABLE


class DjambdaConfig(AppConfig):
    """Checks the project's storages on Lambda, where a release runs Django's checks."""

    name = "djambda"

    def ready(self) -> None:
        if is_deployed():
            register(check_storages)
            if os.environ.get(SENDER_VARIABLE):
                from djambda.mail.admins import survive_failures  # noqa: PLC0415 (few send mail)

                register(check_senders)
                survive_failures()


def check_storages(**_: Any) -> list[CheckMessage]:
    """Return a message for each storage that cannot work on Lambda."""
    from djambda.storage_checks import storage_messages  # noqa: PLC0415 (requests need none)

    return storage_messages()


def check_senders(**_: Any) -> list[CheckMessage]:
    """Return a message for each sender of mail that SES would refuse."""
    from djambda.mail.checks import sender_messages  # noqa: PLC0415 (requests need none)

    return sender_messages()
