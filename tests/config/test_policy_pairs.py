"""What a policy says of data, room, hooks, maintenance and mode of a pair: read as it stands, and refused where no
watch could do it."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from shared.config import policy_file
from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId, SiteName
from shared.domain.pair import DataRule, Hook, Mode, Pair, Short, Silence, Surge, UnknownLag
from tests.config.test_policy_names import POLICY


def parsed(**more: Any) -> Pair:
    tree = yaml.safe_load(POLICY)
    tree["pairs"][0].update(more)
    [pair] = policy_file.parse(yaml.safe_dump(tree), "understudy.yaml").pairs
    return pair


def refused(**more: Any) -> str:
    with pytest.raises(BadInput) as told:
        parsed(**more)
    return str(told.value)


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        ({"name": "x"}, "give one of the two"),
        ({"name": "x", "function": "understudy-hook-x", "url": "http://10.0.0.9/"}, "give one of the two"),
        ({"name": "x", "function": "recover"}, "is not called understudy-hook-"),
        ({"name": "x", "url": "ftp://10.0.0.9/"}, "must begin with http:// or https://"),
        ({"name": "x", "url": "file:///etc/passwd"}, "must begin with http:// or https://"),
        ({"name": "x", "url": "http://10.0.0.9/", "silence": "perhaps"}, "silence"),
    ],
)
def test_a_hook_that_no_watch_could_ask_is_refused(hook: dict[str, str], says: str) -> None:
    assert says in refused(hooks=[hook])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"mode": "sometimes"}, "mode"),
        ({"data": {"max_lag": "soon"}}, "max_lag"),
        ({"surge": {"hz-h": {"short": "perhaps"}}}, "short"),
        ({"surge": {"hz-h": {"groups": {"asg-h": 2_001}}}}, "Use 2,000 or less"),
        ({"balancer": "lb-1", "surge": {"hz-h": {"weights": {"i-bp1a": 101}}}}, "100"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(more: dict[str, Any], says: str) -> None:
    assert says in refused(**more)


def test_all_of_it_is_read_as_it_stands() -> None:
    pair = parsed(
        mode="manual",
        balancer="lb-bp1",
        data={"max_lag": "30s", "unknown": "refuse"},
        surge={"hz-i": {"weights": {"i-bp1app": 100}, "groups": {"asg-bp1": 4}, "short": "refuse"}},
        hooks=[{"name": "ledger", "url": "http://10.0.0.9/may-we", "within": "2s", "silence": "veto"}],
        maintenance=[{"name": "patch-night", "weekdays": ["sat"], "between": "01:00-03:00"}],
    )

    assert pair.mode is Mode.MANUAL
    assert pair.data == DataRule(max_lag=timedelta(seconds=30), unknown=UnknownLag.REFUSE)
    assert pair.surge == {
        SiteName("hz-i"): Surge(weights={InstanceId("i-bp1app"): 100}, groups={"asg-bp1": 4}, short=Short.REFUSE)
    }
    assert pair.hooks == (
        Hook(name="ledger", url="http://10.0.0.9/may-we", within=timedelta(seconds=2), silence=Silence.VETO),
    )
    assert [(one.name, one.zone) for one in pair.maintenance] == [("patch-night", "Asia/Shanghai")]


def test_a_pair_that_says_nothing_of_it_moves_by_itself_and_asks_nobody() -> None:
    pair = parsed()

    assert (pair.mode, pair.surge, pair.hooks, pair.maintenance) == (Mode.AUTOMATIC, {}, (), ())
