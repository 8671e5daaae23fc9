"""Metrics of CloudWatch."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

SECONDS_PER_MINUTE, SECONDS_PER_HOUR, SECONDS_PER_DAY = 60, 3_600, 86_400


class Metric(NamedTuple):
    """A metric of one resource, which a dimension selects."""

    namespace: str
    name: str
    dimension: str
    resource: str


def load_datapoints(
    client: Any,
    metric: Metric,
    statistic: Literal["Average", "Sum"],
    *,
    since: datetime,
    period: int,
) -> list[float]:
    """Return one number for each `period` (s) since a time, the oldest first."""
    response = client.get_metric_statistics(
        Namespace=metric.namespace,
        MetricName=metric.name,
        Dimensions=[{"Name": metric.dimension, "Value": metric.resource}],
        StartTime=since,
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=period,
        Statistics=[statistic],
    )
    datapoints = sorted(response["Datapoints"], key=lambda datapoint: datapoint["Timestamp"])
    return [datapoint[statistic] for datapoint in datapoints]


def capacity(cluster: str) -> Metric:
    """Return the metric of a database cluster's size in ACU."""
    return Metric("AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", cluster)
