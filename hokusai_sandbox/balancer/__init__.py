"""The load balancer: HTTPS in front of the API's instances and the auth service, routed by the
listener rules that are registered in the sandbox's AWS."""
