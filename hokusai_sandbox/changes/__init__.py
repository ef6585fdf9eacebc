"""What can be changed about a sandbox that is up, one kind a file. A scenario is a list of them, and
the control agent takes them one by one (`POST /changes`); each can be undone."""

from hokusai_sandbox.changes.applied import Applied
from hokusai_sandbox.changes.ground import ChangeFailed, ChangeInvalid, Ground

__all__ = ["Applied", "ChangeFailed", "ChangeInvalid", "Ground"]
