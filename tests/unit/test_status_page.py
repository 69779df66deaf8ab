"""The page is a pure function of the view; whatever stands in names and reasons, it stays text."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from shared.observability.page import DISKS_SHOWN, render
from shared.observability.view import (
    AgentView,
    BoundView,
    CertificateView,
    CopiesView,
    DiskView,
    OperationView,
    PairView,
    PauseView,
    SkipView,
    SlotsView,
    StatusView,
    Tone,
    WatchView,
)

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\"'&"


def a_view(text: str) -> StatusView:
    return StatusView(
        at=NOW,
        policy=7,
        pauses=(PauseView(scope=text, since=NOW, because=text),),
        disks=(
            DiskView(
                disk=text,
                instance=text,
                points=3,
                rpo_now=None,
                rpo_worst=None,
                rpo_target=timedelta(minutes=75),
                level=text,
            ),
            DiskView(
                disk="d-fine",
                instance="i-fine",
                points=31,
                rpo_now=timedelta(minutes=20),
                rpo_worst=timedelta(hours=2),
                rpo_target=timedelta(minutes=75),
            ),
        ),
        slots=(SlotsView(protection=text, schedule=text, due=168, taken=165, late=1, skipped=2, reasons={text: 2}),),
        skips=(SkipView(subject=text, due=NOW, because=text),),
        operations=(OperationView(id=text, kind=text, subject=text, since=NOW, because=text, steps=(text,)),),
        pairs=(
            PairView(
                pair=text,
                name=text,
                preferred=text,
                lease_owner=text,
                lease_state=text,
                epoch=3,
                failover=text,
                because=text,
                since=NOW,
                agents=(AgentView(site=text, heard=timedelta(minutes=5), doubted=True),),
                watches=(WatchView(site=text, heard=timedelta(minutes=5), running=False),),
                warnings=(text,),
            ),
        ),
        prune=CertificateView(at=NOW, state=text, outcomes={text: 4}, refused=(text,), orphans=1, missing=0),
        notes=(text,),
        bounds=(BoundView(protection=text, at_most=None, target=timedelta(hours=1), because=text),),
        copies=(CopiesView(protection=text, region=text, waiting=2, overdue=1, oldest=NOW),),
        after=text,
        following=text,
    )


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags_of(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    return parser.seen


def test_no_text_of_anybody_becomes_markup() -> None:
    evil, plain = tags_of(render(a_view(EVIL))), tags_of(render(a_view("plain")))

    assert evil == plain
    assert "script" not in {tag for tag, _ in evil}


def test_the_page_needs_nothing_from_anywhere_else() -> None:
    for tag, attributes in tags_of(render(a_view("x"))):
        assert tag not in ("script", "link", "img", "iframe")
        assert not {"src", "href"} & attributes.keys()
    assert "http" not in render(a_view("x")).replace("http-equiv", "")


def test_what_is_worst_comes_first_and_is_counted() -> None:
    page = render(a_view("d-bare"))

    assert page.index("d-bare") < page.index("d-fine")
    assert "<b class='bad'>1</b><span class=soft>beyond their RPO target" in page
    assert "1 h 15 min" in page


def test_an_empty_world_is_a_page_too() -> None:
    page = render(StatusView(at=NOW, policy=None))

    assert "no policy applied" in page
    assert "No restore point yet." in page


def a_disk(name: str, *, age: timedelta | None, target: timedelta | None = timedelta(hours=1)) -> DiskView:
    return DiskView(
        disk=name,
        instance=f"i-{name}",
        points=1,
        rpo_now=age,
        rpo_worst=age,
        rpo_target=target,
        protections=("web",),
    )


def test_the_worst_disks_come_first_and_the_rest_is_counted_not_listed() -> None:
    fine = tuple(a_disk(f"d-{number:04}", age=timedelta(minutes=number % 50)) for number in range(2 * DISKS_SHOWN))
    bad = (a_disk("d-stale", age=timedelta(minutes=90)), a_disk("d-worse", age=timedelta(hours=9)))
    page = render(StatusView(at=NOW, policy=1, disks=(*fine, *bad, a_disk("d-bare", age=None))))

    assert page.index("d-bare") < page.index("d-worse") < page.index("d-stale") < page.index("d-0049")
    assert f"Disks, the worst {DISKS_SHOWN} of {2 * DISKS_SHOWN + 3}" in page
    assert page.count("<code>d-") == DISKS_SHOWN


@pytest.mark.parametrize(
    ("age", "target", "word", "tone"),
    [
        (timedelta(minutes=60), timedelta(hours=1), "fresh", "good"),
        (timedelta(minutes=61), timedelta(hours=1), "stale", "warn"),
        (timedelta(minutes=121), timedelta(hours=1), "critical", "bad"),
        (None, timedelta(hours=1), "no point", "bad"),
        (timedelta(days=9), None, "no target", "soft"),
    ],
)
def test_freshness_is_a_word_and_a_colour(
    age: timedelta | None, target: timedelta | None, word: str, tone: str
) -> None:
    page = render(StatusView(at=NOW, policy=1, disks=(a_disk("d-1", age=age, target=target),)))

    assert f"<span class='t {tone}'>{word}</span>" in page


def test_a_protection_shows_bound_beside_target_and_why() -> None:
    kept = BoundView(
        protection="web",
        at_most=timedelta(minutes=72),
        target=timedelta(minutes=75),
        because="never older than 1 h 12 min, because <reasons>",
    )
    missing = BoundView(
        protection="old", at_most=None, target=timedelta(hours=1), because="no bound, because it is full"
    )
    page = render(StatusView(at=NOW, policy=1, disks=(a_disk("d-1", age=NOW - NOW),), bounds=(kept, missing)))

    assert "<span class='t good'>1 h 12 min</span>" in page
    assert "<span class='t bad'>no bound</span>" in page
    assert "because &lt;reasons&gt;" in page
    assert "A bound holds while nothing is paused" in page


def test_how_many_instances_nobody_protects_is_shown_when_somebody_counted() -> None:
    assert "instances nobody protects" not in render(StatusView(at=NOW, policy=1))
    assert "<b class='warn'>3</b><span class=soft>instances nobody protects" in render(
        StatusView(at=NOW, policy=1, unprotected=3)
    )


def a_pair(tone: Tone, state: str) -> PairView:
    return PairView(
        pair="control",
        name="master.corp.example",
        preferred="hz-h",
        lease_owner="hz-i",
        lease_state="held",
        epoch=4,
        failover=state,
        because="why",
        since=NOW,
        agents=(),
        tone=tone,
    )


@pytest.mark.parametrize(
    ("tones", "count", "worst", "label"),
    [
        ((Tone.GOOD,), 0, "good", "of 1 pair needs a look"),
        ((Tone.GOOD, Tone.WARN), 1, "warn", "of 2 pairs need a look"),
        ((Tone.WARN, Tone.BAD, Tone.GOOD), 2, "bad", "of 3 pairs need a look"),
    ],
)
def test_pairs_that_need_a_look_are_counted_before_anything_else(
    tones: tuple[Tone, ...], count: int, worst: str, label: str
) -> None:
    page = render(StatusView(at=NOW, policy=1, pairs=tuple(a_pair(tone, "watching") for tone in tones)))

    tile = f"<div class=tiles><div class=tile><b class='{worst}'>{count}</b><span class=soft>{label}</span>"
    assert tile in page


def test_the_state_of_a_failover_bears_its_colour() -> None:
    assert "<b class=bad>needs_operator</b> since 2026-03-02 10:00:00 UTC: why" in render(
        StatusView(at=NOW, policy=1, pairs=(a_pair(Tone.BAD, "needs_operator"),))
    )


def test_a_pair_that_is_switched_off_is_not_called_a_scope() -> None:
    off = PauseView(scope="switch/control", since=NOW, because="audit")

    assert "control is switched off since 2026-03-02 10:00:00Z: audit" in render(
        StatusView(at=NOW, policy=1, pauses=(off,))
    )
