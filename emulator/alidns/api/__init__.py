"""Alidns' actions, one method each."""
