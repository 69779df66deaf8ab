"""What an account needs before `s deploy`, as commands of the official `aliyun` CLI.

`python deploy/bootstrap.py --print` writes them to stdout and changes nothing; read them, then pipe them into bash.
Each command may run again: what exists already is reported by the cloud and passed over. `--policy backup` prints one
role's policy. `--account UID` writes the commands for another account that is to be protected from here; they run with
a profile of that account. What is not covered is listed in bootstrap.md.
"""

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

from deploy.s_yaml_check import dotenv  # noqa: E402 (after the path is set: these are run as scripts)

POLICIES: Final = ROOT / "deploy" / "ram"
ELSEWHERE: Final = POLICIES / "elsewhere" / "account.json"
PASSING: Final = POLICIES / "passing"
"""What a role may hand on to instances, once the operator has named it."""
PUBLIC: Final = POLICIES / "public"
"""What a role may do with public domains, once the operator has named them."""
FENCING: Final = POLICIES / "fencing"
"""What a role may do to region masters, once the operator has named them."""
WEIGHING: Final = POLICIES / "weighing"
RESIZING: Final = POLICIES / "resizing"
"""What a role may raise when a pair fails over, once the operator has named it."""
ENTERING: Final = ("backup", "prune")
"""Functions that assume a role in other accounts."""
TRUSTED: Final = {"agent": "ecs.aliyuncs.com"}
"""Who may take on a role, where it is not Function Compute: the agent's is an instance RAM role, for the masters."""
INSTANCE_ROLE: Final = "@instance_role@"
DOMAIN: Final = "@domain@"
FENCED: Final = "@instance@"
BALANCER: Final = "@balancer@"
GROUP: Final = "@group@"
REQUIRED: Final = {
    "ALIBABA_CLOUD_ACCOUNT_ID": "the account's numeric id",
    "UNDERSTUDY_REGION": "region of the instances, e.g. cn-hangzhou",
    "UNDERSTUDY_OTS_INSTANCE": "name for the Tablestore instance (3-16 characters)",
    "UNDERSTUDY_VPC": "id of the VPC in which the masters answer",
    "UNDERSTUDY_SECURITY_GROUP": "id of a security group of that VPC whose members may reach masters and agents",
    "UNDERSTUDY_VSWITCH_HZ_H": "id of a vSwitch in the zone of site hz-h",
    "UNDERSTUDY_VSWITCH_HZ_I": "id of a vSwitch in the zone of site hz-i",
}


class BootstrapError(Exception):
    """A value is missing; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    id: str
    region: str
    ots_instance: str
    private_zone: str = "*"  # id of the private zone of the middleware domain name; "*": any of the account
    instance_roles: tuple[str, ...] = ()  # that recover may give to instances it makes; none: it can give none
    public_domains: tuple[str, ...] = ()  # whose records watch may rebind; none: it can touch no public name

    surged_balancers: tuple[str, ...] = ()  # whose weights watch may set; none: it can set none
    surged_groups: tuple[str, ...] = ()  # scaling groups that watch may resize; none: it can resize none
    fenced_instances: tuple[str, ...] = ()  # region masters that watch may stop or isolate; none: it can stop nothing

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Account":
        missing = [f"{name} ({why})" for name, why in REQUIRED.items() if not values.get(name)]
        if missing:
            raise BootstrapError("set in .env or in the environment: " + "; ".join(missing))
        return cls(
            id=values["ALIBABA_CLOUD_ACCOUNT_ID"],
            region=values["UNDERSTUDY_REGION"],
            ots_instance=values["UNDERSTUDY_OTS_INSTANCE"],
            private_zone=values.get("UNDERSTUDY_PRIVATE_ZONE") or "*",
            instance_roles=tuple(re.findall(r"[^\s,]+", values.get("UNDERSTUDY_INSTANCE_ROLES") or "")),
            public_domains=tuple(re.findall(r"[^\s,]+", (values.get("UNDERSTUDY_PUBLIC_DOMAINS") or "").lower())),
            surged_balancers=tuple(re.findall(r"[^\s,]+", values.get("UNDERSTUDY_SURGED_BALANCERS") or "")),
            surged_groups=tuple(re.findall(r"[^\s,]+", values.get("UNDERSTUDY_SURGED_GROUPS") or "")),
            fenced_instances=tuple(re.findall(r"[^\s,]+", values.get("UNDERSTUDY_FENCED_INSTANCES") or "")),
        )


def entries() -> tuple[str, ...]:
    """Roles, without their prefix: one for each entry module, and the agent's."""
    return tuple(sorted(path.stem for path in POLICIES.glob("*.json")))


def trust(entry: str) -> str:
    principal = {"Service": [TRUSTED.get(entry, "fc.aliyuncs.com")]}
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": principal}
    return json.dumps({"Version": "1", "Statement": [statement]}, separators=(",", ":"))


def policy(entry: str, account: Account) -> str:
    """The RAM policy of one role, with the account's names filled in. At most 6,144 characters (RAM's limit)."""
    text = (POLICIES / f"{entry}.json").read_text(encoding="utf-8")
    for mark, value in {
        "@account@": account.id,
        "@region@": account.region,
        "@ots@": account.ots_instance.lower(),  # Tablestore's policy page: lower case in resources, whatever the name
        "@zone@": account.private_zone,
    }.items():
        text = text.replace(mark, value)
    document = json.loads(text)
    # A role is handed on by its name, one by one: whoever may pass any role can give a machine any right. Without
    # names nothing is passed. Source: ECS API, RunInstances, InvalidUser.PassRoleForbidden.
    document["Statement"] += _named(PASSING / f"{entry}.json", account, INSTANCE_ROLE, account.instance_roles)
    document["Statement"] += _named(PUBLIC / f"{entry}.json", account, DOMAIN, account.public_domains)
    document["Statement"] += _named(FENCING / f"{entry}.json", account, FENCED, account.fenced_instances)
    document["Statement"] += _named(WEIGHING / f"{entry}.json", account, BALANCER, account.surged_balancers)
    document["Statement"] += _named(RESIZING / f"{entry}.json", account, GROUP, account.surged_groups)
    return json.dumps(document, separators=(",", ":"))


def _named(template: Path, account: Account, mark: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The template's statement for each of the names; nothing without names."""
    if not names or not template.is_file():
        return []
    [statement] = json.loads(template.read_text(encoding="utf-8").replace("@account@", account.id))["Statement"]
    resources = [one.replace(mark, name) for one in statement["Resource"] for name in names]
    return [{**statement, "Resource": list(dict.fromkeys(resources))}]


def commands(account: Account) -> Iterator[str]:
    """Bash. `try` runs a command that may find its result there already."""
    yield from _preamble()
    yield ""
    yield "# 1. Service-linked roles: for the network interfaces in the VPC, and for event rules that call functions."
    for service in ("fc.aliyuncs.com", "sendevent-fc.eventbridge.aliyuncs.com"):
        yield _command("resourcemanager", "CreateServiceLinkedRole", "--ServiceName", service)
    yield ""
    yield "# 2. One role and one policy for each function, and one for the agents on the masters."
    for entry in entries():
        yield from _role(f"understudy-{entry}", trust(entry), policy(entry, account))
    yield ""
    yield "# 3. The Tablestore instance (VPC access is on by default). Tables: understudy apply makes them."
    body = json.dumps({"InstanceName": account.ots_instance, "ClusterType": "SSD"}, separators=(",", ":"))
    yield _command("tablestore", "CreateInstance", "--region", account.region, "--body", body)


def commands_elsewhere(home: Account, other: str) -> Iterator[str]:
    """Bash, for the other account: the role `understudy` that our functions assume there."""
    yield from _preamble()
    yield ""
    yield f"# In account {other}: the role that account {home.id} backs it up with. See docs/accounts.md."
    document = ELSEWHERE.read_text(encoding="utf-8").replace("@account@", other)
    document = json.dumps(json.loads(document), separators=(",", ":"))
    yield from _role("understudy", trust_elsewhere(home), document)


def trust_elsewhere(home: Account) -> str:
    """Of that role: our functions, and nobody else of the home account."""
    principals = {"RAM": [f"acs:ram::{home.id}:role/understudy-{entry}" for entry in ENTERING]}
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": principals}
    return json.dumps({"Version": "1", "Statement": [statement]}, separators=(",", ":"))


def _preamble() -> Iterator[str]:
    yield "#!/usr/bin/env bash"
    yield "set -euo pipefail"
    yield (
        'try() { local out; if out="$("$@" 2>&1)"; then echo "done: $*" | cut -c1-100; '
        "elif grep -qE 'EntityAlreadyExists|AlreadyExist|Attached|AlreadyOpened|ORDER.OPEND' <<<\"$out\"; "
        'then echo "was there: $*" | cut -c1-100; else echo "$out" >&2; return 1; fi; }'
    )


def _role(name: str, trusted: str, document: str) -> Iterator[str]:
    """A role and its policy, made or brought up to date."""
    yield _command("ram", "CreateRole", "--RoleName", name, "--AssumeRolePolicyDocument", trusted)
    yield _command("ram", "CreatePolicy", "--PolicyName", name, "--PolicyDocument", document)
    # A policy that exists is brought up to date; RAM keeps five versions and drops the oldest when asked to.
    yield _command(
        "ram",
        "CreatePolicyVersion",
        "--PolicyName",
        name,
        "--PolicyDocument",
        document,
        "--SetAsDefault",
        "true",
        "--RotateStrategy",
        "DeleteOldestNonDefaultVersionWhenLimitExceeded",
    )
    attach = ("--PolicyType", "Custom", "--PolicyName", name, "--RoleName", name)
    yield _command("ram", "AttachPolicyToRole", *attach)


def _command(*words: str) -> str:
    return "try aliyun " + " ".join(shlex.quote(word) for word in words)


def unnamed_domains(account: Account, policy_file_: Path) -> Iterator[str]:
    """What `policy_file_` wants of public names and the role of watch will not let it do, in sentences."""
    from shared.config import policy_file
    from shared.domain.errors import BadInput
    from shared.domain.pair import NameService

    if not policy_file_.is_file():
        return
    try:
        pairs = policy_file.load(policy_file_).pairs
    except BadInput as error:
        yield f"{policy_file_.name} cannot be read, so its public names are not looked at: {error}"
        return
    for pair in pairs:
        for rule in pair.names:
            if rule.service is NameService.PUBLIC and rule.zone not in account.public_domains:
                yield (
                    f"pair {pair.name} has the public name {rule}, and watch may not touch {rule.zone}: add it to "
                    "UNDERSTUDY_PUBLIC_DOMAINS"
                )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deploy/bootstrap.py", description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--print", action="store_true", dest="show", help="all commands, as a bash script")
    chosen.add_argument("--account", metavar="UID", help="commands for another account that is to be protected")
    chosen.add_argument("--policy", choices=entries(), help="one role's policy")
    asked = parser.parse_args(arguments)
    try:
        account = Account.of({**dotenv(ROOT / ".env"), **os.environ})  # noqa: TID251 (as s deploy reads them)
    except BootstrapError as error:
        sys.stderr.write(f"bootstrap: {error}\n")
        return 2
    for warning in unnamed_domains(account, ROOT / "understudy.yaml"):
        sys.stderr.write(f"bootstrap: {warning}\n")
    if asked.account is not None:
        if not re.fullmatch(r"[0-9]{6,20}", asked.account) or asked.account == account.id:
            sys.stderr.write(f"bootstrap: --account {asked.account}: give the number of another account than ours\n")
            return 2
        lines = commands_elsewhere(account, asked.account)
    else:
        lines = commands(account) if asked.show else iter((policy(asked.policy, account),))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
