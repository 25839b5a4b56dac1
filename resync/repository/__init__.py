"""The repository: objects, refs, reflogs, config and locks. The only owner of dulwich's ``Repo``."""

from resync.repository.objects import Objects
from resync.repository.repo import ReflogEntry, Repository

__all__ = ["Objects", "ReflogEntry", "Repository"]
