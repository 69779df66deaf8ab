"""The official SDKs behind our ports. The first import of any adapter makes their models lazy."""

from shared.adapters import lazy_models

lazy_models.install()
