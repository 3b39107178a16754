"""What a deployment replaces: functions, layers, queues, triggers, the API, and what watches them."""

from __future__ import annotations

from aws_cdk import (
    CfnOutput,
    CfnResource,
    Duration,
    Stack,
    aws_events as events,
    aws_events_targets as targets,
    aws_lambda as lambda_,
    aws_logs as logs,
    aws_logs_destinations as destinations,
    triggers,
)
from constructs import Construct

from infra import catalogue
from infra.acknowledge import acknowledge_lint
from infra.api import STAGE_NAME, Api
from infra.catalogue import AtDeployment, EveryMinutes, FromLogs, FromQueue
from infra.data_stack import DataStack, bucket_name
from infra.functions import Functions, reserved
from infra.observability import Alarms, Dashboard, Firewall
from infra.queues import QueueWithDeadLetters
from infra.roles import construct_id
from infra.stages import Stage
from tools.layers import Builder


class ServiceStack(Stack):
    """Everything that stands in the catalogue."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        data: DataStack,
        builder: Builder,
        public_url: str,
        origins: list[str],
        alarm_email: str | None,
        **kwargs: object,
    ) -> None:
        super().__init__(scope, id, **kwargs)  # type: ignore[arg-type]
        self._stage = stage
        self._queues = dict(data.upload_queues)
        for queue in catalogue.QUEUES:
            if queue.name not in self._queues:
                name = f"{queue.name.capitalize()}Queue"
                self._queues[queue.name] = QueueWithDeadLetters(self, name, stage=stage, queue=queue)
        factory = Functions(
            self,
            stage=stage,
            builder=builder,
            bucket=bucket_name(self, stage),
            queue_urls={name: queue.main.queue_url for name, queue in self._queues.items()},
            network=data.network,
            public_url=public_url,
            origins=origins,
        )
        self.functions = {function.name: factory.make(function) for function in catalogue.FUNCTIONS}
        self._connect_triggers()
        entries: dict[str, lambda_.IFunction] = {
            function.name: factory.entry(function, self.functions[function.name])
            for function in catalogue.FUNCTIONS
            if function.routes
        }
        self.api = Api(self, "Api", stage=stage, entries=entries, origins=origins)
        self._migrate_first()
        self._acknowledge_dependencies()
        watched = {"stage": stage, "api": self.api.rest, "functions": self.functions, "queues": self._queues}
        Dashboard(self, "Dashboard", **watched)  # type: ignore[arg-type]
        if stage.alarms:
            Alarms(self, "Alarms", email=alarm_email, **watched)  # type: ignore[arg-type]
        if stage.firewall:
            Firewall(self, "Firewall", stage=stage, api=self.api.rest)
        CfnOutput(self, "ApiId", value=self.api.rest.rest_api_id)
        api = self.api.rest.rest_api_id
        CfnOutput(
            self, "ApiUrl", value=f"https://{api}.execute-api.{self.region}.{self.url_suffix}/{STAGE_NAME}"
        )
        CfnOutput(self, "BucketName", value=bucket_name(self, stage))

    def _acknowledge_dependencies(self) -> None:
        for resource in self.node.find_all():
            if isinstance(resource, CfnResource) and resource.cfn_resource_type == "AWS::Lambda::Function":
                reason = "CDK names the role as a dependency although the function refers to it already."
                acknowledge_lint(resource, reason, "W3005")

    def _connect_triggers(self) -> None:
        for function in catalogue.FUNCTIONS:
            made = self.functions[function.name]
            match function.trigger:
                case FromQueue(queue, batch_size, max_concurrency):
                    made.add_event_source_mapping(
                        "Queue",
                        event_source_arn=self._queues[queue].main.queue_arn,
                        batch_size=batch_size,
                        max_concurrency=self._consumers(function, max_concurrency),
                        report_batch_item_failures=True,
                    )
                case FromLogs(sources, term):
                    self._subscribe(made, sources, term)
                case EveryMinutes(minutes):
                    events.Rule(
                        self,
                        f"{construct_id(function.name)}Schedule",
                        schedule=events.Schedule.rate(Duration.minutes(minutes)),
                        # A missed run is made up for by the next one
                        targets=[targets.LambdaFunction(made, retry_attempts=0)],
                    )

    def _consumers(self, function: catalogue.Function, wished: int) -> int:
        """Never more than may run at once: throttled messages count as received, and end as dead letters."""
        return max(2, min(wished, reserved(function, self._stage) or wished))

    def _subscribe(self, consumer: lambda_.Function, sources: tuple[str, ...], term: str) -> None:
        """Log lines with `term` go to `consumer`. A plain term: emulators know no JSON patterns."""
        for source in sources:
            group = self.functions[source].log_group
            logs.SubscriptionFilter(
                self,
                f"{construct_id(source)}Records",
                log_group=group,
                destination=destinations.LambdaDestination(consumer),
                filter_pattern=logs.FilterPattern.all_terms(term),
            )

    def _migrate_first(self) -> None:
        """No new code runs before the schema that it expects."""
        for function in catalogue.FUNCTIONS:
            if isinstance(function.trigger, AtDeployment):
                first = self.functions[function.name]
                assert isinstance(first, triggers.TriggerFunction)
                others = [made for name, made in self.functions.items() if name != function.name]
                first.execute_before(*others)
