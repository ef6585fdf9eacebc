"""The kinds of fault, one a file; `docs/write-a-fault.md` tells how to add one."""
