"""AWS in the sandbox: moto in a process of its own, with the stack's resources registered in it
and a small interface of ours beside AWS's (states that AWS's API can't set, what the balancer and
the name server read)."""
