"""The names that follow the active master: each bound by one update of one record, and read back.

They move one by one in the policy's order, and the failover's row remembers which have: a watch that resumes goes on
with the next. A rebind cannot be made conditional (the name services have none), so before each of them the lease row
is read once more and must still name our epoch. What a watch that was frozen right there writes later is mended by the
next look at the names: in the last step of a failover (astray: bind again), and after it in the rounds of every watch
that sees the holder.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from shared.domain.dns_plan import (
    RUNBOOK,
    NamePlan,
    NameRecord,
    Rebind,
    RefuseRebind,
    Settled,
    plan_name,
    remark_of,
    same_value,
)
from shared.domain.errors import CredentialsRejected, DrError, OutcomeUnknown, Permanent, Retryable
from shared.domain.failover_fsm import On
from shared.domain.ids import Epoch, SiteName
from shared.domain.pair import NameRule, NameService, Pair
from shared.observability import log
from shared.ports.names import Names
from shared.usecases.failover.aside import Run
from shared.usecases.failover.client_view import ClientView
from shared.usecases.failover.outcome import Outcome
from shared.usecases.failover.witness import Witness

MOST_ASTRAY: Final = 5  # bindings in one failover; more than a frozen watch or two would undo: somebody else writes too


class Bound(NamedTuple):
    """What became of one name."""

    on: On
    why: tuple[str, ...]
    sent: bool  # an update was asked for: the record may be another than before


class Naming:
    def __init__(
        self,
        *,
        pair: Pair,
        witness: Witness,
        names: Names,
        clients: ClientView,
        public_names: Callable[[], Names] | None = None,
        run: Run = lambda do: do(),
    ) -> None:
        """`names` are the private ones. `public_names` is called for pairs that have some. `run`: for remarks, which
        nothing waits for."""
        self._pair, self._witness, self._private, self._clients = pair, witness, names, clients
        self._make_public, self._run = public_names, run
        self._astray = 0

    def forget(self) -> None:
        """Another failover begins."""
        self._astray = 0
        self._clients.forget()

    def service(self, rule: NameRule) -> Names:
        """Where the name's record is kept."""
        if rule.service is NameService.PRIVATE:
            return self._private
        if self._make_public is None:
            raise Permanent(f"{label(rule)}: public names are not wired here")
        return self._make_public()

    def load(self) -> None:
        """What public names need: in a failover that would cost half a second of its path."""
        if self._make_public is not None:
            self._make_public()

    def value(self, rule: NameRule, site: SiteName) -> str | None:
        """What the name gives while `site` is active; None: not known yet."""
        return rule.values[site] if site in rule.values else self._witness.address(site)

    def wanted(self, site: SiteName) -> dict[str, str]:
        """Each name and what it gives while `site` is active, as far as that is known here: for the record."""
        known = {label(rule): self.value(rule, site) for rule in self._pair.names}
        return {name: value for name, value in known.items() if value is not None}

    def records_of(self, rule: NameRule) -> tuple[NameRecord, ...]:
        """All records that could answer for it: of the type we bind, and of those that would clash."""
        return self.service(rule).records(zone=rule.zone, host=rule.host)

    def records(self) -> tuple[NameRecord, ...]:
        """Of every name."""
        return tuple(record for rule in self._pair.names for record in self.records_of(rule))

    # --- in a failover ---

    def rebind(self, target: SiteName, epoch: Epoch, done: Mapping[str, str]) -> Outcome:
        """The next name of those that are not `done`. One that must not be touched, or whose service does not answer,
        does not keep the others where they are: they are bound first, then it waits or calls an operator."""
        newer = self._witness.newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), {}
        refused: tuple[str, ...] = ()
        waits: tuple[str, ...] = ()
        bound = dict(done)
        for number, rule in enumerate(self._pair.names, 1):
            value = self.value(rule, target)
            if value is None:
                self._witness.learn_addresses()
                return On.REBIND_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
            if bound.get(label(rule)) == value:
                continue
            on, why, _ = self.bind(rule, value, epoch)
            if on is On.REBIND_REFUSED:
                refused += why
                continue
            if on is On.REBIND_WAITS:
                waits += why
                continue
            bound[label(rule)] = value
            if number < len(self._pair.names) or waits:
                return On.ONE_REBOUND, why, {"names": bound}
            if not refused:
                return On.REBOUND, why, {"names": bound}
        if waits:
            return On.REBIND_WAITS, (*waits, *refused), {"names": bound}
        if refused:
            return On.REBIND_REFUSED, refused, {"names": bound}
        return On.REBOUND, ("every name is bound already",), {"names": bound}

    def bind(
        self, rule: NameRule, value: str, epoch: Epoch, *, barred: Callable[[Rebind], str] = lambda _: ""
    ) -> Bound:
        """One name to `value`: one update of one record, read back; the epoch in its remark follows aside. `barred` is
        asked right before the update: why it must not be sent after all, empty when it may be."""
        try:
            plan = self._planned(rule, value, epoch)
        except DrError as error:
            return Bound(*_failed(rule, error), sent=False)
        match plan:
            case RefuseRebind():
                return Bound(On.REBIND_REFUSED, (plan.because, f"runbook: {plan.runbook}"), sent=False)
            case Settled(record=record, remark=remark):
                if remark is not None:
                    self.remark(rule, record, remark)
                return Bound(On.REBOUND, (plan.because,), sent=False)
            case Rebind():
                if why := barred(plan):
                    return Bound(On.REBIND_WAITS, (why,), sent=False)
                try:
                    return Bound(*self._update(rule, plan, epoch), sent=True)
                except DrError as error:
                    return Bound(*_failed(rule, error), sent=True)

    def _planned(self, rule: NameRule, value: str, epoch: Epoch) -> NamePlan:
        return plan_name(self.records_of(rule), name=label(rule), type=rule.type, value=value, epoch=epoch)

    def _update(self, rule: NameRule, plan: Rebind, epoch: Epoch) -> tuple[On, tuple[str, ...]]:
        try:
            self.service(rule).rebind(plan.record, value=plan.value)
        except OutcomeUnknown as error:
            log.event("name.unanswered", subject=self._pair.name, because=[str(error)])
        again = self._planned(rule, plan.value, epoch)
        if not isinstance(again, Settled):
            return On.REBIND_WAITS, (f"reads back as: {again.because}",)
        self.remark(rule, again.record, remark_of(epoch))
        return On.REBOUND, (plan.because,)

    def remark(self, rule: NameRule, record: NameRecord, text: str) -> None:
        """Aside. Evidence only: nothing waits for it, and one that is refused refuses no name. Calm writes it again."""

        def write() -> None:
            try:
                self.service(rule).remark(record, text=text)
            except DrError as error:
                because = [f"{label(rule)}: {error}"]
                log.event("name.remark_lost", level=logging.WARNING, subject=self._pair.name, because=because)

        self._run(write)

    def confirm(self, target: SiteName, epoch: Epoch) -> Outcome:
        """Every record still says what it should, and clients that ask for the names meet the active master."""
        astray = [one for rule in self._pair.names if (one := self._astray_now(rule, target, epoch))]
        newer = self._witness.newer(epoch)
        if newer is not None:
            return On.SUPERSEDED, (newer,), {}
        if astray:
            self._astray += 1
            if self._astray > MOST_ASTRAY:
                fought = f"bound anew {MOST_ASTRAY} times in this move: somebody else writes it too"
                return On.CONFIRM_WAITS, (*astray, fought, f"runbook: {RUNBOOK}"), {"names": {}}
            return On.ASTRAY, tuple(astray), {"names": {}}
        address = self._witness.address(target)
        if address is None:
            self._witness.learn_addresses()
            return On.CONFIRM_WAITS, (f"the address of {target} is not known: {self._witness.trouble}",), {}
        values = [(rule, self.value(rule, target) or "") for rule in self._pair.names]
        served, why = self._clients.look(address, self._witness.member(target), epoch, values)
        return On.CONFIRMED if served else On.CONFIRM_WAITS, why, {}

    def _astray_now(self, rule: NameRule, target: SiteName, epoch: Epoch) -> str:
        """Why the record is not what was bound; empty when it is, or what it should be is not known."""
        value = self.value(rule, target)
        records = [record for record in self.records_of(rule) if record.enabled]
        if value is None or (len(records) == 1 and same_value(rule.type, records[0].value, value)):
            return ""
        read = ", ".join(record.value for record in records) or "nothing"
        return f"{label(rule)} reads {read}, not {value}, which holds epoch {epoch}"


def _failed(rule: NameRule, error: DrError) -> tuple[On, tuple[str, ...]]:
    """Raises CredentialsRejected: that is no matter of the name."""
    if isinstance(error, CredentialsRejected):
        raise error
    if isinstance(error, Retryable | OutcomeUnknown):
        return On.REBIND_WAITS, (str(error),)
    return On.REBIND_REFUSED, (f"{label(rule)}: {error}", "runbook: name-cannot-be-rebound")


def label(rule: NameRule) -> str:
    """The name for people, and for the row. A private and a public record may bear the same one."""
    return str(rule) if rule.service is NameService.PRIVATE else f"{rule} (public)"
