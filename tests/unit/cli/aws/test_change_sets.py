"""The summary of a change set."""

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
