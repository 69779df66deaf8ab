"""Classic load balancers' actions, one method each."""
