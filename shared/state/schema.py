"""Tables of the state store and their primary keys. All key columns are STRING, in this order."""

from datetime import timedelta
from typing import Final

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "policies": ("name", "version"),  # numbered, immutable; version zero-padded
    "slots": ("subject", "due"),  # every due slot's end: taken, late or skipped, because
    "points": ("subject", "point"),  # restore points by instance, in time order
    "operations": ("operation",),  # the journal: one row per operation
    "open_operations": ("kind", "operation"),  # pointers, so that a tick finds unfinished work
    "subjects": ("subject",),  # which recovery holds a subject
    "leases": ("pair",),  # who is the active region master, under which epoch
    "heartbeats": ("pair", "site"),
    "failovers": ("pair",),  # state of the failover state machine of a pair
    "decisions": ("scope", "moment"),  # append-only
    "certificates": ("scope", "moment"),  # what each prune did
    "deliveries": ("key",),  # events already seen (dedupe)
    "images": ("place", "image"),  # images of ours and the snapshots they were made with, which outlive them
    "families": ("family", "entry"),  # of images: versions, pins, what was published, how ready each is
    "lines": ("line", "place"),  # operations that wait or run where only so many may at once (copies into one region)
    "budgets": ("place", "action"),  # API calls spent in this minute, per account, region and action
    "controls": ("name",),  # what every tick must know in one range read: active policy, pauses, cursors
}

KEPT_FOR: Final[dict[str, timedelta]] = {
    "slots": timedelta(days=400),  # a year can be asked about, and compared with the one before
    "decisions": timedelta(days=400),
    "deliveries": timedelta(days=7),  # a bus repeats an event for a day
}
"""History that the store itself forgets, counted from when a row was last written (its TTL, at least a day). Only
tables whose rows are written as a whole; what is not named here is kept."""
