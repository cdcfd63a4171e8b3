"""Private roads to the services for a VPC's own producers and analysts. Off by default."""

from lakelet.aws.cfn import Resource, ref, resource, sub, tag_list
from lakelet.aws.site import Site

INTERFACES = {"Firehose": "kinesis-firehose", "Glue": "glue", "Athena": "athena"}


def network(site: Site) -> dict[str, Resource]:
    vpc = site.settings.vpc
    if not vpc.id:
        return {}
    made = {
        "EndpointS3": resource(
            "AWS::EC2::VPCEndpoint",
            {
                "VpcEndpointType": "Gateway",
                "VpcId": vpc.id,
                "ServiceName": sub("com.amazonaws.${AWS::Region}.s3"),
                "RouteTableIds": list(vpc.route_table_ids),
            },
        ),
        "EndpointSecurityGroup": resource(
            "AWS::EC2::SecurityGroup",
            {
                "GroupDescription": "HTTPS from the VPC to the services of the pipeline.",
                "VpcId": vpc.id,
                "SecurityGroupIngress": [
                    {
                        "IpProtocol": "tcp",
                        "FromPort": 443,
                        "ToPort": 443,
                        "CidrIp": vpc.cidr,
                        "Description": "HTTPS from within the VPC",
                    }
                ],
                "Tags": tag_list(site.tags),
            },
        ),
    }
    for name, service in INTERFACES.items():
        made[f"Endpoint{name}"] = resource(
            "AWS::EC2::VPCEndpoint",
            {
                "VpcEndpointType": "Interface",
                "VpcId": vpc.id,
                "ServiceName": sub(f"com.amazonaws.${{AWS::Region}}.{service}"),
                "SubnetIds": list(vpc.subnet_ids),
                "SecurityGroupIds": [ref("EndpointSecurityGroup")],
                # The services' own names lead to the endpoint: clients change nothing.
                "PrivateDnsEnabled": True,
            },
        )
    return made
