"""A TCP proxy program that faults can be put on, speaking Toxiproxy's HTTP API.

It stands alone (`python -m hokusai_validation.links --config FILE --api HOST:PORT`), so that any
stack can be given links. Beyond Toxiproxy's documented API: counters, leases (a fault that is not
renewed undoes itself), and the toxics `half_open`, `connect_timeout`, `every_nth`, `garbage`, `reset_idle`,
`reset_existing`. It is compatible by that documentation; it was not tried against clients or
servers of the real program.

A link mirrors its upstream: while nothing listens there, the link refuses connections too, so that
a dead process behind a link looks like a dead process (`"mirror": false` in the configuration
switches that off, and then a connection is accepted and broken, as Toxiproxy does).
"""
