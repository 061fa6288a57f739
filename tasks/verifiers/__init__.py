"""Verifiers: is an answer right; one module each, found by its name in a `Reference`.

A verifier offers

    verify(answer, expected)      -> Verdict

of two strings: what the model said last, and the reference's value in the verifier's own form. It never raises for what a model or a
seed wrote: what can't be read is a verdict that did not pass, with `found` null or the detail saying why.

One whose answers end in a result also offers

    read(answer)                  -> the result as a string that `verify` takes for `expected`, or None where there is none

by which samples can vote (tasks/judges/majority_vote.py).
"""
