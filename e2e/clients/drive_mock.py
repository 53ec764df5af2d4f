"""boto3, the official client that nobody here wrote, drives every action of a running mock-ec2.

Usage: drive_mock.py EC2_URL IMDS_URL INSTANCE_ID [unittest's own arguments]
"""

import sys
import unittest
from ipaddress import ip_address, ip_network

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, WaiterError

from case import IMDS, INSTANCE, Case, admin, client
from prefixes import Prefixes  # noqa: F401: unittest runs what it finds here


class Interfaces(Case):
    def test_create_answers_all_that_was_asked_for(self):
        tags = [{"Key": "k", "Value": "a <b> & 'c'"}]
        eni = self.create(
            Description="of boto3",
            SecondaryPrivateIpAddressCount=3,
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
        )
        self.assertEqual(eni["Status"], "pending")
        self.assertEqual(eni["Description"], "of boto3")
        self.assertEqual(eni["InterfaceType"], "interface")
        self.assertRegex(eni["NetworkInterfaceId"], r"^eni-[0-9a-f]{17}$")
        self.assertRegex(eni["MacAddress"], r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
        self.assertEqual(eni["TagSet"], tags)
        self.assertTrue(eni["SourceDestCheck"])
        self.assertEqual(len(eni["Groups"]), 1)
        addresses = eni["PrivateIpAddresses"]
        self.assertEqual([a["Primary"] for a in addresses], [True, False, False, False])
        self.assertEqual(addresses[0]["PrivateIpAddress"], eni["PrivateIpAddress"])
        block = ip_network(self.subnet()["CidrBlock"])
        self.assertTrue(all(ip_address(a["PrivateIpAddress"]) in block for a in addresses))
        self.available(eni["NetworkInterfaceId"])
        shown = self.show(eni["NetworkInterfaceId"])
        self.assertEqual(shown["Status"], "available")
        self.assertEqual(shown["PrivateIpAddresses"], addresses)
        self.assertNotIn("Attachment", shown)

    def test_an_interface_lives_from_attach_to_delete(self):
        eni = self.create()["NetworkInterfaceId"]
        attachment = self.attach(eni)
        shown = self.show(eni)
        self.assertEqual(shown["Status"], "in-use")
        self.assertEqual(shown["Attachment"]["AttachmentId"], attachment)
        self.assertEqual(shown["Attachment"]["InstanceId"], INSTANCE)
        self.assertEqual(shown["Attachment"]["DeviceIndex"], 1)
        self.assertIs(shown["Attachment"]["DeleteOnTermination"], False)
        self.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=eni,
            Attachment={"AttachmentId": attachment, "DeleteOnTermination": True},
        )
        self.assertIs(self.show(eni)["Attachment"]["DeleteOnTermination"], True)
        self.assertIn(eni, [n["NetworkInterfaceId"] for n in self.instance()["NetworkInterfaces"]])
        self.refused(
            "InvalidParameterValue", 400, self.ec2.delete_network_interface, NetworkInterfaceId=eni
        )
        self.ec2.detach_network_interface(AttachmentId=attachment)
        self.available(eni)
        self.ec2.delete_network_interface(NetworkInterfaceId=eni)
        self.refused(
            "InvalidNetworkInterfaceID.NotFound", 400,
            self.ec2.describe_network_interfaces, NetworkInterfaceIds=[eni],
        )

    def test_addresses_come_and_go(self):
        eni = self.create()["NetworkInterfaceId"]
        free = self.subnet()["AvailableIpAddressCount"]
        given = self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=3
        )
        self.assertEqual(given["NetworkInterfaceId"], eni)
        new = [a["PrivateIpAddress"] for a in given["AssignedPrivateIpAddresses"]]
        self.assertEqual(len(set(new)), 3)
        self.assertEqual(self.subnet()["AvailableIpAddressCount"], free - 3)
        self.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=new[:1])
        again = self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni, PrivateIpAddresses=new[:1]
        )
        self.assertEqual(again["AssignedPrivateIpAddresses"], [{"PrivateIpAddress": new[0]}])
        self.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=new)
        self.assertEqual(self.subnet()["AvailableIpAddressCount"], free)

    def test_tags_and_groups_are_set_and_filtered_by(self):
        eni = self.create()["NetworkInterfaceId"]
        self.ec2.create_tags(Resources=[eni], Tags=[{"Key": "mine", "Value": "yes"}])
        group = self.show(eni)["Groups"][0]["GroupId"]
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[group])
        for name, value in [("tag:mine", "y?s"), ("tag-key", "mine"), ("status", "available")]:
            found = self.ec2.describe_network_interfaces(Filters=[
                {"Name": name, "Values": [value]},
                {"Name": "network-interface-id", "Values": [eni, "eni-none"]},
            ])["NetworkInterfaces"]
            self.assertEqual([n["NetworkInterfaceId"] for n in found], [eni], name)
        none = self.ec2.describe_network_interfaces(
            Filters=[{"Name": "tag:mine", "Values": ["no"]}]
        )
        self.assertEqual(none["NetworkInterfaces"], [])


class Waiting(Case):
    def test_waiters_know_the_mocks_states(self):
        fast = {"Delay": 1, "MaxAttempts": 60}
        self.ec2.get_waiter("instance_exists").wait(InstanceIds=[INSTANCE], WaiterConfig=fast)
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[INSTANCE], WaiterConfig=fast)
        self.ec2.get_waiter("subnet_available").wait(
            SubnetIds=[self.subnet()["SubnetId"]], WaiterConfig=fast
        )

    def test_a_waiter_gives_up_on_an_interface_that_is_in_use(self):
        waiter = self.ec2.get_waiter("network_interface_available")
        with self.assertRaises(WaiterError):
            waiter.wait(
                NetworkInterfaceIds=[self.primary()], WaiterConfig={"Delay": 0, "MaxAttempts": 2}
            )

    def test_a_waiter_fails_at_once_on_an_interface_that_does_not_exist(self):
        waiter = self.ec2.get_waiter("network_interface_available")
        with self.assertRaisesRegex(WaiterError, "InvalidNetworkInterfaceID.NotFound"):
            waiter.wait(NetworkInterfaceIds=["eni-0"], WaiterConfig={"Delay": 0, "MaxAttempts": 2})


class Paging(Case):
    def test_interfaces_come_in_pages(self):
        made = {self.create(Description="page")["NetworkInterfaceId"] for _ in range(7)}
        paginator = self.ec2.get_paginator("describe_network_interfaces")
        pages = list(paginator.paginate(
            Filters=[{"Name": "description", "Values": ["page"]}], PaginationConfig={"PageSize": 5}
        ))
        self.assertEqual([len(p["NetworkInterfaces"]) for p in pages], [5, 2])
        shown = {n["NetworkInterfaceId"] for p in pages for n in p["NetworkInterfaces"]}
        self.assertEqual(shown, made)

    def test_instance_types_come_in_pages_too(self):
        paginator = self.ec2.get_paginator("describe_instance_types")
        types = [t for page in paginator.paginate() for t in page["InstanceTypes"]]
        self.assertGreater(len(types), 1000)
        m5 = next(t for t in types if t["InstanceType"] == "m5.large")
        network = m5["NetworkInfo"]
        self.assertEqual(network["MaximumNetworkInterfaces"], 3)
        self.assertEqual(network["Ipv4AddressesPerInterface"], 10)
        self.assertEqual(m5["Hypervisor"], "nitro")

    def test_instances_and_subnets_have_pages(self):
        for name, key in [("describe_instances", "Reservations"), ("describe_subnets", "Subnets")]:
            paginator = self.ec2.get_paginator(name)
            found = [x for page in paginator.paginate() for x in page[key]]
            self.assertEqual(len(found), 1, name)


class Tokens(Case):
    def test_a_token_makes_one_interface(self):
        first = self.create(ClientToken="boto3-once", Description="once")
        again = self.create(ClientToken="boto3-once", Description="once")
        self.assertEqual(first["NetworkInterfaceId"], again["NetworkInterfaceId"])

    def test_a_token_is_for_one_request(self):
        self.create(ClientToken="boto3-other", Description="one")
        self.refused(
            "IdempotentParameterMismatch", 400, self.create,
            ClientToken="boto3-other", Description="another",
        )

    def test_boto3s_own_token_makes_its_retry_safe(self):
        free = self.subnet()["AvailableIpAddressCount"]
        self.fault("CreateNetworkInterface", "lost_reply", 2)
        self.ec2 = client({"mode": "standard", "total_max_attempts": 4})
        eni = self.create(Description="retried")
        self.assertEqual(self.subnet()["AvailableIpAddressCount"], free - 1)
        found = self.ec2.describe_network_interfaces(
            Filters=[{"Name": "description", "Values": ["retried"]}]
        )["NetworkInterfaces"]
        self.assertEqual([n["NetworkInterfaceId"] for n in found], [eni["NetworkInterfaceId"]])


class Errors(Case):
    def test_limits_are_errors_by_code(self):
        subnet = self.subnet()["SubnetId"]
        ec2, eni = self.ec2, self.primary()
        self.refused(
            "PrivateIpAddressLimitExceeded", 400, ec2.assign_private_ip_addresses,
            NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=10,
        )
        self.refused(
            "InsufficientFreeAddressesInSubnet", 400, ec2.create_network_interface,
            SubnetId=subnet, SecondaryPrivateIpAddressCount=300,
        )
        enis = [self.create()["NetworkInterfaceId"] for _ in range(3)]
        self.attach(enis[0], 1)
        self.refused(
            "InvalidParameterValue", 400, ec2.attach_network_interface,
            NetworkInterfaceId=enis[1], InstanceId=INSTANCE, DeviceIndex=1,
        )
        self.refused(
            "InvalidNetworkInterface.InUse", 400, ec2.attach_network_interface,
            NetworkInterfaceId=enis[0], InstanceId=INSTANCE, DeviceIndex=2,
        )
        self.attach(enis[1], 2)
        self.refused(
            "AttachmentLimitExceeded", 400, ec2.attach_network_interface,
            NetworkInterfaceId=enis[2], InstanceId=INSTANCE, DeviceIndex=3,
        )

    def test_what_is_not_there_is_not_found(self):
        ec2, instance = self.ec2, {"InstanceId": INSTANCE, "DeviceIndex": 9}
        for code, call, arguments in [
            ("InvalidNetworkInterfaceID.NotFound", ec2.delete_network_interface,
             {"NetworkInterfaceId": "eni-0"}),
            ("InvalidNetworkInterfaceID.NotFound", ec2.attach_network_interface,
             {"NetworkInterfaceId": "eni-0", **instance}),
            ("InvalidAttachmentID.NotFound", ec2.detach_network_interface,
             {"AttachmentId": "eni-attach-0"}),
            ("InvalidSubnetID.NotFound", ec2.create_network_interface, {"SubnetId": "subnet-0"}),
            ("InvalidSubnetID.NotFound", ec2.describe_subnets, {"SubnetIds": ["subnet-0"]}),
            ("InvalidInstanceID.NotFound", ec2.describe_instances, {"InstanceIds": ["i-0"]}),
            ("InvalidInstanceType", ec2.describe_instance_types, {"InstanceTypes": ["m9.huge"]}),
            ("InvalidID", ec2.create_tags,
             {"Resources": ["eni-0"], "Tags": [{"Key": "k", "Value": "v"}]}),
        ]:
            with self.subTest(code=code, call=call.__name__):
                self.refused(code, 400, call, **arguments)

    def test_what_the_mock_does_not_know_is_refused(self):
        self.refused("InvalidAction", 400, self.ec2.describe_volumes)
        self.refused(
            "UnknownParameter", 400, self.ec2.create_network_interface,
            SubnetId=self.subnet()["SubnetId"], Ipv6AddressCount=1,
        )

    def test_a_dry_run_says_so(self):
        self.refused(
            "DryRunOperation", 412, self.ec2.create_network_interface,
            SubnetId=self.subnet()["SubnetId"], DryRun=True,
        )

    def test_a_denied_action_is_named(self):
        self.fault("DescribeSubnets", "access_denied")
        message = self.refused("UnauthorizedOperation", 403, self.ec2.describe_subnets)
        self.assertIn("ec2:DescribeSubnets", message)


class Faults(Case):
    def calls(self, action):
        return admin("counts").get(action, 0)

    def test_each_retry_mode_outlasts_a_throttle(self):
        for mode in ["legacy", "standard", "adaptive"]:
            with self.subTest(mode=mode):
                before = self.calls("DescribeSubnets")
                self.fault("DescribeSubnets", "throttle", 2)
                patient = client({"mode": mode, "total_max_attempts": 4})
                self.assertEqual(len(patient.describe_subnets()["Subnets"]), 1)
                self.assertEqual(self.calls("DescribeSubnets") - before, 3)

    def test_without_retries_a_throttle_is_an_error(self):
        self.fault("DescribeSubnets", "throttle")
        self.refused("RequestLimitExceeded", 503, self.ec2.describe_subnets)

    def test_an_emptied_bucket_throttles_and_refills(self):
        # 5 tokens a second into a bucket of 100: a dry run takes one and changes nothing
        codes = set()
        for _ in range(2000):
            with self.assertRaises(ClientError) as raised:
                self.ec2.delete_network_interface(NetworkInterfaceId="eni-0")
            codes.add(raised.exception.response["Error"]["Code"])
            if "RequestLimitExceeded" in codes:
                break
        self.assertEqual(codes, {"InvalidNetworkInterfaceID.NotFound", "RequestLimitExceeded"})
        patient = client({"mode": "standard", "total_max_attempts": 10})
        with self.assertRaises(ClientError) as raised:
            patient.delete_network_interface(NetworkInterfaceId="eni-0")
        code = raised.exception.response["Error"]["Code"]
        self.assertEqual(code, "InvalidNetworkInterfaceID.NotFound")

    def test_errors_of_the_server_are_retried(self):
        self.fault("DescribeSubnets", "error", code="InternalError", status=500)
        self.refused("InternalError", 500, self.ec2.describe_subnets)
        self.fault("DescribeSubnets", "error", 2, code="Unavailable", status=503)
        patient = client({"mode": "standard", "total_max_attempts": 4})
        self.assertEqual(len(patient.describe_subnets()["Subnets"]), 1)

    def test_no_answer_is_an_error_of_the_connection(self):
        self.fault("DescribeSubnets", "lost_reply")
        with self.assertRaises(ConnectionClosedError):
            self.ec2.describe_subnets()
        self.fault("DescribeSubnets", "timeout")
        with self.assertRaises(ReadTimeoutError):
            client(read_timeout=1).describe_subnets()

    def test_garbage_is_no_answer(self):
        for shape in ["truncated", "html", "empty", "wrong_root"]:
            with self.subTest(shape=shape):
                self.fault("DescribeSubnets", "garbage", shape=shape)
                try:
                    answer = self.ec2.describe_subnets()
                except Exception as error:  # whichever way boto3 cannot parse it
                    self.assertNotIsInstance(error, ClientError)
                else:
                    self.assertFalse(answer.get("Subnets"), shape)

    def test_readers_can_be_behind_in_either_direction(self):
        eni = self.create()["NetworkInterfaceId"]
        call = {"Filters": [{"Name": "network-interface-id", "Values": [eni]}]}

        def shown():
            return len(self.ec2.describe_network_interfaces(**call)["NetworkInterfaces"])

        self.fault("DescribeNetworkInterfaces", "hides", ms=250_000)
        self.assertEqual((shown(), shown()), (0, 1))
        self.ec2.delete_network_interface(NetworkInterfaceId=eni)
        self.fault("DescribeNetworkInterfaces", "ghosts", ms=250_000)
        self.assertEqual((shown(), shown()), (1, 0))


class Metadata(Case):
    def test_botocore_reads_region_and_credentials(self):
        from botocore.utils import IMDSRegionProvider, InstanceMetadataFetcher
        import botocore.session

        fetcher = InstanceMetadataFetcher(base_url=IMDS, num_attempts=1)
        credentials = fetcher.retrieve_iam_role_credentials()
        self.assertEqual(credentials["role_name"], "node")
        self.assertTrue(credentials["access_key"])
        session = botocore.session.Session()
        session.set_config_variable("ec2_metadata_service_endpoint", IMDS)
        self.assertEqual(IMDSRegionProvider(session).provide(), "us-west-2")


class ZEveryAction(Case):
    """Last by its name: by then each action of the mock has been driven, and has answered."""

    def test_none_was_left_out(self):
        done = {call["action"] for call in admin("journal") if call["outcome"] == "ok"}
        self.assertEqual(set(admin("actions")) - done, set())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "--verbose", *sys.argv[4:]])
