"""One check of a whole `understudy.yaml`: its sections, and the rules between them.

The rules between sections look at whatever sections are sound, so that one run shows all problems of a file.
"""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.config import policy_images, policy_pairs, policy_rules
from shared.config.policy_errors import kind_of
from shared.config.policy_images import ImageSection
from shared.config.policy_pairs import PairSection, SiteSection
from shared.config.policy_plans import PlanSection, of_plan
from shared.config.policy_protection import ProtectionSection
from shared.config.policy_reading import Model, at, listed, named, read, sound, value_of
from shared.config.policy_rebuild import RebuildSection
from shared.config.policy_sections import (
    VERSION,
    AccountSection,
    DocumentSection,
    LimitsSection,
)
from shared.config.policy_values import Name, Region, Zone
from shared.config.problems import Path, Problem, nearest, quoted
from shared.domain.policy import Policy

PROTECTS = ("protections", "rebuilds", "images", "pairs")


def check(tree: object) -> tuple[Policy | None, tuple[Problem, ...]]:
    """A policy, or every problem of the document."""
    if not isinstance(tree, dict):
        says = f"the top level is {kind_of(tree)}, not keys with values. Start with version: {VERSION}"
        return None, (Problem(path=(), says=says),)
    document = _Document(tree)
    policy = document.policy()
    return (None if document.problems else policy), tuple(document.problems)


class _Document:
    """One check of one tree; `problems` grows as it goes."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._tree = tree
        self._home: str | None = value_of(Region, tree.get("region"))
        self._top = self._read(DocumentSection, tree, ())
        self._sites = {
            name: site
            for name, part in self._parts("sites")
            if self._named(name, ("sites", name))
            and (site := self._read(SiteSection, part, ("sites", name))) is not None
        }
        self._accounts = self._list(AccountSection, "accounts")
        self._protections = self._list(ProtectionSection, "protections")
        self._rebuilds = self._list(RebuildSection, "rebuilds")
        self._pairs = self._list(PairSection, "pairs")
        self._plans = self._list(PlanSection, "plans")
        self._images = self._list(ImageSection, "images")

    def policy(self) -> Policy | None:
        self._check_sites()
        self._check_accounts()
        self._check_limits()
        self._check_protections()
        self._check_rebuilds()
        self._check_plans()
        self.problems += policy_images.problems(listed(self._tree, "images"), home=self._home)
        for section in ("accounts", "protections", "rebuilds", "images", "pairs", "plans"):
            self.problems += policy_rules.of_names(listed(self._tree, section), (section,))
        self._check_pairs()
        if self._top is not None and not any(self._tree.get(key) for key in PROTECTS):
            self._says((), "nothing is protected. Add protections, rebuilds, images or pairs")
        if self.problems or self._top is None:
            return None
        zone = self._top.time_zone
        return Policy(
            region=self._top.region,
            protections=tuple(one.value(zone) for _, one in self._protections),
            rebuilds=tuple(one.value() for _, one in self._rebuilds),
            pairs=tuple(one.value(self._sites, zone) for _, one in self._pairs),
            prune=self._top.prune.value(),
            accounts=tuple(one.value() for _, one in self._accounts),
            limits=self._top.limits.value(),
            safety_days=self._top.restore.days(),
            plans=tuple(one.value() for _, one in self._plans),
            images=tuple(one.value(zone) for _, one in self._images),
        )

    # Reading

    def _says(self, path: Path, says: str) -> None:
        self.problems.append(Problem(path=path, says=says))

    def _read(self, model: type[Model], part: object, path: Path) -> Model | None:
        section, problems = read(model, part, path)
        self.problems += problems
        return section

    def _list(self, model: type[Model], section: str) -> list[tuple[Path, Model]]:
        return [
            ((section, place), one)
            for place, part in self._parts(section)
            if (one := self._read(model, part, (section, place))) is not None
        ]

    def _parts(self, section: str) -> list[tuple[Any, object]]:
        part = self._tree.get(section)
        if isinstance(part, dict):
            return list(part.items()) if section == "sites" else []
        return list(enumerate(part)) if isinstance(part, list) and section != "sites" else []

    def _named(self, name: object, path: Path) -> bool:
        try:
            TypeAdapter(Name).validate_python(name)
        except ValidationError as error:
            self._says(path, str(error.errors()[0]["ctx"]["error"]))
            return False
        return True

    # Rules between parts

    def _check_protections(self) -> None:
        zone = value_of(Zone, self._tree.get("time_zone"))
        accounts = [name for _, name in named(listed(self._tree, "accounts"))]
        parts = [(("protections", place), part) for place, part in self._parts("protections")]
        for path, part in parts:
            self.problems += policy_rules.of_protection(part, path, home=self._home, zone=zone, accounts=accounts)
        self.problems += policy_rules.of_freezes(parts)

    def _check_rebuilds(self) -> None:
        for place, part in self._parts("rebuilds"):
            path = ("rebuilds", place, "select")
            self.problems += policy_rules.of_selection(at(part, "select"), path)
            if at(part, "select", "disks") is not None:
                self._says((*path, "disks"), "a rebuild replaces whole instances, so disks would do nothing. Remove it")
        for where, rule in self._rebuilds:
            for number, other in enumerate(rule.elsewhere):
                if self._home and not other.zone.startswith(self._home):
                    says = f"{quoted(other.zone)} is not a zone of {self._home}. A rebuild stays in its region"
                    self._says((*where, "elsewhere", number, "zone"), says)

    def _check_plans(self) -> None:
        rebuilds = bool(listed(self._tree, "rebuilds"))
        for place, part in self._parts("plans"):
            self.problems += of_plan(part, ("plans", place), rebuilds=rebuilds)

    def _check_accounts(self) -> None:
        roles: dict[str, str] = {}
        for path, account in self._accounts:
            if account.role in roles:
                says = f"{quoted(account.role)} is already the role of account {roles[account.role]}. Name it once"
                self._says((*path, "role"), says)
            roles.setdefault(account.role, account.name)

    def _check_limits(self) -> None:
        limits = sound(LimitsSection, self._tree.get("limits"))
        if limits is None:
            return
        for key, path in [(limits.default, ("default",)), *((n, ("actions", a)) for a, n in limits.actions.items())]:
            left = key * (100 - limits.reserve_percent) // 100
            if left < 1:
                says = (
                    f"{key} a minute less a reserve of {limits.reserve_percent}% leaves back-ups no call at all. Use "
                    f"{-(-100 // (100 - limits.reserve_percent))} or more, or lower reserve_percent"
                )
                self._says(("limits", *path), says)

    def _check_sites(self) -> None:
        region = self._home
        if region is None:
            return
        for name, site in self._sites.items():
            # Zones are named cn-hangzhou-h, or us-west-1a where the region ends in a digit.
            rest = site.zone.removeprefix(region)
            if rest == site.zone or not rest.removeprefix("-").isalnum():
                self._says(
                    ("sites", name, "zone"),
                    f"{quoted(site.zone)} is not a zone of {region}. Sites in different regions would need functions "
                    "in the standby region and state in a third, which this version does not have. Use a zone of that "
                    f"region, e.g. {region}{'' if region[-1].isdigit() else '-'}a",
                )

    def _check_pairs(self) -> None:
        masters: dict[str, str] = {}
        records: dict[tuple[str, str, str], str] = {}
        for path, pair in self._pairs:
            self._check_members(path, pair)
            self.problems.extend(policy_pairs.of_pair(pair, path))
            for site, member in pair.members.items():
                here = f"pair {pair.name}, site {site}"
                if member.instance in masters:
                    other = masters[member.instance]
                    says = f"{quoted(member.instance)} is already the master of {other}. Name another one"
                    self._says((*path, "members", site, "instance"), says)
                masters.setdefault(member.instance, here)
                if member.port == member.agent_port:
                    says = f"{member.agent_port} is also the master's own port. Give the agent another one"
                    self._says((*path, "members", site, "agent_port"), says)
            for where, name in pair.names():
                record = (name.service, name.zone, name.host)
                if record in records:
                    says = (
                        f"{name.host}.{name.zone} already belongs to pair {records[record]}. One name follows one pair"
                    )
                    self._says((*path, *where), says)
                records.setdefault(record, pair.name)

    def _check_members(self, path: Path, pair: PairSection) -> None:
        sites = list(pair.members)
        if len(sites) != 2:
            self._says((*path, "members"), f"a pair has two members in two sites, not {len(sites)}. Name two sites")
        unknown = [
            site for site in sites if not isinstance(self._tree.get("sites"), dict) or site not in self._tree["sites"]
        ]
        for site in unknown:
            known = ", ".join(sorted(self._sites)) or "none"
            says = f"there is no such site.{nearest(site, self._sites)} Add it under sites, or use one of: {known}"
            self._says((*path, "members", site), says)
        zones = {self._sites[site].zone for site in sites if site in self._sites}
        if len(sites) == 2 and all(site in self._sites for site in sites) and len(zones) == 1:
            says = (
                f"sites {sites[0]} and {sites[1]} lie in the same zone {zones.pop()} and would be lost together. "
                "Use sites in two zones"
            )
            self._says((*path, "members"), says)
        if pair.preferred not in sites:
            says = f"{quoted(pair.preferred)} is not a member of this pair. Use one of: {', '.join(sites)}"
            self._says((*path, "preferred"), says)
