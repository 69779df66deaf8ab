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
        with contextlib.suppress(CloudDied, ValueError):
            killed = cloud.ask("POST", "fc/kill", {"random": True})["killed"]
            narrator.say(f"[yellow]chaos: a function instance is killed: {killed}[/]")
