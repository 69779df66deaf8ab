"""The state store on Tablestore, through the official SDK.

The SDK's own habits are off: up to 40 s of silent retries, 200 s of hidden connect attempts, an ERROR line for every
lost compare-and-set. A lease is shorter than any of them. What certainly wrote nothing is tried again a few times
within a second; everything else is the caller's decision.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

# Must happen before the import: on CPythons without the SDK's compiled coder it writes to stderr, and a DEBUG level
# (its default) makes it render every request as text, security token included.
for _name in ("tablestore.encoder", "tablestore.decoder"):
    logging.getLogger(_name).setLevel(logging.ERROR)
logging.getLogger("tablestore-client").setLevel(logging.CRITICAL)

import tablestore as sdk  # noqa: E402
import urllib3  # noqa: E402
from tablestore.credentials import Credentials as SdkCredentials  # noqa: E402
from tablestore.retry import NoRetryPolicy  # noqa: E402

from shared.adapters.chance import jitter  # noqa: E402
from shared.adapters.clock import SystemClock  # noqa: E402
from shared.adapters.ots_codes import Busy, service_error  # noqa: E402
from shared.adapters.ots_errors import translated  # noqa: E402
from shared.adapters.store_rows import (  # noqa: E402
    MAX_BATCH_ROWS,
    check_conditions,
    checked,
    chunks,
    key_names,
    scan_end,
    scan_start,
    shown,
)
from shared.domain.errors import BadInput  # noqa: E402
from shared.ports.store import Absent, Anything, Condition, Key, Row, Write  # noqa: E402
from shared.state.schema import KEPT_FOR, TABLES  # noqa: E402

if TYPE_CHECKING:
    from shared.adapters.credentials import Credentials

T = TypeVar("T")
Schema = Mapping[str, tuple[str, ...]]

RAM_ACTIONS: Final = (
    "ots:GetRow",
    "ots:GetRange",
    "ots:PutRow",
    "ots:UpdateRow",
    "ots:DeleteRow",
    "ots:BatchWriteRow",
)
SET_UP_RAM_ACTIONS: Final = ("ots:ListTable", "ots:CreateTable", "ots:DescribeTable", "ots:UpdateTable")

ROWS_A_PAGE: Final = 500
"""Asked for at a time: all that a scan holds at once. The service would send up to 5,000 rows or 4 MB, which a caller
that stops early reads in vain. Source: Tablestore, GetRange, read 2026-03."""
ATTEMPTS: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.05  # then doubled: 0.35 s in all, far below a lease
TABLE_ATTEMPTS: Final = 7  # 1.5 to 3 s in all: an instance takes 10 table operations a second, and set-up makes more


class _Provider:
    """Reads the credentials at every request: those of a function expire while its instance lives on."""

    def __init__(self, read: "Callable[[], Credentials]") -> None:
        self._read = read

    def get_credentials(self) -> Any:
        now = self._read()
        return SdkCredentials(now.access_key_id, now.access_key_secret, now.security_token)


class _Connection:
    """One SDK client with its habits off, and the bounded repetition of calls that wrote nothing."""

    def __init__(
        self,
        *,
        endpoint: str,
        instance: str,
        credentials: "Callable[[], Credentials]",
        timeout: timedelta,
        region: str | None,
        attempts: int = ATTEMPTS,
    ) -> None:
        if not endpoint.startswith(("http://", "https://")):
            raise BadInput(f"Tablestore endpoint {endpoint!r} must begin with http:// or https://")
        if not instance:
            raise BadInput("the name of the Tablestore instance is empty: set UNDERSTUDY_OTS_INSTANCE")
        self.where = f"{instance} at {endpoint}"
        seconds = timeout.total_seconds()
        self.client: Any = sdk.OTSClient(
            endpoint,
            instance_name=instance,
            credentials_provider=_Provider(credentials),
            region=region,
            retry_policy=NoRetryPolicy(),
            socket_timeout=urllib3.Timeout(connect=min(seconds, 1.0), read=seconds),
            max_connection=32,
        )
        self._pool = self.client.connection.pool
        self._pool.connection_pool_kw["retries"] = urllib3.Retry(0)
        self._clock = SystemClock()
        self._attempts = attempts

    def call(self, operation: str, table: str, send: Callable[[Any], T], *, writes: bool) -> T:
        """One operation; `Busy` is tried again a few times."""
        what = f"Tablestore {operation} {table} ({self.where})"

        def attempt() -> T:
            with translated(what, writes=writes):
                return send(self.client)

        return self.patiently(attempt)

    def patiently(self, attempt: Callable[[], T]) -> T:
        pause = FIRST_PAUSE_SECONDS
        for _ in range(self._attempts - 1):
            try:
                return attempt()
            except Busy:
                self._clock.sleep(timedelta(seconds=pause * jitter(0.5, 1.0)))
                pause *= 2
        return attempt()

    def close(self) -> None:
        self._pool.clear()


class OtsStore:
    """Implements `shared.ports.store.Store`. Safe to share between threads; one per process is enough.

    `timeout` bounds each attempt's wait for an answer (connecting: at most 1 s of it). With `region` requests are
    signed with the V4 scheme, else with V2.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        instance: str,
        credentials: "Callable[[], Credentials]",
        timeout: timedelta = timedelta(seconds=3),
        region: str | None = None,
        schema: Schema = TABLES,
    ) -> None:
        self._connection = _Connection(
            endpoint=endpoint, instance=instance, credentials=credentials, timeout=timeout, region=region
        )
        self._schema = schema

    def get(self, table: str, key: Key) -> Row | None:
        primary_key = self._key(table, key)
        _, row, _ = self._connection.call(
            "GetRow", table, lambda c: c.get_row(table, primary_key, max_version=1), writes=False
        )
        return None if row is None else _row(row)

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        change = sdk.Row(self._key(table, row.key), list(checked(table, row.columns).items()))
        expected = _condition(table, condition)
        self._connection.call("PutRow", table, lambda c: c.put_row(table, change, expected), writes=True)

    def update(self, table: str, row: Row, *, condition: Condition) -> None:
        change = sdk.Row(self._key(table, row.key), {"put": list(checked(table, row.columns).items())})
        expected = _condition(table, condition)
        self._connection.call("UpdateRow", table, lambda c: c.update_row(table, change, expected), writes=True)

    def delete(self, table: str, key: Key, *, condition: Condition) -> None:
        primary_key = self._key(table, key)
        expected = _condition(table, condition)
        self._connection.call("DeleteRow", table, lambda c: c.delete_row(table, primary_key, expected), writes=True)

    def put_many(self, writes: Sequence[Write]) -> None:
        for write in writes:  # all of them before any is sent
            self._key(write.table, write.row.key)
            checked(write.table, write.row.columns)
        for chunk in chunks(writes):
            self._put_chunk(chunk)

    def _put_chunk(self, chunk: list[Write]) -> None:
        left = chunk

        def attempt() -> None:
            nonlocal left
            left, errors = self._send_chunk(left)
            if errors:
                # One that may get better by itself is raised only when no other stands in its way.
                raise next((e for e in errors if not isinstance(e, Busy)), errors[0])

        self._connection.patiently(attempt)

    def _send_chunk(self, chunk: list[Write]) -> tuple[list[Write], list[Exception]]:
        """Puts every row; returns those that failed, each with its error."""
        by_table: dict[str, list[Write]] = {}
        for write in chunk:
            by_table.setdefault(write.table, []).append(write)
        request = sdk.BatchWriteRowRequest()
        for table, writes in by_table.items():
            items = [
                sdk.PutRowItem(
                    sdk.Row(self._key(table, w.row.key), list(checked(table, w.row.columns).items())),
                    sdk.Condition(sdk.RowExistenceExpectation.IGNORE),
                )
                for w in writes
            ]
            request.add(sdk.TableInBatchWriteRowItem(table, items))
        tables = ",".join(by_table)
        answer = self._connection.call("BatchWriteRow", tables, lambda c: c.batch_write_row(request), writes=True)
        left: list[Write] = []
        errors: list[Exception] = []
        for table, writes in by_table.items():
            for write, item in zip(writes, answer.get_put_by_table(table), strict=True):
                if not item.is_ok:
                    what = f"Tablestore BatchWriteRow {table} ({self._connection.where}), row {write.row.key}"
                    left.append(write)
                    errors.append(service_error(what, None, item.error_code, item.error_message, writes=True))
        return left, errors

    def delete_many(self, table: str, keys: Sequence[Key]) -> None:
        every = list(dict.fromkeys(keys))
        for key in every:  # all of them before any is sent
            self._key(table, key)
        for start in range(0, len(every), MAX_BATCH_ROWS):
            self._delete_chunk(table, every[start : start + MAX_BATCH_ROWS])

    def _delete_chunk(self, table: str, keys: list[Key]) -> None:
        def attempt() -> None:
            nonlocal keys
            request = sdk.BatchWriteRowRequest()
            anyhow = sdk.Condition(sdk.RowExistenceExpectation.IGNORE)
            items = [sdk.DeleteRowItem(sdk.Row(self._key(table, key)), anyhow) for key in keys]
            request.add(sdk.TableInBatchWriteRowItem(table, items))
            answer = self._connection.call("BatchWriteRow", table, lambda c: c.batch_write_row(request), writes=True)
            answered = list(zip(keys, answer.get_delete_by_table(table), strict=True))
            keys = [key for key, item in answered if not item.is_ok]
            what = f"Tablestore BatchWriteRow {table} ({self._connection.where})"
            errors = [
                service_error(f"{what}, row {key}", None, item.error_code, item.error_message, writes=True)
                for key, item in answered
                if not item.is_ok
            ]
            if errors:
                raise next((one for one in errors if not isinstance(one, Busy)), errors[0])

        self._connection.patiently(attempt)

    def scan(
        self,
        table: str,
        prefix: Key,
        *,
        after: Key | None = None,
        until: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> Iterator[Row]:
        names = key_names(self._schema, table, prefix, prefix=True)
        for bound in (after, until):
            if bound is not None:
                key_names(self._schema, table, bound)
        return self._scan(table, names, prefix, after, until, backward, limit)

    def _scan(
        self,
        table: str,
        names: tuple[str, ...],
        prefix: Key,
        after: Key | None,
        until: Key | None,
        backward: bool,
        limit: int | None,
    ) -> Iterator[Row]:
        begin = scan_start(prefix, after=after, backward=backward)
        finish = scan_end(prefix, after=after, until=until, backward=backward)
        if begin is None or finish is None or (limit is not None and limit <= 0):
            return
        if len(prefix) == len(names):
            row = self.get(table, prefix)
            if row is not None and prefix != after:
                yield row
            return
        first, last = (sdk.INF_MAX, sdk.INF_MIN) if backward else (sdk.INF_MIN, sdk.INF_MAX)
        start, end = _filled(names, begin, first), _filled(names, finish, last)
        left = limit
        while start is not None:
            # One more than asked for, as the range begins with `after` itself when that row exists.
            page = ROWS_A_PAGE if left is None else min(left + (after is not None), ROWS_A_PAGE)
            rows, start = self._page(table, backward, start, end, page)
            for row in rows:
                if row.key == after:
                    continue
                yield row
                if left is not None:
                    left -= 1
                    if left == 0:
                        return

    def _page(self, table: str, backward: bool, start: Any, end: Any, limit: int | None) -> tuple[list[Row], Any]:
        direction = sdk.Direction.BACKWARD if backward else sdk.Direction.FORWARD
        _, next_start, rows, _ = self._connection.call(
            "GetRange",
            table,
            lambda c: c.get_range(table, direction, start, end, limit=limit, max_version=1),
            writes=False,
        )
        return [_row(row) for row in rows], next_start

    def close(self) -> None:
        """Drop the connections. The store can go on being used; it then opens new ones."""
        self._connection.close()

    def _key(self, table: str, key: Key) -> list[tuple[str, str]]:
        return list(zip(key_names(self._schema, table, key), key, strict=True))


class OtsTables:
    """Set-up of the state store: makes the tables that are missing, and has history forgotten. Not for handlers."""

    def __init__(
        self,
        *,
        endpoint: str,
        instance: str,
        credentials: "Callable[[], Credentials]",
        timeout: timedelta = timedelta(seconds=10),
        region: str | None = None,
    ) -> None:
        self._connection = _Connection(
            endpoint=endpoint,
            instance=instance,
            credentials=credentials,
            timeout=timeout,
            region=region,
            attempts=TABLE_ATTEMPTS,
        )

    def create_tables(self, schema: Schema = TABLES, kept_for: Mapping[str, timedelta] = KEPT_FOR) -> tuple[str, ...]:
        """The names of the tables that were made; none on the second call. A new table may need up to a minute before
        it can be used (the service's own words); until then its calls raise Retryable.

        A table that stands already is given its row life of `kept_for` when it has another. Raises BadInput when a
        table of that name has other key columns.
        """
        existing = set(self._connection.call("ListTable", "", lambda c: c.list_table(), writes=False))
        for name in existing & set(schema):
            self._check(name, schema[name], _ttl(kept_for, name))
        missing = [name for name in schema if name not in existing]
        for name in missing:
            self._create(name, schema[name], _ttl(kept_for, name))
        return tuple(missing)

    def _check(self, name: str, key: tuple[str, ...], ttl_seconds: int) -> None:
        found = self._connection.call("DescribeTable", name, lambda c: c.describe_table(name), writes=False)
        columns = tuple((column[0], column[1]) for column in found.table_meta.schema_of_primary_key)
        if columns != tuple((column, "STRING") for column in key):
            raise BadInput(
                f"Tablestore table {name} ({self._connection.where}) exists with key columns {columns}, not {key};"
                " use an instance of its own for Understudy, or delete that table"
            )
        if found.table_options.time_to_live != ttl_seconds:
            options = sdk.TableOptions(time_to_live=ttl_seconds)
            self._connection.call("UpdateTable", name, lambda c: c.update_table(name, options), writes=True)

    def _create(self, name: str, key: tuple[str, ...], ttl_seconds: int) -> None:
        meta = sdk.TableMeta(name, [(column, "STRING") for column in key])
        throughput = sdk.ReservedThroughput(sdk.CapacityUnit(0, 0))

        def send(client: Any) -> None:
            try:
                client.create_table(meta, sdk.TableOptions(time_to_live=ttl_seconds), throughput)
            except sdk.OTSServiceError as error:
                if error.code != "OTSObjectAlreadyExist":  # somebody else was setting up at the same time
                    raise

        self._connection.call("CreateTable", name, send, writes=True)

    def close(self) -> None:
        self._connection.close()


def _ttl(kept_for: Mapping[str, timedelta], table: str) -> int:
    """Of the service: seconds, -1 for ever. Source: Tablestore, TableOptions, read 2025."""
    return int(kept_for[table].total_seconds()) if table in kept_for else -1


def _row(row: Any) -> Row:
    return Row(
        key=tuple(value for _, value in row.primary_key),
        columns=shown((name, value) for name, value, _ in row.attribute_columns),
    )


def _filled(names: tuple[str, ...], prefix: Key, bound: Any) -> Any:
    return [(name, prefix[i] if i < len(prefix) else bound) for i, name in enumerate(names)]


def _condition(table: str, condition: Condition) -> Any:
    expect = sdk.RowExistenceExpectation
    if isinstance(condition, Anything):
        return sdk.Condition(expect.IGNORE)
    if isinstance(condition, Absent):
        return sdk.Condition(expect.EXPECT_NOT_EXIST)
    check_conditions(table, condition.columns)
    # The SDK's default lets a row without the column pass: a fence with a hole.
    parts = [
        sdk.SingleColumnCondition(name, value, sdk.ComparatorType.EQUAL, pass_if_missing=False)
        for name, value in condition.columns.items()
    ]
    if len(parts) < 2:
        return sdk.Condition(expect.EXPECT_EXIST, parts[0] if parts else None)
    both = sdk.CompositeColumnCondition(sdk.LogicalOperator.AND)
    for part in parts:
        both.add_sub_condition(part)
    return sdk.Condition(expect.EXPECT_EXIST, both)
