"""boto3 assigns /28 prefixes to the mock's ENIs and takes them back."""

from ipaddress import ip_address, ip_network

from case import Case


class Prefixes(Case):
    def assign(self, eni, **arguments):
        given = self.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, **arguments)
        self.assertEqual(given["AssignedPrivateIpAddresses"], [])
        return [p["Ipv4Prefix"] for p in given["AssignedIpv4Prefixes"]]

    def unassign(self, eni, prefixes):
        self.ec2.unassign_private_ip_addresses(NetworkInterfaceId=eni, Ipv4Prefixes=prefixes)

    def held(self, eni):
        return [p["Ipv4Prefix"] for p in self.show(eni)["Ipv4Prefixes"]]

    def free(self):
        return self.subnet()["AvailableIpAddressCount"]

    def test_prefixes_come_and_go(self):
        eni = self.create()["NetworkInterfaceId"]
        self.assertEqual(self.held(eni), [])
        free, block = self.free(), ip_network(self.subnet()["CidrBlock"])
        given = self.assign(eni, Ipv4PrefixCount=2)
        self.assertEqual(len(set(given)), 2)
        for prefix in map(ip_network, given):  # which refuses what is not aligned
            self.assertEqual(prefix.prefixlen, 28)
            self.assertTrue(prefix.subnet_of(block))
        self.assertEqual(self.held(eni), given)
        self.assertEqual(len(self.show(eni)["PrivateIpAddresses"]), 1)
        self.assertEqual(self.free(), free - 32)
        self.unassign(eni, given[:1])
        self.assertEqual((self.held(eni), self.free()), (given[1:], free - 16))
        self.assertEqual(self.assign(eni, Ipv4Prefixes=given[:1]), given[:1])
        self.unassign(eni, given)
        self.assertEqual((self.held(eni), self.free()), ([], free))
        self.refused(
            "InvalidParameterValue", 400, self.ec2.unassign_private_ip_addresses,
            NetworkInterfaceId=eni, Ipv4Prefixes=given,
        )

    def test_an_interface_is_made_with_prefixes(self):
        free = self.free()
        eni = self.create(Ipv4PrefixCount=2)
        given = [p["Ipv4Prefix"] for p in eni["Ipv4Prefixes"]]
        self.assertEqual(len(given), 2)
        self.assertEqual(self.held(eni["NetworkInterfaceId"]), given)
        self.assertEqual(self.free(), free - 33)
        self.forget(eni["NetworkInterfaceId"])
        self.assertEqual(self.free(), free)
        again = self.create(Ipv4Prefixes=[{"Ipv4Prefix": prefix} for prefix in given])
        self.assertEqual(self.held(again["NetworkInterfaceId"]), given)

    def test_what_is_no_block_of_the_subnet_is_refused(self):
        eni = self.create()["NetworkInterfaceId"]
        mine = self.assign(eni, Ipv4PrefixCount=1)
        start = ip_network(mine[0]).network_address
        kept = ip_network(self.subnet()["CidrBlock"]).network_address
        wrong = [f"{start + 8}/28", f"{start}/29", f"{kept}/28", "192.0.2.0/28", "no prefix"]
        for prefix in wrong:
            with self.subTest(prefix=prefix):
                self.refused(
                    "InvalidParameterValue", 400, self.ec2.assign_private_ip_addresses,
                    NetworkInterfaceId=eni, Ipv4Prefixes=[prefix],
                )
        for taken in [{"Ipv4Prefixes": mine}, {"PrivateIpAddresses": [str(start + 3)]}]:
            self.refused(
                "InvalidIPAddress.InUse", 400, self.ec2.assign_private_ip_addresses,
                NetworkInterfaceId=eni, **taken,
            )
        self.assertEqual(self.held(eni), mine)

    def test_one_call_is_for_one_kind(self):
        eni = self.create()["NetworkInterfaceId"]
        for more in [{"SecondaryPrivateIpAddressCount": 1}, {"Ipv4Prefixes": ["10.0.0.16/28"]}]:
            self.refused(
                "InvalidParameterCombination", 400, self.ec2.assign_private_ip_addresses,
                NetworkInterfaceId=eni, Ipv4PrefixCount=1, **more,
            )
            if "Ipv4Prefixes" in more:
                more = {"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.16/28"}]}
            self.refused(
                "InvalidParameterCombination", 400, self.create, Ipv4PrefixCount=1, **more
            )

    def test_a_prefix_takes_the_place_of_one_address(self):
        eni = self.create(SecondaryPrivateIpAddressCount=3)["NetworkInterfaceId"]
        self.attach(eni)
        given = self.assign(eni, Ipv4PrefixCount=6)  # an m5.large has 10, one of them the primary's
        for one in [{"SecondaryPrivateIpAddressCount": 1}, {"Ipv4PrefixCount": 1}]:
            self.refused(
                "PrivateIpAddressLimitExceeded", 400, self.ec2.assign_private_ip_addresses,
                NetworkInterfaceId=eni, **one,
            )
        self.unassign(eni, given[:1])
        self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=1
        )

    def test_a_fragmented_subnet_has_addresses_and_no_prefix(self):
        eni = self.create()["NetworkInterfaceId"]
        nics = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        used = {ip_address(a["PrivateIpAddress"]) for n in nics for a in n["PrivateIpAddresses"]}
        # AWS keeps addresses of the first block and of the last
        blocks = list(ip_network(self.subnet()["CidrBlock"]).subnets(new_prefix=28))[1:-1]
        whole = [b for b in blocks if not any(address in b for address in used)]
        self.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=eni, PrivateIpAddresses=[str(block[9]) for block in whole]
        )
        free = self.free()
        self.assertGreater(free, 16)
        self.refused(
            "InsufficientCidrBlocks", 400, self.ec2.assign_private_ip_addresses,
            NetworkInterfaceId=eni, Ipv4PrefixCount=1,
        )
        self.refused("InsufficientCidrBlocks", 400, self.create, Ipv4PrefixCount=1)
        self.assertEqual(self.free(), free)
        self.ec2.unassign_private_ip_addresses(
            NetworkInterfaceId=eni, PrivateIpAddresses=[str(whole[0][9])]
        )
        self.assertEqual(self.assign(eni, Ipv4PrefixCount=1), [str(whole[0])])
