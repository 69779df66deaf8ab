"""The demo's local cloud finds a place for itself beside whatever else runs on the machine."""

import socket
from pathlib import Path

from understudy.demo.local_cloud import BALANCER_PORT, LocalCloud, free_network
from understudy.demo.stage import START


def test_a_network_that_somebody_took_first_is_left_to_him(tmp_path: Path) -> None:
    net = free_network()
    with socket.socket() as faster:
        faster.bind((f"127.{net}.0.80", BALANCER_PORT))
        faster.listen()
        with LocalCloud(tmp_path, net=net, start=START, seed=1) as cloud:
            assert cloud.net != net
            cloud.must_live()
            assert cloud.at.url.startswith("http://")
