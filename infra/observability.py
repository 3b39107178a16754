"""A dashboard for every stage and, where the stage asks for them, alarms and a firewall."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import (
    Duration,
    aws_apigateway as gateway,
    aws_cloudwatch as cw,
    aws_cloudwatch_actions as actions,
    aws_lambda as lambda_,
    aws_sns as sns,
    aws_sns_subscriptions as subscriptions,
    aws_wafv2 as waf,
)
from constructs import Construct

from infra.queues import QueueWithDeadLetters
from infra.stages import Stage

FIVE_MINUTES = Duration.minutes(5)
NAMESPACE = "Modelyard"  # `modelyard.telemetry.metrics`, whose package the app does not import
REQUESTS_PER_ADDRESS = 20_000  # in five minutes; users have their own, smaller limit


class Dashboard(Construct):
    """What an operator looks at first."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        api: gateway.RestApi,
        functions: Mapping[str, lambda_.Function],
        queues: Mapping[str, QueueWithDeadLetters],
    ) -> None:
        super().__init__(scope, id)
        at_stage = api.deployment_stage
        dashboard = cw.Dashboard(self, "Dashboard", dashboard_name=stage.prefix)
        dashboard.add_widgets(
            _graph(
                "Requests",
                [at_stage.metric_count(), at_stage.metric_client_error(), at_stage.metric_server_error()],
            ),
            _graph("API latency, ms", [at_stage.metric_latency(statistic=s) for s in ("p50", "p95", "p99")]),
            _graph(
                "Predictions, ms", [functions["predict"].metric_duration(statistic=s) for s in ("p50", "p95")]
            ),
        )
        dashboard.add_widgets(
            _graph("Errors", [each.metric_errors(label=name) for name, each in functions.items()]),
            _graph("Throttles", [each.metric_throttles(label=name) for name, each in functions.items()]),
            _graph(
                "Environments at once",
                [
                    each.metric("ConcurrentExecutions", statistic="max", label=name)
                    for name, each in functions.items()
                ],
            ),
        )
        dashboard.add_widgets(
            _graph(
                "Messages waiting",
                [
                    each.main.metric_approximate_number_of_messages_visible(label=name)
                    for name, each in queues.items()
                ],
            ),
            _graph(
                "Oldest message, s",
                [
                    each.main.metric_approximate_age_of_oldest_message(label=name)
                    for name, each in queues.items()
                ],
            ),
            _graph(
                "Dead letters",
                [
                    each.dead.metric_approximate_number_of_messages_visible(label=name)
                    for name, each in queues.items()
                ],
            ),
        )


def _graph(title: str, metrics: list[cw.IMetric]) -> cw.GraphWidget:
    return cw.GraphWidget(title=title, left=metrics, width=8)


class Alarms(Construct):
    """Alarms that need a person, sent to one topic."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        api: gateway.RestApi,
        functions: Mapping[str, lambda_.Function],
        queues: Mapping[str, QueueWithDeadLetters],
        email: str | None,
    ) -> None:
        super().__init__(scope, id)
        self._prefix = stage.prefix
        self.topic = sns.Topic(self, "Topic", topic_name=f"{stage.prefix}-alarms", enforce_ssl=True)
        if email:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        for name, function in functions.items():
            self._alarm(f"{name}-errors", function.metric_errors(period=FIVE_MINUTES), 5)
            self._alarm(f"{name}-throttles", function.metric_throttles(period=FIVE_MINUTES), 10)
        for name, queue in queues.items():
            dead = queue.dead.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES)
            self._alarm(f"{name}-dead-letters", dead, 1)
            age = queue.main.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES)
            self._alarm(f"{name}-queue-age", age, 900, periods=2)
        at_stage = api.deployment_stage
        self._alarm("api-5xx", at_stage.metric_server_error(period=FIVE_MINUTES), 10)
        self._alarm(
            "api-p95-ms", at_stage.metric_latency(statistic="p95", period=FIVE_MINUTES), 1000, periods=3
        )
        for name in ("record_predictions", "roll_up"):  # both withdraw canaries
            withdrawn = cw.Metric(
                namespace=NAMESPACE,
                metric_name="canaries_withdrawn",
                dimensions_map={"service": functions[name].function_name},
                period=FIVE_MINUTES,
                statistic="Sum",
            )
            self._alarm(f"{name}-canaries-withdrawn", withdrawn, 1)
        predictions = functions["predict"].metric_duration(statistic="p95", period=FIVE_MINUTES)
        self._alarm("predict-p95-ms", predictions, 200, periods=3)

    def _alarm(self, name: str, metric: cw.Metric, threshold: float, *, periods: int = 1) -> None:
        alarm = cw.Alarm(
            self,
            name,
            alarm_name=f"{self._prefix}-{name}",
            metric=metric,
            threshold=threshold,
            comparison_operator=cw.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=cw.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))


class Firewall(Construct):
    """AWS's rule groups and a limit per address, in front of the API."""

    # These read bodies; models and inputs are large and may be any text. They count instead of blocking.
    COUNT_ONLY = (
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "EC2MetaDataSSRF_BODY",
    )

    def __init__(self, scope: Construct, id: str, *, stage: Stage, api: gateway.RestApi) -> None:
        super().__init__(scope, id)
        overrides = [
            waf.CfnWebACL.RuleActionOverrideProperty(
                name=name, action_to_use=waf.CfnWebACL.RuleActionProperty(count={})
            )
            for name in self.COUNT_ONLY
        ]
        acl = waf.CfnWebACL(
            self,
            "Acl",
            name=stage.prefix,
            scope="REGIONAL",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visible(stage.prefix),
            rules=[
                self._group(1, "AWSManagedRulesAmazonIpReputationList"),
                self._group(2, "AWSManagedRulesKnownBadInputsRuleSet"),
                self._group(3, "AWSManagedRulesCommonRuleSet", overrides),
                waf.CfnWebACL.RuleProperty(
                    name="per-address",
                    priority=4,
                    action=waf.CfnWebACL.RuleActionProperty(block={}),
                    visibility_config=_visible("per-address"),
                    statement=waf.CfnWebACL.StatementProperty(
                        rate_based_statement=waf.CfnWebACL.RateBasedStatementProperty(
                            limit=REQUESTS_PER_ADDRESS, aggregate_key_type="IP"
                        )
                    ),
                ),
            ],
        )
        waf.CfnWebACLAssociation(
            self, "Association", resource_arn=api.deployment_stage.stage_arn, web_acl_arn=acl.attr_arn
        )

    @staticmethod
    def _group(
        priority: int, name: str, overrides: list[waf.CfnWebACL.RuleActionOverrideProperty] | None = None
    ) -> waf.CfnWebACL.RuleProperty:
        return waf.CfnWebACL.RuleProperty(
            name=name,
            priority=priority,
            override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
            visibility_config=_visible(name),
            statement=waf.CfnWebACL.StatementProperty(
                managed_rule_group_statement=waf.CfnWebACL.ManagedRuleGroupStatementProperty(
                    vendor_name="AWS", name=name, rule_action_overrides=overrides
                )
            ),
        )


def _visible(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
