"""Names port straight onto the emulator's PrivateZone, without HTTP."""

from emulator.cloud import Cloud
from emulator.pvtz.model import ENABLE
from emulator.pvtz.records import TTLS
from shared.domain.errors import NotFound, Permanent
from shared.ports.names import ANSWERING, NameRecord
from understudy.simulation.call import called, read


class InProcessNames:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._pvtz = cloud.pvtz

    def records(self, *, zone: str, host: str, type: str | None = None) -> tuple[NameRecord, ...]:
        named = read(self._cloud, "pvtz", "DescribeZones", zone, lambda: self._named(zone))
        if not named:
            raise NotFound(f"no private zone is called {zone}")
        if len(named) > 1:
            raise Permanent(f"{len(named)} private zones are called {zone}; keep one for the failover")
        question = (named[0], host, type)
        return read(
            self._cloud, "pvtz", "DescribeZoneRecords", question, lambda: self._records(named[0], zone, host, type)
        )

    def _named(self, zone: str) -> tuple[str, ...]:
        return tuple(z.id for z in self._pvtz.zones.values() if z.name == zone.lower())

    def _records(self, zone_id: str, zone: str, host: str, type: str | None) -> tuple[NameRecord, ...]:
        return tuple(
            NameRecord(
                record_id=str(record.id),
                zone=zone,
                host=record.rr,
                type=record.type,
                value=record.value,
                ttl_seconds=record.ttl,
                enabled=record.status == ENABLE,
                remark=record.remark,
            )
            for record in self._pvtz.find_records(zone_id, keyword=host)
            if record.type in (ANSWERING if type is None else (type,))
        )

    def rebind(self, record: NameRecord, *, value: str) -> None:
        self._update(record, value=value, ttl_seconds=record.ttl_seconds)

    def retime(self, record: NameRecord, *, ttl_seconds: int) -> None:
        self._update(record, value=record.value, ttl_seconds=ttl_seconds)

    def least_ttl(self, *, zone: str) -> int:
        if not read(self._cloud, "pvtz", "DescribeZones", zone, lambda: self._named(zone)):
            raise NotFound(f"no private zone is called {zone}")
        return min(TTLS)

    def _update(self, record: NameRecord, *, value: str, ttl_seconds: int) -> None:
        with called(self._cloud, "pvtz", "UpdateZoneRecord", changes=True, about=f"{record.host}.{record.zone}"):
            standing = self._pvtz.record(int(record.record_id))
            self._pvtz.update_record(
                standing.id,
                rr=record.host,
                type=record.type,
                value=value,
                ttl=ttl_seconds,
                priority=standing.priority,
                weight=standing.weight,
                line=standing.line,
            )

    def remark(self, record: NameRecord, *, text: str) -> None:
        with called(self._cloud, "pvtz", "UpdateRecordRemark", changes=True, about=f"{record.host}.{record.zone}"):
            self._pvtz.set_remark(int(record.record_id), text)
