"""From the bytes a function is given to a value that a use case understands.

`shared.triggers.parse.parse` is the door. One module per shape; `parse` holds the table that tells them apart.
Nothing here decides anything: an event only says "look now".
"""
