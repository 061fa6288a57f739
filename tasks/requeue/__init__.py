"""Puts a class of a finished run's drops through again: a new run, which goes on from what the old one had.

plan.py      which drops, from which stage on, under which recipe; and what is refused
inherit.py   what the new run takes over: files, committed shards, and the drops that stay dropped

The new run has all that the old one had before the earliest stage of those drops. That stage takes what it kept the first time together with the
drops named; its other drops stay as they are. Every later stage is done anew over all rows. Answers come from the call store, so nothing is paid twice.
"""
