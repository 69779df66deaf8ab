"""PrivateZone's names as a client sees them: real queries over UDP and TCP against the live model."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import pytest

from emulator.cloud import Cloud
from emulator.pvtz.dns import DnsServer

Ask = Callable[..., Coroutine[Any, Any, dns.message.Message]]


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud()
    zone = cloud.pvtz.add_zone("corp.example", id="zone-corp")
    cloud.pvtz.add_record(zone.id, rr="master", type="A", value="127.77.1.21", ttl=5)
    cloud.pvtz.add_record(zone.id, rr="alias", type="CNAME", value="master.corp.example", ttl=30)
    cloud.pvtz.add_record(zone.id, rr="note", type="TXT", value='epoch="7"', ttl=60)
    return cloud


def served(cloud: Cloud, story: Callable[[DnsServer], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        server = DnsServer(cloud)
        await server.start("127.0.0.1", 0)
        try:
            await story(server)
        finally:
            await server.stop()

    asyncio.run(run())


async def udp(server: DnsServer, name: str, type: str = "A") -> dns.message.Message:
    host, port = server.address
    return await dns.asyncquery.udp(dns.message.make_query(name, type), host, port=port, timeout=2)


async def tcp(server: DnsServer, name: str, type: str = "A") -> dns.message.Message:
    host, port = server.address
    return await dns.asyncquery.tcp(dns.message.make_query(name, type), host, port=port, timeout=2)


def values(answer: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in answer.answer for rdata in rrset]


@pytest.mark.parametrize("ask", [udp, tcp])
def test_a_name_is_answered_with_the_records_own_ttl(cloud: Cloud, ask: Ask) -> None:
    async def story(server: DnsServer) -> None:
        answer = await ask(server, "master.corp.example")
        assert values(answer) == ["127.77.1.21"]
        assert answer.answer[0].ttl == 5
        assert answer.flags & dns.flags.AA

    served(cloud, story)


def test_dnspythons_own_resolver_is_content(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [server.address[0]]
        resolver.port = server.address[1]
        answer = await asyncio.to_thread(resolver.resolve, "alias.corp.example", "A")
        assert [r.to_text() for r in answer] == ["127.77.1.21"]

    served(cloud, story)


def test_the_next_answer_after_an_update_is_the_new_one(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        [record] = cloud.pvtz.find_records("zone-corp", keyword="master")
        cloud.pvtz.update_record(record.id, rr="master", type="A", value="127.77.2.21", ttl=5)
        assert values(await udp(server, "master.corp.example")) == ["127.77.2.21"]

    served(cloud, story)


def test_a_disabled_record_is_as_good_as_absent(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        [record] = cloud.pvtz.find_records("zone-corp", keyword="master")
        cloud.pvtz.set_status(record.id, "DISABLE")
        answer = await udp(server, "master.corp.example")
        assert answer.rcode() == dns.rcode.NXDOMAIN

    served(cloud, story)


@pytest.mark.parametrize(
    ("name", "type", "rcode"),
    [
        pytest.param("nobody.corp.example", "A", dns.rcode.NXDOMAIN, id="an unknown name does not exist"),
        pytest.param("nobody.corp.example", "SOA", dns.rcode.NXDOMAIN, id="nor does its SOA"),
        pytest.param("master.corp.example", "AAAA", dns.rcode.NOERROR, id="a known name without that type is empty"),
        pytest.param("example.org", "A", dns.rcode.REFUSED, id="other people's names are not ours to answer"),
    ],
)
def test_absence_is_told_apart_from_refusal(cloud: Cloud, name: str, type: str, rcode: int) -> None:
    async def story(server: DnsServer) -> None:
        answer = await udp(server, name, type)
        assert answer.rcode() == rcode
        assert values(answer) == []
        assert bool(answer.authority) == (rcode != dns.rcode.REFUSED)

    served(cloud, story)


def test_several_addresses_take_turns_at_the_head_of_the_answer(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        for host in (31, 32, 33):
            cloud.pvtz.add_record("zone-corp", rr="pool", type="A", value=f"127.77.1.{host}", ttl=5)
        heads = [values(await udp(server, "pool.corp.example"))[0] for _ in range(6)]
        assert sorted(set(heads)) == ["127.77.1.31", "127.77.1.32", "127.77.1.33"]
        assert heads[:3] == heads[3:]

    served(cloud, story)


def test_an_answer_too_large_for_a_datagram_is_cut_and_whole_over_tcp(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        for host in range(1, 100):
            cloud.pvtz.add_record("zone-corp", rr="many", type="A", value=f"127.77.3.{host}", ttl=5)
        assert (await udp(server, "many.corp.example")).flags & dns.flags.TC
        assert len(values(await tcp(server, "many.corp.example"))) == 99

    served(cloud, story)


def test_text_soa_and_wildcards_are_answered(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        assert values(await udp(server, "note.corp.example", "TXT")) == ['"epoch=\\"7\\""']
        assert (await udp(server, "corp.example", "SOA")).answer[0].rdtype == dns.rdatatype.SOA
        cloud.pvtz.add_record("zone-corp", rr="*", type="A", value="127.77.9.9", ttl=5)
        assert values(await udp(server, "anything.corp.example")) == ["127.77.9.9"]
        assert values(await udp(server, "master.corp.example")) == ["127.77.1.21"]

    served(cloud, story)


def test_a_loop_of_aliases_ends_in_a_server_failure(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        cloud.pvtz.add_record("zone-corp", rr="hen", type="CNAME", value="egg.corp.example", ttl=5)
        cloud.pvtz.add_record("zone-corp", rr="egg", type="CNAME", value="hen.corp.example", ttl=5)
        assert (await udp(server, "hen.corp.example")).rcode() == dns.rcode.SERVFAIL

    served(cloud, story)


def test_garbage_is_answered_with_formerr_or_not_at_all_and_hurts_nobody(cloud: Cloud) -> None:
    async def story(server: DnsServer) -> None:
        assert server.answer(b"hello") is None
        assert server.answer(b"\x12\x34" + b"\xff" * 30) in (None, b"\x12\x34\x80\x01" + b"\0" * 8)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            await loop.sock_sendto(client, b"\x12\x34\x01\x00\x00\x01" + b"\0" * 6, server.address)
            reply = await asyncio.wait_for(loop.sock_recv(client, 512), 2)
        assert reply[:2] == b"\x12\x34"
        assert values(await udp(server, "master.corp.example")) == ["127.77.1.21"]

    served(cloud, story)
