"""Every way in which understudy.yaml can be wrong, and what its author is told."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shared.config import policy_file
from shared.domain.errors import BadInput
from shared.domain.policy import Policy, PruneLimits, Retention, Schedule
from shared.state import codec

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"
TEXT = EXAMPLE.read_text()
W = "understudy.yaml: "


def parse(text: str) -> Policy:
    return policy_file.parse(text, "understudy.yaml")


def refusal(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        parse(text)
    return str(caught.value).splitlines()


def edited(*edits: tuple[str, str]) -> str:
    text = TEXT
    for old, new in edits:
        assert old in text, f"the example no longer has {old!r}"
        text = text.replace(old, new, 1)
    return text


HOURLY = "{name: hourly, hours: all, weekdays: all}"
KEEP = "keep: {hourly: 24, daily: 7}"

MALFORMED = [
    pytest.param(
        "rpo_target: 75m",
        "rpo_taget: 75m",
        "protections[0].rpo_taget: unknown key. Did you mean 'rpo_target'?",
        id="unknown key",
    ),
    pytest.param(
        HOURLY,
        "{name: hourly, hours: [2, 24], weekdays: all}",
        "protections[0].schedules[0].hours: 24 is not an hour of day (0-23). Use 0 for midnight (line 15)",
        id="bad hour",
    ),
    pytest.param(
        HOURLY, "{name: hourly, hours: [-1]}", "schedules[0].hours: -1 is not an hour of day", id="negative hour"
    ),
    pytest.param(HOURLY, "{name: hourly, hours: [2.5]}", "hours: 2.5 is not an hour of day", id="broken hour"),
    pytest.param(HOURLY, "{name: hourly, hours: [true]}", "hours: true is not an hour of day", id="boolean hour"),
    pytest.param(
        HOURLY, "{name: hourly, hours: 2}", "hours: 2 is not a list of hours. Write [2], or all", id="lone hour"
    ),
    pytest.param(
        HOURLY, "{name: hourly, hours: []}", "hours: the list is empty, so it would never be due", id="no hours"
    ),
    pytest.param(HOURLY, "{name: hourly, hours: [2, 2]}", "hours: hour 2 is listed twice", id="hour twice"),
    pytest.param(
        HOURLY,
        "{name: hourly}",
        "schedules[0]: says no time. Add hours: [2, 14], or every: 15m (line 15)",
        id="hours missing",
    ),
    pytest.param(
        HOURLY,
        "{name: hourly, hours: all, weekdays: [0]}",
        "weekdays: 0 is not a weekday. Sunday is 7.",
        id="weekday 0",
    ),
    pytest.param(
        HOURLY,
        "{name: hourly, hours: all, weekdays: [Monday]}",
        "'Monday' is not a weekday. Did you mean mon?",
        id="weekday in full",
    ),
    pytest.param(
        HOURLY,
        "{name: hourly, hours: all, weekdays: [mon, 1]}",
        "weekdays: weekday 1 is listed twice",
        id="weekday twice",
    ),
    pytest.param(
        HOURLY, "{name: hourly, hours: all, minute: 60}", "minute: 60 is not a minute of the hour (0-59)", id="minute"
    ),
    pytest.param(
        "time_zone: Asia/Shanghai",
        "time_zone: Asia/Beijing",
        "time_zone: 'Asia/Beijing' is not a time zone known to IANA. Did you mean 'Asia/Shanghai'?",
        id="zone unknown to IANA",
    ),
    pytest.param(
        "time_zone: Asia/Shanghai", "time_zone: Asia/Shangai", "Did you mean 'Asia/Shanghai'?", id="misspelt zone"
    ),
    pytest.param(
        HOURLY,
        "{name: hourly, hours: all, time_zone: utc+8}",
        "protections[0].schedules[0].time_zone: 'utc+8' is not a time zone known to IANA",
        id="zone of a schedule",
    ),
    pytest.param("time_zone: Asia/Shanghai\n", "", "time_zone: is missing. Add time_zone: Asia/Shanghai", id="no zone"),
    pytest.param(
        KEEP, "keep: {days: 0}", "keep.days: 0 is not a number of days (1-65,536). Use 1 or more", id="retention 0"
    ),
    pytest.param(
        KEEP,
        "keep: {days: 65537}",
        "keep.days: 65537 is not a number of days (1-65,536). Use 65,536 or less",
        id="retention 65,537",
    ),
    pytest.param(
        KEEP, "keep: {days: -1}", "keep.days: -1 is not a number of days", id="retention -1 is not for ever here"
    ),
    pytest.param(
        KEEP, "keep: {days: 7d}", "keep.days: '7d' is not a whole number. Write a number of days", id="days with unit"
    ),
    pytest.param(KEEP, "keep: {hourly: 0}", "keep.hourly: 0 is not a number of points", id="count 0"),
    pytest.param(KEEP, "keep: {}", "keep: says nothing. Write {hourly: 24, daily: 7}", id="keep nothing said"),
    pytest.param(KEEP, "keep: {forever: false}", "keep.forever: false says nothing", id="not for ever"),
    pytest.param(
        KEEP,
        "keep: {forever: true, days: 3}",
        "keep.forever: true keeps everything, so days would do nothing",
        id="for ever and something",
    ),
    pytest.param(
        "- name: masters",
        "- name: applications",
        "protections[1].name: 'applications' is already the name of protections[0]. Rename one (line 18)",
        id="duplicate protection",
    ),
    pytest.param(
        f"- {HOURLY}",
        f"- {HOURLY}\n      - {HOURLY}",
        "protections[0].schedules[1].name: 'hourly' is already the name of schedules[0]",
        id="duplicate schedule",
    ),
    pytest.param("name: masters", "name: Region Masters", "is not a name.", id="name with a space"),
    pytest.param(
        "name: masters", "name: 7", "protections[1].name: 7 is not text. Put it in quotes: '7'", id="name as number"
    ),
    pytest.param(
        "select: {tags: {role: app}}",
        "select: {}",
        "protections[0].select: selects nothing. Add tags",
        id="selects nothing",
    ),
    pytest.param(
        "select: {tags: {role: app}}",
        "select: {tags: {version: 1.10}}",
        "protections[0].select.tags.version: 1.1 is not text. Put it in quotes",
        id="tag that YAML rounds",
    ),
    pytest.param(
        "select: {tags: {role: app}}",
        "select: {tags: {on: true}}",
        "select.tags.on: true is not text. Put it in quotes: 'true'",
        id="boolean tag",
    ),
    pytest.param(
        "select: {tags: {role: app}}",
        "select: {ids: [i-1], exclude: [i-1]}",
        "protections[0].select.exclude: 'i-1' is also in ids",
        id="wanted and excluded",
    ),
    pytest.param(
        "rpo_target: 75m", "rpo_target: 75", "rpo_target: 75 has no unit. Write a duration like 5s, 75m", id="no unit"
    ),
    pytest.param("rpo_target: 75m", "rpo_target: 1:15", "rpo_target: '1:15' is not a duration", id="sexagesimal"),
    pytest.param("rpo_target: 75m", "rpo_target: 0m", "rpo_target: '0m' is out of range. Use 1m to 365d", id="zero"),
    pytest.param("rpo_target: 75m", "rpo_target: 99999999999d", "is out of range", id="longer than time"),
    pytest.param(
        "ttl: 5s",
        "ttl: 10s",
        "domain_name.ttl: '10s' is not a time to live that PrivateZone takes. Use one of 5s, 30s, 1m, 1h, 12h, 1d",
        id="ttl",
    ),
    pytest.param("margin: 1s", "margin: 5s", "pairs[0].margin: 5s is not less than lease 5s", id="margin = lease"),
    pytest.param("margin: 1s", "margin: 6s", "pairs[0].margin: 6s is not less than lease 5s", id="margin > lease"),
    pytest.param(
        "renew_every: 1s", "renew_every: 2100ms", "renew_every: '2100ms' is not a duration", id="unknown unit"
    ),
    pytest.param(
        "renew_every: 1s",
        "renew_every: 2.1s",
        "renew_every: 2.1s is too long: two renewals must fit in lease - margin = 4s, or one lost renewal ends "
        "the mastership. Use 2s or less",
        id="renewals too rare",
    ),
    pytest.param(
        "watch_every: 1s", "watch_every: 6s", "watch_every: 6s is longer than lease 5s", id="watching too rare"
    ),
    pytest.param(
        "hz-i: {instance: i-master-i",
        "hz-x: {instance: i-master-i",
        "members.hz-x: there is no such site. Did you mean 'hz-i'? Add it under sites, or use one of: hz-h, hz-i",
        id="site unknown",
    ),
    pytest.param(
        "\n      hz-i: {instance: i-master-i, port: 7000, agent_port: 7001}",
        "",
        "pairs[0].members: a pair has two members in two sites, not 1",
        id="one member",
    ),
    pytest.param(
        "zone: cn-hangzhou-i",
        "zone: cn-hangzhou-h",
        "pairs[0].members: sites hz-h and hz-i lie in the same zone cn-hangzhou-h and would be lost together",
        id="same zone",
    ),
    pytest.param(
        "zone: cn-hangzhou-i",
        "zone: cn-shanghai-b",
        "sites.hz-i.zone: 'cn-shanghai-b' is not a zone of cn-hangzhou. Sites in different regions would need "
        "functions in the standby region",
        id="another region",
    ),
    pytest.param(
        "preferred: hz-h", "preferred: hz-x", "pairs[0].preferred: 'hz-x' is not a member of this pair", id="preferred"
    ),
    pytest.param(
        "instance: i-master-i",
        "instance: i-master-h",
        "pairs[0].members.hz-i.instance: 'i-master-h' is already the master of pair control, site hz-h",
        id="one machine twice",
    ),
    pytest.param(
        "agent_port: 7001", "agent_port: 7000", "agent_port: 7000 is also the master's own port", id="one port twice"
    ),
    pytest.param("port: 8080", "port: 80800", "rebuilds[0].port: 80800 is not a port (1-65,535)", id="port"),
    pytest.param("weight: 100", "weight: 101", "rebuilds[0].balancer.weight: 101 is not a weight (0-100)", id="weight"),
    pytest.param("max_percent: 50", "max_percent: 0", "prune.max_percent: 0 is not a percentage (1-100)", id="percent"),
    pytest.param(
        "version: 1", "version: 2", "version: 2 is not a version of this file's form. Write version: 1", id="version"
    ),
    pytest.param("version: 1\n", "", "version: is missing. Add version: 1", id="no version"),
    pytest.param("host: master", "host: -x-", "domain_name.host: '-x-' is not a host of a record", id="host"),
    pytest.param(
        "zone: corp.example", "zone: corp", "domain_name.zone: 'corp' is not a private zone", id="private zone"
    ),
    pytest.param("instance: i-master-h", "instance: i master", "'i master' is not an id of the cloud", id="id"),
    pytest.param(
        "prune: {max_items: 200, max_percent: 50}",
        "prune: [200, 50]",
        "prune: a list stands where keys with values are expected. Write {max_items, max_percent} with values",
        id="list for mapping",
    ),
    pytest.param(
        "sites:\n",
        "sites: 3\nsitess:\n",
        "sites: 3 stands where keys with values are expected",
        id="number for mapping",
    ),
    pytest.param(
        "rebuilds:\n",
        "rebuilds: {}\nrebuild:\n",
        "rebuilds: a mapping stands where a list is expected",
        id="mapping for list",
    ),
    pytest.param(
        "region: cn-hangzhou\n", "region:\n", "region: nothing is not text. Write a word", id="nothing for text"
    ),
]


@pytest.mark.parametrize(("old", "new", "says"), MALFORMED)
def test_a_malformed_file_names_key_value_and_remedy(old: str, new: str, says: str) -> None:
    lines = refusal(edited((old, new)))

    assert any(says in line for line in lines), lines
    assert all(line.startswith(W) for line in lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("# only a comment\n", "the file is empty", id="only comments"),
        pytest.param("- version: 1\n", "the top level is a list, not keys with values", id="a list"),
        pytest.param("hello\n", "the top level is 'hello', not keys with values", id="a word"),
        pytest.param("version: 1\n\tregion: x\n", "line 2 is indented with a tab. Use spaces", id="tab"),
        pytest.param("version: 1\nregion: [a, b\nx: 1\n", "line 3 is not YAML", id="unclosed list"),
        pytest.param("version: 1\n region: x\n", "line 2 is not YAML", id="bad indentation"),
        pytest.param("a: 1\n---\nb: 2\n", "a second document begins in line 2 (---)", id="two documents"),
        pytest.param(
            "version: 1\nversion: 1\n",
            "version: is given twice, first in line 1. Remove one of the two (line 2)",
            id="key twice",
        ),
        pytest.param("a: &x 1\nb: *x\n", "*x refers to another place, which is not supported", id="alias"),
        pytest.param("a: &x [*x]\n", "is not supported", id="endless alias"),
        pytest.param(
            "a: !!python/object/apply:os.system [ls]\n",
            "a: the tag tag:yaml.org,2002:python/object/apply:os.system",
            id="tag",
        ),
        pytest.param("? [a, b]\n: 1\n", "a key must be a plain word", id="key that is a list"),
        pytest.param("a: \x01\n", "holds a character that YAML does not allow", id="control character"),
        pytest.param(
            "version: 1\nregion: cn-hangzhou\ntime_zone: UTC\n",
            "nothing is protected. Add protections",
            id="nothing protected",
        ),
    ],
)
def test_a_file_that_is_no_policy_at_all_says_why(text: str, says: str) -> None:
    (line,) = refusal(text)[:1]

    assert line.startswith(W)
    assert says in line


def test_a_file_without_protections_is_told_about_every_missing_key_at_once() -> None:
    lines = refusal("protections:\n  - {}\n")

    assert [line.removeprefix(W).split(":")[0] for line in lines[:3]] == ["version", "region", "time_zone"]
    assert sum("is missing" in line for line in lines) == 8


def test_all_problems_of_a_file_are_reported_together_in_the_order_of_its_lines() -> None:
    lines = refusal(
        edited(
            (HOURLY, "{name: hourly, hours: [24]}"),
            ("hours: [2]", "hours: [2, 99]"),
            ("ttl: 5s", "ttl: 7s"),
            ("preferred: hz-h", "preferredd: hz-h"),
        )
    )

    assert [line.rsplit(" ", 1)[1] for line in lines] == sorted(
        (line.rsplit(" ", 1)[1] for line in lines), key=lambda found: int(found.rstrip(")"))
    )
    keys = [line.removeprefix(W).split(":")[0] for line in lines]
    assert keys[:3] == ["protections[0].schedules[0].hours", "protections[1].schedules[0].hours", "pairs[0].preferred"]
    assert {"pairs[0].domain_name.ttl", "pairs[0].preferredd"} <= set(keys)


def test_rules_between_sections_are_checked_even_when_another_section_is_broken() -> None:
    lines = refusal(edited(("rpo_target: 75m", "rpo_target: x"), ("renew_every: 1s", "renew_every: 3s")))

    assert len(lines) == 2


def test_two_pairs_cannot_own_one_name() -> None:
    pair = TEXT[TEXT.index("  - name: control") :]

    lines = refusal(TEXT + pair.replace("control", "other").replace("i-master", "i-other"))

    says = "pairs[1].domain_name: master.corp.example already belongs to pair control. One name follows one pair"
    line = len(TEXT.splitlines()) + next(at for at, row in enumerate(pair.splitlines(), 1) if "domain_name" in row)
    assert lines == [f"{W}{says} (line {line})"]


def test_the_example_of_the_repository_is_read_whole() -> None:
    policy = policy_file.load(EXAMPLE)

    applications, masters = policy.protections
    assert applications.schedules == (
        Schedule(name="hourly", hours=tuple(range(24)), weekdays=tuple(range(1, 8)), zone="Asia/Shanghai"),
    )
    assert applications.keep == Retention(hourly=24, daily=7)
    assert applications.rpo_target == timedelta(minutes=75)
    assert masters.keep == Retention(days=5)
    assert policy.prune == PruneLimits(max_items=200, max_percent=50)
    (pair,) = policy.pairs
    assert [member.zone for member in pair.members] == ["cn-hangzhou-h", "cn-hangzhou-i"]
    assert (pair.name_ttl_seconds, pair.lease, pair.margin) == (5, timedelta(seconds=5), timedelta(seconds=1))


def test_a_policy_survives_being_stored() -> None:
    policy = policy_file.load(EXAMPLE)

    assert codec.load(Policy, codec.dump(policy)) == policy


@pytest.mark.parametrize("days", [1, 65_535, 65_536])
def test_retention_is_accepted_at_both_bounds(days: int) -> None:
    assert parse(edited((KEEP, f"keep: {{days: {days}}}"))).protections[0].keep == Retention(days=days)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[mon, sun]", (1, 7)),
        ("[7, 1]", (1, 7)),
        ("[fri]", (5,)),
        ("all", (1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_weekdays_are_names_or_iso_numbers(written: str, read: tuple[int, ...]) -> None:
    policy = parse(edited((HOURLY, f"{{name: hourly, hours: all, weekdays: {written}}}")))

    assert policy.protections[0].schedules[0].weekdays == read


def test_weekdays_may_be_left_out_and_a_schedule_may_have_its_own_zone_and_minute() -> None:
    (schedule,) = (
        parse(edited((HOURLY, "{name: hourly, hours: [2], minute: 30, time_zone: Europe/Berlin}")))
        .protections[0]
        .schedules
    )

    assert schedule == Schedule(name="hourly", hours=(2,), weekdays=tuple(range(1, 8)), zone="Europe/Berlin", minute=30)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("on", "on"),
        ("no", "no"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("2026-03-02", "2026-03-02"),
        ("010", "010"),
    ],
)
def test_a_word_stays_a_word_whatever_yaml_1_1_makes_of_it(written: str, read: str) -> None:
    policy = parse(edited(("select: {tags: {role: app}}", f"select: {{tags: {{role: {written}, on: {written}}}}}")))

    assert policy.protections[0].select.tags == {"role": read, "on": read}


def test_an_hour_with_a_leading_zero_is_refused_instead_of_read_as_octal() -> None:
    (line,) = refusal(edited((HOURLY, "{name: hourly, hours: [010]}")))

    assert "hours: '010' is not an hour of day (0-23). Use 10" in line


def missing(path: Path) -> Path:
    return path / "nowhere.yaml"


def latin_1(path: Path) -> Path:
    (path / "understudy.yaml").write_bytes(b"version: 1\n# caf\xe9\n")
    return path / "understudy.yaml"


def binary(path: Path) -> Path:
    (path / "understudy.yaml").write_bytes(b"\x7fELF\x00\x01")
    return path / "understudy.yaml"


def nested(start: str, level: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        (path / "understudy.yaml").write_text(start + level * 20_000)
        return path / "understudy.yaml"

    return make


def huge(path: Path) -> Path:
    (path / "understudy.yaml").write_bytes(b"#" * (policy_file.MAX_BYTES + 1))
    return path / "understudy.yaml"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(missing, "there is no such file. Run in the repository's root, or pass --file PATH", id="missing"),
        pytest.param(lambda path: path, "is a directory. Pass --file PATH", id="directory"),
        pytest.param(latin_1, "line 2 is not UTF-8. Save the file as UTF-8", id="not UTF-8"),
        pytest.param(lambda path: Path("/dev/zero"), "are more than 1000000", id="endless"),
        pytest.param(lambda path: path / ("x" * 5000), "cannot be read", id="name too long"),
        pytest.param(binary, "holds a character that YAML does not allow", id="binary"),
        pytest.param(nested("a: ", "["), "line 1 is not YAML: it is nested more than 20 levels", id="deep brackets"),
        pytest.param(nested("", "- "), "nested more than 20 levels", id="deep dashes"),
        pytest.param(nested("", "? "), "nested more than 20 levels", id="deep keys"),
        pytest.param(huge, "are more than 1000000. Is this the right file?", id="huge"),
    ],
)
def test_a_file_that_cannot_be_read_says_how_to_mend_it(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    with pytest.raises(BadInput) as caught:
        policy_file.load(make(tmp_path))

    assert says in str(caught.value)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "understudy.yaml").write_bytes(b"\xef\xbb\xbf" + EXAMPLE.read_bytes())

    assert policy_file.load(tmp_path / "understudy.yaml") == policy_file.load(EXAMPLE)


@pytest.mark.parametrize(
    ("region", "zone"),
    [("us-west-1", "us-west-1a"), ("cn-hangzhou", "cn-hangzhou-h"), ("ap-southeast-1", "ap-southeast-1c")],
)
def test_zones_are_recognised_in_both_spellings_of_the_cloud(region: str, zone: str) -> None:
    text = edited(
        ("region: cn-hangzhou", f"region: {region}"), ("hz-h: {zone: cn-hangzhou-h}", f"hz-h: {{zone: {zone}}}")
    )

    assert not any("hz-h" in line for line in _lines(text))


def _lines(text: str) -> list[str]:
    try:
        parse(text)
    except BadInput as error:
        return str(error).splitlines()
    return []
