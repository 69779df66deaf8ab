"""Survey -> caps -> for each batch: look, guard, certificate begun, delete, read back, certificate ended, forget. Then
the same for versions of image families.

The plan is made from our own records; before anything goes, the cloud itself is asked about every snapshot that would
go and about those that must remain. A run that repeats what a crashed one began deletes the same things: deletion is
idempotent and an expired point stays expired. Two runs at once are another matter: with different plans, each would
count the other's victims among what stays. So the deployment lets one run at a time (reserved concurrency of 1), and a
run that froze and thaws beside another one deletes nothing more (see `prune_deletions`).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.guardrails import PERCENT_CAP_FROM, over_the_caps
from shared.domain.ids import PolicyVersion
from shared.domain.policy import Policy
from shared.domain.pruning import Permit, Rules
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.state import codec
from shared.state.absences import Absences
from shared.state.certificates import Certificate, Certificates, CertificateState, Fate, Terms, opening
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.backup.needed_snapshots import needed_snapshots
from shared.usecases.images.image_ledger import ImageLedger
from shared.usecases.images.retire_images import RetireImages, Retirement, done, planned
from shared.usecases.prune.prune_batch import TOLD, Batches, Progress
from shared.usecases.prune.prune_drift import Comparison, Drift
from shared.usecases.prune.prune_examine import GOES, SPARED, Examination, consider, other_plan
from shared.usecases.prune.prune_images import family_lines
from shared.usecases.prune.prune_leftovers import by_place
from shared.usecases.prune.prune_record import rule_line
from shared.usecases.prune.prune_survey import Survey

SCOPE: Final = "prune"
RUN_WITHIN: Final = timedelta(minutes=5)
"""No batch is begun later: one may delete for four minutes (`prune_deletions.ACT_WITHIN`) and is then read back,
and the function's time-out is 600 s. What is left is the next run's."""
IMAGES_BEFORE: Final = timedelta(minutes=4)
"""Images are let go for four minutes at most, in a run whose points took no longer than this."""
PERMIT_HOLDS: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """`refused` and `stopped` are empty when the run did what there was to do."""

    deleted: tuple[str, ...] = ()  # ids of restore points that are read back as gone, the first of them
    gone: int = 0
    remaining: int = 0  # points that stay
    spared: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    stopped: str = ""
    orphans: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()  # of a dry run, the first of them
    goes: int = 0  # of a dry run
    images: tuple[str, ...] = ()  # that left their family, or went for good; of a dry run: that would
    permit: str = ""  # what lets a plan that was refused for the caps through, once


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    run: str
    begun: datetime
    started: float
    policy: Policy
    version: PolicyVersion
    rules: Rules
    as_of: datetime
    permit: Permit | None = None
    only: str = ""
    paused: str = ""
    drift: Drift = field(default_factory=Drift)


class Prune:
    def __init__(
        self,
        *,
        clouds: Clouds,
        policies: Policies,
        controls: Controls,
        points: Points,
        certificates: Certificates,
        decisions: Decisions,
        journal: Journal,
        images: Images,
        absences: Absences,
        clock: Clock,
        retire: RetireImages | None = None,
    ) -> None:
        """`retire` lets older images go, after the points."""
        self._retire = retire
        self._clouds = clouds
        self._policies = policies
        self._controls = controls
        self._points = points
        self._certificates = certificates
        self._decisions = decisions
        self._journal = journal
        self._images = images
        self._absences = absences
        self._clock = clock

    def run(
        self, *, run: str, dry: bool = False, drift: bool | None = False, protection: str = "", allow: str = ""
    ) -> Pruned:
        """Let go of what the active policy no longer keeps, of one protection or of all. `dry` deletes and writes
        nothing; `drift` also compares everything that carries our tags with our records (None: when no run did on this
        day, UTC); `allow` is the permit that a refused run told. Raises BadInput without a policy, Retryable when the
        store is silent (what was deleted then is settled by the next run)."""
        task = self._task(run, protection, allow)
        if task.paused:
            return Pruned(stopped=task.paused)
        return self._prune(task, dry=dry, drift=drift)

    def _prune(self, task: _Task, *, dry: bool, drift: bool | None) -> Pruned:
        run, protection = task.run, task.only
        images = self._images_of(task, tidy=not dry)
        batches = Batches(
            clouds=self._clouds, points=self._points, certificates=self._certificates, images=self._images,
            absences=self._absences, clock=self._clock, run=run, overtaken=lambda: self._overtaken(task.version),
        )  # fmt: skip
        if not dry:
            batches.settle(task.begun)
        if self._comparison_is_due(task.begun) if drift is None else drift:
            task = replace(task, drift=self._compare(task, dry=dry))
        survey = Survey(self._points, task.rules, now=task.as_of, only=protection)
        if dry:
            return self._examined(task, survey, images)
        for _ in survey.all():
            pass
        certificate = Certificate(terms=self._terms(task, survey))
        if not survey.going and not task.drift.leftovers and not images.changes:
            return replace(self._nothing(task, certificate, survey), refused=tuple(images.refused))
        if task.permit is not None:
            refused = other_plan(task.permit, survey.permit(task.version))
        else:
            refused = self._over(task, survey)
        if refused:
            return self._refuse(task, certificate, survey, refused)
        return self._carry_out(task, certificate, survey, batches, images=bool(images.changes))

    def examine(self, *, protection: str = "", allow: str = "") -> Examination:
        """The dry run, point by point, also while prune is paused. Raises BadInput without a policy."""
        task = self._task("", protection, allow)
        return self._examination(task, Survey(self._points, task.rules, now=task.as_of, only=protection))

    def images(self) -> Retirement:
        """What a run of all protections would do with images now. Reads only. Raises BadInput without a policy."""
        return self._images_of(self._task("", "", ""), tidy=False)

    def _images_of(self, task: _Task, *, tidy: bool) -> Retirement:
        """Nothing, where the run is of one protection's points, or of a plan that was permitted."""
        if self._retire is None or not task.policy.images or task.only or task.permit is not None:
            return Retirement()
        if tidy:
            self._retire.tidy()
        return self._retire.plan(task.policy)

    def _let_images_go(self, task: _Task, certificate: Certificate, progress: Progress) -> tuple[str, ...]:
        """After the points, in what time they left. What changed, in words."""
        if self._retire is None or self._clock.monotonic() - task.started > IMAGES_BEFORE.total_seconds():
            return ()
        ledger = ImageLedger(self._certificates, certificate, progress, self._clock)
        found = self._retire.run(
            task.policy, task.version, ledger, run=task.run, overtaken=lambda: self._overtaken(task.version)
        )
        progress.refused += found.refused
        progress.stopped = progress.stopped or found.stopped
        return tuple(done(found))

    # -- deciding --------------------------------------------------------------------------------------------------

    def _task(self, run: str, protection: str, allow: str) -> _Task:
        begun, started = self._clock.now(), self._clock.monotonic()
        standing = self._controls.read()
        if standing.policy is None:
            self._policies.active()  # raises, with the remedy
            raise AssertionError("a policy became active between two reads")
        pause = standing.paused(SCOPE)
        policy = self._policies.at(standing.policy)
        if protection and policy.protection(protection) is None:
            known = ", ".join(one.name for one in policy.protections) or "none"
            raise BadInput(f"protection {protection!r} is not in policy {standing.policy}; it has: {known}")
        permit = Permit.parse(allow) if allow else None
        if permit is not None and not begun - PERMIT_HOLDS <= permit.as_of <= begun:
            raise BadInput(
                f"--allow {allow}: it was told more than a day ago, or lies ahead. Look at `understudy prune` again"
            )
        return _Task(
            run=run,
            begun=begun,
            started=started,
            policy=policy,
            version=standing.policy,
            rules=Rules(policy, needed=lambda: needed_snapshots(self._journal)),
            as_of=begun.replace(microsecond=0) if permit is None else permit.as_of,
            permit=permit,
            only=protection,
            paused="" if pause is None else f"paused since {codec.second(pause.since)}: {pause.because}",
        )

    def _terms(self, task: _Task, survey: Survey) -> Terms:
        limits = task.policy.prune
        return Terms(
            run=task.run,
            at=task.begun,
            as_of=task.as_of,
            policy=task.version,
            protection=task.only,
            rules=tuple(rule_line(one) for one in task.rules.all()),
            max_items=limits.max_items,
            max_percent=limits.max_percent,
            percent_from=PERCENT_CAP_FROM,
            points=survey.points,
            going=survey.going,
            plan=survey.permit(task.version).plan,
            allowed="" if task.permit is None else str(task.permit),
            images=family_lines(task.policy),
        )

    def _over(self, task: _Task, survey: Survey) -> tuple[str, ...]:
        """By our records first. Only when they are over a cap the cloud is asked how much of it is spared anyway."""
        permit = str(survey.permit(task.version))
        over = over_the_caps(survey.going, survey.points, task.policy.prune, permit=permit)
        if not over:
            return ()
        goes = 0
        for part in survey.batches():
            seen = consider(self._clouds, part.place, list(survey.again(part)), task.rules, task.as_of)
            if seen.refused:
                return tuple(dict.fromkeys((*seen.refused, *(str(one) for one in over))))
            goes += len(seen.expire)
            if over_the_caps(goes, survey.points, task.policy.prune):
                return tuple(str(one) for one in over)
        return ()

    def _overtaken(self, policy: PolicyVersion) -> str:
        standing = self._controls.read()
        pause = standing.paused(SCOPE)
        if pause is not None:
            return f"paused meanwhile, since {codec.second(pause.since)}: {pause.because}"
        return "" if standing.policy == policy else f"policy {policy} was superseded meanwhile"

    # -- ends ------------------------------------------------------------------------------------------------------

    def _examined(self, task: _Task, survey: Survey, images: Retirement) -> Pruned:
        examined = self._examination(task, survey)
        points: list[str] = []
        spared: list[str] = []
        for item in examined.items():
            if item.fate == GOES and len(points) < TOLD:
                points.append(item.point)
            elif item.fate == SPARED and len(spared) < TOLD:
                spared.append(f"{item.point}: {'; '.join(item.rules)}")
        refused = tuple(examined.refused)
        return Pruned(
            planned=() if refused else tuple(points),
            goes=examined.goes,
            remaining=survey.points - (0 if refused else examined.goes),
            spared=tuple(spared),
            refused=(*refused, *images.refused),
            orphans=tuple(task.drift.orphans),
            missing=tuple(task.drift.missing),
            images=() if refused else tuple(planned(images)),
            permit=examined.permit,
        )

    def _examination(self, task: _Task, survey: Survey) -> Examination:
        return Examination(
            self._clouds, survey, task.policy, task.version, task.rules, task.as_of, permit=task.permit,
            stopped=task.paused,
        )  # fmt: skip

    def _nothing(self, task: _Task, certificate: Certificate, survey: Survey) -> Pruned:
        """No certificate for a run that found nothing to do, unless it compared: a row an hour says nothing."""
        if task.drift.compared:
            self._end(task, certificate, Progress(), CertificateState.ENDED)
        found = task.drift
        return Pruned(remaining=survey.points, orphans=tuple(found.orphans), missing=tuple(found.missing))

    def _refuse(self, task: _Task, certificate: Certificate, survey: Survey, because: tuple[str, ...]) -> Pruned:
        ended = self._end(task, certificate, Progress(refused=list(because)), CertificateState.REFUSED)
        self._tell("prune.refused", ended, because, acted=False)
        return Pruned(refused=because, remaining=survey.points, permit=str(survey.permit(task.version)))

    def _carry_out(
        self, task: _Task, certificate: Certificate, survey: Survey, batches: Batches, *, images: bool
    ) -> Pruned:
        progress = Progress(last=opening(certificate.terms))
        certificate = self._certificates.put(replace(certificate, last=progress.last))  # journal before effect
        unread: set[object] = set()
        for batch in survey.batches():
            if self._clock.monotonic() - task.started > RUN_WITHIN.total_seconds():
                progress.stopped = f"it went on for {RUN_WITHIN}; the next run goes on"
                break
            if batch.place in unread:
                continue
            judged = list(survey.again(batch))
            if judged and not batches.do(
                certificate, batch.place, judged, task.rules, survey.mixed, progress, task.as_of
            ):
                unread.add(batch.place)
            if progress.over:
                break
        for place, leftovers in by_place(task.drift.leftovers[: task.policy.prune.max_items]):
            if not progress.over:
                batches.do_leftovers(certificate, place, leftovers, progress)
        gone, spared = progress.outcomes[Fate.GONE], progress.outcomes[Fate.SPARED]
        let_go = self._let_images_go(task, certificate, progress) if images and not progress.over else ()
        nothing = progress.refused and not progress.parts
        state = CertificateState.REFUSED if nothing else CertificateState.ENDED
        ended = self._end(task, certificate, progress, state)
        reasons = [f"{gone} of {survey.going} expired restore points are gone", *let_go, *progress.refused]
        reasons += [progress.stopped] if progress.stopped else []
        changed = len(survey.changed)
        reasons += [f"{spared} are spared"] if spared else []
        reasons += [f"{changed} instances changed since they were counted; the next run judges them"] if changed else []
        event = "prune.refused" if nothing else "prune.stopped" if progress.stopped else "prune.ended"
        self._tell(event, ended, tuple(reasons), acted=not nothing)
        return Pruned(
            deleted=tuple(progress.deleted),
            gone=gone,
            remaining=survey.points - gone,
            spared=tuple(progress.spared),
            refused=tuple(progress.refused),
            stopped=progress.stopped,
            orphans=ended.orphans,
            missing=ended.missing,
            images=let_go,
        )

    def _end(self, task: _Task, certificate: Certificate, progress: Progress, state: CertificateState) -> Certificate:
        return self._certificates.put(
            replace(
                certificate,
                state=state,
                parts=progress.parts,
                last=progress.last or opening(certificate.terms),
                outcomes={str(name): count for name, count in sorted(progress.outcomes.items())},
                orphans=tuple(task.drift.orphans),
                missing=tuple(task.drift.missing),
                refused=tuple(progress.refused),
                stopped=progress.stopped,
                ended=self._clock.now(),
            )
        )

    # -- drift -----------------------------------------------------------------------------------------------------

    def _comparison_is_due(self, now: datetime) -> bool:
        """By days, not by hours since: so that the hour does not creep, however often the timer ticks."""
        last = self._certificates.compared()
        return last is None or last.date() < now.date()

    def _compare(self, task: _Task, *, dry: bool) -> Drift:
        comparison = Comparison(
            clouds=self._clouds, points=self._points, journal=self._journal, images=self._images,
            absences=self._absences, run=task.run,
        )  # fmt: skip
        found = comparison.run(task.policy, task.rules, task.begun, dry=dry)
        if dry or not found.compared:
            return found
        self._certificates.note_comparison(task.begun)
        if found.reasons:
            unknown = bool(found.blind) and not found.orphan_count and not found.missing_count
            about = Certificate(terms=Terms(run=task.run, at=task.begun, as_of=task.as_of, policy=task.version))
            self._tell("drift.unknown" if unknown else "drift.found", about, found.reasons, acted=False)
        return found

    def _tell(self, event: str, certificate: Certificate, because: tuple[str, ...], *, acted: bool) -> None:
        made = Decision(
            event=event,
            at=self._clock.now(),
            subject=SCOPE,
            because=because,
            inputs={"certificate": codec.moment(certificate.at), "digest": certificate.digest},
            policy=certificate.policy,
            acted=acted,
            run=certificate.run,
        )
        log.decision(made)
        self._decisions.record(SCOPE, made)
