"""Commands are tested beside a second user of the machine, too."""

from tests.services.other_user import other_user

__all__ = ["other_user"]
