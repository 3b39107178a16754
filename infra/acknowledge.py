"""Accepting a finding of cdk-nag or cfn-lint: always on one resource, always with the reason."""

from __future__ import annotations

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, reason: str, *rules: str) -> None:
    """Accepts `rules` (such as `AwsSolutions-RDS11`) on `construct` alone."""
    Validations.of(construct).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule in rules))


def acknowledge_lint(resource: CfnResource, reason: str, *rules: str) -> None:
    """Accepts `rules` of cfn-lint (such as `W3005`) on `resource` alone."""
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": list(rules)}, "reason": reason})
