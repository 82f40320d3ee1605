"""Pure rules: ids, bodies, events, conversations, flow control. No I/O, clock or randomness."""
