"""`aliyun pvtz ACTION --Name value ...` as the cloud's own command line sends it: one signed RPC call."""

from collections.abc import Sequence
from typing import Any

from alibabacloud_tea_openapi import models as openapi
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_util import models as util

VERSIONS = {"pvtz": "2018-01-01", "alidns": "2015-01-09", "ecs": "2014-05-26"}


def aliyun(words: Sequence[str], *, url: str, key: tuple[str, ...]) -> dict[str, Any]:
    """Raises what the SDK raises when the call is refused."""
    service, action, *options = words
    assert len(options) % 2 == 0, f"options come in pairs: {options}"
    query = {name.removeprefix("--"): value for name, value in zip(options[::2], options[1::2], strict=True)}
    protocol, _, endpoint = url.partition("://")
    client = Client(
        openapi.Config(access_key_id=key[0], access_key_secret=key[1], endpoint=endpoint, protocol=protocol)
    )
    params = openapi.Params(
        action=action,
        version=VERSIONS[service],
        protocol=protocol,
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    answer: dict[str, Any] = client.call_api(params, openapi.OpenApiRequest(query=query), util.RuntimeOptions())
    return answer
