"""Whole histories of a deployment, made of chance and repeatable to the byte: the real program against a local cloud.

A seed gives a story (``stories``): a world, a policy, and steps. A story is performed (``performing``) with everything
that can go wrong: people change things meanwhile, runs overlap (``turns``), die before or after any write, and read
what is not true. An oracle that knows nothing of the program looks at every write (``oracle``). A story that ends in
a violation is shortened until a person can read it (``shortening``).

What can go wrong is a simulation that sees nothing: so ``breakages`` breaks the program on purpose, one rule at a
time, and each has to be caught.
"""
