"""`djambda mail --local`: the mail that the local cloud has captured."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import use_deployment
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.local.mailbox import Mail, load_mail
from djambda_cli.operations.mail_rendering import (
    mail_as_json,
    mail_table,
    render_mail,
    summary_as_json,
)
from djambda_cli.options import DEFAULT_FOLDER, Folder, Json, Local
from djambda_cli.terminal import stderr, stdout
from djambda_common.names import ALIAS, SENDER_VARIABLE


class Action(StrEnum):
    """The action on the mail."""

    LIST = "list"
    SHOW = "show"


def mail(
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    number: Annotated[
        int | None, typer.Argument(help="The message to show. Default: the newest.")
    ] = None,
    *,
    local: Local = False,
    as_json: Json = False,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """List the mail that the site has sent in the local cloud, or show a message.

    The local cloud does not deliver mail. It captures the messages that the site sends with Amazon
    SES, which requires the variable MAIL_FROM. `show` prints a message's headers and text, and the
    names of its attachments.

    Example: `djambda mail --local show 1`
    """
    if not local:
        raise CliError(
            "Only the local cloud captures mail: djambda mail --local. On AWS, SES delivers it."
        )
    cloud = LocalCloud(folder)
    if action is Action.LIST and number is not None:
        command = f"djambda mail show {number}{cloud.options}"
        raise CliError(f"`list` takes no number. To show a message: {command}")
    mails = load_mail(cloud.folder)
    if action is Action.SHOW:
        if not mails:
            raise CliError(f"The site has sent no mail. {reason(cloud, load_sender(cloud))}")
        chosen = choose(mails, number)
        if as_json:
            stdout.print_json(json.dumps(mail_as_json(chosen)))
        else:
            stdout.print(render_mail(chosen), soft_wrap=True)
    elif as_json:
        stdout.print_json(json.dumps([summary_as_json(each) for each in mails]))
    elif mails:
        stdout.print(mail_table(mails))
    else:
        stderr.print(
            f"The site has sent no mail. {reason(cloud, load_sender(cloud))}", soft_wrap=True
        )


def choose(mails: Sequence[Mail], number: int | None) -> Mail:
    """Return the message with a number, or the newest. Raises `CliError` if there is none."""
    if number is None:
        return mails[-1]
    try:
        return next(each for each in mails if each.number == number)
    except StopIteration:
        raise CliError(f"There is no message {number}. The newest is {mails[-1].number}.") from None


def load_sender(cloud: LocalCloud) -> str | None:
    """Return the sender of the site's mail, "" if it has none, and None if there is no site."""
    if cloud.running() is None:
        return None
    deployment = use_deployment(local=True, folder=cloud.folder)
    lambda_ = deployment.client("lambda")
    with aws_errors():
        try:
            live = lambda_.get_function_configuration(
                FunctionName=deployment.function, Qualifier=ALIAS
            )
        except lambda_.exceptions.ResourceNotFoundException:
            return None
    return str(live.get("Environment", {}).get("Variables", {}).get(SENDER_VARIABLE, ""))


def reason(cloud: LocalCloud, sender: str | None) -> str:
    """Return why there may be no mail, for the sender that `load_sender` returns."""
    up = cloud.command("up")
    if sender is None:
        return f"The local cloud is not running. Start it, with MAIL_FROM set: {up}"
    if not sender:
        return f"Mail needs a sender: MAIL_FROM=site@example.com {up}"
    return (
        f"It would send as {sender}. Mail that it sends with another service than SES is not "
        "captured."
    )
