"""The wire forms of ECS operations: flat parameters in, documented answers out. Models know nothing of these."""
