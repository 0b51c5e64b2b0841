"""A peer: the one place where wire, rules, net, store and sandbox meet."""
