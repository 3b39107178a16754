"""The network of stages that create their own data stores: dual-stack, two zones, no NAT gateway.

Functions reach AWS over IPv6 through an egress-only internet gateway, which costs nothing by the hour.
PostgreSQL and Redis have no way out at all.
"""

from __future__ import annotations

from aws_cdk import RemovalPolicy, aws_ec2 as ec2, aws_logs as logs
from constructs import Construct

FUNCTIONS = "functions"
DATA = "data"


class Network(Construct):
    """A VPC with subnets for functions and for data, and the security group that functions carry."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            ip_protocol=ec2.IpProtocol.DUAL_STACK,
            nat_gateways=0,
            create_internet_gateway=False,  # nothing here has a public address
            restrict_default_security_group=False,  # nothing uses it, and emptying it takes a function
            subnet_configuration=[
                # with IPv6 and without NAT gateways, the egress is CDK's egress-only internet gateway
                ec2.SubnetConfiguration(
                    name=FUNCTIONS, subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20
                ),
                ec2.SubnetConfiguration(name=DATA, subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
        )
        self.function_subnets = ec2.SubnetSelection(subnet_group_name=FUNCTIONS)
        self.data_subnets = ec2.SubnetSelection(subnet_group_name=DATA)
        self.vpc.add_gateway_endpoint(
            "S3", service=ec2.GatewayVpcEndpointAwsService.S3, subnets=[self.function_subnets]
        )
        flow_log = logs.LogGroup(
            self, "FlowLog", retention=logs.RetentionDays.ONE_WEEK, removal_policy=RemovalPolicy.DESTROY
        )
        self.vpc.add_flow_log(
            "Refused",
            traffic_type=ec2.FlowLogTrafficType.REJECT,
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_log),
        )
        self.function_group = ec2.SecurityGroup(
            self,
            "Functions",
            vpc=self.vpc,
            description="Functions that reach PostgreSQL or Redis",
            allow_all_outbound=True,
            allow_all_ipv6_outbound=True,
        )

    def data_group(self, id: str, *, port: int, what: str) -> ec2.SecurityGroup:
        """A security group that lets the functions in, on one port, and nothing out."""
        group = ec2.SecurityGroup(self, id, vpc=self.vpc, description=what, allow_all_outbound=False)
        group.add_ingress_rule(self.function_group, ec2.Port.tcp(port), "from the functions")
        return group
