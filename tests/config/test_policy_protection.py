"""What a protection may say beside its selection: when, beside what, how consistent, how long, where else."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.config.policy_protection import RESERVED
from shared.domain import freeze_script
from shared.domain.policy import (
    Account,
    ApiLimits,
    Blackout,
    CopyRule,
    Freeze,
    Lock,
    Overlap,
    Retention,
    Schedule,
    Then,
)
from shared.usecases.requests import ON_DEMAND
from tests.config.policies import parsed, policy, protection, refusals

COPY = "region: cn-shanghai, keep: {days: 3}"
ROLE = "acs:ram::1234567890123456:role/understudy"
EVERY_DAY = tuple(range(1, 8))
EVERY_HOUR = tuple(range(24))

SCHEDULES = [
    pytest.param(
        "every: 7m", ".every: '7m' does not divide a day, so each day would have other times. Use 6m or 8m", id="7m"
    ),
    pytest.param(
        "every: 450s",
        ".every: '450s' does not divide a day, so each day would have other times. Use 6m or 8m",
        id="450s",
    ),
    pytest.param("every: 1m", ".every: '1m' is out of range. Use 5m to 1d", id="too often"),
    pytest.param("every: 25h", ".every: '25h' is out of range. Use 5m to 1d", id="too rare"),
    pytest.param("every: 15", ".every: 15 has no unit. Write a duration like 5s, 75m, 25h, 1d or 1h30m", id="no unit"),
    pytest.param(
        'every: "*/15 * * * *"',
        ".every: '*/15 * * * *' is not a duration. Write 5s, 75m, 25h, 1d or 1h30m",
        id="cron",
    ),
    pytest.param(
        "every: 15m, minute: 20",
        ": minute 20 is not less than every 15m. Write minute: 5, which gives the same times",
        id="minute beyond the interval",
    ),
    pytest.param(
        "every: 6h, hours: [0, 2]",
        ": no multiple of every 6h falls into hour 2, so it would never be due then. "
        "Choose among hours: [0, 6, 12, 18]",
        id="hour without a slot",
    ),
    pytest.param("weekdays: [mon]", ": says no time. Add hours: [2, 14], or every: 15m", id="no time"),
]


@pytest.mark.parametrize(("written", "says"), SCHEDULES)
def test_an_odd_schedule_is_refused(written: str, says: str) -> None:
    assert refusals(policy(schedules=f"[{{name: x, {written}}}]")) == [f"protections[0].schedules[0]{says}"]


def test_an_interval_is_due_in_all_hours_unless_some_are_named() -> None:
    quarter, working = protection(
        schedules="[{name: a, every: 15m}, {name: b, every: 1h, minute: 5, hours: [9, 10], weekdays: [mon]}]"
    ).schedules

    assert quarter == Schedule(
        name="a", hours=EVERY_HOUR, weekdays=EVERY_DAY, zone="Asia/Shanghai", every=timedelta(minutes=15)
    )
    assert working == Schedule(
        name="b", hours=(9, 10), weekdays=(1,), zone="Asia/Shanghai", minute=5, every=timedelta(hours=1)
    )


@pytest.mark.parametrize("written", ["5m", "24h", "1d", "1h30m"])
def test_intervals_hold_at_their_bounds(written: str) -> None:
    assert protection(schedules=f"[{{name: a, every: {written}}}]").schedules[0].every


@pytest.mark.parametrize("name", RESERVED)
def test_no_schedule_takes_a_name_of_ours(name: str) -> None:
    assert refusals(policy(schedules=f"[{{name: {name}, every: 1h}}]")) == [
        f"protections[0].schedules[0].name: '{name}' is what Understudy itself calls such points. Choose another name"
    ]


def test_what_an_operator_asks_for_has_a_reserved_name() -> None:
    assert ON_DEMAND in RESERVED


def test_two_schedules_are_not_due_at_the_same_times() -> None:
    assert refusals(policy(schedules="[{name: a, every: 1h}, {name: b, hours: all}, {name: c, every: 60m}]")) == [
        "protections[0].schedules[2]: is due whenever schedules[0] is, so each point would be made twice. Remove one"
    ]


def test_several_schedules_may_share_some_times() -> None:
    schedules = protection(schedules="[{name: hourly, hours: all}, {name: nightly, hours: [2]}]").schedules

    assert [one.name for one in schedules] == ["hourly", "nightly"]


BLACKOUTS = [
    pytest.param(
        "{name: a}", ": says no time. Add between: '22:00-02:00', or from: 2026-12-24 18:00 and to: ...", id="never"
    ),
    pytest.param(
        "{name: a, between: 22:00}",
        ".between: '22:00' is not a time of day to another. Write '22:00-02:00'",
        id="one end",
    ),
    pytest.param(
        "{name: a, between: [22, 2]}",
        ".between: [22, 2] is not a time of day to another. Write '22:00-02:00'",
        id="list",
    ),
    pytest.param(
        "{name: a, between: 25:00-02:00}",
        ".between: '25:00' is not a time of day (00:00-24:00). Write hours and minutes, e.g. 22:00",
        id="25 o'clock",
    ),
    pytest.param(
        "{name: a, between: 22:60-02:00}",
        ".between: '22:60' is not a time of day (00:00-24:00). Write hours and minutes, e.g. 22:00",
        id="minute 60",
    ),
    pytest.param(
        "{name: a, between: 24:00-02:00}", ".between: 24:00 is an end, not a beginning. Write 00:00", id="24:00"
    ),
    pytest.param(
        "{name: a, between: 02:00-02:00}",
        ".between: '02:00-02:00' begins when it ends. Write '00:00-24:00' for a whole day",
        id="no time at all",
    ),
    pytest.param(
        "{name: a, from: 2026-12-24 18:00}", ": says only one end. Add to: 2026-12-27 06:00", id="without an end"
    ),
    pytest.param("{name: a, to: 2026-12-24}", ": says only one end. Add from: 2026-12-27 06:00", id="without a start"),
    pytest.param(
        "{name: a, from: 2026-12-24 18:00, to: 2026-12-24 18:00}",
        ": ends at 2026-12-24 18:00:00, not after it begins. Exchange from and to, or correct one",
        id="backwards",
    ),
    pytest.param(
        "{name: a, from: 2026-12-24, to: 2026-12-27, weekdays: [mon]}",
        ": comes once, so weekdays would do nothing. Remove them",
        id="weekdays of one time",
    ),
    pytest.param(
        "{name: a, between: 22:00-02:00, from: 2026-12-24}",
        ": recurs by between and comes once by from and to. Remove one side",
        id="both kinds",
    ),
    pytest.param(
        "{name: a, from: Christmas, to: 2026-12-27}",
        ".from: 'Christmas' is not a day and time. Write 2026-12-24 18:00, wall time of time_zone",
        id="a word",
    ),
    pytest.param(
        "{name: a, from: 0001-01-01, to: 2026-12-27}",
        ".from: '0001-01-01' lies in the year 1. Correct the year",
        id="another age",
    ),
]


@pytest.mark.parametrize(("written", "says"), BLACKOUTS)
def test_an_odd_blackout_is_refused(written: str, says: str) -> None:
    assert refusals(policy(blackouts=f"[{written}]")) == [f"protections[0].blackouts[0]{says}"]


def test_two_blackouts_have_two_names() -> None:
    twice = "[{name: a, between: 22:00-02:00}, {name: a, between: 12:00-13:00}]"

    assert refusals(policy(blackouts=twice)) == [
        "protections[0].blackouts[1].name: 'a' is already the name of blackouts[0]. Rename one"
    ]


@pytest.mark.parametrize(
    ("written", "begins", "ends"),
    [
        pytest.param("22:00-02:00", 22 * 60, 2 * 60, id="over midnight"),
        pytest.param("'9:30 - 11:00'", 570, 660, id="within a day"),
        pytest.param("22:00 to 24:00", 22 * 60, 0, id="until midnight"),
        pytest.param("00:00-24:00", 0, 0, id="a whole day"),
    ],
)
def test_a_blackout_recurs_on_every_day_unless_some_are_named(written: str, begins: int, ends: int) -> None:
    every, weekend = protection(
        blackouts=f"[{{name: a, between: {written}}}, {{name: b, between: {written}, weekdays: [sat, sun]}}]"
    ).blackouts

    assert every == Blackout(name="a", zone="Asia/Shanghai", weekdays=EVERY_DAY, begins=begins, ends=ends)
    assert weekend.weekdays == (6, 7)


def test_a_blackout_that_comes_once_is_wall_time_unless_it_names_an_offset() -> None:
    here, there, exact = protection(
        blackouts="[{name: a, from: 2026-12-24 18:00, to: 2026-12-27}, "
        "{name: b, from: 2026-12-24 18:00, to: 2026-12-27, time_zone: Europe/Berlin}, "
        "{name: c, from: 2026-12-24T18:00Z, to: 2026-12-27}]"
    ).blackouts

    assert (here.since, here.until) == (datetime(2026, 12, 24, 10, tzinfo=UTC), datetime(2026, 12, 26, 16, tzinfo=UTC))
    assert there.since == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert exact.since == datetime(2026, 12, 24, 18, tzinfo=UTC)


SINGLE_KEYS = [
    pytest.param("overlap", "drop", ": 'drop' is not what can be done with a slot. Write skip or queue", id="drop"),
    pytest.param("overlap", "3", ": 3 says only how many. Write {at_most: 3, then: skip}, or then: queue", id="only 3"),
    pytest.param(
        "overlap", "{at_most: 11}", ".at_most: 11 is not a number of snapshots (1-10). Use 10 or less", id="at most 11"
    ),
    pytest.param(
        "overlap", "{at_most: 0}", ".at_most: 0 is not a number of snapshots (1-10). Use 1 or more", id="none"
    ),
    pytest.param(
        "overlap", "{then: wait}", ".then: 'wait' is not what can be done with a slot. Write skip or queue", id="wait"
    ),
    pytest.param(
        "freeze", "{before: a, within: 30s}", ".after: is missing. Add after: fsfreeze -u /var/lib/db", id="no thaw"
    ),
    pytest.param(
        "freeze",
        "{before: a, after: b, within: 1h}",
        ".within: '1h' is out of range. Use 10s to 4m",
        id="frozen for long",
    ),
    pytest.param(
        "freeze",
        "{before: a, after: b, within: 30s, required: yes}",
        ".required: 'yes' is neither true nor false. Write one of the two",
        id="yes",
    ),
    pytest.param(
        "lock", "7d", ": '7d' stands where keys with values are expected. Write {days, cool_off} with values", id="7d"
    ),
    pytest.param("lock", "{days: 0}", ".days: 0 is not a number of days (1-36,500). Use 1 or more", id="no lock"),
    pytest.param(
        "lock", "{days: 36501}", ".days: 36501 is not a number of days (1-36,500). Use 36,500 or less", id="century"
    ),
    pytest.param(
        "lock", "{days: 7, cool_off: 90m}", ".cool_off: '90m' is not a number of whole hours. Use 1h", id="half an hour"
    ),
    pytest.param(
        "lock", "{days: 7, cool_off: 73h}", ".cool_off: '73h' is out of range. Use 0s to 3d", id="cools for long"
    ),
    pytest.param(
        "lock",
        "{days: 1, cool_off: 25h}",
        ": cool_off 25h is longer than the lock of 1 d. Use 24h or less",
        id="cools longer than it locks",
    ),
    pytest.param(
        "copies",
        "[{region: cn-hangzhou, keep: {days: 3}}]",
        "[0].region: 'cn-hangzhou' is the home region, where the points are already. Name another region",
        id="home region",
    ),
    pytest.param(
        "copies",
        "[{region: cn-shanghai-b, keep: {days: 3}}]",
        "[0].region: 'cn-shanghai-b' is a zone. Write its region, cn-shanghai",
        id="zone",
    ),
    pytest.param(
        "copies",
        "[{region: us-west-1a, keep: {days: 3}}]",
        "[0].region: 'us-west-1a' is a zone. Write its region, us-west-1",
        id="zone of another spelling",
    ),
    pytest.param(
        "copies",
        f"[{{{COPY}}}, {{{COPY}}}]",
        "[1].region: copies[0] copies to cn-shanghai already, and one retention holds in one region. "
        "Put both into one rule",
        id="one region twice",
    ),
    pytest.param(
        "copies",
        "[{region: cn-shanghai}]",
        "[0].keep: is missing. Add keep: {daily: 30} or {days: 30}",
        id="no retention of its own",
    ),
    pytest.param(
        "copies",
        "[{region: cn-shanghai, keep: {}}]",
        "[0].keep: says nothing. Write {hourly: 24, daily: 7}, {days: 30} or {forever: true}",
        id="empty retention",
    ),
    pytest.param(
        "copies",
        f"[{{{COPY}, schedules: [hurly]}}]",
        "[0].schedules[0]: there is no schedule 'hurly' here. Did you mean 'hourly'? Use one of: hourly",
        id="unknown schedule",
    ),
    pytest.param(
        "copies",
        f"[{{{COPY}, schedules: [hourly, hourly]}}]",
        "[0].schedules: 'hourly' is listed twice. Remove one",
        id="twice",
    ),
    pytest.param(
        "copies", f"[{{{COPY}, priority: 0}}]", "[0].priority: 0 is not a priority (1-9). Use 1 or more", id="priority"
    ),
    pytest.param(
        "copies", f"[{{{COPY}, within: 1m}}]", "[0].within: '1m' is out of range. Use 10m to 30d", id="deadline"
    ),
    pytest.param(
        "copies",
        "{region: cn-shanghai}",
        ": a mapping stands where a list is expected. Write [...] or lines with - in front",
        id="one copy without a list",
    ),
    pytest.param("account", "branch", ": there is no account 'branch'. Add it under accounts", id="unknown account"),
]


@pytest.mark.parametrize(("key", "written", "says"), SINGLE_KEYS)
def test_an_odd_key_of_a_protection_is_refused(key: str, written: str, says: str) -> None:
    assert refusals(policy(**{key: written})) == [f"protections[0].{key}{says}"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("skip", Overlap(then=Then.SKIP)),
        ("queue", Overlap(then=Then.QUEUE)),
        ("{at_most: 3, then: skip}", Overlap(at_most=3, then=Then.SKIP)),
        ("{at_most: 1}", Overlap(at_most=1, then=Then.QUEUE)),
    ],
)
def test_overlap_has_a_short_form(written: str, read: Overlap) -> None:
    assert protection(overlap=written).overlap == read


def test_a_freeze_is_two_scripts_and_a_bound() -> None:
    text = policy(
        more="freeze:\n  before: |\n    sync\n    fsfreeze -f /data\n  after: fsfreeze -u /data\n  within: 30s"
    )

    assert parsed(text).protections[0].freeze == Freeze(
        before="sync\nfsfreeze -f /data\n", after="fsfreeze -u /data", within=timedelta(seconds=30)
    )


def test_scripts_that_cloud_assistant_would_not_take_are_refused() -> None:
    (line,) = refusals(policy(freeze=f"{{before: {'x' * 20_000}, after: b, within: 30s}}"))

    assert line.startswith("protections[0].freeze: with what Understudy adds, before and after are ")
    assert line.endswith(
        f" bytes in Base64, and Cloud Assistant takes {freeze_script.BYTES_AT_MOST}: "
        "put them into files on the instance and call those"
    )


def test_a_lock_and_a_copy_have_defaults() -> None:
    one = protection(lock="{days: 7, cool_off: 1d}", copies=f"[{{{COPY}}}]", keep="{days: 30}")

    assert one.lock == Lock(days=7, cool_off_hours=24)
    assert one.copies == (CopyRule(region="cn-shanghai", keep=Retention(days=3), within=timedelta(days=1)),)


def test_a_copy_may_say_everything() -> None:
    written = (
        "[{region: cn-shanghai, keep: {days: 30}, within: 6h, schedules: [hourly], kms_key: key-1, priority: 1, "
        "lock: {days: 30}}]"
    )

    assert protection(copies=written).copies == (
        CopyRule(
            region="cn-shanghai",
            keep=Retention(days=30),
            within=timedelta(hours=6),
            schedules=("hourly",),
            kms_key="key-1",
            priority=1,
            lock=Lock(days=30),
        ),
    )


LONGER = "is longer than keep.days 5: until then nobody can delete the point, so keep could not be kept."


def test_a_lock_that_outlives_the_retention_is_refused() -> None:
    assert refusals(policy(keep="{days: 5}", lock="{days: 6}")) == [
        f"protections[0].lock.days: 6 {LONGER} Use 5 or less, or raise keep.days to 6"
    ]
    assert refusals(policy(copies="[{region: cn-shanghai, keep: {days: 5}, lock: {days: 9}}]")) == [
        f"protections[0].copies[0].lock.days: 9 {LONGER} Use 5 or less, or raise keep.days to 9"
    ]


@pytest.mark.parametrize("keep", ["{days: 6}", "{forever: true}", "{daily: 30}", "{days: 5, daily: 30}"])
def test_a_lock_passes_where_counted_rules_may_hold_its_points_as_long(keep: str) -> None:
    """How many points that takes is reckoned with the schedules, by `check`."""
    assert protection(keep=keep, lock="{days: 6}").lock == Lock(days=6)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("lock", ".lock: has no value. Write {days: 7, cool_off: 24h}, or remove the key"),
        ("account", ".account: has no value. Write branch, or remove the key"),
        ("overlap", ".overlap: has no value. Write skip, queue or {at_most: 3, then: skip}, or remove the key"),
        ("copies", ".copies: nothing stands where a list is expected. Write [...] or lines with - in front"),
    ],
)
def test_a_key_that_was_never_filled_in_is_not_taken_for_its_default(key: str, says: str) -> None:
    assert refusals(policy(**{key: ""})) == [f"protections[0]{says}"]


def test_an_empty_number_of_days_is_not_for_ever() -> None:
    assert refusals(policy(keep="{days: }")) == ["protections[0].keep.days: has no value. Write 30, or remove the key"]


def other(**keys: str) -> str:
    lines = {"name": "other", "schedules": "[{name: a, hours: [2]}]", "keep": "{days: 1}", "rpo_target": "25h"} | keys
    return "- {" + ", ".join(f"{key}: {value}" for key, value in lines.items()) + "}"


FREEZE = "{before: a, after: b, within: 30s}"
TWICE = (
    "by protections[0] as well: the thaw of one would end the freeze of the other. Put the schedules of both into one "
    "protection, or remove freeze from one"
)


def test_two_protections_do_not_freeze_one_guest() -> None:
    by_id = policy(select="{ids: [i-1, i-2]}", freeze=FREEZE, others=other(select="{ids: [i-2]}", freeze=FREEZE))
    by_tag = policy(freeze=FREEZE, others=other(select="{tags: {role: app}}", freeze=FREEZE))

    assert refusals(by_id) == [f"protections[1].freeze: i-2 is frozen {TWICE}"]
    assert refusals(by_tag) == [f"protections[1].freeze: the same instances are frozen {TWICE}"]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(other(select="{ids: [i-1]}"), id="one of them freezes"),
        pytest.param(other(select="{ids: [i-2]}", freeze=FREEZE), id="other instances"),
        pytest.param(other(select="{ids: [i-1]}", freeze=FREEZE, account="branch"), id="another account"),
        pytest.param(other(select="{ids: [i-1], exclude: []}", copies=f"[{{{COPY}}}]"), id="copies of its own"),
    ],
)
def test_several_protections_may_cover_one_instance(second: str) -> None:
    text = policy(
        select="{ids: [i-1]}", freeze=FREEZE, others=second, top=f"accounts: [{{name: branch, role: '{ROLE}'}}]"
    )

    assert [one.name for one in parsed(text).protections] == ["apps", "other"]


ACCOUNTS_AND_LIMITS = [
    pytest.param(
        "accounts: [{name: a, role: role/x}]",
        "accounts[0].role: 'role/x' is not a role. Write acs:ram::UID:role/NAME as the RAM console shows it, e.g. "
        "acs:ram::1234567890123456:role/understudy",
        id="role without account",
    ),
    pytest.param(
        f"accounts: [{{name: a, role: '{ROLE}'}}, {{name: b, role: '{ROLE}'}}]",
        f"accounts[1].role: '{ROLE}' is already the role of account a. Name it once",
        id="role twice",
    ),
    pytest.param(
        f"accounts: [{{name: a, role: '{ROLE}'}}, {{name: a, role: '{ROLE}2'}}]",
        "accounts[1].name: 'a' is already the name of accounts[0]. Rename one",
        id="name twice",
    ),
    pytest.param(
        "limits: {default: 1}",
        "limits.default: 1 a minute less a reserve of 30% leaves back-ups no call at all. "
        "Use 2 or more, or lower reserve_percent",
        id="nothing left",
    ),
    pytest.param(
        "limits: {reserve_percent: 90, actions: {CopySnapshot: 9}}",
        "limits.actions.CopySnapshot: 9 a minute less a reserve of 90% leaves back-ups no call at all. "
        "Use 10 or more, or lower reserve_percent",
        id="nothing left of one action",
    ),
    pytest.param(
        "limits: {default: 0}", "limits.default: 0 is not calls per minute (1-100,000). Use 1 or more", id="no call"
    ),
    pytest.param(
        "limits: {reserve_percent: 91}",
        "limits.reserve_percent: 91 is not a percentage (0-90). Use 90 or less",
        id="91%",
    ),
    pytest.param(
        "limits: {fan_out: 0}", "limits.fan_out: 0 is not a number of invocations (1-100). Use 1 or more", id="no fan"
    ),
    pytest.param(
        "limits: {actions: {'ecs:CopySnapshot': 9}}",
        "limits.actions.ecs:CopySnapshot: 'ecs:CopySnapshot' names its product, which is always ECS here. "
        "Write CopySnapshot",
        id="with its product",
    ),
]


@pytest.mark.parametrize(("written", "says"), ACCOUNTS_AND_LIMITS)
def test_odd_accounts_and_limits_are_refused(written: str, says: str) -> None:
    assert refusals(policy(top=written)) == [says]


@pytest.mark.parametrize("action", ["CreateSnapshots", "RebootInstances"])
def test_a_limit_of_what_is_never_called_is_refused(action: str) -> None:
    (line,) = refusals(policy(top=f"limits: {{actions: {{{action}: 9}}}}"))

    says = f"'{action}' is not an action of ECS that Understudy calls, so its limit would do nothing. Did you mean '"
    assert line.startswith(f"limits.actions.{action}: {says}")


def test_an_account_that_is_nearly_known_is_proposed() -> None:
    text = policy(account="brnch", top=f"accounts: [{{name: branch, role: '{ROLE}'}}]")

    assert refusals(text) == [
        "protections[0].account: there is no account 'brnch'. Did you mean 'branch'? Add it under accounts, or use one "
        "of: branch"
    ]


def test_accounts_and_limits_reach_the_policy() -> None:
    top = (
        f"accounts: [{{name: branch, role: '{ROLE}'}}]\n"
        "limits: {default: 500, actions: {CreateSnapshot: 100}, reserve_percent: 20, fan_out: 5}"
    )
    policy_ = parsed(policy(account="branch", top=top))

    assert policy_.accounts == (Account(name=policy_.protections[0].account, role=ROLE),)
    assert policy_.limits == ApiLimits(default=500, actions={"CreateSnapshot": 100}, reserve_percent=20, fan_out=5)
    assert policy_.place(policy_.protections[0]).account == "branch"


def test_what_is_left_out_leaves_a_policy_as_it_was() -> None:
    one = protection()

    assert (one.blackouts, one.overlap, one.freeze, one.lock, one.copies) == ((), Overlap(), None, None, ())
    assert parsed(policy()).limits == ApiLimits()


def test_a_slip_in_one_key_hides_no_rule_between_others() -> None:
    text = policy(
        rpo_target="75",
        keep="{days: 5}",
        lock="{days: 9}",
        copies="[{region: cn-hangzhou, keep: {daily: 0}}]",
        schedules="[{name: a, hours: [24]}, {name: a, hours: [3]}]",
        account="branch",
    )

    assert {line.split(":")[0].removeprefix("protections[0].") for line in refusals(text)} == {
        "rpo_target",
        "lock.days",
        "copies[0].region",
        "copies[0].keep.daily",
        "schedules[0].hours",
        "schedules[1].name",
        "account",
    }
