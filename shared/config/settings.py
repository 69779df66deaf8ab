"""Where a function runs and what it talks to, from its environment (at most 4 KB in all, so little of it).

What is protected and how is not here: that is the policy, read from the state store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.domain.errors import BadInput

Read = Callable[[str], str | None]  # a variable's text, None when missing or empty
Require = Callable[[str, str], str]  # the same, raising BadInput with a remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    region: str
    ots_instance: str
    ots_endpoint: str
    endpoint: str | None = None  # one URL for every RPC and ROA service; None: the official hosts
    endpoints: Mapping[str, str] = field(default_factory=dict)  # by region, those of a local cloud's other regions
    clock_url: str | None = None  # the emulator's clock; None: this machine's
    function_prefix: str = "understudy-"
    fc_service: str | None = None  # set when the functions are deployed as one FC 2.0 service
    account: str | None = None


def settings(read: Read, require: Require) -> Settings:
    """Raises BadInput that names the variable and its remedy. `read`, `require`: shared.adapters.environment."""
    region = require("UNDERSTUDY_REGION", "set it in s.yaml to the region of the instances, e.g. cn-hangzhou")
    instance = require("UNDERSTUDY_OTS_INSTANCE", "set it in s.yaml to the name of the Tablestore instance")
    endpoint = read("UNDERSTUDY_ENDPOINT")
    return Settings(
        region=region,
        ots_instance=instance,
        ots_endpoint=read("UNDERSTUDY_OTS_ENDPOINT")
        or endpoint
        # Public access of new instances is off by default, so the VPC host is the one that works.
        # Source: Tablestore endpoints, read 2026-03.
        or f"https://{instance}.{region}.vpc.tablestore.aliyuncs.com",
        endpoint=endpoint,
        endpoints=_by_region(read("UNDERSTUDY_ENDPOINTS") or ""),
        clock_url=read("UNDERSTUDY_CLOCK"),
        function_prefix=read("UNDERSTUDY_FUNCTION_PREFIX") or "understudy-",
        fc_service=read("UNDERSTUDY_FC_SERVICE"),
        account=read("FC_ACCOUNT_ID"),
    )


def _by_region(text: str) -> dict[str, str]:
    """`cn-shanghai=http://127.0.0.1:8081,cn-beijing=...`"""
    found = {}
    for part in filter(None, text.split(",")):
        region, equals, url = part.strip().partition("=")
        if not region or not equals or "://" not in url:
            raise BadInput(
                f"environment variable UNDERSTUDY_ENDPOINTS holds {part!r}; write REGION=http://HOST:PORT, with commas "
                "between several"
            )
        found[region] = url
    return found


def site(require: Require) -> str:
    return require("UNDERSTUDY_SITE", "set it in s.yaml, in each watch function, to the site it watches from")


def resolvers(read: Read) -> tuple[str, ...]:
    """DNS servers that stand for all others: a local cloud's, ADDRESS:PORT with commas between several."""
    return tuple(filter(None, (part.strip() for part in (read("UNDERSTUDY_RESOLVERS") or "").split(","))))


def webhook_secret(read: Read) -> str | None:
    """What the alarm's webhook URL must carry as ?token=. None: every call of the webhook is refused."""
    return read("UNDERSTUDY_WEBHOOK_SECRET")


def agent_secret(read: Read) -> str | None:
    """What the agents ask of whoever orders them to promote or demote. None: they ask nothing."""
    return read("UNDERSTUDY_AGENT_SECRET")
