"""Protocols in our words. Each docstring is the contract that every adapter passes in `tests/contract`.

All ports: `Retryable` means nothing happened; `OutcomeUnknown` means sent but unanswered (read back first);
`Forbidden`, `NotFound`, `QuotaReached`, `Permanent` as in `shared.domain.errors`. Times are aware and UTC.
"""
