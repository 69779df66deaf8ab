"""So many volumes with the tag that the policies select. Run by the peers' interpreter."""

import sys

import boto3

TAGS = [{"ResourceType": "volume", "Tags": [{"Key": "role", "Value": "app"}]}]


def main(count):
    ec2 = boto3.client("ec2")
    for _ in range(count):
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=40, TagSpecifications=TAGS)


if __name__ == "__main__":
    main(int(sys.argv[1]))
