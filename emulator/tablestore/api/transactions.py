"""Local transactions on the wire."""

from emulator.tablestore.api.messages import opened, pb2, sent
from emulator.tablestore.api.rows import read_key
from emulator.tablestore.model import Tablestore


def start(store: Tablestore, instance: str, body: bytes) -> bytes:
    request = opened(pb2.StartLocalTransactionRequest, body)
    transaction = store.start_transaction(instance, request.table_name, read_key(request.key))
    return sent(pb2.StartLocalTransactionResponse(transaction_id=transaction))


def commit(store: Tablestore, instance: str, body: bytes) -> bytes:
    store.commit_transaction(instance, opened(pb2.CommitTransactionRequest, body).transaction_id)
    return sent(pb2.CommitTransactionResponse())


def abort(store: Tablestore, instance: str, body: bytes) -> bytes:
    store.abort_transaction(instance, opened(pb2.AbortTransactionRequest, body).transaction_id)
    return sent(pb2.AbortTransactionResponse())
