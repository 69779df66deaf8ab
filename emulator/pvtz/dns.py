"""The DNS answer of PrivateZone, on UDP and TCP, straight from the live model.

Real resolvers inside a VPC answer at 100.100.2.136/138; here one address serves every VPC (which VPC asks cannot be
seen on a loopback), and a name outside the zones is refused instead of being looked up in public DNS. Nothing is
cached: an update shows in the next answer (assumption: the internal synchronisation time is not documented).
"""

import asyncio
import contextlib
import itertools
import logging
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from emulator.pvtz.model import Record, Zone

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log = logging.getLogger(__name__)

NEGATIVE_TTL: Final = 5  # assumption; a client may remember for so long that a name is absent
MAX_CHAIN: Final = 8  # CNAMEs followed within our own zones
IDLE_SECONDS: Final = 10.0  # a TCP client that asks nothing is let go


class DnsServer:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._turn = itertools.count()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self.address: tuple[str, int] = ("", 0)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Port 0: one free port, the same for UDP and TCP; `address` tells which."""
        loop = asyncio.get_running_loop()
        udp, tcp = _bind_both(host, port)
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._tcp = await asyncio.start_server(self._serve, sock=tcp)
        self.address = udp.getsockname()[:2]

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await asyncio.sleep(0)  # let the transports close their sockets

    def answer(self, wire: bytes, *, limit: int | None = None) -> bytes | None:
        """The answer to one query, or None where none may be given. `limit`: a datagram's size in octets."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            # Too broken to answer by the book: echo the id with FORMERR, unless even the header is missing.
            return wire[:2] + struct.pack("!HHHHH", 0x8001, 0, 0, 0, 0) if len(wire) >= 12 else None
        if query.flags & dns.flags.QR:
            return None  # answering an answer would start a loop
        response = dns.message.make_response(query, recursion_available=True)
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
        elif len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
        else:
            self._resolve(query, response)
        # Our order is the round robin, so no shuffling; what does not fit is cut with TC set: the client asks over TCP.
        if limit is None:
            return response.to_wire(want_shuffle=False)
        limit = max(limit, query.payload if query.edns >= 0 else 0)
        return response.to_wire(max_size=limit, prefer_truncation=True, want_shuffle=False)

    def _resolve(self, query: dns.message.Message, response: dns.message.Message) -> None:
        question = query.question[0]
        if question.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
            return
        name = question.name
        for hop in range(MAX_CHAIN):
            zone = self._cloud.pvtz.enclosing(_text(name))
            if zone is None:
                if hop == 0:
                    response.set_rcode(dns.rcode.REFUSED)
                return  # a chain that leaves our zones ends with the CNAME
            response.flags |= dns.flags.AA
            if question.rdtype == dns.rdatatype.SOA and name == _origin(zone):
                response.answer.append(_soa(zone))
                return
            records = self._records(zone, name)
            wanted = [r for r in records if question.rdtype in (dns.rdatatype.from_text(r.type), dns.rdatatype.ANY)]
            if wanted:
                self._add(response, name, wanted)
                return
            alias = next((r for r in records if r.type == "CNAME"), None)
            if alias is None:
                if not records and not self._exists(zone, name):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                response.authority.append(_soa(zone))  # how long the absence may be remembered
                return
            self._add(response, name, [alias])
            name = dns.name.from_text(alias.value)
        response.set_rcode(dns.rcode.SERVFAIL)  # a loop of CNAMEs

    def _records(self, zone: Zone, name: dns.name.Name) -> list[Record]:
        """Enabled records of the name itself or else of the nearest wildcard above it."""
        rr = _host(zone, name)
        found = list(self._cloud.pvtz.answering(zone, rr))
        while not found and rr != "@" and not self._exists(zone, name):
            rr = rr.partition(".")[2]
            found = list(self._cloud.pvtz.answering(zone, f"*.{rr}" if rr else "*"))
            if not rr:
                break
        return found

    def _exists(self, zone: Zone, name: dns.name.Name) -> bool:
        """A name exists if it, or anything below it, has an enabled record; a disabled one is as good as absent."""
        rr = _host(zone, name)
        return rr == "@" or any(
            r.status == "ENABLE" and (r.rr.lower() == rr or r.rr.lower().endswith("." + rr))
            for r in zone.records.values()
        )

    def _add(self, response: dns.message.Message, name: dns.name.Name, records: list[Record]) -> None:
        """One RRset per type, each beginning one further round than in the last answer: round robin for clients that
        take the first."""
        turn = next(self._turn)
        for kind in dict.fromkeys(r.type for r in records):
            members = [r for r in records if r.type == kind]
            start = turn % len(members)
            rdatas = [_rdata(r) for r in members[start:] + members[:start]]
            rrset = dns.rrset.RRset(name, dns.rdataclass.IN, dns.rdatatype.from_text(kind))
            rrset.update_ttl(min(r.ttl for r in members))
            for rdata in rdatas:
                rrset.add(rdata)
            response.answer.append(rrset)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
                while True:
                    head = await asyncio.wait_for(reader.readexactly(2), IDLE_SECONDS)
                    wire = await asyncio.wait_for(reader.readexactly(int.from_bytes(head, "big")), IDLE_SECONDS)
                    answer = self.answer(wire)
                    if answer is None:
                        break
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()
        finally:
            self._clients.discard(task)
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # CPython 3.11's own one is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, limit=512)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        log.debug("dns: a client went away before its answer", extra={"error": str(exc)})


def _bind_both(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """One port for both protocols: a free UDP port may be taken on TCP, so look for a pair."""
    for _ in range(20):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            udp.bind((host, port))
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((host, udp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
            if port:
                raise
            continue
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp
    raise OSError(f"no port of {host} is free for both UDP and TCP: DNS cannot be served there")


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _origin(zone: Zone) -> dns.name.Name:
    return dns.name.from_text(zone.name)


def _host(zone: Zone, name: dns.name.Name) -> str:
    full = _text(name)
    return "@" if full == zone.name else full.removesuffix("." + zone.name)


def _rdata(record: Record) -> dns.rdata.Rdata:
    value = record.value
    if record.type == "TXT":
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif record.type == "MX":
        value = f"{record.priority} {value.rstrip('.')}."
    elif record.type in ("CNAME", "PTR", "SRV"):
        value = value.rstrip(".") + "."
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(record.type), value)


def _soa(zone: Zone) -> dns.rrset.RRset:
    serial = int(zone.updated.timestamp()) & 0xFFFFFFFF
    text = f"ns.{zone.name}. hostmaster.{zone.name}. {serial} 3600 1200 86400 {NEGATIVE_TTL}"
    return dns.rrset.from_text(_origin(zone), NEGATIVE_TTL, "IN", "SOA", text)
