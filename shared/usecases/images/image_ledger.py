"""Where a prune writes what it does with images: before the first call, and after the read-back."""

from collections.abc import Mapping

from shared.domain.ids import ImageId
from shared.ports.clock import Clock
from shared.ports.compute import Compute
from shared.state.certificates import Certificate, Certificates, Part
from shared.usecases.prune.prune_batch import Progress
from shared.usecases.prune.prune_images import Judged, concluded, intended, states


class ImageLedger:
    """Of one run."""

    def __init__(self, certificates: Certificates, certificate: Certificate, progress: Progress, clock: Clock) -> None:
        self._certificates = certificates
        self._certificate = certificate
        self._progress = progress
        self._clock = clock

    def begin(self, judged: Judged) -> Part:
        """Journal before effect."""
        own = self._progress
        part = intended(self._certificate.run, own.parts + 1, own.last, judged)
        return self._certificates.put_part(self._certificate, part)

    def end(self, part: Part, cloud: Compute, troubles: Mapping[ImageId, str]) -> Part:
        """Raises as the read-back does; the next run then settles it. `troubles`: what was not done, and why."""
        part = concluded(part, states(cloud, part), self._clock.now(), troubles)
        part = self._certificates.put_part(self._certificate, part)
        self._progress.count(part)
        return part
