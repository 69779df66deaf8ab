"""What the demo claims, each with the evidence it looked at. A broken one makes the demo exit non-zero."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    text: str
    kept: bool
    evidence: str


@dataclass
class Promises:
    """Filled act by act. A promise that could not be looked at is broken, not kept."""

    all: list[Promise] = field(default_factory=list)

    def check(self, text: str, kept: bool, evidence: str) -> Promise:
        promise = Promise(text=text, kept=kept, evidence=evidence)
        self.all.append(promise)
        return promise

    @property
    def broken(self) -> list[Promise]:
        return [promise for promise in self.all if not promise.kept]
