"""Several looks of one timer, each with its turn whatever befalls the others."""

from collections.abc import Callable

from shared.domain.errors import CredentialsRejected, DrError


def in_turn(*looks: Callable[[], object]) -> Callable[[], None]:
    """All of them, then the first error. CredentialsRejected ends them at once: no other would fare better."""

    def all_of_them() -> None:
        errors: list[DrError] = []
        for look in looks:
            try:
                look()
            except CredentialsRejected:
                raise
            except DrError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    return all_of_them
