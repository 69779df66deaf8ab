"""`image` and `images`: make, publish and pin images of roles; see which stand, which go, and what is ready."""

import json
from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from shared.domain.errors import BadInput, CredentialsRejected, DrError
from shared.domain.image_versions import Fate, Verdict
from shared.domain.place import Place
from shared.domain.readiness import Readiness, roles
from shared.state import codec
from shared.state.families import Families
from shared.state.policies import Policies
from shared.usecases.images.retire_images import Group, RetireImages
from understudy.cli.connection import Connection
from understudy.cli.screen import console, table

FORMAT = "understudy images 1"


def make(
    instance: str,
    family: str,
    *,
    rule: str = "",
    point: str = "",
    disks: str = "",
    copy_to: Sequence[str] = (),
    kms_key: str = "",
) -> None:
    if not rule and not (instance and family):
        raise BadInput(
            "name an instance and a family (`understudy image i-... app`), or a rule of the policy "
            "(`understudy image --rule NAME`)"
        )
    connection = Connection()
    if copy_to:
        _known_regions(connection, copy_to)
    asked: dict[str, Any] = {
        "instance": instance,
        "family": family,
        "rule": rule,
        "point": point,
        "disks": disks,
        "copy_to": list(copy_to),
        "kms_key": kms_key,
    }
    answer = connection.command("image", at=_now(connection), **{name: value for name, value in asked.items() if value})
    of = f"restore point {point}" if point else instance or f"an instance of images {rule}"
    there = answer.get("copy_to") or []
    where = f", and its copy in {', '.join(map(str, there))}" if isinstance(there, list) and there else ""
    filed = f" in family {family}" if family else ""
    _say(f"asked for an image of {of}{filed}{where}", answer.get("operation"))


def publish(what: str) -> None:
    connection = Connection()
    answer = connection.command("publish_image", what=what, at=_now(connection))
    groups = answer.get("groups") or []
    where = f" to {', '.join(map(str, groups))}" if isinstance(groups, list) and groups else ""
    _say(f"asked to publish {what}{where}", answer.get("operation"))


def pin(family: str, image: str, because: str) -> None:
    Connection().command("pin_image", family=family, image=image, because=because)
    console().print(f"pinned {escape(image)} of {escape(family)}: {escape(because)}")


def unpin(family: str, image: str) -> None:
    Connection().command("unpin_image", family=family, image=image)
    console().print(f"unpinned {escape(image)} of {escape(family)}")


def images(*, as_json: bool) -> None:
    """From the cloud, with the operator's own keys; readiness as function backup judged it last."""
    from shared.wiring import foundation

    connection = Connection()
    version, policy = Policies(connection.store).active()
    found = RetireImages(
        clouds=foundation.clouds_of_operator(), scaling=_scaling, store=connection.store, clock=connection.clock
    ).plan(policy)
    families = Families(connection.store)
    judged = [(role, families.readiness(role.family)) for role in roles(policy)]
    if as_json:
        document = {
            "format": FORMAT,
            "policy": version,
            "roles": [_role(role.family, role.rules, one) for role, one in judged],
            "images": [_image(group, verdict) for group in found.groups for verdict in group.verdicts],
            "unread": found.refused,
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201 (for machines: no markup, no wrapping)
        return
    if not judged:
        console().print("no rule of the policy names an image family: add images or rebuilds (docs/images.md)")
        return
    shown = table("role", "newest usable image", "version", "made", "stands in", "ready")
    for role, one in judged:
        shown.add_row(*_told(role.family, one))
    console().print(shown)
    for _, one in judged:
        for lack in one.lacks if one else ():
            console().print(f"[yellow]{escape(one.family)}[/yellow]: {escape(lack)}" if one else "", soft_wrap=True)
    rows = [(group, verdict) for group in found.groups for verdict in reversed(group.verdicts)]
    if rows:
        listed = table("family", "image", "version", "region", "made", "state", "what becomes of it")
        for group, verdict in rows:
            listed.add_row(*_row(group, verdict))
        console().print(listed)
    for line in found.refused:
        console().print(f"[red]{escape(line)}[/red]", soft_wrap=True)


def _told(family: str, one: Readiness | None) -> tuple[str, ...]:
    if one is None:
        return (escape(family), "-", "-", "-", "-", "[yellow]not judged yet[/yellow]")
    ready = "[red]no[/red]" if not one.ready else "[yellow]yes, but[/yellow]" if one.lacks else "[green]yes[/green]"
    return (
        escape(family),
        escape(one.image or "-"),
        str(one.version or "-"),
        f"{one.made:%Y-%m-%d %H:%M}" if one.made else "-",
        escape(", ".join(one.regions) or "-"),
        ready,
    )


_TONES = {Fate.KEEP: "green", Fate.DEPRECATE: "yellow", Fate.DELETE: "red"}
_FATES = {Fate.KEEP: "stays", Fate.DEPRECATE: "leaves its family", Fate.DELETE: "goes for good"}


def _row(group: Group, verdict: Verdict) -> tuple[str, ...]:
    one = verdict.version
    fate = f"[{_TONES[verdict.fate]}]{_FATES[verdict.fate]}[/{_TONES[verdict.fate]}]"
    return (
        escape(group.rule.family),
        escape(one.image),
        str(one.number or "-"),
        escape(str(group.place)),
        f"{one.made:%Y-%m-%d %H:%M}",
        one.state.value if one.startable or one.state.value != "available" else "available, unusable",
        f"{fate}: {escape(verdict.because)}",
    )


def _role(family: str, rules: Sequence[str], one: Readiness | None) -> dict[str, Any]:
    judged = {} if one is None else json.loads(codec.dump(one))
    return {"judged": one is not None, **judged, "family": family, "rules": list(rules)}


def _image(group: Group, verdict: Verdict) -> dict[str, Any]:
    one = verdict.version
    return {
        "family": group.rule.family,
        "rule": group.rule.name,
        "image": one.image,
        "version": one.number,
        "region": group.place.region,
        "made": codec.second(one.made),
        "state": one.state.value,
        "usable": one.startable,
        "fate": verdict.fate.value,
        "because": verdict.because,
    }


def _known_regions(connection: Connection, wanted: Sequence[str]) -> None:
    """Raises BadInput for one that the account does not have. One who may not look is told by the copy itself."""
    from shared.wiring import foundation
    from understudy.cli.against_cloud import unknown_regions

    place = Place(connection.settings.region)
    try:
        known = foundation.clouds_of_operator().at(place).market.regions()
    except CredentialsRejected:
        raise
    except DrError:
        return
    for says in unknown_regions("--copy-to", wanted, known):
        raise BadInput(says)


def _scaling() -> Any:
    from shared.adapters.ess import EssScaling
    from shared.wiring import foundation

    region = foundation.configuration().region
    return EssScaling(endpoint=foundation.endpoint(region), credentials=foundation.credentials)


def _now(connection: Connection) -> str:
    return f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _say(what: str, operation: object) -> None:
    console().print(f"{escape(what)}; `understudy explain {escape(str(operation))}` tells how it goes", soft_wrap=True)
