"""The DNS door: what `names` answers, on UDP and TCP. Nothing is cached here."""

import asyncio
import contextlib
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

from emulator.pvtz.names import NEGATIVE_TTL, Names, Origin, RRset
from emulator.pvtz.propagation import Named

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 10.0  # a TCP client that asks nothing is let go


class DnsServer:
    def __init__(self, cloud: "Cloud") -> None:
        self._names = Names(cloud)
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
        kind = dns.rdatatype.to_text(question.rdtype)
        origin = self._names.origin(_text(question.name))
        if origin is not None and question.rdtype == dns.rdatatype.SOA and question.name == _origin(origin):
            response.flags |= dns.flags.AA
            response.answer.append(_soa(origin))
            return
        answer = self._names.ask(_text(question.name), kind)
        if answer.refused:
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.flags |= dns.flags.AA
        response.answer += [_rrset(one) for one in answer.rrsets]
        if answer.endless:
            response.set_rcode(dns.rcode.SERVFAIL)
        if answer.missing:
            response.set_rcode(dns.rcode.NXDOMAIN)
        if answer.origin is not None:
            response.authority.append(_soa(answer.origin))  # how long the absence may be remembered

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


def _origin(origin: Origin) -> dns.name.Name:
    return dns.name.from_text(origin.name)


def _rrset(found: RRset) -> dns.rrset.RRset:
    rrset = dns.rrset.RRset(dns.name.from_text(found.name), dns.rdataclass.IN, dns.rdatatype.from_text(found.type))
    rrset.update_ttl(found.ttl)
    for record in found.members:
        rrset.add(_rdata(record))
    return rrset


def _rdata(record: Named) -> dns.rdata.Rdata:
    value = record.value
    if record.type == "TXT":
        parts = [value[start : start + 255] for start in range(0, len(value), 255)]
        value = " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    elif record.type == "MX":
        value = f"{record.priority} {value.rstrip('.')}."
    elif record.type in ("CNAME", "PTR", "SRV", "NS"):
        value = value.rstrip(".") + "."
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(record.type), value)


def _soa(origin: Origin) -> dns.rrset.RRset:
    serial = int(origin.updated.timestamp()) & 0xFFFFFFFF
    text = f"ns.{origin.name}. hostmaster.{origin.name}. {serial} 3600 1200 86400 {NEGATIVE_TTL}"
    return dns.rrset.from_text(_origin(origin), NEGATIVE_TTL, "IN", "SOA", text)
