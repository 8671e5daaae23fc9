"""The summary of a change set."""

import pytest

from djambda_cli.aws.change_sets import Change, summarize


def test_summary_omits_kept_resources_without_data() -> None:
    assert summarize(
        [
            Change("add", "AWS::Lambda::Version", "DjangoVersion"),
            Change("leave", "AWS::Lambda::Version", "DjangoVersion"),
            Change("change", "AWS::Lambda::Function", "Django"),
            Change("leave", "AWS::S3::Bucket", "Assets"),
        ]
    ) == ("1 added, 1 changed, 1 removed from the stack, but not deleted")


@pytest.mark.parametrize(
    ("kind", "resource", "name", "endangers"),
    [
        ("remove", "AWS::RDS::DBCluster", "DatabaseCluster", True),
        ("change", "AWS::RDS::DBCluster", "DatabaseCluster", False),
        ("remove", "AWS::SQS::Queue", "TasksQueueTasks", True),
        # Django has created the schedules in this group, and the project those in the other one.
        ("remove", "AWS::Scheduler::ScheduleGroup", "TasksLater", True),
        ("change", "AWS::Scheduler::ScheduleGroup", "TasksLater", False),
        ("remove", "AWS::Scheduler::ScheduleGroup", "SchedulesGroup", False),
        ("remove", "AWS::Lambda::Function", "TasksFailedFunction", False),
    ],
)
def test_data_is_endangered(kind: str, resource: str, name: str, endangers: bool) -> None:
    assert Change(kind, resource, name).endangers_data == endangers
