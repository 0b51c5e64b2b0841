"""The means that keep a slot from the machine, one module each, and their recipe."""
