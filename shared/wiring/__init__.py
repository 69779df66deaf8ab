"""Composition roots: settings -> adapters -> use cases, one builder per function. The only place that knows both."""
