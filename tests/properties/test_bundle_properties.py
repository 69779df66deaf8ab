"""Bundles and shards of any fleet: everybody is in exactly one, and none is larger than it may be."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bundles import DISKS_AT_MOST, GIB_AT_MOST, Member, bundles, halves, shards
from shared.domain.ids import DiskId, InstanceId


def a_member(number: int, zone: str, disks: int, groupable: bool, size_gib: int) -> Member:
    return Member(
        instance=InstanceId(f"i-{number:03d}"),
        zone=zone,
        disks=tuple(DiskId(f"d-{number:03d}-{disk}") for disk in range(disks)),
        groupable=groupable,
        size_gib=size_gib,
    )


@st.composite
def fleets(draw: st.DrawFn) -> list[Member]:
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["h", "i"]), st.integers(0, 20), st.booleans(), st.sampled_from([20, 2_000, 40_000])
            ),
            max_size=60,
        )
    )
    return [a_member(number, *row) for number, row in enumerate(rows)]


@given(fleets())
def test_every_groupable_instance_with_disks_is_in_one_bundle_and_no_other_is(fleet: list[Member]) -> None:
    placed = Counter(member.instance for bundle in bundles(fleet) for member in bundle)

    assert placed == Counter(one.instance for one in fleet if one.groupable and one.disks)


@given(fleets())
def test_a_bundle_is_of_one_zone_and_too_large_only_for_a_single_instance(fleet: list[Member]) -> None:
    for bundle in bundles(fleet):
        assert len({member.zone for member in bundle}) == 1
        fits = sum(len(one.disks) for one in bundle) <= DISKS_AT_MOST
        fits = fits and sum(one.size_gib for one in bundle) <= GIB_AT_MOST
        assert fits or len(bundle) == 1


@given(fleets(), st.integers(1, 50))
def test_every_instance_is_in_one_shard_and_a_shard_is_too_large_only_for_a_single_one(
    fleet: list[Member], disks: int
) -> None:
    cut = list(shards(fleet, disks=disks))

    assert Counter(member.instance for shard in cut for member in shard) == Counter(one.instance for one in fleet)
    for shard in cut:
        assert sum(max(1, len(one.disks)) for one in shard) <= disks or len(shard) == 1


@given(fleets(), st.integers(1, 50), st.randoms(use_true_random=False))
def test_the_order_of_a_listing_changes_nothing(fleet: list[Member], disks: int, order: object) -> None:
    shuffled = list(fleet)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # of this world alone

    assert list(shards(shuffled, disks=disks)) == list(shards(fleet, disks=disks))
    assert list(bundles(shuffled)) == list(bundles(fleet))


@given(st.integers(2, 40))
def test_halving_ends_at_single_instances(count: int) -> None:
    waiting, single = [tuple(InstanceId(str(one)) for one in range(count))], 0
    while waiting:
        for half in halves(waiting.pop()):
            assert half
            if len(half) == 1:
                single += 1
            else:
                waiting.append(half)
    assert single == count
