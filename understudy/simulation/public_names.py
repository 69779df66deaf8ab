"""Names port straight onto the emulator's public domains (Alidns), without HTTP."""

from emulator.alidns.records import ENABLE
from emulator.alidns.search import Search
from emulator.cloud import Cloud
from emulator.wire.call import ApiError
from shared.ports.names import ANSWERING, NameRecord
from understudy.simulation.call import called, read


class InProcessPublicNames:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._alidns = cloud.alidns

    def records(self, *, zone: str, host: str, type: str | None = None) -> tuple[NameRecord, ...]:
        question = (zone, host, type)
        return read(self._cloud, "alidns", "DescribeDomainRecords", question, lambda: self._records(zone, host, type))

    def _records(self, zone: str, host: str, type: str | None) -> tuple[NameRecord, ...]:
        domain = self._alidns.domain(zone)
        return tuple(
            NameRecord(
                record_id=record.id,
                zone=zone,
                host=record.rr,
                type=record.type,
                value=record.value,
                ttl_seconds=record.ttl,
                enabled=record.status == ENABLE,
                remark=record.remark,
            )
            for record in Search(mode="COMBINATION", rr=host).find(domain.records.values())
            if record.type in (ANSWERING if type is None else (type,))
        )

    def rebind(self, record: NameRecord, *, value: str) -> None:
        self._update(record, value=value, ttl_seconds=record.ttl_seconds)

    def retime(self, record: NameRecord, *, ttl_seconds: int) -> None:
        self._update(record, value=record.value, ttl_seconds=ttl_seconds)

    def remark(self, record: NameRecord, *, text: str) -> None:
        about = f"{record.host}.{record.zone}"
        with called(self._cloud, "alidns", "UpdateDomainRecordRemark", changes=True, about=about):
            self._alidns.set_remark(record.record_id, text)

    def least_ttl(self, *, zone: str) -> int:
        return read(
            self._cloud, "alidns", "DescribeDomainInfo", zone, lambda: self._alidns.domain(zone).edition.min_ttl
        )

    def _update(self, record: NameRecord, *, value: str, ttl_seconds: int) -> None:
        about = f"{record.host}.{record.zone}"
        with called(self._cloud, "alidns", "UpdateDomainRecord", changes=True, about=about):
            standing = self._alidns.record(record.record_id)
            try:
                self._alidns.update_record(
                    standing.id,
                    rr=record.host,
                    type=record.type,
                    value=value,
                    ttl=ttl_seconds,
                    priority=standing.priority,
                    line=standing.line,
                )
            except ApiError as refusal:
                stands = self._alidns.record(record.record_id)
                if refusal.code != "DomainRecordDuplicate" or (stands.value, stands.ttl) != (value, ttl_seconds):
                    raise
