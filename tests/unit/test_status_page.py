"""The page is a pure function of the view; whatever stands in names and reasons, it stays text."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from shared.observability.page import render
from shared.observability.view import (
    CertificateView,
    DiskView,
    OperationView,
    PairView,
    PauseView,
    SkipView,
    SlotsView,
    StatusView,
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
                disk=text, instance=text, points=3, rpo_now=None, rpo_worst=None, rpo_target=timedelta(minutes=75)
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
        slots=(SlotsView(protection=text, schedule=text, due=168, taken=165, late=1, skipped=2),),
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
                agents=(text,),
                watches=(WatchView(site=text, heard=timedelta(minutes=5), running=False),),
            ),
        ),
        prune=CertificateView(at=NOW, state=text, outcomes={text: 4}, refused=(text,), orphans=1, missing=0),
        notes=(text,),
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
