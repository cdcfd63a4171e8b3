"""One module a protocol: how a request's bytes become members, and an answer's members bytes."""
