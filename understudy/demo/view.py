"""The cloud and the state store as an auditor sees them: read through the official SDKs with the account's own key."""

from functools import cached_property

from shared.adapters.credentials import Credentials
from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_images import EcsImages
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.functions import FcFunctions
from shared.adapters.ots import OtsStore
from shared.adapters.pvtz import PvtzNames
from shared.adapters.pvtz_trail import PvtzTrail
from shared.adapters.sdk import Endpoint
from shared.adapters.slb import SlbBalancer
from understudy.demo.local_cloud import ACCESS_KEY, OTS_INSTANCE, LocalCloud


def _key() -> Credentials:
    return Credentials(access_key_id=ACCESS_KEY[0], access_key_secret=ACCESS_KEY[1], security_token=None)


class CloudView:
    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud

    @cached_property
    def _endpoint(self) -> Endpoint:
        return Endpoint(region="cn-hangzhou", url=self._cloud.at.url)

    @cached_property
    def store(self) -> OtsStore:
        return OtsStore(endpoint=self._cloud.at.url, instance=OTS_INSTANCE, credentials=_key)

    @cached_property
    def inventory(self) -> EcsInventory:
        return EcsInventory(endpoint=self._endpoint, credentials=_key)

    @cached_property
    def snapshots(self) -> EcsSnapshots:
        return EcsSnapshots(endpoint=self._endpoint, credentials=_key)

    @cached_property
    def images(self) -> EcsImages:
        return EcsImages(endpoint=self._endpoint, credentials=_key)

    @cached_property
    def names(self) -> PvtzNames:
        return PvtzNames(endpoint=self._endpoint, credentials=_key)

    @cached_property
    def trail(self) -> PvtzTrail:
        return PvtzTrail(endpoint=self._endpoint, credentials=_key)

    @cached_property
    def balancer(self) -> SlbBalancer:
        return SlbBalancer(endpoint=self._endpoint, credentials=_key)

    @cached_property
    def functions(self) -> FcFunctions:
        return FcFunctions(endpoint=self._endpoint, credentials=_key, prefix="understudy-")
