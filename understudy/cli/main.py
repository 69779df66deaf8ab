"""`understudy`: look at disaster recovery, and ask for it. Reads need only a state store; changes go through the
`command` function, so that what an operator may do is one role's permissions and one audit trail."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from shared.domain.errors import DrError
from understudy.cli import outcome


class MakeByDefault(TyperGroup):
    """`image i-1 app` is `image make i-1 app`. A word that is neither a command nor an instance's id is refused."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and _is_of_make(args[0]) and args[0] not in ("-h", "--help"):
            args = ["make", *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, "make" if _is_of_make(cmd_name) else cmd_name)


def _is_of_make(word: str) -> bool:
    return word.startswith(("i-", "-"))


app = typer.Typer(
    name="understudy",
    help="Disaster recovery for Alibaba Cloud ECS: backup, rebuild and failover.",
    epilog="Exit codes: 0 done, 1 refused, 2 bad input or unreachable, 3 an operator must choose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
backup = typer.Typer(no_args_is_help=True, help="Take restore points by hand.")
app.add_typer(backup, name="backup", rich_help_panel="Change")
image = typer.Typer(
    cls=MakeByDefault,
    no_args_is_help=True,
    help="Make images of instances, publish and pin them: `understudy image i-... app`.",
)
app.add_typer(image, name="image", rich_help_panel="Change")
plan = typer.Typer(no_args_is_help=True, help="Recovery plans: waves of restores, rebuilds and launches.")
app.add_typer(plan, name="plan", rich_help_panel="Change")
switch = typer.Typer(no_args_is_help=True, help="Keep a pair where it is: neither a loss nor an order moves it.")
app.add_typer(switch, name="switch", rich_help_panel="Change")
lease = typer.Typer(no_args_is_help=True, help="The lease row of a pair.")
app.add_typer(lease, name="lease", rich_help_panel="Change")
name = typer.Typer(no_args_is_help=True, help="The names that follow the active master of a pair.")
app.add_typer(name, name="name", rich_help_panel="Look")
certificate = typer.Typer(no_args_is_help=True, help="What each prune did, and why.")
app.add_typer(certificate, name="certificate", rich_help_panel="Look")


@app.callback()
def quiet(context: typer.Context) -> None:
    if context.invoked_subcommand != "agent":
        # Use cases log their decisions as JSON lines, for functions; here they are shown in words.
        logging.getLogger("understudy").addHandler(logging.NullHandler())
        logging.getLogger("understudy").propagate = False


POLICY, LOOK, CHANGE, RUN = "Policy", "Look", "Change", "Run"

File = Annotated[Path, typer.Option("--file", "-f", help="The policy file.")]
Because = Annotated[str, typer.Option("--because", "-b", help="The reason, for whoever finds it.")]
AcceptDoubts = Annotated[bool, typer.Option("--accept-doubts", help="Pass a policy that cannot be kept as written.")]
PricesFile = Annotated[
    Path | None, typer.Option("--prices", help="Prices and assumptions; prices.yaml beside the policy file.")
]
DEFAULT_FILE = Path("understudy.yaml")


@app.command(rich_help_panel=POLICY)
def check(
    file: File = DEFAULT_FILE,
    cloud: Annotated[bool, typer.Option("--cloud", help="Also compare every selection with the instances.")] = False,
    accept_doubts: AcceptDoubts = False,
    prices: PricesFile = None,
) -> None:
    """Check the policy file, without a cloud unless asked: what it needs, what it costs, how old a point can get."""
    from understudy.cli import policy

    policy.check(file, cloud=cloud, accept_doubts=accept_doubts, prices=prices)


@app.command(rich_help_panel=POLICY)
def apply(
    file: File = DEFAULT_FILE,
    accept_doubts: AcceptDoubts = False,
    prices: PricesFile = None,
) -> None:
    """Check the policy file and make it the active version."""
    from understudy.cli import policy

    policy.apply(file, accept_doubts=accept_doubts, prices=prices)


@app.command(rich_help_panel=POLICY)
def schema() -> None:
    """Print the JSON Schema of the policy file, for editors."""
    import json

    from shared.config import policy_schema

    typer.echo(json.dumps(policy_schema.schema(), indent=2, ensure_ascii=False))


@app.command(rich_help_panel=LOOK)
def status(
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    after: Annotated[str, typer.Option("--after", help="Of a large fleet, the instances behind this one.")] = "",
) -> None:
    """Show RPO, unfinished work, lease holders, what is paused."""
    from understudy.cli import standing

    standing.status(as_json=json, after=after)


@app.command(rich_help_panel=LOOK)
def coverage(json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show what no protection covers, and who else takes snapshots of the disks."""
    from understudy.cli import coverage

    coverage.coverage(as_json=json)


@app.command(rich_help_panel=LOOK)
def explain(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="A protection, instance, pair, operation or order; `policy` or `prune`. And, or alone, a time: 03:12, "
            "yesterday 03:12, 2026-03-02T03:12Z."
        ),
    ] = None,
    last: Annotated[
        int | None, typer.Option("--last", "-n", min=1, max=1000, help="How many decisions; 20, with --json all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON lines, for `understudy prove`.")] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Make a pair's decisions again from their inputs; 1 when one differs.")
    ] = False,
) -> None:
    """Say what was decided, and why; also decisions not to act. Of a time, in sentences."""
    from understudy.cli import explaining, exporting

    words = what or []
    if json:
        exporting.decisions(" ".join(words), last=last)
    elif replay:
        explaining.replay(words, last=last)
    else:
        explaining.explain(words, last=last or 20)


@name.command("show")
def name_show(
    pair: Annotated[str, typer.Argument(help="The pair, as `understudy status` names it.")],
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what stands under a pair's names, and what is wrong. Ends with 0: right, 1: a watch mends it, 3: nobody."""
    from understudy.cli import names

    names.show(pair, as_json=json)


@name.command("prepare")
def name_prepare(
    pair: Annotated[str, typer.Argument(help="The pair, as `understudy status` names it.")],
) -> None:
    """Have a watch set the policy's time to live on a pair's names, in calm: long before a move, not in one."""
    from understudy.cli import names

    names.prepare(pair)


@name.command("trail")
def name_trail(
    pair: Annotated[str, typer.Argument(help="The pair.")],
    since: Annotated[str, typer.Option("--since", help="E.g. 2026-03-02T10:00:00Z; all that the cloud has.")] = "",
) -> None:
    """Print who changed the names of a pair, by the cloud's own trail, as JSON lines for `understudy prove`."""
    from understudy.cli import names

    names.trail(pair, since=since)


@app.command(
    rich_help_panel=LOOK,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def prove(context: typer.Context) -> None:
    """Prove from accept logs, decisions and the cloud's trail that never two sites were active; --help tells how."""
    from understudy.checker import main as run

    raise typer.Exit(run(context.args))


@app.command(rich_help_panel=CHANGE)
def prune(
    apply: Annotated[bool, typer.Option("--apply", help="Let the points go instead of only saying which.")] = False,
    all: Annotated[bool, typer.Option("--all", help="Also list the points that stay, with their rules.")] = False,
    protection: Annotated[str, typer.Option("--protection", "-p", help="Only the points of this one.")] = "",
    allow: Annotated[str, typer.Option("--allow", help="The permit that a refused prune told: this plan, once.")] = "",
    json: Annotated[bool, typer.Option("--json", help="The plan for machines; see docs/prune.md.")] = False,
) -> None:
    """Show which points would go, each with its rule; let them go with --apply."""
    from understudy.cli import pruning

    pruning.prune(apply=apply, everything=all, as_json=json, protection=protection, allow=allow)


@certificate.command("show")
def certificate_show(
    run: Annotated[str, typer.Argument(help="Its run, or the moment it began; the newest when left out.")] = "",
    json: Annotated[bool, typer.Option("--json", help="All of it, for `verify-certificate`.")] = False,
) -> None:
    """Show what a prune did, point by point."""
    from understudy.cli import certifying

    certifying.show(run, as_json=json)


@certificate.command("list")
def certificate_list(
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="How many.")] = 20,
) -> None:
    """List the latest certificates."""
    from understudy.cli import certifying

    certifying.listed(last)


@app.command(rich_help_panel=LOOK, name="verify-certificate")
def verify_certificate(
    source: Annotated[str, typer.Argument(help="A file that `certificate show --json` wrote, or a run.")] = "",
    cloud: Annotated[bool, typer.Option("--cloud", help="Also ask the cloud whether what stayed is there.")] = False,
) -> None:
    """Check what a prune did, by other code than made it. Ends with 0: accepted, 1: rejected, 2: unreadable."""
    from understudy.cli import certifying

    certifying.verify(source, cloud=cloud)


@backup.command("now")
def backup_now(protection: Annotated[str, typer.Argument(help="Its name in the policy.")]) -> None:
    """Make a restore point of every instance of a protection."""
    from understudy.cli import asking

    asking.back_up(protection)


@image.command("make")
def image_make(
    instance: Annotated[str, typer.Argument(help="The instance, e.g. i-bp67acfmxazb4ph.")] = "",
    family: Annotated[str, typer.Argument(help="The image family that rebuilds take their image from.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="By a rule under images: it says which instance.")] = "",
    point: Annotated[str, typer.Option("--point", help="Of a restore point's snapshots, with --of.")] = "",
    of: Annotated[str, typer.Option("--of", help="The instance, as an option.")] = "",
    family_option: Annotated[str, typer.Option("--family", help="The family, as an option.")] = "",
    disks: Annotated[str, typer.Option("--disks", help="all, or system; as the rule says unless given.")] = "",
    copy_to: Annotated[
        list[str] | None, typer.Option("--copy-to", help="Also copy it into this region; may be given several times.")
    ] = None,
    kms_key: Annotated[str, typer.Option("--kms-key", help="Encrypt the copy by this key of its region.")] = "",
) -> None:
    """Make an image of an instance or a restore point; `make` may be left out."""
    from understudy.cli import images

    images.make(
        of or instance,
        family_option or family,
        rule=rule,
        point=point,
        disks=disks,
        copy_to=copy_to or [],
        kms_key=kms_key,
    )


@image.command("publish")
def image_publish(
    what: Annotated[str, typer.Argument(help="A family, for its newest usable image; or an image id.")],
) -> None:
    """Have the scaling groups of its role start instances from it."""
    from understudy.cli import images

    images.publish(what)


@image.command("pin")
def image_pin(
    family: Annotated[str, typer.Argument(help="Its family.")],
    image: Annotated[str, typer.Argument(help="The image, as `understudy images` shows it.")],
    because: Because,
) -> None:
    """Keep an image whatever its rule says."""
    from understudy.cli import images

    images.pin(family, image, because)


@image.command("unpin")
def image_unpin(
    family: Annotated[str, typer.Argument(help="Its family.")],
    image: Annotated[str, typer.Argument(help="The image.")],
) -> None:
    """Give an image back to its rule."""
    from understudy.cli import images

    images.unpin(family, image)


@app.command("images", rich_help_panel=LOOK)
def images_table(json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show the images of each role: which is used next, which go and when, and what is lacking."""
    from understudy.cli import images

    images.images(as_json=json)


@app.command(rich_help_panel=CHANGE)
def launch(
    name: Annotated[str, typer.Argument(help="Of the instances: shop is numbered as shop001, shop002, ...")],
    image: Annotated[str, typer.Option("--image", help="The image they are made of.")] = "",
    family: Annotated[str, typer.Option("--family", help="Or a family: its newest usable image.")] = "",
    point: Annotated[str, typer.Option("--point", help="Or a restore point: an image is made of it first.")] = "",
    of: Annotated[str, typer.Option("--of", help="The instance whose restore point that is.")] = "",
    amount: Annotated[int, typer.Option("--amount", "-n", help="How many, 1-1000.")] = 1,
    least: Annotated[int, typer.Option("--least", help="Fewer are handed to an operator.")] = 1,
    like: Annotated[str, typer.Option("--like", help="The instance whose settings they get, unless given.")] = "",
    types: Annotated[list[str] | None, typer.Option("--type", help="Instance types, in the order to try.")] = None,
    where: Annotated[list[str] | None, typer.Option("--where", help="ZONE=VSWITCH, in the order to try.")] = None,
    groups: Annotated[list[str] | None, typer.Option("--security-group", help="Security groups.")] = None,
    key_pair: Annotated[str, typer.Option("--key-pair", help="Key pair.")] = "",
    role: Annotated[str, typer.Option("--role", help="RAM role of the instances.")] = "",
    user_data: Annotated[Path | None, typer.Option("--user-data", help="A file with the script to start with.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="KEY=VALUE, beside those of --like.")] = None,
    snapshots: Annotated[
        list[str] | None, typer.Option("--snapshot", help="Of further data disks, one for each.")
    ] = None,
    port: Annotated[int, typer.Option("--port", help="Where each must answer before it is used.")] = 0,
    behind: Annotated[str, typer.Option("--behind", help="A load balancer that gets them.")] = "",
    weight: Annotated[int, typer.Option("--weight", help="With this weight.")] = 100,
    join: Annotated[str, typer.Option("--join", help="A scaling group that they join.")] = "",
    region: Annotated[str, typer.Option("--region", help="Of the point's copy; the policy's when left out.")] = "",
    account: Annotated[str, typer.Option("--account", help="An account of the policy; ours when left out.")] = "",
    confirm: Annotated[str, typer.Option("--confirm", help="The preview's token, or the name: do it.")] = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show which instances would be made of an image, a family or a restore point; make them with --confirm."""
    from understudy.cli import launching

    launching.launch(
        name,
        user_data=user_data,
        tags=tags or [],
        confirm=confirm,
        as_json=json,
        image=image,
        family=family,
        point=point,
        of=of,
        amount=amount,
        least=least,
        like=like,
        types=types,
        where=where,
        security_groups=groups,
        key_pair=key_pair,
        role=role,
        snapshots=snapshots,
        port=port,
        balancer=behind,
        weight=weight,
        group=join,
        region=region,
        account=account,
    )


@app.command(rich_help_panel=CHANGE)
def rebuild(
    instance: Annotated[str, typer.Argument(help="The instance to replace, lost or not.")],
    rule: Annotated[str, typer.Option("--rule", help="The rebuild rule; else the first that selects it.")] = "",
    confirm: Annotated[str, typer.Option("--confirm", help="The preview's token, or the instance: do it.")] = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show how an instance would be replaced by a new one; do it with --confirm. The old one is kept."""
    from understudy.cli import rebuilding

    rebuilding.rebuild(instance, rule=rule, confirm=confirm, as_json=json)


PlanName = Annotated[str, typer.Argument(help="Its name in the policy.")]
PlanRun = Annotated[str, typer.Argument(help="As `understudy plan list` or `plan run` names it: plan/NAME/...")]
AtMoment = Annotated[str, typer.Option("--at", help="For steps with point: at, e.g. 2026-11-20T02:00:00Z.")]


@plan.command("list")
def plan_list(json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """The plans of the active policy, and the runs under way."""
    from understudy.cli import planning

    planning.list_(as_json=json)


@plan.command("show")
def plan_show(
    name: PlanName,
    at: AtMoment = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What a run would do now, whether it can begin, how long it takes. Nothing is done."""
    from understudy.cli import planning

    planning.show(name, at=at, as_json=json)


@plan.command("run")
def plan_run(
    name: PlanName,
    at: AtMoment = "",
    confirm: Annotated[str, typer.Option("--confirm", help="The token that `plan show` told.")] = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Run a plan exactly as it was shown. Without --confirm it is shown."""
    from understudy.cli import planning

    planning.run(name, at=at, confirm=confirm, as_json=json)


@plan.command("status")
def plan_status(run: PlanRun, json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """How a run stands, wave by wave. Exit code 3 when it needs an operator."""
    from understudy.cli import planning

    planning.status(run, as_json=json)


@plan.command("approve")
def plan_approve(
    run: PlanRun, wave: Annotated[str, typer.Argument(help="That which waits now, unless named.")] = ""
) -> None:
    """Let a wave begin."""
    from understudy.cli import planning

    planning.approve(run, wave)


@plan.command("abort")
def plan_abort(run: PlanRun, because: Because = "") -> None:
    """Begin nothing more. What is under way ends by itself."""
    from understudy.cli import planning

    planning.abort(run, because)


@plan.command("resume")
def plan_resume(
    run: PlanRun,
    without_failed: Annotated[
        bool, typer.Option("--without-failed", help="Leave out what failed instead of trying it again.")
    ] = False,
) -> None:
    """Let a run that stopped go on."""
    from understudy.cli import planning

    planning.resume(run, without_failed=without_failed)


@app.command(rich_help_panel=CHANGE)
def adopt(
    snapshots: Annotated[list[str], typer.Argument(help="Snapshots that Understudy did not make.")],
    protection: Annotated[str, typer.Option("--protection", "-p", help="Whose retention judges them from now on.")],
    instance: Annotated[str, typer.Option("--instance", help="Whose history they belong to, if a disk is gone.")] = "",
    automatic: Annotated[
        bool, typer.Option("--automatic", help="Also those of native policies, which may delete them.")
    ] = False,
) -> None:
    """Take named foreign snapshots over: they become restore points, and prune lets them go in their turn."""
    from understudy.cli import adopting

    adopting.adopt(snapshots, protection=protection, instance=instance, automatic=automatic)


Confirm = Annotated[str, typer.Option("--confirm", help="The preview's token, or the instance's name: do it.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Disks = Annotated[list[str] | None, typer.Option("--disk", "-d", help="Only this disk; may be given several times.")]
OfAccount = Annotated[str, typer.Option("--account", help="An account of the policy; ours when left out.")]


@app.command(rich_help_panel=LOOK)
def points(
    instance: Annotated[str, typer.Argument(help="The instance, e.g. i-bp67acfmxazb4ph.")], json: AsJson = False
) -> None:
    """List the restore points of an instance, the newest first."""
    from understudy.cli import restoring

    restoring.points(instance, as_json=json)


@app.command(rich_help_panel=CHANGE)
def rollback(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    point: Annotated[str, typer.Option("--point", "-p", help="A restore point, as `points` names it.")] = "",
    at: Annotated[str, typer.Option("--at", help="Or the newest taken by then; now when left out.")] = "",
    of: Annotated[str, typer.Option("--of", help="Whose point: of the instance that this one replaced.")] = "",
    disks: Disks = None,
    accept_size: Annotated[
        bool, typer.Option("--accept-size", help="A disk may get another size, that of its snapshot.")
    ] = False,
    confirm: Confirm = "",
    json: AsJson = False,
) -> None:
    """Show what going back to a restore point would do; go back with --confirm. What came after it is lost."""
    from understudy.cli import restoring

    restoring.rollback(
        instance,
        point=point,
        of=of,
        as_of="" if at == "newest" else at,
        disks=disks or [],
        accept_size=accept_size,
        confirm=confirm,
        as_json=json,
    )


@app.command(rich_help_panel=CHANGE, name="undo-rollback")
def undo_rollback(
    operation: Annotated[str, typer.Argument(help="The restore, e.g. restore/i-bp1.../2026-03-02T10:00:00Z.")],
    confirm: Confirm = "",
    json: AsJson = False,
) -> None:
    """Show what going back to before a restore would do; go back with --confirm."""
    from understudy.cli import restoring

    restoring.undo(operation, confirm=confirm, as_json=json)


@app.command(rich_help_panel=CHANGE)
def reinitialise(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    disks: Disks = None,
    account: OfAccount = "",
    confirm: Confirm = "",
    json: AsJson = False,
) -> None:
    """Show what making disks as new would do (of their image, their snapshot, or empty); do it with --confirm."""
    from understudy.cli import restoring

    restoring.reinitialise(instance, disks=disks or [], account=account, confirm=confirm, as_json=json)


@app.command(rich_help_panel=CHANGE, name="replace-system-disk")
def replace_system_disk(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    image: Annotated[str, typer.Option("--image", help="A custom image of this region.")],
    disk: Annotated[str, typer.Option("--disk", "-d", help="The system disk that goes; found when left out.")] = "",
    account: OfAccount = "",
    confirm: Confirm = "",
    json: AsJson = False,
) -> None:
    """Show what another system disk of an image would do; do it with --confirm. Data disks stay as they are."""
    from understudy.cli import restoring

    restoring.replace_system_disk(instance, image=image, disk=disk, account=account, confirm=confirm, as_json=json)


@app.command(rich_help_panel=CHANGE)
def pin(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    point: Annotated[str, typer.Argument(help="The restore point's id.")],
    because: Because,
) -> None:
    """Keep a restore point whatever the policy says."""
    from understudy.cli import asking

    asking.pin(instance, point, because)


@app.command(rich_help_panel=CHANGE)
def unpin(
    instance: Annotated[str, typer.Argument(help="The instance.")],
    point: Annotated[str, typer.Argument(help="The restore point's id.")],
) -> None:
    """Give a restore point back to the policy."""
    from understudy.cli import asking

    asking.unpin(instance, point)


PairName = Annotated[str, typer.Argument(help="The pair, as `understudy status` names it.")]
Reason = Annotated[str, typer.Option("--because", "-b", help="The reason, for the record.")]
ConfirmMove = Annotated[str, typer.Option("--confirm", help="The preview's token, or the pair: order it.")]


@app.command(rich_help_panel=CHANGE)
def switchover(
    pair: PairName,
    to: Annotated[str, typer.Option("--to", help="The site; the other one when left out.")] = "",
    because: Reason = "",
    confirm: ConfirmMove = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what moving a pair to its other site on purpose would do; order it with --confirm."""
    from understudy.cli import failing_over

    failing_over.move("switchover", pair, to=to, because=because, confirm=confirm, as_json=json)


@app.command(rich_help_panel=CHANGE)
def failback(
    pair: PairName,
    because: Reason = "",
    confirm: ConfirmMove = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what moving a pair back to its preferred site would do; order it with --confirm."""
    from understudy.cli import failing_over

    failing_over.move("failback", pair, because=because, confirm=confirm, as_json=json)


@app.command(rich_help_panel=CHANGE)
def failover(
    pair: PairName,
    to: Annotated[str, typer.Option("--to", help="The site; the other one when left out.")] = "",
    force: Annotated[
        list[str] | None,
        typer.Option("--force", help="Override a rule: block, capacity, fence, hook, lag or unprotected."),
    ] = None,
    because: Reason = "",
    confirm: ConfirmMove = "",
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """As switchover, also when the active site is lost; may override the block and the lag, never the lease."""
    from understudy.cli import failing_over

    failing_over.move("failover", pair, to=to, because=because, force=force or [], confirm=confirm, as_json=json)


@app.command(rich_help_panel=LOOK)
def readiness(pair: PairName, json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Whether a pair could fail over by itself now, and what stands in the way. Exit code 1: something does."""
    from understudy.cli import failing_over

    failing_over.readiness(pair, as_json=json)


@switch.command("off")
def switch_off(pair: PairName, because: Because) -> None:
    """Nothing moves this pair until it is switched on; `resume` does not end it."""
    from understudy.cli import failing_over

    failing_over.switch(pair, "off", because=because)


@switch.command("on")
def switch_on(pair: PairName) -> None:
    """Let losses and orders move this pair again."""
    from understudy.cli import failing_over

    failing_over.switch(pair, "on")


@lease.command("restore")
def lease_restore(
    pair: PairName,
    owner: Annotated[str, typer.Option("--owner", help="The site that shall be active.")],
    epoch: Annotated[int, typer.Option("--epoch", min=2, help="Above every epoch ever granted.")],
    because: Because,
    force: Annotated[
        list[str] | None, typer.Option("--force", help="unseen: the site that does not answer was seen to be off.")
    ] = None,
) -> None:
    """Have a missing or damaged lease row written anew, once nobody can be active any more."""
    from understudy.cli import failing_over

    failing_over.restore(pair, owner=owner, epoch=epoch, because=because, force=force or [])


@app.command(rich_help_panel=CHANGE)
def pause(
    scope: Annotated[str, typer.Argument(help="backups, prune, rebuilds, failover, failover/PAIR or all.")],
    because: Because,
) -> None:
    """Stop automation of one kind, or all, until resumed."""
    from understudy.cli import asking

    asking.pause(scope, because)


@app.command(rich_help_panel=CHANGE)
def resume(scope: Annotated[str, typer.Argument(help="What was paused.")]) -> None:
    """Let paused automation go on."""
    from understudy.cli import asking

    asking.resume(scope)


@app.command(rich_help_panel=CHANGE)
def acknowledge(
    subject: Annotated[str, typer.Argument(help="A pair, an instance or an operation, as `status` names it.")],
) -> None:
    """Say that you have seen a block, so that it is lifted."""
    from understudy.cli import asking

    asking.acknowledge(subject)


@app.command(
    rich_help_panel=RUN,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def agent(context: typer.Context) -> None:
    """Run the agent beside a region master."""
    from understudy.agent.process import main as run

    raise typer.Exit(run(context.args))


def main() -> None:
    try:
        app()
    except DrError as error:
        raise SystemExit(outcome.tell(error)) from None
