"""The messages that explain how a deploy ended, and name the command to continue with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Commands:
    """The commands for a deployment, as its user types them."""

    deploy: str
    destroy: str


RESUMABLE = {"CREATE_FAILED", "UPDATE_FAILED"}
"""The statuses after a failure without a rollback: the next deploy continues from there."""


def stuck_message(status: str, stack: str, commands: Commands) -> str | None:
    """Return the reason why a stack cannot be deployed to; None if it can be."""
    match status:
        case "ROLLBACK_FAILED":
            return (
                f"The first deploy of {stack} failed, and CloudFormation could not delete "
                "everything it had created: the database is protected against deletion. The site "
                f"was never live. Start over: {commands.destroy}, which asks for the stack's name "
                f"and keeps a snapshot of the database, then {commands.deploy}"
            )
        case "DELETE_FAILED":
            return (
                f"{stack} is partly deleted. Finish that first: {commands.destroy}. "
                f"Then: {commands.deploy}"
            )
        case "UPDATE_ROLLBACK_FAILED":
            return (
                f"The last deploy of {stack} failed, and CloudFormation could not roll it back. "
                "The previous version is still live. Fix the cause above, then: aws cloudformation "
                f"continue-update-rollback --stack-name {stack}. Then: {commands.deploy}"
            )
    return None


def failure_message(status: str, stack: str, commands: Commands, *, restored: str = "") -> str:
    """Return the state after a failed deploy, by the stack's status.

    `restored` is the version that was live before and had to be made live again, "" if none.
    """
    if stuck := stuck_message(status, stack, commands):
        return stuck
    retry = f"Fix the cause above, then: {commands.deploy}"
    if restored:
        return f"The deploy failed and was rolled back. Version {restored} is live again. {retry}"
    if status in RESUMABLE:
        return (
            "The deploy failed. The resources created so far are kept, and the next deploy "
            f"continues from there. {retry}. To delete them instead: {commands.destroy}"
        )
    if status == "ROLLBACK_COMPLETE":
        return f"The first deploy failed, and its resources were deleted. {retry}"
    return (
        "The deploy failed and was rolled back. The previous version has been live all the time. "
        f"{retry}"
    )
