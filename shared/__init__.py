"""Understudy's product code: everything that is shipped to Function Compute or imported by the operator's CLI.

Layers, checked by import-linter: `functions` and `understudy` > `usecases` and `adapters` (blind to each other) >
`state` > `ports` > `domain`. The emulator is never imported from here.
"""
