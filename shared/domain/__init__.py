"""Pure decisions: values in, plan and reasons out. No I/O, clock, randomness, logging or SDK."""
