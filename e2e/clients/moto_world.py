"""Makes in moto what the adapter's tests start from, an instance in the default VPC, and prints its ids as JSON."""

import json
import sys

import boto3


def main(endpoint):
    ec2 = boto3.client("ec2", endpoint_url=endpoint)
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}]
    )["SecurityGroups"][0]
    image = ec2.describe_images()["Images"][0]
    instance = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="m5.large",
        SubnetId=subnet["SubnetId"],
        MinCount=1,
        MaxCount=1,
    )["Instances"][0]
    print(json.dumps({
        "subnet": subnet["SubnetId"],
        "group": group["GroupId"],
        "instance": instance["InstanceId"],
    }))


if __name__ == "__main__":
    main(sys.argv[1])
