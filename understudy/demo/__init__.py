"""The whole story on a local cloud: a week of backups, an instance rebuilt, an IDC lost. `make demo` runs it."""
