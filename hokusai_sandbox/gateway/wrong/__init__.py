"""Wrong variants of the gateway's parts: subclasses that differ in one thing each. `defects.py`
says which there are, under which names, and which sentence of the contract each breaks."""
