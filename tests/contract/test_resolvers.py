"""What clients are told, on both doors: by UDP from the local cloud's DNS, and straight from its names. Then datagrams
that are no answer, from a server that means no good."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.testing import mock_aliyun
from shared.adapters.dns_message import Unusable, answer, question
from shared.adapters.resolvers import OF_THE_VPC, UdpResolvers, place
from shared.domain.errors import BadInput
from shared.ports.resolvers import Resolved, Resolvers
from understudy.simulation.resolvers import InProcessResolvers

NAME = "master.corp.example"
SOON = timedelta(milliseconds=300)
PATIENTLY = timedelta(seconds=5)  # for what answers at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    resolvers: Resolvers
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]

    def ask(self, name: str) -> Resolved:
        [told] = self.resolvers.ask([name], servers=["127.0.0.1"], timeout=PATIENTLY)
        return told


@pytest.fixture(params=["udp", "in process"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    if request.param == "in process":
        cloud = Cloud()
        furnish(cloud)
        yield Door(resolvers=InProcessResolvers(cloud), cloud=cloud, run=lambda fn: fn())
        return
    with mock_aliyun() as local:
        local.run(lambda: furnish(local.cloud))
        assert local.dns is not None
        yield Door(resolvers=UdpResolvers(instead=[local.dns]), cloud=local.cloud, run=local.run)


def furnish(cloud: Cloud) -> None:
    zone = cloud.pvtz.add_zone("corp.example", id="z-corp").id
    cloud.pvtz.add_record(zone, rr="master", type="A", value="127.77.1.21", ttl=5)
    cloud.pvtz.add_record(zone, rr="queue", type="CNAME", value="master.corp.example", ttl=60)
    cloud.pvtz.add_record(zone, rr="away", type="CNAME", value="somewhere.example.net", ttl=60)


def test_a_name_that_nobody_knows_is_no_answer(door: Door) -> None:
    told = door.ask("master.nowhere.example")
    assert (told.answered, told.values("A")) == (False, ())
    assert "REFUSED" in told.why


def test_a_name_without_a_record_is_an_answer(door: Door) -> None:
    assert door.ask("nobody.corp.example") == Resolved(
        server=door.ask(NAME).server, name="nobody.corp.example", addresses=(), ttl_seconds=None
    )


def test_an_address_comes_with_the_time_that_it_may_be_kept(door: Door) -> None:
    told = door.ask(NAME)
    assert (told.values("A"), told.ttl_seconds, told.answered) == (("127.77.1.21",), 5, True)
    assert told.values("CNAME") == ()


def test_an_alias_is_followed_as_a_client_follows_it(door: Door) -> None:
    told = door.ask("QUEUE.corp.example")
    assert told.values("CNAME") == (NAME,)
    assert told.values("A") == ()  # the name itself holds no address
    assert (told.addresses, told.ttl_seconds) == (("127.77.1.21",), 5)


def test_an_alias_that_leads_away_has_no_address(door: Door) -> None:
    told = door.ask("away.corp.example")
    assert (told.values("CNAME"), told.addresses) == (("somewhere.example.net",), ())


def test_two_addresses_are_both_told(door: Door) -> None:
    door.run(lambda: door.cloud.pvtz.add_record("z-corp", rr="master", type="A", value="127.77.2.21", ttl=60))
    assert sorted(door.ask(NAME).values("A")) == ["127.77.1.21", "127.77.2.21"]


def test_every_server_is_asked_for_every_name(door: Door) -> None:
    told = door.resolvers.ask([NAME, "queue.corp.example"], servers=["127.0.0.1"], timeout=PATIENTLY)
    assert [one.name for one in told] == [NAME, "queue.corp.example"]
    assert {one.addresses for one in told} == {("127.77.1.21",)}


# Servers that answer something else ---------------------------------------------------------------------------------


class Server:
    """A DNS server that answers each question with what `reply` makes of it: datagrams, in order."""

    def __init__(self, reply: Callable[[bytes], list[bytes]]) -> None:
        self._reply, self._socket, self.asked = reply, socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
        self._socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(512)
            if wire == b"over":
                return
            self.asked += 1
            for datagram in self._reply(wire):
                self._socket.sendto(datagram, client)

    def stop(self) -> None:
        self._socket.sendto(b"over", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[bytes], list[bytes]]], Server]]:
    made: list[Server] = []

    def one(reply: Callable[[bytes], list[bytes]]) -> Server:
        made.append(Server(reply))
        return made[-1]

    yield one
    for server in made:
        server.stop()


Serve = Callable[[Callable[[bytes], list[bytes]]], Server]


def told_by(server: Server, *, timeout: timedelta = PATIENTLY) -> Resolved:
    [told] = UdpResolvers().ask([NAME], servers=[server.place], timeout=timeout)
    return told


def good(query: bytes, *, flags: int = 0x8180, count: int = 1, address: bytes = b"\x7f\x4d\x01\x15") -> bytes:
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, len(address)) + address
    return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + query[12:] + record


def test_a_server_that_says_nothing_is_asked_twice_and_told(serve: Serve) -> None:
    server = serve(lambda query: [])
    told = told_by(server, timeout=SOON)
    assert told.why == "no answer within 0.3 s"
    assert server.asked == 2


def test_a_lost_question_is_sent_again(serve: Serve) -> None:
    def reply(query: bytes) -> list[bytes]:
        return [good(query)] if server.asked > 1 else []

    server = serve(reply)
    assert told_by(server, timeout=timedelta(seconds=2)).values("A") == ("127.77.1.21",)


def test_a_port_where_nobody_listens_is_told_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    [told] = UdpResolvers().ask([NAME], servers=[f"127.0.0.1:{port}"], timeout=timedelta(seconds=60))
    assert "cannot be reached" in told.why


def test_a_silent_server_does_not_keep_the_others_answer_back(serve: Serve) -> None:
    silent, fine = serve(lambda query: []), serve(lambda query: [good(query)])
    first, second = UdpResolvers().ask([NAME], servers=[silent.place, fine.place], timeout=SOON)
    assert (first.answered, second.values("A")) == (False, ("127.77.1.21",))


@pytest.mark.parametrize(
    ("forge", "odd"),
    [
        (lambda query: b"\0\0" + good(query)[2:] if query[:2] != b"\0\0" else b"\1\1" + good(query)[2:], "id differs"),
        (lambda query: query, "id differs"),  # an echo is no answer
        (lambda query: good(query).replace(b"\x06master", b"\x06masker"), "another question"),
        (lambda query: good(query[:-4] + struct.pack("!HH", 16, 1)), "another question"),
        (lambda query: b"hello", "no DNS message"),
    ],
    ids=["another id", "an echo", "another name", "another type", "no message"],
)
def test_a_datagram_that_is_no_answer_to_us_is_passed_over(
    serve: Serve, forge: Callable[[bytes], bytes], odd: str
) -> None:
    alone = told_by(serve(lambda query: [forge(query)]), timeout=SOON)
    assert not alone.answered
    assert odd in alone.why
    assert told_by(serve(lambda query: [forge(query), good(query)])).values("A") == ("127.77.1.21",)


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda query: good(query, flags=0x8380), "cut short"),
        (lambda query: good(query, count=2), "ends early"),
        (lambda query: good(query)[:-2], "ends early"),
        (lambda query: good(query, address=b"\x7f\x01"), "another length"),
        (lambda query: good(query, flags=0x8182), "SERVFAIL"),
        (lambda query: good(query, flags=0x8185), "REFUSED"),
        (lambda query: good(query, flags=0x8189), "code 9"),
        (lambda query: query[:2] + struct.pack("!HHHHH", 0x8181, 0, 0, 0, 0), "FORMERR"),
    ],
    ids=["truncated", "fewer records", "cut", "a strange address", "failed", "refused", "unknown code", "no question"],
)
def test_an_answer_that_cannot_be_relied_upon_is_no_answer(
    serve: Serve, forge: Callable[[bytes], bytes], why: str
) -> None:
    told = told_by(serve(lambda query: [forge(query)]))
    assert (told.answered, told.addresses) == (False, ())
    assert why in told.why


def test_an_alias_whose_target_does_not_exist_is_an_alias_all_the_same(serve: Serve) -> None:
    def reply(query: bytes) -> list[bytes]:
        alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 5, 6) + b"\x04gone\0"
        return [query[:2] + struct.pack("!HHHHH", 0x8183, 1, 1, 0, 0) + query[12:] + alias]

    told = told_by(serve(reply))
    assert (told.values("CNAME"), told.addresses, told.answered) == (("gone",), (), True)


def test_records_of_other_names_prove_nothing(serve: Serve) -> None:
    def reply(query: bytes) -> list[bytes]:
        foreign = b"\x04evil\x07example\0" + struct.pack("!HHIH", 1, 1, 5, 4) + b"\x7f\x4d\x09\x09"
        return [query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:] + foreign]

    told = told_by(serve(reply))
    assert (told.answered, told.addresses) == (True, ())


def test_no_octets_whatever_bring_the_reader_down() -> None:
    """Every way of cutting an answer short, and of spoiling one octet of it, is an answer, or refused in our words."""
    query = question(7, NAME)
    whole = good(query)
    spoilt = [whole[:end] for end in range(len(whole))]
    spoilt += [
        whole[:at] + bytes([octet]) + whole[at + 1 :] for at in range(len(whole)) for octet in (0, 63, 64, 192, 255)
    ]
    outcomes = set()
    for wire in spoilt:
        try:
            outcomes.add(type(answer(wire, id=7, name=NAME)).__name__)
        except ValueError as refused:
            outcomes.add(type(refused).__name__)
    assert outcomes == {"Told", "NotToUs", "Unusable"}


def test_aliases_that_lead_in_a_circle_end() -> None:
    query = question(7, NAME)
    circle = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 5, 2) + b"\xc0\x0c"
    wire = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:] + circle
    with pytest.raises(Unusable, match="circle"):
        answer(wire, id=7, name=NAME)


@pytest.mark.parametrize("name", ["", "a..b", f"{'x' * 64}.example", ".".join(["label"] * 60), "mäster.example"])
def test_what_is_no_name_is_not_asked(name: str) -> None:
    [told] = UdpResolvers().ask([name], servers=["127.0.0.1:9"], timeout=SOON)
    assert "is no name" in told.why


@pytest.mark.parametrize("server", ["resolver.example", "127.0.0.1:0", "127.0.0.1:x", "::1", "127.0.0.1:70000", ""])
def test_a_server_that_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(BadInput, match="no DNS server"):
        UdpResolvers(instead=[server])


def test_unless_told_otherwise_the_vpcs_own_resolvers_are_asked() -> None:
    assert [place(server) for server in OF_THE_VPC] == [("100.100.2.136", 53), ("100.100.2.138", 53)]
