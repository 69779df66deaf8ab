"""What to do next with a scaling group, so that it kills, doubles or replaces nothing while one of its members is
stopped for a restore or gives its place to a rebuilt one. Pure; docs/scaling-groups.md tells the whole order.

Each function looks at the group as it is and answers one move: it may be asked any number of times, after a crash, a
lost answer or somebody else's change. A move is done when the next look shows it, never when its call was answered.

Facts that decide (sources in the page): a group replaces who does not run, unless he is on standby or protected. Who
is on standby is still counted. Fewer than the minimum may never stay and more than the maximum may never be, so a full
group at its minimum must be widened by one first. ScaleIn and ScaleOut must *not* be suspended meanwhile: they
would refuse our own calls. Assumption: the desired capacity rises with who is attached; what it reads afterwards
decides whether it falls with who is detached.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

STANDBY: Final = "standby"
PROTECTED: Final = "protected"
SERVING: Final = frozenset({"inservice", PROTECTED, STANDBY})
LEAVING: Final = frozenset({"removing", "removing:wait"})
COMING: Final = frozenset({"pending", "pending:wait"})


class Group(Protocol):
    """As `shared.ports.scaling.ScalingGroup` tells it."""

    @property
    def active(self) -> bool: ...
    @property
    def least(self) -> int: ...
    @property
    def most(self) -> int: ...
    @property
    def desired(self) -> int | None: ...
    @property
    def total(self) -> int: ...
    @property
    def suspended(self) -> frozenset[str]: ...


class Member(Protocol):
    """As `shared.ports.scaling.Membership` tells it; `state` in lower case."""

    @property
    def state(self) -> str: ...
    @property
    def created_by_group(self) -> bool: ...
    @property
    def entrusted(self) -> bool: ...


class Do(StrEnum):
    NOTHING = "nothing"  # it is as it should be
    WAIT = "wait"  # something is on its way, or could not be seen: look again
    ENTER_STANDBY = "enter standby"
    EXIT_STANDBY = "exit standby"
    WIDEN = "widen"  # set the maximum to `size`
    ATTACH = "attach"  # the new one, `entrusted` or not
    DETACH = "detach"  # the old one, with or without `decrease`
    NARROW = "narrow"  # set the maximum back to `size`
    STAY_OUT = "stay out"  # the group filled the place itself: the new one would double it
    OPERATOR = "operator"  # `because` says what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    do: Do
    because: str
    size: int = 0
    entrusted: bool = False
    decrease: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The group before anything was changed: recorded in the journal first, and told to every later look."""

    most: int
    desired: int | None
    total: int
    entrusted: bool  # whether the group would have released the old one: the new one is held alike

    @property
    def wanted(self) -> int:
        return self.total if self.desired is None else self.desired


def before(group: Group, old: Member) -> Before:
    return Before(
        most=group.most,
        desired=group.desired,
        total=group.total,
        entrusted=old.created_by_group or old.entrusted,
    )


# One member steps aside ---------------------------------------------------------------------------------------------


def step_aside(group: Group | None, member: Member | None) -> Move:
    """Before a member is stopped on purpose, for a rollback or as the fence of a rebuild.

    NOTHING means that it may be stopped now. Its weights are drained by ourselves in any case.
    """
    if member is None:
        return Move(do=Do.NOTHING, because="it is in no scaling group")
    if member.state in (STANDBY, PROTECTED):
        return Move(do=Do.NOTHING, because=f"it is {member.state}: its group looks after its health no more")
    if member.state in COMING:
        return Move(do=Do.WAIT, because=f"it is {member.state}: its group is still taking it in")
    if member.state in LEAVING:
        return Move(do=Do.WAIT, because=f"it is {member.state}: its group is letting it go")
    if group is None:
        return Move(
            do=Do.OPERATOR,
            because="its scaling group is not shown, so that nobody can say whether it would release what is stopped; "
            "enable the group, or detach the instance from it",
        )
    if not group.active:
        return Move(do=Do.NOTHING, because="its scaling group is disabled and looks after nobody")
    if member.state == "inservice":
        return Move(do=Do.ENTER_STANDBY, because="its group would replace it as unhealthy once it does not run")
    return Move(do=Do.OPERATOR, because=f"it is {member.state} in its scaling group; bring it in service, or detach it")


def step_back(group: Group | None, member: Member | None, *, runs: bool) -> Move:
    """After it was started again, when it was *we* who put it on standby. NOTHING: set the recorded weights now."""
    if member is None:
        return Move(do=Do.OPERATOR, because="it is in its scaling group no more; attach it again if it should be")
    if member.state != STANDBY:
        done = member.state in SERVING
        return Move(do=Do.NOTHING if done else Do.WAIT, because=f"it is {member.state}")
    if not runs:
        return Move(do=Do.WAIT, because="in service before it runs it would be released at the group's next look")
    if group is None:
        return Move(do=Do.WAIT, because="its scaling group is not shown, which is no proof that it was deleted")
    if not group.active:
        return Move(do=Do.OPERATOR, because="its scaling group was disabled meanwhile; enable it, and end the standby")
    return Move(do=Do.EXIT_STANDBY, because="it runs again")


# One member takes another one's place -------------------------------------------------------------------------------


def swap(was: Before, group: Group | None, *, old: Member | None, new: Member | None, we_let_go: bool) -> Move:
    """The next move towards: the new one is a member, the old one is none, every bound is as it was.

    Ask only when the new one runs and answers. `we_let_go`: a detach of the old one is in our journal, so that its
    place is ours and not one that the group has filled.
    """
    if group is None:
        return Move(do=Do.WAIT, because="the scaling group is not shown, which is no proof that it was deleted")
    if not group.active:
        return Move(do=Do.OPERATOR, because="the scaling group is disabled: enable it, then resume the operation")
    for member, whose in ((old, "the old one"), (new, "the new one")):
        if member is not None and member.state in LEAVING | COMING:
            return Move(do=Do.WAIT, because=f"{whose} is {member.state}")
    if new is None:
        return _join(was, group, old, we_let_go)
    if old is not None:
        return _leave(was, group)
    if group.most == was.most + 1:
        if group.total > was.most:
            return Move(do=Do.WAIT, because=f"{group.total} members: the group would release one to get to {was.most}")
        return Move(do=Do.NARROW, because="the maximum was raised for the swap", size=was.most)
    return Move(do=Do.NOTHING, because="the new one has the old one's place")


def _join(was: Before, group: Group, old: Member | None, we_let_go: bool) -> Move:
    if old is None and not we_let_go and group.total >= was.wanted:
        return Move(do=Do.STAY_OUT, because=f"the group let the old one go and has {group.total} members again")
    if "ScaleOut" in group.suspended:
        return Move(
            do=Do.OPERATOR, because="ScaleOut of the scaling group is suspended: resume it, so that one can join"
        )
    if group.total < group.most:
        return Move(do=Do.ATTACH, because="there is room beside the old one", entrusted=was.entrusted)
    if old is None:
        return Move(
            do=Do.OPERATOR, because=f"the scaling group is full ({group.most}) with others: raise its MaxSize by one"
        )
    if group.total > group.least and "ScaleIn" not in group.suspended:
        return Move(do=Do.DETACH, because="the group is full: the old one goes first", decrease=True)
    if group.most > was.most:
        return Move(do=Do.WAIT, because="the place made for the new one was taken by somebody else")
    return Move(do=Do.WIDEN, because="the group is full, and nobody may leave it first", size=group.most + 1)


def _leave(was: Before, group: Group) -> Move:
    if "ScaleIn" in group.suspended:
        return Move(do=Do.OPERATOR, because="ScaleIn of the scaling group is suspended: resume it, so that one can go")
    if group.total <= group.least:
        return Move(do=Do.WAIT, because=f"{group.total} members: none may leave before another one joins")
    rose = group.desired is None or group.desired > was.wanted
    because = "the new one serves" if rose else "the new one serves, and the desired capacity did not rise with it"
    return Move(do=Do.DETACH, because=because, decrease=rose)
