"""A function that asks the cloud about itself, signed with the credentials of its role."""

import os
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi.utils_models import Config


def handler(event: bytes, context: Any) -> Any:
    config = Config(
        access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        security_token=os.environ["ALIBABA_CLOUD_SECURITY_TOKEN"],
        endpoint=urlsplit(os.environ["URL"]).netloc,
        protocol="http",
    )
    return {"status": Client(config).get_function("asking", models.GetFunctionRequest()).status_code}
