"""What tests are made of: states, recovery, the registration flow, the breaker under test."""
