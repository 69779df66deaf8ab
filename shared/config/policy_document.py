"""One check of a whole `understudy.yaml`: its sections, and the rules between them.

The rules between sections look at whatever sections are sound, so that one run shows all problems of a file.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from shared.config.policy_errors import in_our_words, kind_of
from shared.config.policy_sections import (
    VERSION,
    DocumentSection,
    KeepSection,
    PairSection,
    ProtectionSection,
    RebuildSection,
    Section,
    SelectSection,
    SiteSection,
)
from shared.config.policy_values import Name, in_words
from shared.config.problems import Path, Problem, nearest, quoted
from shared.domain.policy import Policy, PruneLimits


def check(tree: object) -> tuple[Policy | None, tuple[Problem, ...]]:
    """A policy, or every problem of the document."""
    if not isinstance(tree, dict):
        says = f"the top level is {kind_of(tree)}, not keys with values. Start with version: {VERSION}"
        return None, (Problem(path=(), says=says),)
    document = _Document(tree)
    policy = document.policy()
    return (None if document.problems else policy), tuple(document.problems)


_Model = TypeVar("_Model", bound=Section)


class _Document:
    """One check of one tree; `problems` grows as it goes."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._tree = tree
        self._top = self._read(DocumentSection, tree, ())
        self._sites = {
            name: site
            for name, part in self._parts("sites")
            if self._named(name, ("sites", name))
            and (site := self._read(SiteSection, part, ("sites", name))) is not None
        }
        self._protections = self._list(ProtectionSection, "protections")
        self._rebuilds = self._list(RebuildSection, "rebuilds")
        self._pairs = self._list(PairSection, "pairs")

    def policy(self) -> Policy | None:
        self._check_sites()
        for path, one in self._protections:
            self._check_selection(one.select, (*path, "select"))
            self._check_keep(one.keep, (*path, "keep"))
            self._check_schedules(path)
        for path, rule in self._rebuilds:
            self._check_selection(rule.select, (*path, "select"))
        for section in ("protections", "rebuilds", "pairs"):
            self._check_names((section,))
        self._check_pairs()
        if self._top is not None and not any(self._tree.get(key) for key in ("protections", "rebuilds", "pairs")):
            self._says((), "nothing is protected. Add protections, rebuilds or pairs")
        if self.problems or self._top is None:
            return None
        zone = self._top.time_zone
        return Policy(
            region=self._top.region,
            protections=tuple(one.value(zone) for _, one in self._protections),
            rebuilds=tuple(one.value() for _, one in self._rebuilds),
            pairs=tuple(one.value(self._sites) for _, one in self._pairs),
            prune=PruneLimits(max_items=self._top.prune.max_items, max_percent=self._top.prune.max_percent),
        )

    # Reading

    def _says(self, path: Path, says: str) -> None:
        self.problems.append(Problem(path=path, says=says))

    def _read(self, model: type[_Model], part: object, path: Path) -> _Model | None:
        try:
            return model.model_validate(part)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                where = tuple(key for key in one["loc"] if key != "[key]")
                self._says((*path, *where), in_our_words(model, where, one))
            return None

    def _list(self, model: type[_Model], section: str) -> list[tuple[Path, _Model]]:
        return [
            ((section, at), read)
            for at, part in self._parts(section)
            if (read := self._read(model, part, (section, at))) is not None
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

    def _check_names(self, path: Path) -> None:
        seen: dict[str, int] = {}
        for at, one in enumerate(_names(_at(self._tree, path))):
            if one is None:
                continue
            if one in seen:
                first = ".".join(str(part) for part in path[-1:])
                self._says(
                    (*path, at, "name"), f"{quoted(one)} is already the name of {first}[{seen[one]}]. Rename one"
                )
            seen.setdefault(one, at)

    def _check_schedules(self, path: Path) -> None:
        if not _at(self._tree, (*path, "schedules")):
            self._says((*path, "schedules"), "the list is empty, so nothing would be backed up. Add a schedule")
        self._check_names((*path, "schedules"))

    def _check_selection(self, select: SelectSection, path: Path) -> None:
        if not select.tags and not select.ids:
            self._says(path, "selects nothing. Add tags: {role: app} or ids: [i-...]")
        both = sorted(set(select.ids) & set(select.exclude))
        if both:
            self._says((*path, "exclude"), f"{quoted(both[0])} is also in ids. Remove it from one of the two")

    def _check_keep(self, keep: KeepSection, path: Path) -> None:
        given = sorted(keep.model_fields_set)
        if not given:
            self._says(path, "says nothing. Write {hourly: 24, daily: 7}, {days: 30} or {forever: true}")
        elif keep.forever and len(given) > 1:
            others = ", ".join(one for one in given if one != "forever")
            self._says((*path, "forever"), f"true keeps everything, so {others} would do nothing. Remove one side")

    def _check_sites(self) -> None:
        if self._top is None:
            return
        region = self._top.region
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
        records: dict[tuple[str, str], str] = {}
        for path, pair in self._pairs:
            self._check_members(path, pair)
            self._check_timing(path, pair)
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
            record = (pair.domain_name.zone, pair.domain_name.host)
            if record in records:
                says = f"{record[1]}.{record[0]} already belongs to pair {records[record]}. One name follows one pair"
                self._says((*path, "domain_name"), says)
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

    def _check_timing(self, path: Path, pair: PairSection) -> None:
        if pair.margin >= pair.lease:
            says = (
                f"{in_words(pair.margin)} is not less than lease {in_words(pair.lease)}, so a master would give up "
                "before it begins. Use a fifth of the lease"
            )
            self._says((*path, "margin"), says)
        elif 2 * pair.renew_every > pair.lease - pair.margin:
            most = (pair.lease - pair.margin) / 2
            says = (
                f"{in_words(pair.renew_every)} is too long: two renewals must fit in lease - margin = "
                f"{in_words(pair.lease - pair.margin)}, or one lost renewal ends the mastership. Use {in_words(most)} "
                "or less"
            )
            self._says((*path, "renew_every"), says)
        if pair.watch_every > pair.lease:
            says = (
                f"{in_words(pair.watch_every)} is longer than lease {in_words(pair.lease)}, so detection would be "
                f"slower than the lease allows. Use {in_words(pair.lease)} or less"
            )
            self._says((*path, "watch_every"), says)


def _at(tree: object, path: Path) -> object:
    for part in path:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _names(items: object) -> Iterator[str | None]:
    for one in items if isinstance(items, list) else ():
        found = one.get("name") if isinstance(one, dict) else None
        yield found if isinstance(found, str) else None
