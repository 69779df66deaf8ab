"""Resource Access Management: users, roles, policies, and whether a call may be made."""

from emulator.ram.model import Ram

__all__ = ["Ram"]
