"""What the cases share that drive a running mock-ec2: its clients, and the questions that are asked of them."""

import json
import sys
import unittest
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

EC2, IMDS, INSTANCE = sys.argv[1:4]
ONE_TRY = {"mode": "standard", "total_max_attempts": 1}


def client(retries=None, read_timeout=20):
    config = Config(retries=retries or ONE_TRY, read_timeout=read_timeout)
    return boto3.client("ec2", endpoint_url=EC2, config=config)


def admin(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{EC2}/admin/{path}", data, method=method)
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class Case(unittest.TestCase):
    def setUp(self):
        self.ec2 = client()
        self.addCleanup(admin, "faults", method="DELETE")

    def fault(self, action, kind, times=1, **more):
        admin("faults", {"action": action, "kind": kind, "times": times, **more})

    def refused(self, code, status, call, **arguments):
        with self.assertRaises(ClientError) as raised:
            call(**arguments)
        answer = raised.exception.response
        self.assertEqual(answer["Error"]["Code"], code)
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], status)
        self.assertTrue(answer["Error"]["Message"])
        self.assertTrue(answer["ResponseMetadata"]["RequestId"])
        return answer["Error"]["Message"]

    def instance(self):
        shown = self.ec2.describe_instances(InstanceIds=[INSTANCE])
        return shown["Reservations"][0]["Instances"][0]

    def subnet(self):
        return self.ec2.describe_subnets(SubnetIds=[self.instance()["SubnetId"]])["Subnets"][0]

    def primary(self):
        nics = self.instance()["NetworkInterfaces"]
        return next(n for n in nics if n["Attachment"]["DeviceIndex"] == 0)["NetworkInterfaceId"]

    def create(self, **arguments):
        arguments.setdefault("SubnetId", self.subnet()["SubnetId"])
        eni = self.ec2.create_network_interface(**arguments)["NetworkInterface"]
        self.addCleanup(self.forget, eni["NetworkInterfaceId"])
        return eni

    def show(self, eni):
        return self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"][0]

    def available(self, eni):
        waiter = self.ec2.get_waiter("network_interface_available")
        waiter.wait(NetworkInterfaceIds=[eni], WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def attach(self, eni, index=1):
        return self.ec2.attach_network_interface(
            NetworkInterfaceId=eni, InstanceId=INSTANCE, DeviceIndex=index
        )["AttachmentId"]

    def forget(self, eni):
        admin("faults", method="DELETE")
        try:
            attachment = self.show(eni).get("Attachment")
            if attachment:
                self.ec2.detach_network_interface(AttachmentId=attachment["AttachmentId"])
                self.available(eni)
            self.ec2.delete_network_interface(NetworkInterfaceId=eni)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidNetworkInterfaceID.NotFound":
                raise
