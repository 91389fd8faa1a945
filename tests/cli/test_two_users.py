"""A run whose scratch folder another user of the machine writes to, too."""

import os

from tests.build import Built
from tests.cli.test_cli import built, call
from tests.services.other_user import OtherUser, other_user

__all__ = ["built", "other_user"]


def test_a_run_takes_nothing_from_a_cache_that_another_user_made(
    built: Built, other_user: OtherUser
) -> None:
    cache = f"cpengine-cache-{os.geteuid()}"
    other_user.run(f"mkdir {cache}; chmod 777 {cache}; echo evil > {cache}/evil")
    toml = f'\n[executors.local]\nscratch = "{other_user.shared}"\n'
    built.toml.write_text(built.toml.read_text() + toml)
    result = call("run", "analysis", "-C", built.root)
    assert result.exit_code == 2
    assert f"{other_user.shared / cache}: is another user's" in result.stderr
    assert "Traceback" not in result.output
    assert not list(built.root.rglob("Image.csv"))
    assert [path.name for path in (other_user.shared / cache).iterdir()] == ["evil"]
