"""How long things stay."""

from __future__ import annotations

from aws_cdk import RemovalPolicy, aws_logs as logs

from infra.stages import Stage

_DAYS = {7: logs.RetentionDays.ONE_WEEK, 30: logs.RetentionDays.ONE_MONTH, 365: logs.RetentionDays.ONE_YEAR}


def log_retention(stage: Stage) -> logs.RetentionDays:
    return _DAYS[stage.log_days]


def removal(stage: Stage) -> RemovalPolicy:
    """Of what an operator may miss: kept where the stage keeps data, but not if creating it fails."""
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if stage.retain_data else RemovalPolicy.DESTROY
