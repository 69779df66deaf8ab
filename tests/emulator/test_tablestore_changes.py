"""Every change is told before it is made, survives its packed form, and makes the same tables again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.cloud import Cloud
from emulator.tablestore.changes import Change, RowChange, TableChange, Together, pack, unpack
from emulator.tablestore.errors import OtsError
from emulator.tablestore.rows import Change as Cell
from emulator.tablestore.rows import Op
from emulator.tablestore.schema import Description, IndexMeta, Options
from emulator.tablestore.table import Existence, Kind, Write
from emulator.tablestore.values import AUTO, INF_MAX, INF_MIN

SCHEMA = [("a", "STRING"), ("b", "INTEGER")]
INTEGERS = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEY_VALUES = st.one_of(INTEGERS, TEXTS, st.binary(max_size=20))
VALUES = st.one_of(KEY_VALUES, st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
CELLS = st.dictionaries(TEXTS, st.lists(st.tuples(VALUES, INTEGERS), min_size=1, max_size=3).map(tuple), max_size=4)
ROWS = st.builds(
    RowChange,
    instance=TEXTS,
    table=TEXTS,
    key=st.lists(KEY_VALUES, min_size=1, max_size=4).map(tuple),
    cells=st.one_of(st.none(), CELLS),
)


def put(a: str, b: Any, *, kind: Kind = Kind.PUT, **columns: Any) -> Write:
    changes = tuple(Cell(name, value=value) for name, value in columns.items())
    return Write(kind=kind, key=[("a", a), ("b", b)], changes=changes)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def told(cloud: Cloud) -> list[Change]:
    kept: list[Change] = []
    cloud.tablestore.on_change = kept.append
    return kept


# -- the packed form


@given(change=st.one_of(ROWS, st.lists(ROWS, max_size=3).map(lambda rows: Together(changes=tuple(rows)))))
def test_a_packed_change_is_one_line_and_comes_back_whole(change: Change) -> None:
    packed = pack(change)
    assert b"\n" not in packed
    again = unpack(packed)
    assert again == change
    assert repr(again) == repr(change), "1, 1.0 and true are three values"


def test_a_packed_table_comes_back_whole() -> None:
    description = Description(
        schema=(("a", "BINARY"), ("b", "INTEGER")),
        options=Options(ttl_seconds=90_000, allow_update=False),
        auto_column="b",
        reserved=(1, 2),
        defined_columns=(("x", 1), ("y", 4)),
        indexes=(IndexMeta(name="i", primary_key=("x",), defined=("y",), local=False),),
        partitions=(b"\0\xff",),
        created_ms=1,
        updated_ms=2,
        auto_floor=3,
    )
    for one in (description, None):
        change = TableChange(instance="i", table="t", description=one)
        assert unpack(pack(change)) == change


@pytest.mark.parametrize("cut", [b"", b"{", b"{}", b'{"v":1}', b"null", b'{"v":2,"key":[]}', b'{"v":1,"together":3}'])
def test_what_was_never_packed_is_refused(cut: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(cut)


# -- what is told


def test_every_row_that_changes_is_told_and_nothing_else(cloud: Cloud, told: list[Change]) -> None:
    store = cloud.tablestore
    store.create_table("i", "t", SCHEMA)
    store.write("i", "t", put("k", 1, n=5))
    store.write("i", "t", put("k", 9, kind=Kind.DELETE))  # there was none
    with pytest.raises(OtsError):
        store.write("i", "t", Write(kind=Kind.DELETE, key=put("k", 9).key, existence=Existence.EXPECT_EXIST))
    store.write("i", "t", put("k", 1, kind=Kind.DELETE))
    store.delete_table("i", "t")

    now = store.now_ms()
    kinds = [type(change).__name__ for change in told]
    assert kinds == ["TableChange", "RowChange", "RowChange", "TableChange"]
    assert told[1] == RowChange(instance="i", table="t", key=("k", 1), cells={"n": ((5, now),)})
    assert told[2] == RowChange(instance="i", table="t", key=("k", 1), cells=None)
    assert told[3] == TableChange(instance="i", table="t", description=None)


def test_nothing_happens_that_could_not_be_told(cloud: Cloud) -> None:
    store = cloud.tablestore
    store.create_table("i", "t", SCHEMA, local_txn=True)
    store.write("i", "t", put("k", 1, n=1))
    txn = store.start_transaction("i", "t", [("a", "x")])
    store.write("i", "t", put("x", 1, n=1), transaction=txn)

    def disk_full(_: Change) -> None:
        raise OSError("no space left")

    store.on_change = disk_full
    attempts: list[Callable[[], Any]] = [
        lambda: store.write("i", "t", put("k", 1, n=2)),
        lambda: store.batch_write("i", [("t", [put("k", 1, n=2)])]),
        lambda: store.commit_transaction("i", txn),
        lambda: store.create_table("i", "u", SCHEMA),
        lambda: store.update_table("i", "t", options=Options(max_versions=2), reserved=None),
        lambda: store.delete_table("i", "t"),
    ]
    for attempt in attempts:
        with pytest.raises(OSError, match="no space"):
            attempt()
    store.on_change = None
    assert store.list_tables("i") == ["t"]
    assert store.table("i", "t").options.max_versions == 1
    assert [found.columns[0][1][0].value for found in everything(cloud)] == [1]
    store.commit_transaction("i", txn)
    assert len(everything(cloud)) == 2


def test_what_happens_together_is_told_together(cloud: Cloud, told: list[Change]) -> None:
    store = cloud.tablestore
    store.create_table("i", "t", SCHEMA, local_txn=True)
    txn = store.start_transaction("i", "t", [("a", "k")])
    store.write("i", "t", put("k", 1, n=1), transaction=txn)
    store.write("i", "t", put("k", 2, n=2), transaction=txn)
    assert len(told) == 1, "nothing before the commit"
    store.commit_transaction("i", txn)
    store.batch_write("i", [("t", [put("k", 3, n=3), put("k", 4, n=4)])], atomic=True)
    store.batch_write("i", [("t", [put("k", 5, n=5), put("k", 6, n=6)])])

    together = [[row.key[1] for row in c.changes] for c in told if isinstance(c, Together)]
    alone = [c.key[1] for c in told if isinstance(c, RowChange)]
    assert together == [[1, 2], [3, 4]]
    assert alone == [5, 6]


# -- made again


def everything(cloud: Cloud, table: str = "t") -> list[Any]:
    schema = cloud.tablestore.table("i", table).schema
    low, high = [(name, INF_MIN) for name, _ in schema], [(name, INF_MAX) for name, _ in schema]
    return cloud.tablestore.get_range("i", table, low, high).rows


def busy(cloud: Cloud) -> None:
    store = cloud.tablestore
    store.create_table("i", "t", SCHEMA, options=Options(max_versions=3))
    for b in range(20):
        store.write("i", "t", put(f"k{b % 3}", b, n=b, s="x", f=1.0, y=True, raw=b"\0"))
        cloud.clock.advance(timedelta(seconds=1))
    store.write("i", "t", Write(kind=Kind.UPDATE, key=put("k0", 0).key, changes=(Cell("n", Op.INCREMENT, 7),)))
    store.write("i", "t", put("k1", 1, kind=Kind.DELETE))
    store.split("i", "t", "k1")
    store.create_table("i", "gone", SCHEMA)
    store.write("i", "gone", put("k", 1, n=1))
    store.delete_table("i", "gone")
    store.create_table(
        "j",
        "indexed",
        SCHEMA,
        defined_columns=(("n", 1),),
        indexes=(IndexMeta(name="by_n", primary_key=("n",)),),
    )
    store.write("j", "indexed", put("k", 1, n=42))
    cloud.clock.advance(timedelta(seconds=1))


def shape(cloud: Cloud) -> list[bytes]:
    return sorted(pack(change) for change in cloud.tablestore.dump())


@pytest.mark.parametrize("way", ["journal", "dump"])
def test_a_second_cloud_given_the_changes_is_the_first_one(way: str) -> None:
    first = Cloud()
    journal: list[bytes] = []
    first.tablestore.on_change = lambda change: journal.append(pack(change))
    busy(first)
    kept = journal if way == "journal" else [pack(change) for change in first.tablestore.dump()]

    second = Cloud(start=first.clock.now())
    second.tablestore.restore(unpack(line) for line in kept)

    assert shape(second) == shape(first)
    assert second.tablestore.list_tables("i") == ["t"]
    assert [f.row.key for f in everything(second)] == [f.row.key for f in everything(first)]
    by_n = [("n", INF_MIN), ("a", INF_MIN), ("b", INF_MIN)], [("n", INF_MAX), ("a", INF_MAX), ("b", INF_MAX)]
    assert [f.row.key for f in second.tablestore.get_range("j", "by_n", *by_n).rows] == [(42, "k", 1)]
    second.tablestore.write("j", "indexed", put("k", 2, n=43))
    second.clock.advance(timedelta(seconds=1))
    assert len(second.tablestore.get_range("j", "by_n", *by_n).rows) == 2


@pytest.mark.parametrize("way", ["journal", "dump", "last states"])
def test_an_auto_increment_value_is_never_given_out_again(way: str) -> None:
    first = Cloud()
    journal: list[Change] = []
    first.tablestore.on_change = journal.append
    first.tablestore.create_table("i", "t", SCHEMA, auto_column="b")
    key = first.tablestore.write("i", "t", put("k", AUTO, n=1)).key
    first.tablestore.write("i", "t", put("k", key[1], kind=Kind.DELETE))
    kept: list[Change] = journal
    if way == "dump":
        kept = [*first.tablestore.dump()]
    elif way == "last states":
        kept = [[change for change in journal if isinstance(change, TableChange)][-1]]

    second = Cloud()  # as early as the first one began
    second.tablestore.restore(kept)
    again = second.tablestore.write("i", "t", put("k", AUTO, n=1)).key

    assert again[1] > key[1]  # type: ignore[operator]


def test_a_row_of_a_table_that_was_never_made_cannot_be_restored(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="i/t, which no change has made"):
        cloud.tablestore.restore([RowChange(instance="i", table="t", key=("k",), cells={})])
