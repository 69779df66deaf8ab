"""What a journal holds as JSON, in words."""

import pytest

from understudy.cli.plainly import SHOWN, plainly


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("3 of 3 were made", "3 of 3 were made"),
        ('["a","b"]', "a, b"),
        ('[["i-1","shop001","10.0.1.1"],["i-2","shop002","10.0.1.2"]]', "i-1 shop001 10.0.1.1; i-2 shop002 10.0.1.2"),
        ('{"answer":0.0,"boot":30.5,"key_pair":"","tags":{"team":"shop"}}', "answer 0, boot 30.5, tags team shop"),
        ('{"ready":true,"room":250,"group":null}', "ready yes, room 250"),
        ("[]", "nothing"),
        ("{}", "nothing"),
        ("[not json", "[not json"),
        ("x" * (SHOWN + 1), "x" * SHOWN + "..."),
    ],
)
def test_stored_values_are_told_in_words(stored: str, told: str) -> None:
    assert plainly(stored) == told
