"""What a client of the names meets, by resolvers and masters that say what a case needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.ids import Epoch, InstanceId, SiteName
from shared.domain.pair import Member, NameRule, NameService, Pair
from shared.ports.probes import AgentReport, Line, Sight, Tried
from shared.ports.resolvers import Resolved
from shared.usecases.failover.client_view import ASK_TIMEOUT, HELD_FOR, SILENT_FOR, ClientView
from tests.simulation.failover_world import pair_policy

NEW, OLD = "10.0.2.21", "10.0.1.21"
PUBLIC_NEW = "203.0.113.2"
RULE = NameRule(zone="corp.example", host="master")
PUBLIC = NameRule(zone="public.example", host="master", service=NameService.PUBLIC)
ALIAS = NameRule(zone="corp.example", host="queue", type="CNAME")
TARGET = "hz-i.corp.example"
VALUES = ((RULE, NEW), (PUBLIC, PUBLIC_NEW), (ALIAS, TARGET))
MEMBER = Member(site=SiteName("hz-i"), zone="z", instance=InstanceId("i"), port=7000, agent_port=7001)
ACTIVE = AgentReport(sight=Sight.ANSWERED, active=True, epoch=Epoch(2))


def gives(rule: NameRule, *addresses: str, alias: str = "", ttl: int = 5, server: str = "ns-1") -> Resolved:
    aliases = (alias,) if alias else ()
    return Resolved(server=server, name=str(rule), addresses=addresses, aliases=aliases, ttl_seconds=ttl)


RIGHT = [gives(RULE, NEW), gives(PUBLIC, PUBLIC_NEW), gives(ALIAS, NEW, alias=TARGET)]


@dataclass
class Stage:
    """Agents, resolvers, masters and the clock in one."""

    answers: list[Resolved] = field(default_factory=lambda: list(RIGHT))
    listening: set[str] = field(default_factory=lambda: {NEW, PUBLIC_NEW})
    report: AgentReport = ACTIVE
    seconds: float = 0.0
    asked: list[tuple[tuple[str, ...], tuple[str, ...], timedelta]] = field(default_factory=list)
    tried: list[tuple[str, str]] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, duration: timedelta) -> None:
        self.seconds += duration.total_seconds()

    def look(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        return self.report

    def promote(self, address: str, port: int, *, epoch: Epoch, timeout: timedelta) -> AgentReport:
        raise AssertionError("whoever looks orders nothing")

    def demote(self, address: str, port: int, *, timeout: timedelta) -> AgentReport:
        raise AssertionError("whoever looks orders nothing")

    def ask(self, names: Sequence[str], *, servers: Sequence[str], timeout: timedelta) -> tuple[Resolved, ...]:
        self.asked.append((tuple(names), tuple(servers), timeout))
        return tuple(one for one in self.answers if one.name in names)

    def tries(self, address: str, port: int, *, path: str, timeout: timedelta) -> Tried:
        self.tried.append((f"{address}:{port}", path))
        well = address in self.listening
        return Tried(sight=Sight.ANSWERED if well else Sight.SILENT, well=well)

    def line(self, address: str, port: int, *, path: str, timeout: timedelta) -> Line | None:
        raise AssertionError("whoever looks keeps no line")


PAIR = replace(pair_policy(), resolvers=("ns-1",))


def view(stage: Stage, pair: Pair = PAIR) -> ClientView:
    return ClientView(pair, agents=stage, probes=stage, resolvers=stage, clock=stage)


def looked(seen: ClientView) -> tuple[bool, str]:
    served, why = seen.look(NEW, MEMBER, Epoch(2), VALUES)
    return served, "; ".join(why)


@pytest.mark.parametrize(
    "report",
    [replace(ACTIVE, active=False), replace(ACTIVE, epoch=Epoch(1)), AgentReport(sight=Sight.SILENT)],
    ids=["not active", "an older epoch", "silent"],
)
def test_without_the_active_master_under_the_epoch_nobody_is_served_however_long_it_takes(report: AgentReport) -> None:
    stage = Stage(report=report)
    seen = view(stage)
    assert not looked(seen)[0]
    stage.seconds = 100.0
    assert looked(seen) == (False, f"{NEW} is not active under epoch 2: {report.sight}")


def test_a_master_that_takes_no_connection_where_a_private_name_leads_serves_nobody() -> None:
    stage = Stage(listening={PUBLIC_NEW})
    seen = view(stage)
    looked(seen)
    stage.seconds = 100.0
    assert looked(seen) == (False, f"{NEW}:7000 is silent")


def test_where_an_alias_leads_a_master_must_answer_as_well() -> None:
    stage = Stage(answers=[RIGHT[0], RIGHT[1], gives(ALIAS, "10.0.2.99", alias=TARGET)])
    stage.seconds = 100.0
    served, why = looked(view(stage))
    assert (served, why) == (False, "10.0.2.99:7000 is silent")


def test_a_public_address_that_cannot_be_reached_from_here_is_told_and_holds_nothing_up() -> None:
    stage = Stage(listening={NEW})
    seen = view(stage)
    assert looked(seen)[0] is False
    stage.seconds += SILENT_FOR
    assert looked(seen) == (True, f"{NEW} answers as active under epoch 2; {PUBLIC_NEW}:7000 is silent")


def test_a_silent_resolver_is_waited_for_a_moment_and_told() -> None:
    stage = Stage(answers=[Resolved(server="ns-1", name=str(RULE), why="no answer within 0.5 s"), *RIGHT[1:]])
    seen = view(stage)
    assert looked(seen)[0] is False
    stage.seconds += SILENT_FOR
    served, why = looked(seen)
    assert served
    assert "resolver ns-1 does not tell master.corp.example: no answer within 0.5 s" in why


@pytest.mark.parametrize(
    ("old", "gives_now"),
    [(gives(RULE, OLD, ttl=4), OLD), (gives(RULE, ttl=4), "nothing"), (gives(RULE, NEW, OLD, ttl=4), f"{NEW}, {OLD}")],
    ids=["the old one", "none", "both"],
)
def test_another_answer_is_waited_for_as_long_as_it_may_end_by_itself(old: Resolved, gives_now: str) -> None:
    stage = Stage(answers=[old, *RIGHT[1:]])
    seen = view(stage)
    served, why = looked(seen)
    assert (served, why) == (False, f"resolver ns-1 still gives master.corp.example as {gives_now}, for up to 4 s")
    stage.seconds = HELD_FOR - 4 + 0.1  # it was asked for anew, and would outlast our patience
    assert looked(seen)[0] is True


def test_an_answer_that_may_be_kept_for_long_is_not_waited_for() -> None:
    stage = Stage(answers=[RIGHT[0], gives(PUBLIC, "203.0.113.1", ttl=600), RIGHT[2]])
    served, why = looked(view(stage))
    assert served
    assert "still gives master.public.example as 203.0.113.1, for up to 600 s" in why


def test_an_alias_that_leads_to_no_address_is_told() -> None:
    stage = Stage(answers=[*RIGHT[:2], gives(ALIAS, alias=TARGET)])
    seen = view(stage)
    assert looked(seen)[0] is False
    stage.seconds += SILENT_FOR
    served, why = looked(seen)
    assert served
    assert "leads queue.corp.example to hz-i.corp.example, and to no address" in why


def test_one_resolver_of_two_that_lags_is_one_that_clients_may_ask() -> None:
    stage = Stage(answers=[*RIGHT, gives(RULE, OLD, ttl=3, server="ns-2")])
    assert looked(view(stage))[0] is False


def test_all_names_are_asked_for_at_once_and_each_place_is_tried_once() -> None:
    stage = Stage()
    assert looked(view(stage, replace(PAIR, probe="/health"))) == (True, f"{NEW} answers as active under epoch 2")
    assert stage.asked == [
        (("master.corp.example", "master.public.example", "queue.corp.example"), ("ns-1",), ASK_TIMEOUT)
    ]
    assert stage.tried == [(f"{NEW}:7000", "/health"), (f"{PUBLIC_NEW}:7000", "/health")]


def test_without_resolvers_the_records_address_is_tried() -> None:
    stage = Stage()
    seen = ClientView(PAIR, agents=stage, probes=stage, resolvers=None, clock=stage)
    assert looked(seen) == (True, f"{NEW} answers as active under epoch 2")
    assert [where for where, _ in stage.tried] == [f"{NEW}:7000", f"{PUBLIC_NEW}:7000"]


def test_patience_begins_with_each_confirmation() -> None:
    stage = Stage(answers=[Resolved(server="ns-1", name=str(RULE), why="no answer"), *RIGHT[1:]])
    seen = view(stage)
    looked(seen)
    stage.seconds = 50.0
    seen.forget()
    assert looked(seen)[0] is False


def test_a_resolver_that_leads_to_a_hundred_addresses_keeps_a_watch_for_four_of_them() -> None:
    stage = Stage()
    many = [f"10.9.9.{n}" for n in range(100)]
    stage.answers = [*RIGHT[:2], gives(ALIAS, *many, alias=TARGET)]

    view(stage).look(NEW, MEMBER, Epoch(2), VALUES)

    assert len([address for address, _ in stage.tried if address.startswith("10.9.9.")]) == 4
