"""Images in a prune's certificate: a part for each family and place in which something goes, with all of its versions.

Written as *begun* before the first call, and as *ended* after the read-back, like the parts about points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.ids import ImageId, OperationId
from shared.domain.image_versions import Fate as Wanted
from shared.domain.image_versions import Verdict
from shared.domain.inventory import ImageState
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.ports.compute import Compute
from shared.state import codec
from shared.state.certificates import FamilyLine, Fate, ImageLine, Part
from shared.usecases.prune.prune_record import blank

LOOKS: Final = 3
"""A read-back that misses what must remain is repeated: one listing that was short proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All versions of one family in one place."""

    place: Place
    family: str
    verdicts: tuple[Verdict, ...]
    operations: Mapping[ImageId, OperationId]  # of ours
    pinned: frozenset[ImageId]
    used: frozenset[ImageId]
    looked: datetime


def intended(run: str, number: int, previous: str, judged: Judged) -> Part:
    part = blank(run, number, previous, judged.place, judged.looked)
    part["family"] = judged.family
    part["images"] = [_line(one, judged) for one in judged.verdicts]
    part["images_after"] = {}
    return part


def family_lines(policy: Policy) -> tuple[FamilyLine, ...]:
    return tuple(FamilyLine(rule=one.name, family=one.family, keep=one.keep) for one in policy.images)


def states(cloud: Compute, part: Part) -> dict[str, str]:
    """Of the images of a part, as the cloud shows them now. Raises what the cloud raises."""
    ids = [ImageId(one["image"]) for one in part.get("images", ())]
    remain = {one["image"] for one in part.get("images", ()) if one["wanted"] != Wanted.DELETE}
    found: dict[str, str] = {}
    for _ in range(LOOKS):
        found |= {str(one.id): one.state.value for one in cloud.images.list(ids=ids)} if ids else {}
        if remain <= found.keys():
            break
    return found


def concluded(part: Part, after: Mapping[str, str], at: datetime, troubles: Mapping[ImageId, str]) -> Part:
    """What is not shown is called gone only where all that had to remain is shown, and something had to."""
    lines = part.get("images", [])
    remain = [one["image"] for one in lines if one["wanted"] != Wanted.DELETE]
    hidden = [one for one in remain if one not in after]
    blind = f"the read-back did not show {hidden[0]} either" if hidden else "" if remain else "nothing else is shown"
    return {
        **part,
        "state": "ended",
        "read_back": codec.moment(at),
        "images": [_ended(one, after, blind, troubles) for one in lines],
        "images_after": dict(after),
    }


def _ended(line: ImageLine, after: Mapping[str, str], blind: str, troubles: Mapping[ImageId, str]) -> ImageLine:
    if line["fate"] != Fate.INTENDED:
        return line
    image = line["image"]
    because, reads = list(line["because"]), after.get(image)
    if trouble := troubles.get(ImageId(image)):
        because.append(trouble[:300])
    if line["wanted"] == Wanted.DEPRECATE:
        gone = "it is not shown any more, though nobody asked for its deletion"
        fate = Fate.UNKNOWN if reads is None else Fate.RETIRED if reads == ImageState.DEPRECATED else Fate.STILL_THERE
        because += [gone] if reads is None else []
    else:
        fate = Fate.STILL_THERE if reads is not None else Fate.UNKNOWN if blind else Fate.GONE
        because += [blind] if fate is Fate.UNKNOWN else []
    return {**line, "fate": fate.value, "because": because}


def _line(verdict: Verdict, judged: Judged) -> ImageLine:
    one = verdict.version
    changes = verdict.fate is not Wanted.KEEP
    pinned, used = one.image in judged.pinned, one.image in judged.used
    return {
        "image": one.image,
        "version": one.number,
        "operation": str(judged.operations.get(one.image, "")),
        "made": codec.moment(one.made),
        "state": one.state.value,
        "startable": one.startable,
        "used": used,
        "pinned": pinned,
        "held": list(one.held),
        "retired": None if one.deprecated is None else codec.moment(one.deprecated),
        "wanted": verdict.fate.value,
        "fate": (Fate.INTENDED if changes else Fate.KEPT).value,
        "because": [verdict.because],
    }
