"""The chaos flag: the local cloud or one of the functions dies at a random moment. The demo must then either succeed or
say clearly that it could not be finished; it must never claim what it did not see.
"""

import contextlib
import threading
from collections.abc import Iterator

from shared.adapters.chance import Seeded
from understudy.demo.local_cloud import CloudDied, LocalCloud
from understudy.demo.narrator import Narrator

WITHIN = 50.0  # seconds
PATIENCE = 3.0  # seconds for the kill itself
EVERY, TRIES = 0.02, 250  # seconds between looks for somebody to kill, and how many


@contextlib.contextmanager
def loose(cloud: LocalCloud, seed: int | None, narrator: Narrator) -> Iterator[None]:
    """Without a seed, nothing happens. With one: one to four killings of function instances, or one of the cloud."""
    if seed is None:
        yield
        return
    narrator.say(f"[yellow]chaos seed {seed}[/]")
    ended = threading.Event()
    thread = threading.Thread(target=_act, args=(cloud, Seeded(seed), narrator, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5)


def _act(cloud: LocalCloud, chance: Seeded, narrator: Narrator, ended: threading.Event) -> None:
    kill_cloud = chance.happens(0.4)
    for _ in range(1 if kill_cloud else 1 + chance.below(4)):
        if ended.wait(chance.uniform(0.5, WITHIN / 3)):
            return
        if kill_cloud:
            narrator.say("[yellow]chaos: the local cloud is killed[/]")
            cloud.kill()
            return
        killed = _kill_one_at_work(cloud, ended)
        if killed:
            narrator.say(f"[yellow]chaos: an instance of {killed} is killed at work[/]")


def _kill_one_at_work(cloud: LocalCloud, ended: threading.Event) -> str | None:
    """Functions work for moments only, so look often; killing an idle one would prove little."""
    for _ in range(TRIES):
        try:
            killed = cloud.ask("POST", "fc/kill", {"random": True}, patience=PATIENCE)["killed"]
        except (CloudDied, ValueError):
            return None
        if killed or ended.wait(EVERY):
            return str(killed) if killed else None
    return None
