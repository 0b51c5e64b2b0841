"""Slots: the worker processes that run other people's functions."""
