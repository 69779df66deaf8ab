"""Images by rule: made, ready, published, retired."""
